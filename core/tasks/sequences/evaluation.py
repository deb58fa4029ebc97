"""Metrics of a detector of series on labelled or injected anomalies, with baselines and random scores."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.ingest.files import Source
from core.data.ingest.number_parsing import MAX_MAGNITUDE
from core.data.ingest.readers.npz import read_npz
from core.data.root_causes import read_root_causes
from core.detectors.base import SequenceDetector, SequenceScores
from core.detectors.devices import describe_training
from core.detectors.scaling import SCALING_METHODS, Scaling, ScalingMethod
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.errors import DataError, UnreadableFileError
from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.explanation import (
    CAUSE_WINDOW_ROWS,
    RootCause,
    compute_explanation_metrics,
    compute_moving_mean_distance,
)
from core.evaluation.injection import inject
from core.exports import CsvFormat, write_csv
from core.messages import N_, Message
from core.progress import Progress
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params, require_choice
from core.tasks.sequences.spec import list_detectors

MetricValues = dict[str, float]

VUS_WINDOW_ROWS = 100  # tolerance of VUS around labels in rows, as in published results
BASELINE_DETECTORS: Mapping[str, type[SequenceDetector]] = {
    "mean_distance": MeanDistance,
    "pca": PcaResidual,
    "moving_mean": MovingMean,
}
"""Detector of each baseline in `core.spec.metric.BASELINES`, except for random scores."""

BASELINE_SCALING: ScalingMethod = "minmax"  # best scaling for each baseline
SEED_NAMES = ("seed", "random_state")  # names of the seed in different detectors
ORACLE_NOTE = N_("The best F1 uses a threshold chosen with the labels. This threshold is not known in advance.")
INJECTED_NOTE = N_(
    "No row is labelled abnormal. {count} anomalies were injected, and the metrics are valid "
    "for injected anomalies only."
)


@dataclass(frozen=True)
class EvaluationArrays:
    """Training and test rows, both (rows, columns), and the labels of the test rows.

    labels  (test rows,), True for abnormal rows; None without labels
    """

    train: Floats
    test: Floats
    labels: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a detector, and the same metrics of every baseline.

    scores        (test rows,), scores of the unchanged test rows; higher is more anomalous
    metrics       metrics of the detector, see `compute_detection_metrics`
    baselines     metrics of random, mean_distance, pca and moving_mean
    explanation   hit rates of the detector's shares and of the moving mean, see `compute_explanation_metrics`; empty
                  without causes
    injected      number of injected anomalies; 0 for real labels
    """

    scores: NDArray[np.float64]
    metrics: MetricValues
    baselines: dict[str, MetricValues]
    explanation: dict[str, MetricValues]
    injected_count: int
    fit_seconds: float
    score_seconds: float

    @property
    def rows_per_second(self) -> float:
        """Number of rows scored per second."""
        return len(self.scores) / max(self.score_seconds, 1e-9)

    @property
    def notes(self) -> tuple[Message, ...]:
        """Limits of the metrics, to show with them."""
        injected_notes = (Message(INJECTED_NOTE, {"count": self.injected_count}),) if self.injected_count else ()
        return (*injected_notes, Message(ORACLE_NOTE))


