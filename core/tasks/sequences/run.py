"""Functions that run the sequences task: fit a detector, apply a model, apply a threshold that a user chose."""

import time
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.series import split_by_entity
from core.detectors.devices import describe_training, list_device_params
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import CALIBRATION_SHARE, SequenceModel
from core.detectors.training import HELD_OUT_CURVE
from core.evaluation.alarm_rates import measure_alarm_rate
from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.planted_faults import measure_planted_recall, select_planted_rows
from core.evaluation.promises import adapt_threshold, detect_drift
from core.evaluation.score_checks import check_score_range, check_training
from core.evaluation.thresholds import (
    SHARE_NOTE,
    Threshold,
    find_best_f1_threshold,
    fit_contamination_threshold,
    fit_pot_threshold,
)
from core.messages import N_, Message
from core.phrases import to_rare_percent
from core.progress import Progress
from core.runs.lineage import describe_range
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import MAX_EXPORTED_ROWS, Run, track_run
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.sequences.evaluation import VUS_WINDOW_ROWS, compute_baseline_metrics
from core.tasks.sequences.events import build_tables
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.scored_dataset import ScoredDataset
from core.tasks.sequences.spec import PER_1000_ROWS, Period, SequenceSpec
from core.tasks.sequences.split import build_training_mask, compute_sampling_seconds
from core.workspace import Workspace

TASK = "sequences"
EXAMPLE_ROWS = 40
MODEL_LIBRARIES = ("torch",)
SEED = 0  # of the random baseline
SCORING_STAGE, FINISHING_STAGE = N_("Scoring every row"), N_("Building events, saving the run")


def train(
    spec: SequenceSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """Fit the detector on the rows before the split, score every row, and flag test rows above the threshold.

    Raises DataError for too few rows, OptionError for an impossible split or threshold, Cancelled if `progress` is
    cancelled.
    """
    spec.check()
    spec, progress = spec.fill_defaults(dataset), progress or Progress()
    model = SequenceModel(copy(spec.detector), Scaling(spec.scaling, spec.counts))
    with track_run(TASK, type(spec.detector).__name__, spec.to_params(), dataset, actor, workspace) as run:
        part = spec.select(dataset)
        train_mask = build_training_mask(part, spec.until)
        run.params |= describe_range("fit", part.time[train_mask]) | describe_range("test", part.time[~train_mask])
        progress.report(0.0, N_("Training the detector"))
        model.fit(part.take_rows(train_mask), progress.create_part(0, 2))
        run.params |= list_device_params(model.detector)
        progress.report(0.5, SCORING_STAGE)
        scores = _score_rows(model, part, train_mask)
        threshold = _choose_threshold(spec, scores)
        model.threshold_ = threshold.value
        if spec.adaptive and spec.threshold == "alarms":
            scores, threshold = _adapt(scores, threshold, spec.compute_target_rate(part))
        progress.report(0.9, FINISHING_STAGE)
        detection = _build_result(spec, spec, dataset, scores, threshold, spec.per, _collect_curves(progress))
        detection = replace(detection, notes=(*detection.notes, *describe_training(model.detector)))
        _save_result(run, detection)
        run.metrics |= _measure_planted_recall(model, part, train_mask)
        _save_model(run, model, part)
    return detection, run


def apply_model(
    spec: ApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """Score the selected rows with the model and the threshold of an earlier run.

    Raises the errors of `load_model`, and DataError for a dataset that does not match the model.
    """
    spec = replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace))
    model, source_detection = load_model(spec.model, SequenceModel, workspace), load_sequences(spec.model, workspace)
    progress = progress or Progress()
    note = Message(N_("The threshold comes from run {run}."), {"run": spec.model[:12]})
    threshold = Threshold(model.threshold_, source_detection.method, source_detection.target_rate, note)
    params = _build_apply_params(source_detection, spec, has_train_rows=False)
    with track_run(TASK, type(model.detector).__name__, params, dataset, actor, workspace) as run:
        part = spec.select(dataset)
        period: Period = source_detection.per if compute_sampling_seconds(part) else PER_1000_ROWS
        run.params |= {"per": period, **describe_range("scored", part.time)}
        progress.report(0.0, SCORING_STAGE)
        scores = _score_rows(model, part, np.zeros(len(part), dtype=bool))
        if threshold.method == "adaptive" and threshold.target_rate is not None:
            scores, threshold = _adapt(scores, threshold, threshold.target_rate)
        progress.report(0.9, FINISHING_STAGE)
        curves = _collect_curves(Progress())
        detection = _build_result(spec, source_detection.model_spec, dataset, scores, threshold, period, curves)
        _save_result(run, detection)
    return detection, run


