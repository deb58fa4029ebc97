"""Compare the detectors of rows, by labels or by planted faults."""

import time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset
from core.detectors.base import Detector
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.detectors.tables.largest_deviation import LargestDeviation
from core.evaluation.detection_metrics import compute_detection_metrics
from core.progress import Progress
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.tasks.anomalies.spec import list_detectors
from core.tasks.comparison.result import HEADLINE_METRIC
from core.tasks.row_comparison.planting import plant_faults, sort_rows
from core.tasks.row_comparison.result import RowComparison
from core.tasks.row_comparison.spec import RowComparisonSpec
from core.workspace import Workspace

TASK = "row_comparison"
MAX_ROWS = 50_000
MAX_NAMED_ENTITIES = 3
SERIES_WINDOW_ROWS = 100  # tolerance of VUS around labels, as for series
DAY_WINDOW_ROWS = 0  # a day is right or wrong by itself
SEED = 0
RANDOM_LINE, MEAN_LINE = "random", "mean_distance"


def compare_rows(
    spec: RowComparisonSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[RowComparison, Run]:
    """Measure every detector of rows with default settings, random scores and the distance to the mean.

    Every detector is fitted on the rows that it scores, as in *Anomalies*. Raises DataError for rows that no detector
    can be fitted on or no fault can be planted in, Cancelled if `progress` is cancelled.
    """
    spec.check()
    spec, progress = spec.fill_defaults(dataset), progress or Progress()
    detector_classes = list_detectors()
    params = {"compared": ", ".join(detector_classes), **spec.to_params()}
    with track_run(TASK, "Comparison", params, dataset, actor, workspace) as run:
        rows, fault_count = _choose_rows(spec, dataset)
        assert rows.labels is not None
        labels = rows.labels.to_numpy(dtype=bool)
        window = DAY_WINDOW_ROWS if rows.profile else SERIES_WINDOW_ROWS
        features = BASELINE_CLASSES[spec.baseline]().fit(rows).compute_features(rows)
        lines: list[dict[str, float | str]] = []
        for number, (name, detector_class) in enumerate(detector_classes.items()):
            progress.report(number / len(detector_classes), detector_class.label)
            lines.append({"line": name, **measure_detector(detector_class(), features, features, labels, window)})
        lines += build_simple_lines(features, features, labels, window)
        card = pd.DataFrame(lines).sort_values(HEADLINE_METRIC, ascending=False, kind="stable", ignore_index=True)
        entities = ", ".join(rows.entities[:MAX_NAMED_ENTITIES])
        if len(rows.entities) > MAX_NAMED_ENTITIES:
            entities += ", …"
        comparison = RowComparison(spec, dataset.summary, entities, len(rows), len(rows), fault_count, 1, card)
        run.add_result(comparison, TASK)
    return comparison, run


def load_comparison(run_id: str, workspace: Workspace) -> RowComparison:
    """Load the comparison of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, RowComparison, workspace)


def measure_detector(
    detector: Detector, train: Floats, test: Floats, labels: NDArray[np.bool_], window: int
) -> dict[str, float]:
    """Return the metrics of a detector fitted on `train` and compared with the `labels` of `test`, and the seconds.

    `train` and `test` are features, (rows, columns); `window` is the tolerance of VUS in rows.
    """
    start_time = time.perf_counter()
    scores = detector.fit(train).score(test)
    seconds = time.perf_counter() - start_time
    return {**compute_detection_metrics(labels, scores, window), "seconds": seconds}


def build_simple_lines(
    train: Floats, test: Floats, labels: NDArray[np.bool_], window: int
) -> list[dict[str, float | str]]:
    """Return the metrics of random scores and of the distance to the mean in standard deviations."""
    spread = train.std(axis=0)
    distance = np.linalg.norm((test - train.mean(axis=0)) / np.where(spread > 0, spread, 1.0), axis=1)
    random = np.random.default_rng(SEED).random(len(test))
    return [
        {"line": name, **compute_detection_metrics(labels, scores, window)}
        for name, scores in ((RANDOM_LINE, random), (MEAN_LINE, distance))
    ]


def _choose_rows(spec: RowComparisonSpec, dataset: Dataset) -> tuple[Dataset, int]:
    """Return the compared rows with labels, and the number of planted faults; 0 for given labels."""
    part = spec.select(dataset)
    model = RowModel(LargestDeviation(), BASELINE_CLASSES[spec.baseline](), spec.incomplete).fit(part)  # checks them
    rows = _limit_rows(sort_rows(model.prepare_rows(part)))
    if rows.labels is not None and rows.labels.any():
        return rows, 0
    return plant_faults(rows, seed=SEED)


def _limit_rows(dataset: Dataset) -> Dataset:
    """Return at most 50,000 rows: whole entities, those with most labelled rows first, or a part of a larger one."""
    if len(dataset) <= MAX_ROWS:
        return dataset
    labels = np.zeros(len(dataset), dtype=bool) if dataset.labels is None else dataset.labels.to_numpy(dtype=bool)
    sizes = np.bincount(dataset.entity_codes)
    order = np.argsort(-np.bincount(dataset.entity_codes, weights=labels), kind="stable")
    chosen = order[np.cumsum(sizes[order]) <= MAX_ROWS]
    if len(chosen):
        return dataset.take_rows(np.isin(dataset.entity_codes, chosen))
    rows = np.flatnonzero(dataset.entity_codes == order[0])
    hits = np.cumsum(np.append(0, labels[rows]))
    start = int(np.argmax(hits[MAX_ROWS:] - hits[:-MAX_ROWS]))
    return dataset.take_rows(rows[start : start + MAX_ROWS])
