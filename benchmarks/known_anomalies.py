"""Known anomalies of the gas files in the highest 1 % of scores, compared with the mean distance and random scores."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import find_gas_files
from benchmarks.report import ResultLine, median
from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.quality import checks
from core.data.quality.repairs import undo_hour_shift
from core.detectors.baseline import Baseline
from core.detectors.baselines import BASELINE_CLASSES, DayBaseline
from core.detectors.row_model import RowModel
from core.detectors.tables.isolation_forest import IsolationForest
from core.tasks.anomalies.spec import list_detectors

FLAGGED_SHARE = 0.01
SEEDS = (42, 0, 1, 2, 3, 4)


def main() -> list[ResultLine]:
    """Count the known anomalies found with every baseline, with and without the hour shift."""
    if not find_gas_files():
        return [ResultLine("skipped: no gas_france/ in the shared data", "–")]
    read = load(find_gas_files())
    is_anomalous = find_anomalous_rows(read)
    lines = []
    for state, dataset in (("files as they are", read), ("hour shift undone", undo_hour_shift(read))):
        ready, truth = dataset.take_rows(dataset.is_complete), is_anomalous[dataset.is_complete]
        for name, comparison in BASELINE_CLASSES.items():
            lines.append(_score_forest(f"{name}, {state}", dataset, comparison, truth, SEEDS))
            found_count = _count_hits(_compute_distance(comparison().fit(ready).compute_features(ready)), truth)
            lines.append(
                ResultLine(
                    "    distance to the mean", f"{found_count} of {truth.sum()}", basis="same features, no seed"
                )
            )
        for name, detector_class in list_detectors().items():
            _, scores = RowModel(detector_class(), DayBaseline()).fit_score(dataset)
            lines.append(
                ResultLine(f"day, {name}, {state}", f"{_count_hits(scores, truth)} of {truth.sum()}", basis="one seed")
            )
    lines.append(_score_randomly(is_anomalous[read.is_complete]))
    return lines


def find_anomalous_rows(dataset: Dataset) -> NDArray[np.bool_]:
    """Return a mask of the rows with a gross outlier, an empty hour at the spring clock change or an isolated spike."""
    is_anomalous = np.zeros(len(dataset), dtype=bool)
    for find_issue in (checks.find_gross_outliers, checks.find_zero_hours, checks.find_isolated_spikes):
        is_anomalous[find_issue(dataset).rows] = True
    return is_anomalous


def _score_forest(
    what: str, dataset: Dataset, comparison: type[Baseline], truth: NDArray[np.bool_], seeds: tuple[int, ...]
) -> ResultLine:
    counts = []
    for seed in seeds:
        _, scores = RowModel(IsolationForest(random_state=seed), comparison()).fit_score(dataset)
        counts.append(float(_count_hits(scores, truth)))
    return ResultLine(
        what,
        f"{counts[0]:.0f} of {truth.sum()}",
        f"{min(counts):.0f} – {max(counts):.0f}",
        f"seed {seeds[0]}; spread over {len(seeds)} seeds",
    )


def _score_randomly(truth: NDArray[np.bool_]) -> ResultLine:
    counts = [float(_count_hits(np.random.default_rng(seed).random(len(truth)), truth)) for seed in range(101)]
    return ResultLine(
        "random score", f"{median(counts):.0f} of {truth.sum()}", f"{min(counts):.0f} – {max(counts):.0f}", "101 seeds"
    )


def _compute_distance(features: Floats) -> Floats:
    return np.linalg.norm(features - features.mean(axis=0), axis=1)


def _count_hits(scores: Floats, truth: NDArray[np.bool_]) -> int:
    """Return the number of anomalous rows above the threshold that leaves 1 % of the rows above it."""
    return int((truth & (scores > np.quantile(scores, 1 - FLAGGED_SHARE))).sum())