def apply_threshold(
    spec: ThresholdSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """Flag the rows of an earlier run again, by a threshold that a user chose, and save the model with that threshold.

    Raises the errors of `load_sequences` and `load_model`.
    """
    source_detection, progress = load_sequences(spec.run, workspace), progress or Progress()
    source_spec = source_detection.spec
    spec = replace(
        spec, dataset=dataset.digest, entities=source_spec.entities, start=source_spec.start, end=source_spec.end
    )
    model = load_model(source_spec.model if isinstance(source_spec, ApplySpec) else spec.run, SequenceModel, workspace)
    model.threshold_ = spec.threshold
    threshold = Threshold(spec.threshold, spec.origin, None, spec.note)
    params = _build_apply_params(source_detection, spec, source_detection.has_train_rows)
    with track_run(TASK, type(model.detector).__name__, params, dataset, actor, workspace) as run:
        part, until = spec.select(dataset), source_detection.model_spec.until
        train_mask = (
            build_training_mask(part, until) if source_detection.has_train_rows else np.zeros(len(part), dtype=bool)
        )
        progress.report(0.0, SCORING_STAGE)
        scores = _score_rows(model, part, train_mask)
        progress.report(0.9, FINISHING_STAGE)
        detection = _build_result(
            spec, source_detection.model_spec, dataset, scores, threshold, source_detection.per, source_detection.curves
        )
        _save_result(run, detection)
        run.metrics |= _measure_planted_recall(model, part, train_mask)
        _save_model(run, model, part)
    return detection, run


def load_sequences(run_id: str, workspace: Workspace) -> SequenceDetection:
    """Load the sequence detection of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, SequenceDetection, workspace)


# ---- parts of a result ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ScoringOutput:
    """Scores of the selected rows, and the speed of scoring."""

    scored_dataset: ScoredDataset
    rows_per_second: float

    @property
    def dataset(self) -> Dataset:
        """Selected rows."""
        return self.scored_dataset.dataset

    @property
    def model(self) -> SequenceModel:
        """Fitted model."""
        return self.scored_dataset.model

    @property
    def test_positions(self) -> NDArray[np.intp]:
        """Positions of the test rows, one series after the other, in chronological order."""
        positions = np.concatenate([series.row_positions for series in self.scored_dataset.series])
        return positions[~self.scored_dataset.train_mask[positions]]

    @property
    def test_scores(self) -> Floats:
        """Scores of the test rows, in the order of `test_positions`."""
        scores = np.empty(len(self.dataset))
        for series, series_scores in zip(self.scored_dataset.series, self.scored_dataset.series_scores, strict=True):
            scores[series.row_positions] = series_scores.score
        return scores[self.test_positions]

    @property
    def test_labels(self) -> NDArray[np.bool_] | None:
        """Labels of the test rows, in the order of `test_positions`; None without labels."""
        labels = self.dataset.labels
        return None if labels is None else labels.to_numpy(dtype=bool)[self.test_positions]


def _score_rows(model: SequenceModel, part: Dataset, train_mask: NDArray[np.bool_]) -> _ScoringOutput:
    start_time = time.perf_counter()
    series_scores = model.score(part)
    seconds = time.perf_counter() - start_time
    return _ScoringOutput(
        ScoredDataset(part, split_by_entity(part), series_scores, train_mask, model), len(part) / max(seconds, 1e-9)
    )


def _choose_threshold(spec: SequenceSpec, scores: _ScoringOutput) -> Threshold:
    """Return the threshold that `spec` asks for.

    It is computed from calibration scores of held-out rows, or from the test rows for "contamination" and "best_f1".
    Raises the errors of the threshold functions.
    """
    calibration = scores.model.calibration_
    if spec.threshold == "alarms":
        return scores.model.fit_promise(spec.compute_target_rate(scores.dataset))
    if spec.threshold == "pot":
        return fit_pot_threshold(calibration, spec.amount)
    if spec.threshold == "contamination":
        value = fit_contamination_threshold(scores.test_scores, spec.amount)
        return Threshold(value, "contamination", None, SHARE_NOTE)
    assert scores.test_labels is not None
    return find_best_f1_threshold(scores.test_scores, scores.test_labels)


def _adapt(scores: _ScoringOutput, threshold: Threshold, rate: float) -> tuple[_ScoringOutput, Threshold]:
    """Return the scores with a threshold for each test row that follows them, from `threshold` on."""
    scored_dataset, limits = scores.scored_dataset, np.full(len(scores.dataset), threshold.value)
    usual = float(np.median(scores.model.calibration_))
    for series, series_scores in zip(scored_dataset.series, scored_dataset.series_scores, strict=True):
        is_test = ~scored_dataset.train_mask[series.row_positions]
        if is_test.any():
            limits[series.row_positions[is_test]] = adapt_threshold(
                series_scores.score[is_test], usual, threshold.value, rate
            )
    note = N_(
        "The threshold begins at {value} and follows the scores, so that over a long time {chance} of the rows are "
        "flagged."
    )
    values = {"value": float(f"{threshold.value:.4g}"), "chance": to_rare_percent(rate)}
    adapted = replace(threshold, method="adaptive", target_rate=rate, note=Message(note, values))
    return replace(scores, scored_dataset=replace(scored_dataset, limits=limits)), adapted


def _find_drift(scores: _ScoringOutput, threshold: Threshold) -> tuple[Message, ...]:
    """Return a note if the scores of normal test rows are higher than those of the calibration."""
    labels, test_scores = scores.test_labels, scores.test_scores
    normal_scores = test_scores if labels is None else test_scores[~labels]
    is_promised = threshold.target_rate is not None and scores.scored_dataset.limits is None
    if not is_promised or not len(normal_scores) or not detect_drift(scores.model.calibration_, normal_scores):
        return ()
    return (
        Message(
            N_(
                "The scores are higher than at calibration: the data have drifted, or contain many "
                "anomalies. The target false-alarm rate does not hold for such rows. Train again on later "
                "rows, or let the threshold adapt."
            )
        ),
    )


def _build_result(
    spec: SequenceSpec | ApplySpec | ThresholdSpec,
    model_spec: SequenceSpec,
    dataset: Dataset,
    scores: _ScoringOutput,
    threshold: Threshold,
    period: Period,
    curves: pd.DataFrame,
) -> SequenceDetection:
    tables = build_tables(scores.scored_dataset)
    measurements = _measure_rate(tables["rows"], tables["events"])
    return SequenceDetection(
        spec,
        model_spec,
        dataset.summary,
        threshold.value,
        threshold.method,
        threshold.target_rate,
        period,
        scores.model.detector.mode,
        compute_sampling_seconds(scores.dataset),
        **tables,
        curves=curves,
        card=_compare_with_baselines(scores),
        measurements=measurements | {"rows_per_second": scores.rows_per_second},
        notes=(
            threshold.note,
            *_find_drift(scores, threshold),
            *check_score_range(scores.model.calibration_),
            *check_training(_group_curves(curves), HELD_OUT_CURVE),
        ),
    )


def _measure_rate(rows: pd.DataFrame, events: pd.DataFrame) -> dict[str, float]:
    """Return the share of flagged test rows with its confidence interval; with labels, among normal rows only.

    A row is normal if it is neither labelled abnormal nor part of an event with such a row. Such an event is a true
    alarm to its end, because smoothed scores outlast the anomaly. `excused_rows` counts flagged rows of such events
    that have no label themselves.
    """
    test_rows, is_true_alarm, excused_counts = rows[~rows["fitted"]], None, {}
    if "label" in test_rows:
        is_known_event = np.append(
            events["known"].to_numpy(dtype=bool), False
        )  # the last one for rows without an event, -1
        is_true_alarm = (test_rows["label"] | is_known_event[test_rows["event"]]).to_numpy()
        excused_counts = {"excused_rows": float((is_true_alarm & test_rows["anomaly"] & ~test_rows["label"]).sum())}
    estimate = measure_alarm_rate(test_rows["anomaly"], 0.5, is_true_alarm)
    return {
        "measured_rate": estimate.rate,
        "measured_low": estimate.low,
        "measured_high": estimate.high,
        **excused_counts,
    }


def _compare_with_baselines(scores: _ScoringOutput) -> pd.DataFrame:
    """Return the metrics of the detector and of the baselines on the test rows; empty without labelled anomalies.

    An applied model has no training rows in this dataset. The baselines are then fitted on the test rows.
    """
    labels, scored_dataset = scores.test_labels, scores.scored_dataset
    if labels is None or not labels.any():
        return pd.DataFrame({"line": []})
    test = [series.values[~scored_dataset.train_mask[series.row_positions]] for series in scored_dataset.series]
    train = (
        [series.values[scored_dataset.train_mask[series.row_positions]] for series in scored_dataset.series]
        if scored_dataset.train_mask.any()
        else test
    )
    baselines = compute_baseline_metrics(
        [values for values in train if len(values)], [values for values in test if len(values)], labels, seed=SEED
    )
    detector_metrics = compute_detection_metrics(labels, scores.test_scores, VUS_WINDOW_ROWS)
    metrics_by_name = {scores.model.detector.name: detector_metrics, **baselines}
    return pd.DataFrame([{"line": name, **metrics} for name, metrics in metrics_by_name.items()])


def _collect_curves(progress: Progress) -> pd.DataFrame:
    points = [(name, step, value) for name, curve in progress.curves.items() for step, value in curve]
    return pd.DataFrame(points, columns=["curve", "step", "value"])


def _group_curves(curves: pd.DataFrame) -> dict[str, list[tuple[float, float]]]:
    """Return name → [(step, value), …] of the training curves."""
    return {
        str(name): list(zip(points["step"], points["value"], strict=True)) for name, points in curves.groupby("curve")
    }


def _build_apply_params(
    source_detection: SequenceDetection, spec: ApplySpec | ThresholdSpec, has_train_rows: bool
) -> dict[str, Any]:
    """Return the parameters of a run that fits nothing: those of the model and those of `spec`.

    They include the split only if the model was fitted on rows of the same dataset.
    """
    params = replace(source_detection.model_spec, entities=(), start="", end="").to_params() | spec.to_params()
    return params if has_train_rows else {name: value for name, value in params.items() if name != "until"}


def _measure_planted_recall(model: SequenceModel, part: Dataset, train_mask: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of faults planted in the last training rows that the model finds; empty without such rows."""
    train_series = [series.values[train_mask[series.row_positions]] for series in split_by_entity(part)]
    last_rows = [values[len(values) - int(len(values) * CALIBRATION_SHARE) :] for values in train_series]
    chosen = [last_rows[number][rows] for number, rows in select_planted_rows([len(values) for values in last_rows])]
    return measure_planted_recall(
        chosen, lambda arrays: [scores.score for scores in model.score_series(arrays)], model.threshold_
    )


def _save_result(run: Run, detection: SequenceDetection) -> None:
    """Save the result and the event details with the run."""
    run.add_result(detection, "events", detection.build_event_table().head(MAX_EXPORTED_ROWS))
    run.details = {
        "anomalies_count": int(run.metrics["anomalies"]),
        "successful_predictions": len(detection.rows),
        "failed_predictions": 0,
    }
    anomalies = detection.rows[detection.rows["anomaly"]]
    run.anomalies_by_entity = anomalies["entity"].astype(str).value_counts().to_dict()


def _save_model(run: Run, model: SequenceModel, part: Dataset) -> None:
    """Save the model, with the first rows of the first series as input example for MLflow."""
    example = part.take_rows(split_by_entity(part)[0].row_positions[:EXAMPLE_ROWS]).frame.reset_index()
    example["entity"] = example["entity"].astype(str)
    save_model(run.folder / "model", model, example, libraries=MODEL_LIBRARIES)
