"""Which rows of a dataset are abnormal, against what, and why."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from core.actor import Actor
from core.data.dataset import Dataset
from core.detectors import tables
from core.detectors.base import Detector
from core.detectors.comparisons import COMPARISONS
from core.detectors.row_model import Incomplete, RowModel
from core.errors import OptionError
from core.evaluation.thresholds import check_contamination, contamination_threshold, pot_threshold
from core.exports import written_csv
from core.messages import N_
from core.runs.model_files import load_model, save_model
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.spec.hyperparameters import params
from core.spec.plugins import members
from core.tasks.anomalies import figures as figures
from core.tasks.anomalies.result import Detection, Question
from core.tasks.selection import EVERYTHING, Selection
from core.workspace import Workspace

TASK = "anomalies"
EXAMPLE_ROWS = 5
EXPORTED_ROWS = 10_000


def detectors() -> dict[str, type[Detector]]:
    """Name → class of every detector that looks at rows."""
    return members(tables, Detector)


def detect(
    dataset: Dataset,
    detector: Detector,
    *,
    compare_with: str,
    workspace: Workspace,
    actor: Actor,
    contamination: float = 0.01,
    risk: float | None = None,
    incomplete: Incomplete = "drop",
    selection: Selection = EVERYTHING,
) -> tuple[Detection, Run]:
    """Fit `detector` on the selected rows and flag the share `contamination` with the highest scores, or with a
    `risk` what
    only that share of normal rows would exceed by the tail of the scores (peaks over threshold).

    Raises DataError where the rows cannot answer, OptionError for a comparison or share that does not exist.
    """
    if compare_with not in COMPARISONS:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="compare_with",
            value=compare_with,
            accepted=", ".join(COMPARISONS),
        )
    check_contamination(contamination)
    model = RowModel(detector, COMPARISONS[compare_with](), incomplete)
    model.contamination_, model.risk_ = contamination, risk
    with tracked_run(TASK, type(detector).__name__, _params(model), dataset, actor, workspace) as run:
        part = selection.of(dataset)
        ready, scores = model.fit_score(part)
        model.threshold_ = (
            contamination_threshold(scores, contamination) if risk is None else pot_threshold(scores, risk).value
        )
        question = _question(model, dataset, selection, len(part) - len(ready))
        detection = Detection.of(question, model, ready, scores)
        _keep(run, detection, part)
        _keep_model(run, model, ready)
    return detection, run


def apply_model(
    dataset: Dataset, run_id: str, *, workspace: Workspace, actor: Actor, selection: Selection = EVERYTHING
) -> tuple[Detection, Run]:
    """Score the selected rows with the model and the threshold of an earlier run.

    Raises as `load_model` for a run without a model, DataError where the dataset is not one the model knows.
    """
    model, judged_in = (
        load_model(run_id, RowModel, workspace),
        load_run(run_id, workspace).record.params.get("source_run", ""),
    )
    asked = {**_params(model), "model_run": run_id}
    with tracked_run(TASK, type(model.detector).__name__, asked, dataset, actor, workspace) as run:
        part = selection.of(dataset)
        ready = model.ready(part)
        question = replace(
            _question(model, dataset, selection, len(part) - len(ready)), fitted_by=run_id, judged_in=judged_in
        )
        detection = Detection.of(question, model, ready, model.score(ready))
        _keep(run, detection, part)
    return detection, run


def with_threshold(run_id: str, threshold: float, *, workspace: Workspace, actor: Actor) -> tuple[Detection, Run]:
    """The rows of an earlier run under the threshold that verdicts on it led to; the model is kept with that threshold.

    Raises as `detection_of` and `load_model`, NotFoundError where the dataset is no longer stored.
    """
    earlier = detection_of(run_id, workspace).question
    dataset, model = (
        workspace.datasets.load(earlier.dataset),
        load_model(earlier.fitted_by or run_id, RowModel, workspace),
    )
    model.threshold_ = threshold
    asked = {**_params(model), "threshold_from": "verdicts", "threshold_value": threshold, "source_run": run_id}
    with tracked_run(TASK, type(model.detector).__name__, asked, dataset, actor, workspace) as run:
        part = Selection.asked(earlier).of(dataset)
        ready = model.ready(part)
        question = replace(earlier, threshold=threshold, judged_in=run_id)
        detection = Detection.of(question, model, ready, model.score(ready))
        _keep(run, detection, part)
        _keep_model(run, model, ready)
    return detection, run


def detection_of(run_id: str, workspace: Workspace) -> Detection:
    """The detection that a run kept. Raises NotFoundError where there is none."""
    return Detection.load(load_run(run_id, workspace).files / "result")


def _params(model: RowModel) -> dict[str, Any]:
    """Everything the answer depends on, as the run's parameters."""
    return {
        **params(model.detector),
        "contamination": model.contamination_,
        "compare_with": model.comparison.name,
        "incomplete": model.incomplete,
        **({} if model.risk_ is None else {"risk": model.risk_}),
    }


def _question(model: RowModel, dataset: Dataset, selection: Selection, left_out: int) -> Question:
    return Question(
        detector=model.detector.name,
        settings=params(model.detector),
        compare_with=model.comparison.name,
        incomplete=model.incomplete,
        contamination=model.contamination_,
        risk=model.risk_,
        threshold=model.threshold_,
        dataset=dataset.digest,
        files=dataset.files,
        unit=dataset.unit,
        profile=dataset.profile,
        columns=tuple(dataset.columns),
        rows_left_out=left_out,
        entities=selection.entities,
        start=str(selection.start or ""),
        end=str(selection.end or ""),
    )


def _keep(run: Run, detection: Detection, part: Dataset) -> None:
    """The figures of the run, and what a page needs to show the result again."""
    run.metrics = detection.metrics()
    run.details = {
        "anomalies_count": len(detection.anomalies),
        "successful_predictions": len(detection.rows),
        "failed_predictions": detection.question.rows_left_out,
    }
    run.anomalies_by_entity = detection.anomalies["entity"].astype(str).value_counts().to_dict()
    detection.save(run.folder / "result")
    written_csv(detection.to_frame().head(EXPORTED_ROWS), run.folder / "anomalies.csv")
    (run.folder / "recipe.json").write_text(json.dumps([repair.to_json() for repair in part.recipe]), encoding="utf-8")
    figures.timeline(part, detection).write_html(run.folder / "timeline.html", include_plotlyjs="cdn")


def _keep_model(run: Run, model: RowModel, ready: Dataset) -> None:
    example = ready.rows(np.arange(min(EXAMPLE_ROWS, len(ready)))).frame.reset_index()
    example["entity"] = example["entity"].astype(str)
    save_model(run.folder / "model", model, example)
