"""Known anomalies of the gas files in the highest 1 % of scores, compared with the mean distance and random scores."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.lines import Line, median
from benchmarks.material import gas_files
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.quality import checks
from core.data.quality.repairs import undo_hour_shift
from core.detectors.base import Floats
from core.detectors.comparisons import COMPARISONS, Comparison
from core.detectors.row_model import RowModel
from core.detectors.tables.isolation_forest import IsolationForest

SHARE = 0.01
SEEDS = (42, 0, 1, 2, 3, 4)


def main() -> list[Line]:
    """Count the known anomalies found with every baseline, with and without the hour shift."""
    if not gas_files():
        return [Line("skipped: no gas_france/ in the shared data", "–")]
    read = load(gas_files())
    planted = planted_rows(read)
    lines = []
    for state, dataset in (("files as they are", read), ("hour shift undone", undo_hour_shift(read))):
        ready, truth = dataset.rows(dataset.complete), planted[dataset.complete]
        for name, comparison in COMPARISONS.items():
            lines.append(_forest(f"{name}, {state}", dataset, comparison, truth, SEEDS))
            near = _found(_distance(comparison().fit(ready).features(ready)), truth)
            lines.append(Line("    distance to the mean", f"{near} of {truth.sum()}", basis="same features, no seed"))
    lines.append(_random(planted[read.complete]))
    return lines


def planted_rows(dataset: Dataset) -> NDArray[np.bool_]:
    """Return a mask of the rows with a gross outlier, an empty hour at the spring clock change or an isolated spike."""
    planted = np.zeros(len(dataset), dtype=bool)
    for fault in (checks.gross_outliers, checks.zero_hours, checks.isolated_spikes):
        planted[fault(dataset).rows] = True
    return planted


def _forest(
    what: str, dataset: Dataset, comparison: type[Comparison], truth: NDArray[np.bool_], seeds: tuple[int, ...]
) -> Line:
    found = []
    for seed in seeds:
        _, scores = RowModel(IsolationForest(random_state=seed), comparison()).fit_score(dataset)
        found.append(float(_found(scores, truth)))
    return Line(
        what,
        f"{found[0]:.0f} of {truth.sum()}",
        f"{min(found):.0f} – {max(found):.0f}",
        f"seed {seeds[0]}; spread over {len(seeds)} seeds",
    )


def _random(truth: NDArray[np.bool_]) -> Line:
    found = [float(_found(np.random.default_rng(seed).random(len(truth)), truth)) for seed in range(101)]
    return Line(
        "random score", f"{median(found):.0f} of {truth.sum()}", f"{min(found):.0f} – {max(found):.0f}", "101 seeds"
    )


def _distance(features: Floats) -> Floats:
    return np.linalg.norm(features - features.mean(axis=0), axis=1)


def _found(scores: Floats, truth: NDArray[np.bool_]) -> int:
    """Return the number of anomalous rows above the threshold that leaves 1 % of the rows above it."""
    return int((truth & (scores > np.quantile(scores, 1 - SHARE))).sum())