def evaluate(
    train: Floats,
    test: Floats,
    labels: NDArray[Any] | None,
    detector: SequenceDetector,
    *,
    scaling: Scaling,
    seed: int,
    window: int = VUS_WINDOW_ROWS,
    causes: Sequence[RootCause] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Fit the detector on `train`, score `test` and compare the scores with `labels`.

    `train` and `test` have the shape (rows, columns), `labels` (test rows,). If there are no labels, or no row is
    labelled abnormal, anomalies are injected with `seed` into a copy of `test`, and that copy is evaluated. `causes`
    are the root causes of the labelled events. The baselines are fitted on the same rows, with the scaling that suits
    them best. Raises DataError for arrays that do not fit together, Cancelled if `progress` is cancelled.
    """
    progress = progress or Progress()
    _check_shapes(train, test, labels)
    train, test = (np.asarray(rows, dtype=np.float64) for rows in (train, test))
    start_time = time.perf_counter()
    detector.fit([scaling.fit([train]).transform(train)], progress.create_part(0, 2))
    fit_seconds = time.perf_counter() - start_time
    start_time = time.perf_counter()
    series_scores = detector.score(scaling.transform(test))
    score_seconds = time.perf_counter() - start_time
    scores, injected_count = series_scores.score.astype(np.float64), 0
    if labels is None or not labels.any():
        test, labels, events = _inject_anomalies(test, seed)
        causes, injected_count = events, len(events)
        series_scores = detector.score(scaling.transform(test))
    progress.report(0.6)
    metrics = compute_detection_metrics(labels, series_scores.score, window)
    progress.report(0.7)
    baselines = compute_baseline_metrics([train], [test], labels, seed=seed, window=window)
    explanation = _compute_hit_rates(series_scores, test, causes)
    return Evaluation(scores, metrics, baselines, explanation, injected_count, fit_seconds, score_seconds)


def compute_baseline_metrics(
    train: Sequence[Floats], test: Sequence[Floats], labels: NDArray[Any], *, seed: int, window: int = VUS_WINDOW_ROWS
) -> dict[str, MetricValues]:
    """Return the metrics of every baseline in `BASELINES`, see `compute_detection_metrics`.

    `train` and `test` are series of shape (rows, columns). `labels` are those of all rows of `test`, one series after
    the other.
    """
    scaling = Scaling(BASELINE_SCALING).fit(train)
    train_series, test_series = ([scaling.transform(values) for values in series] for series in (train, test))
    metrics_by_baseline = {
        "random": compute_detection_metrics(labels, np.random.default_rng(seed).random(len(labels)), window)
    }
    for name, detector in BASELINE_DETECTORS.items():
        scores = detector().fit(train_series, Progress()).score_many(test_series)
        metrics_by_baseline[name] = compute_detection_metrics(
            labels, np.concatenate([series_scores.score for series_scores in scores]), window
        )
    return metrics_by_baseline


def evaluate_file(
    path: Path,
    detector_name: str,
    *,
    seconds: float | None = None,
    seed: int = 0,
    out: Path | None = None,
    csv_format: CsvFormat = "point",
    scaling: ScalingMethod = "minmax",
    settings: Mapping[str, Any] | None = None,
    causes: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate a detector on an .npz file and return plain JSON, with the metrics of every baseline under its name.

    seconds   time limit of training in seconds, for detectors that have one
    out       CSV file to write, `row,score`, row = index in `test`
    causes    file with the root causes of the labelled events, see `read_root_causes`

    Raises UnreadableFileError for a file that is not readable as .npz, DataError for arrays that do not fit together,
    OptionError for an unknown detector, setting or scaling.
    """
    detector = _build_detector(detector_name, seconds, seed, settings or {})
    require_choice("scaling", scaling, SCALING_METHODS)
    arrays = read_arrays(path)
    event_causes = read_root_causes(causes, arrays.labels, arrays.test.shape[1]) if causes else None
    train, test, scaler = arrays.train, arrays.test, Scaling(scaling)
    evaluation = evaluate(
        train, test, arrays.labels, detector, scaling=scaler, seed=seed, causes=event_causes, progress=progress
    )
    if out is not None:
        _write_scores(evaluation.scores, out, csv_format)
    sizes = {"rows": len(test), "rows_fitted": len(train), "columns": test.shape[1]}
    return {
        "file": path.name,
        "detector": detector.name,
        "settings": get_params(detector),
        "scaling": scaling,
        "seed": seed,
        **sizes,
        **_to_json(evaluation, describe_training(detector)),
    }


def read_arrays(path: Path) -> EvaluationArrays:
    """Read an .npz file; without an array `test`, its first half is for training and its second half for testing.

    Unusable numbers are missing values, as in a loaded dataset. A row is abnormal if its label is above 0. Raises
    UnreadableFileError with the name of the array and its content, DataError for missing labels.
    """
    if not path.is_file():
        raise UnreadableFileError(N_("{file} does not exist."), file=str(path))
    frame = read_npz(Source(path, path.name, "npz"), lambda _: None).frame
    columns = [column for column in frame if column not in ("part", "label", "time")]
    values = frame[columns].to_numpy(dtype=np.float64)
    values = np.where(np.abs(values) <= MAX_MAGNITUDE, values, np.nan)
    is_test = np.arange(len(frame)) >= len(frame) // 2
    if "part" in frame and frame["part"].nunique() == 2:
        is_test = (frame["part"] == "test").to_numpy()
    return EvaluationArrays(
        values[~is_test],
        values[is_test],
        _read_labels(frame["label"].to_numpy(dtype=np.float64)[is_test]) if "label" in frame else None,
    )


# ---- parts ----------------------------------------------------------------------------------------------------------


def _read_labels(labels: Floats) -> NDArray[np.bool_]:
    missing = int(np.isnan(labels).sum())
    if missing:
        raise DataError(
            N_("{count} of {rows} labels is missing.", "{count} of {rows} labels are missing."),
            count=missing,
            rows=len(labels),
        )
    return labels > 0


def _check_shapes(train: Floats, test: Floats, labels: NDArray[Any] | None) -> None:
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1] or len(train) < 2 or not len(test):
        raise DataError(
            N_(
                "The shape of train is {train}, that of test is {test}. Accepted: (rows, "
                "columns) with the same number of columns, and at least 2 rows in train."
            ),
            train=str(train.shape),
            test=str(test.shape),
        )
    if labels is not None and labels.shape != (len(test),):
        raise DataError(
            N_("test has {rows} rows but {labels} labels. Each row needs one label."),
            labels=labels.size,
            rows=len(test),
        )


