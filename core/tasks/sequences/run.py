"""Functions that run the sequences task: fit a detector, apply a model, apply a threshold from feedback."""

import time
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.series import series_of
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.evaluation.alarm_rates import measured_rate
from core.evaluation.metrics import score_card
from core.evaluation.thresholds import (
    Threshold,
    alarm_threshold,
    best_f1_threshold,
    contamination_threshold,
    pot_threshold,
)
from core.messages import N_, Text
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import EXPORTED_ROWS, Run, tracked_run
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.sequences import figures
from core.tasks.sequences.evaluation import WINDOW, baseline_scores
from core.tasks.sequences.events import ScoredDataset, build_tables
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import THOUSAND, Period, SequenceSpec
from core.tasks.sequences.split import sampling_seconds, training_mask
from core.workspace import Workspace

Floats = NDArray[np.float64]

TASK = "sequences"
EXAMPLE_ROWS = 40
LIBRARIES = ("torch",)
SEED = 0  # of the random baseline
SCORING, FINISHING = N_("Scoring every row"), N_("Events, figures and the record")


def train(
    spec: SequenceSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """Fit the detector on the rows before the split, score every row, and flag test rows above the threshold.

    Raises DataError for too few rows, OptionError for an impossible split or threshold, Cancelled if `progress` is
    cancelled.
    """
    spec.check()
    spec, progress = spec.completed_for(dataset), progress or Progress()
    model = SequenceModel(copy(spec.detector), Scaling(spec.scaling, spec.counts))
    with tracked_run(TASK, type(spec.detector).__name__, spec.params(), dataset, actor, workspace) as run:
        part = spec.select(dataset)
        fitted = training_mask(part, spec.until)
        progress.tell(0.0, N_("Learning what is usual"))
        model.fit(part.rows(fitted), progress.part(0, 2))
        progress.tell(0.5, SCORING)
        scores = _score_rows(model, part, fitted)
        threshold = _choose_threshold(spec, scores)
        model.threshold_ = threshold.value
        progress.tell(0.9, FINISHING)
        detection = _build_result(spec, spec, dataset, scores, threshold, spec.per, _collect_curves(progress))
        _save_result(run, detection)
        _save_model(run, model, part)
    return detection, run


def apply_model(
    spec: ApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """Score the selected rows with the model and the threshold of an earlier run.

    Raises the errors of `load_model`, and DataError for a dataset that does not match the model.
    """
    spec = replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace))
    model, earlier = load_model(spec.model, SequenceModel, workspace), load_sequences(spec.model, workspace)
    progress = progress or Progress()
    note = Text(N_("The threshold is that of the run {run}."), {"run": spec.model[:12]})
    threshold = Threshold(model.threshold_, earlier.method, earlier.promise, note)
    params = _params_of_model(earlier, spec, learnt_here=False)
    with tracked_run(TASK, type(model.detector).__name__, params, dataset, actor, workspace) as run:
        part = spec.select(dataset)
        per: Period = earlier.per if sampling_seconds(part) else THOUSAND
        run.params["per"] = per
        progress.tell(0.0, SCORING)
        scores = _score_rows(model, part, np.zeros(len(part), dtype=bool))
        progress.tell(0.9, FINISHING)
        curves = _collect_curves(Progress())
        detection = _build_result(spec, earlier.model_spec, dataset, scores, threshold, per, curves)
        _save_result(run, detection)
    return detection, run


