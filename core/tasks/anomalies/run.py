"""Functions that run the anomalies task: fit a detector, apply a model, apply a threshold that a user chose."""

from dataclasses import replace

import numpy as np
import pandas as pd

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.nameless import list_name_notes
from core.data.series import split_by_entity
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.evaluation.alarm_rates import measure_alarm_rate
from core.evaluation.planted_faults import measure_planted_recall, select_planted_rows
from core.evaluation.stand_out import fit_stand_out_threshold
from core.evaluation.thresholds import SHARE_NOTE, Threshold, fit_contamination_threshold, fit_pot_threshold
from core.progress import Progress
from core.runs.lineage import describe_range
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.explanation import rank_rows
from core.tasks.anomalies.incidents import find_row_step
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace

TASK = "anomalies"
EXAMPLE_ROWS = 5


def detect(
    spec: DetectionSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Detection, Run]:
    """Fit the detector on the selected rows and flag those that stand out, or none.

    Raises DataError for rows that the detector cannot be fitted on, OptionError for a value that is not accepted.
    """
    spec.check()
    spec = spec.fill_defaults(dataset)
    model = RowModel(replace(spec.detector), BASELINE_CLASSES[spec.baseline](), spec.incomplete)  # type: ignore[type-var]
    with track_run(TASK, type(spec.detector).__name__, spec.to_params(), dataset, actor, workspace) as run:
        part = spec.select(dataset)
        run.params |= describe_range("fit", part.time)
        complete_rows, scores = model.fit_score(part)
        threshold = _choose_threshold(spec, model, part, complete_rows, scores)
        model.threshold_ = threshold.value
        rows, cells = rank_rows(model, complete_rows, scores, model.threshold_)
        left_out = len(part) - len(complete_rows)
        detection = Detection(
            spec,
            spec,
            dataset.summary,
            model.threshold_,
            left_out,
            rows,
            cells,
            method=threshold.method,
            target_rate=threshold.target_rate,
            notes=(threshold.note,),
            promise_kept=None if threshold.target_rate is None else True,
            step_seconds=find_row_step(dataset),
        )
        _save_result(run, detection)
        run.metrics |= _measure_planted_recall(model, complete_rows)
        _save_model(run, model, complete_rows)
    return detection, run


def apply_model(
    spec: ApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Detection, Run]:
    """Score the selected rows with the model and the threshold of an earlier run.

    Raises the errors of `load_model`, and DataError for a dataset that does not match the model.
    """
    spec = replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace))
    model, source_detection = load_model(spec.model, RowModel, workspace), load_detection(spec.model, workspace)
    return _score_rows(spec, source_detection, model, dataset, workspace, actor)


def apply_threshold(
    spec: ThresholdSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Detection, Run]:
    """Flag the rows of an earlier run again, by a threshold that a user chose, and save the model with that threshold.

    Raises the errors of `load_detection` and `load_model`.
    """
    source_detection = load_detection(spec.run, workspace)
    source_spec = source_detection.spec
    spec = replace(
        spec, dataset=dataset.digest, entities=source_spec.entities, start=source_spec.start, end=source_spec.end
    )
    model = load_model(source_spec.model if isinstance(source_spec, ApplySpec) else spec.run, RowModel, workspace)
    model.threshold_ = spec.threshold
    moved = replace(source_detection, threshold_run=spec.run, method=spec.origin, target_rate=None, notes=(spec.note,))
    return _score_rows(spec, moved, model, dataset, workspace, actor)