def _build_detector(name: str, seconds: float | None, seed: int, settings: Mapping[str, Any]) -> SequenceDetector:
    """Return the detector `name` with the settings, and the time limit and the seed if it has such settings."""
    detector_classes = list_detectors()
    require_choice("detector", name, tuple(detector_classes))
    setting_names = get_hyperparameters(detector_classes[name])
    options = {"seconds": seconds} | dict.fromkeys(SEED_NAMES, seed)
    accepted = {key: value for key, value in options.items() if key in setting_names and value is not None}
    return build_from_settings(detector_classes[name], accepted | dict(settings))


def _inject_anomalies(test: Floats, seed: int) -> tuple[Floats, NDArray[np.bool_], Sequence[RootCause]]:
    values, labels, events = inject(test, seed=seed)
    return values.astype(np.float64), labels, events


def _write_scores(scores: Floats, target: Path, csv_format: CsvFormat) -> None:
    write_csv(pd.DataFrame({"row": np.arange(len(scores)), "score": scores}), target, csv_format)


def _to_json(evaluation: Evaluation, training_notes: Iterable[Message]) -> dict[str, Any]:
    return {
        "labels": "injected" if evaluation.injected_count else "given",
        "metrics": _nan_to_none(evaluation.metrics),
        **{name: _nan_to_none(metrics) for name, metrics in evaluation.baselines.items()},
        "explanation": {name: _nan_to_none(metrics) for name, metrics in evaluation.explanation.items()},
        "seconds": evaluation.fit_seconds + evaluation.score_seconds,
        "fit_seconds": evaluation.fit_seconds,
        "score_seconds": evaluation.score_seconds,
        "rows_per_second": evaluation.rows_per_second,
        "notes": [str(note) for note in (*evaluation.notes, *training_notes)],
    }


def _compute_hit_rates(
    scores: SequenceScores, test: Floats, causes: Sequence[RootCause] | None
) -> dict[str, MetricValues]:
    """Return the hit rates of the detector's shares and of the moving mean; empty without causes."""
    if not causes:
        return {}
    squares = compute_moving_mean_distance(test, CAUSE_WINDOW_ROWS) ** 2  # as events show them, see `weigh_causes`
    return {
        "detector": compute_explanation_metrics(scores.shares, causes),
        "moving_mean": compute_explanation_metrics(squares, causes),
    }


def _nan_to_none(metrics: MetricValues) -> dict[str, float | None]:
    """Return the metrics with None for NaN, because JSON has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