def apply_threshold(
    spec: ThresholdSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """Flag the rows of an earlier run again, by a threshold from feedback, and save the model with that threshold.

    Raises the errors of `load_sequences` and `load_model`.
    """
    earlier, progress = load_sequences(spec.run, workspace), progress or Progress()
    asked = earlier.spec
    spec = replace(spec, dataset=dataset.digest, entities=asked.entities, start=asked.start, end=asked.end)
    model = load_model(asked.model if isinstance(asked, ApplySpec) else spec.run, SequenceModel, workspace)
    model.threshold_ = spec.threshold
    note = N_("The threshold was chosen from verdicts on the run {run}; it promises nothing about false alarms.")
    threshold = Threshold(spec.threshold, "verdicts", None, Text(note, {"run": spec.run[:12]}))
    params = _params_of_model(earlier, spec, earlier.learnt_here)
    with tracked_run(TASK, type(model.detector).__name__, params, dataset, actor, workspace) as run:
        part, until = spec.select(dataset), earlier.model_spec.until
        fitted = training_mask(part, until) if earlier.learnt_here else np.zeros(len(part), dtype=bool)
        progress.tell(0.0, SCORING)
        scores = _score_rows(model, part, fitted)
        progress.tell(0.9, FINISHING)
        detection = _build_result(spec, earlier.model_spec, dataset, scores, threshold, earlier.per, earlier.curves)
        _save_result(run, detection)
        _save_model(run, model, part)
    return detection, run


def load_sequences(run_id: str, workspace: Workspace) -> SequenceDetection:
    """Load the sequence detection of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, SequenceDetection, workspace)


# ---- parts of a result ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scores:
    """Scores of the selected rows, and the speed of scoring."""

    scored: ScoredDataset
    rows_per_second: float

    @property
    def dataset(self) -> Dataset:
        """Selected rows."""
        return self.scored.dataset

    @property
    def model(self) -> SequenceModel:
        """Fitted model."""
        return self.scored.model

    @property
    def test_places(self) -> NDArray[np.intp]:
        """Positions of the test rows, one series after the other, in chronological order."""
        places = np.concatenate([series.places for series in self.scored.series])
        return places[~self.scored.fitted[places]]

    @property
    def test_scores(self) -> Floats:
        """Scores of the test rows, in the order of `test_places`."""
        scores = np.empty(len(self.dataset))
        for series, scored in zip(self.scored.series, self.scored.scored, strict=True):
            scores[series.places] = scored.score
        return scores[self.test_places]

    @property
    def test_labels(self) -> NDArray[np.bool_] | None:
        """Labels of the test rows, in the order of `test_places`; None without labels."""
        labels = self.dataset.labels
        return None if labels is None else labels.to_numpy(dtype=bool)[self.test_places]


def _score_rows(model: SequenceModel, part: Dataset, fitted: NDArray[np.bool_]) -> _Scores:
    began = time.perf_counter()
    scored = model.score(part)
    seconds = time.perf_counter() - began
    return _Scores(ScoredDataset(part, series_of(part), scored, fitted, model), len(part) / max(seconds, 1e-9))


def _choose_threshold(spec: SequenceSpec, scores: _Scores) -> Threshold:
    """Return the threshold that `spec` asks for.

    It is computed from calibration scores of held-out rows, or from the test rows for "contamination" and "best_f1".
    Raises the errors of the threshold functions.
    """
    calibration = scores.model.calibration_
    if spec.threshold == "alarms":
        return alarm_threshold(calibration, spec.target_rate(scores.dataset))
    if spec.threshold == "pot":
        return pot_threshold(calibration, spec.amount)
    if spec.threshold == "contamination":
        note = Text(N_("The share of rows flagged was given; it promises nothing about false alarms."))
        value = contamination_threshold(scores.test_scores, spec.amount)
        return Threshold(value, "contamination", None, note)
    assert scores.test_labels is not None
    return best_f1_threshold(scores.test_scores, scores.test_labels)


def _build_result(
    spec: SequenceSpec | ApplySpec | ThresholdSpec,
    model_spec: SequenceSpec,
    dataset: Dataset,
    scores: _Scores,
    threshold: Threshold,
    per: Period,
    curves: pd.DataFrame,
) -> SequenceDetection:
    tables = build_tables(scores.scored)
    measured = _measure_rate(tables["rows"], tables["events"])
    return SequenceDetection(
        spec,
        model_spec,
        dataset.summary,
        threshold.value,
        threshold.method,
        threshold.promise,
        per,
        scores.model.detector.mode,
        sampling_seconds(scores.dataset),
        **tables,
        curves=curves,
        card=_compare_with_baselines(scores),
        figures=measured | {"rows_per_second": scores.rows_per_second},
        notes=(threshold.note,),
    )


def _measure_rate(rows: pd.DataFrame, events: pd.DataFrame) -> dict[str, float]:
    """Return the share of flagged test rows with its confidence interval; with labels, among normal rows only.

    A row is normal if it is neither labelled abnormal nor part of an event with such a row. Such an event is a true
    alarm to its end, because smoothed scores outlast the anomaly. `excused_rows` counts flagged rows of such events
    that have no label themselves.
    """
    judged, true, excused = rows[~rows["fitted"]], None, {}
    if "label" in judged:
        known = np.append(events["known"].to_numpy(dtype=bool), False)  # the last one for rows without an event, -1
        true = (judged["label"] | known[judged["event"]]).to_numpy()
        excused = {"excused_rows": float((true & judged["anomaly"] & ~judged["label"]).sum())}
    measured = measured_rate(judged["anomaly"], 0.5, true)
    return {"measured_rate": measured.rate, "measured_low": measured.low, "measured_high": measured.high, **excused}


def _compare_with_baselines(scores: _Scores) -> pd.DataFrame:
    """Return the metrics of the detector and of the baselines on the test rows; empty without labelled anomalies.

    An applied model has no training rows in this dataset. The baselines are then fitted on the test rows.
    """
    labels, scored = scores.test_labels, scores.scored
    if labels is None or not labels.any():
        return pd.DataFrame({"line": []})
    test = [series.values[~scored.fitted[series.places]] for series in scored.series]
    train = [series.values[scored.fitted[series.places]] for series in scored.series] if scored.fitted.any() else test
    baselines = baseline_scores(
        [values for values in train if len(values)], [values for values in test if len(values)], labels, seed=SEED
    )
    own = score_card(labels, scores.test_scores, WINDOW)
    lines = {scores.model.detector.name: own, **baselines}
    return pd.DataFrame([{"line": name, **metrics} for name, metrics in lines.items()])


def _collect_curves(progress: Progress) -> pd.DataFrame:
    points = [(name, step, value) for name, curve in progress.curves.items() for step, value in curve]
    return pd.DataFrame(points, columns=["curve", "step", "value"])


def _params_of_model(earlier: SequenceDetection, spec: ApplySpec | ThresholdSpec, learnt_here: bool) -> dict[str, Any]:
    """Return the parameters of a run that fits nothing: those of the model and those of `spec`.

    They include the split only if the model was fitted on rows of the same dataset.
    """
    params = replace(earlier.model_spec, entities=(), start="", end="").params() | spec.params()
    return params if learnt_here else {name: value for name, value in params.items() if name != "until"}


def _save_result(run: Run, detection: SequenceDetection) -> None:
    """Save the result, the event details and the timeline of the first entity with the run."""
    run.add_result(detection, "events", detection.event_table().head(EXPORTED_ROWS))
    run.details = {
        "anomalies_count": int(run.metrics["anomalies"]),
        "successful_predictions": len(detection.rows),
        "failed_predictions": 0,
    }
    anomalies = detection.rows[detection.rows["anomaly"]]
    run.anomalies_by_entity = anomalies["entity"].astype(str).value_counts().to_dict()
    timeline = figures.timeline(detection, str(detection.rows["entity"].iloc[0]))
    timeline.write_html(run.folder / "timeline.html", include_plotlyjs="cdn")


def _save_model(run: Run, model: SequenceModel, part: Dataset) -> None:
    """Save the model, with the first rows of the first series as input example for MLflow."""
    example = part.rows(series_of(part)[0].places[:EXAMPLE_ROWS]).frame.reset_index()
    example["entity"] = example["entity"].astype(str)
    save_model(run.folder / "model", model, example, libraries=LIBRARIES)