def load_detection(run_id: str, workspace: Workspace) -> Detection:
    """Load the detection of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, Detection, workspace)


def _score_rows(
    spec: ApplySpec | ThresholdSpec,
    source_detection: Detection,
    model: RowModel,
    dataset: Dataset,
    workspace: Workspace,
    actor: Actor,
) -> tuple[Detection, Run]:
    """Score rows with a fitted model; save the model only if its threshold is new."""
    params = replace(source_detection.model_spec, entities=(), start="", end="").to_params() | spec.to_params()
    with track_run(TASK, type(model.detector).__name__, params, dataset, actor, workspace) as run:
        part = spec.select(dataset)
        run.params |= describe_range("scored", part.time)
        complete_rows = model.prepare_rows(part)
        rows, cells = rank_rows(model, complete_rows, model.score(complete_rows), model.threshold_)
        target_rate = None if isinstance(spec, ThresholdSpec) else source_detection.target_rate
        left_out = len(part) - len(complete_rows)
        fitted_entities = sorted(source_detection.rows["entity"].astype(str).unique())
        detection = replace(
            source_detection,
            spec=spec,
            data=dataset.summary,
            threshold=model.threshold_,
            rows_left_out=left_out,
            rows=rows,
            cells=cells,
            target_rate=target_rate,
            notes=(*source_detection.notes, *list_name_notes(part, fitted_entities)),
            promise_kept=_check_promise(complete_rows, rows, target_rate),
            step_seconds=find_row_step(dataset),
        )
        _save_result(run, detection)
        if isinstance(spec, ThresholdSpec):
            run.metrics |= _measure_planted_recall(model, complete_rows)
            _save_model(run, model, complete_rows)
    return detection, run


def _choose_threshold(
    spec: DetectionSpec, model: RowModel, part: Dataset, complete_rows: Dataset, scores: Floats
) -> Threshold:
    """Return the threshold of a risk or a fixed share if `spec` names one, else that of the rows that stand out."""
    if spec.risk is not None:
        return fit_pot_threshold(scores, spec.risk)
    if spec.contamination is not None:
        value = fit_contamination_threshold(scores, spec.contamination)
        return Threshold(value, "contamination", None, SHARE_NOTE)
    calibration, blocks = model.score_held_out(complete_rows)
    return fit_stand_out_threshold(
        scores, calibration, model.measure_deviations(complete_rows), spec.compute_target_rate(part), blocks
    )


def _check_promise(complete_rows: Dataset, rows: pd.DataFrame, target_rate: float | None) -> bool | None:
    """Tell whether the share of flagged rows is not significantly above `target_rate`; None without one, or rows.

    Rows that are labelled abnormal do not count.
    """
    if target_rate is None or not len(rows):
        return None
    flags = rows.sort_values(["entity", "time"], kind="stable")["anomaly"]
    labels = complete_rows.labels
    order = np.lexsort((complete_rows.time.to_numpy(), complete_rows.entity_codes))
    return not measure_alarm_rate(flags, 0.5, None if labels is None else labels.to_numpy(dtype=bool)[order]).exceeds(
        target_rate
    )


def _measure_planted_recall(model: RowModel, complete_rows: Dataset) -> dict[str, float]:
    """Return the share of faults planted in the last rows of some entities that the model finds."""
    series = split_by_entity(complete_rows)
    chosen = [
        series[number].row_positions[rows]
        for number, rows in select_planted_rows([len(part.row_positions) for part in series])
    ]
    if not chosen:
        return {}
    rows = complete_rows.take_rows(np.concatenate(chosen))
    ends = np.cumsum([len(positions) for positions in chosen])[:-1]

    def score(arrays: list[Floats]) -> list[Floats]:
        """Return the scores of the chosen rows with other values."""
        frame = pd.DataFrame(np.concatenate(arrays), index=rows.frame.index, columns=rows.frame.columns)
        return np.split(model.score(rows.replace(frame=frame)), ends)

    return measure_planted_recall(np.split(rows.values, ends), score, model.threshold_)


def _save_result(run: Run, detection: Detection) -> None:
    """Save the result and the event details with the run."""
    run.add_result(detection, TASK)
    run.details = {
        "anomalies_count": len(detection.anomalies),
        "successful_predictions": len(detection.rows),
        "failed_predictions": detection.rows_left_out,
    }
    run.anomalies_by_entity = detection.anomalies["entity"].astype(str).value_counts().to_dict()


def _save_model(run: Run, model: RowModel, complete_rows: Dataset) -> None:
    example = complete_rows.take_rows(np.arange(min(EXAMPLE_ROWS, len(complete_rows)))).frame.reset_index()
    example["entity"] = example["entity"].astype(str)
    save_model(run.folder / "model", model, example, libraries=model.detector.libraries)
