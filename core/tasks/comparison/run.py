"""Compare the fast detectors on one series, by its labels or by injected anomalies."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.series import EntitySeries, split_by_entity
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import DataError
from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.explanation import RootCause, compute_explanation_metrics
from core.evaluation.injection import inject
from core.messages import N_
from core.progress import Progress
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.tasks.comparison.result import HEADLINE_METRIC, DetectorComparison
from core.tasks.comparison.spec import ComparisonSpec
from core.tasks.sequences.evaluation import compute_baseline_metrics
from core.tasks.sequences.spec import FAST_DETECTORS, list_detectors
from core.tasks.sequences.split import build_training_mask
from core.workspace import Workspace

TASK = "comparison"
MAX_ROWS = 50_000  # maximum of training rows (the last before the split) and of test rows (the first after it)
MIN_INJECTED_ROWS = 10_000  # minimum of test rows with injected anomalies; a short series is copied several times
BASELINE_NAMES = ("random", "mean_distance")  # the other baselines are among the compared detectors
SEED = 0


@dataclass(frozen=True)
class _SeriesArrays:
    """Training rows of one series, (rows, columns), and one test array for each injection of anomalies.

    labels  (rows,), of the test arrays one after the other
    causes  root causes injected into each test array; empty for real labels
    """

    entity: str
    train: Floats
    test: list[Floats]
    labels: NDArray[np.bool_]
    causes: list[list[RootCause]]


def compare(
    spec: ComparisonSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[DetectorComparison, Run]:
    """Measure every fast detector with default settings, random scores and a baseline on one series.

    Raises DataError if no series has both training and test rows, OptionError for an impossible split, Cancelled
    if `progress` is cancelled.
    """
    spec.check()
    spec, progress = spec.fill_defaults(dataset), progress or Progress()
    params = {"compared": ", ".join(FAST_DETECTORS), **spec.to_params()}
    with track_run(TASK, "Comparison", params, dataset, actor, workspace) as run:
        arrays = _choose_arrays(spec.select(dataset), spec.until)
        card_rows, step_count = [], len(FAST_DETECTORS) + 1
        for number, name in enumerate(FAST_DETECTORS):
            progress.report(number / step_count, list_detectors()[name].label)
            card_rows.append(_measure_detector(name, spec, arrays))
        progress.report(len(FAST_DETECTORS) / step_count, N_("Random scores and the distance to the mean"))
        comparison = DetectorComparison(
            spec,
            dataset.summary,
            arrays.entity,
            len(arrays.train),
            len(arrays.test[0]),
            sum(map(len, arrays.causes)),
            len(arrays.test),
            _build_card(card_rows, arrays),
        )
        run.add_result(comparison, TASK)
    return comparison, run


def load_comparison(run_id: str, workspace: Workspace) -> DetectorComparison:
    """Load the comparison of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, DetectorComparison, workspace)


# ---- parts ----------------------------------------------------------------------------------------------------------


def _choose_arrays(part: Dataset, until: str) -> _SeriesArrays:
    """Return the arrays of the chosen series, with anomalies injected if none of its test rows is labelled."""
    train_mask = build_training_mask(part, until)
    test_labels = (
        np.zeros(len(part), dtype=bool) if part.labels is None else part.labels.to_numpy(dtype=bool) & ~train_mask
    )
    series = _choose_series(part, train_mask, test_labels, until)
    series_train_mask = train_mask[series.row_positions]
    train, test, labels = (
        series.values[series_train_mask][-MAX_ROWS:],
        series.values[~series_train_mask][:MAX_ROWS],
        test_labels[series.row_positions][~series_train_mask][:MAX_ROWS],
    )
    if labels.any():
        return _SeriesArrays(series.entity, train, [test], labels, [])
    copies = [inject(test, seed=SEED + number) for number in range(max(MIN_INJECTED_ROWS // len(test), 1))]
    return _SeriesArrays(
        series.entity,
        train,
        [values.astype(np.float64) for values, _, _ in copies],
        np.concatenate([flags for _, flags, _ in copies]),
        [list(causes) for _, _, causes in copies],
    )


def _choose_series(
    part: Dataset, train_mask: NDArray[np.bool_], test_labels: NDArray[np.bool_], until: str
) -> EntitySeries:
    """Return the series with most labelled test rows, else the longest.

    Raises DataError if no series has both training and test rows.
    """
    candidates = [
        series
        for series in split_by_entity(part)
        if train_mask[series.row_positions].any() and not train_mask[series.row_positions].all()
    ]
    if not candidates:
        raise DataError(N_("No entity has rows both before and after {until}."), until=until)
    return max(candidates, key=lambda series: (int(test_labels[series.row_positions].sum()), len(series.row_positions)))


def _measure_detector(name: str, spec: ComparisonSpec, arrays: _SeriesArrays) -> dict[str, object]:
    """Return the card row of one detector with default settings."""
    start_time = time.perf_counter()
    model = SequenceModel(list_detectors()[name](), Scaling(spec.scaling, spec.counts)).fit_detector([arrays.train])
    series_scores = model.score_series(arrays.test)
    seconds = time.perf_counter() - start_time
    metrics = compute_detection_metrics(arrays.labels, np.concatenate([scores.score for scores in series_scores]))
    card_row: dict[str, object] = {"line": name, **metrics, "seconds": seconds}
    hit_rates = [
        compute_explanation_metrics(scores.shares, causes)["hit_100"]
        for scores, causes in zip(series_scores, arrays.causes, strict=False)
        if causes
    ]
    return card_row | ({"hit_100": float(np.mean(hit_rates))} if hit_rates else {})


def _build_card(card_rows: list[dict[str, object]], arrays: _SeriesArrays) -> pd.DataFrame:
    """Return the card rows of detectors and baselines, the best first."""
    baselines = compute_baseline_metrics([arrays.train], arrays.test, arrays.labels, seed=SEED)
    table = pd.DataFrame([*card_rows, *({"line": name, **baselines[name]} for name in BASELINE_NAMES)])
    return table.sort_values(HEADLINE_METRIC, ascending=False, kind="stable", ignore_index=True)
