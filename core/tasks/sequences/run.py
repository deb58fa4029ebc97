"""Which moments of many series of measurements are abnormal, with a threshold that promises something, and why."""

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.series import series_of
from core.detectors import sequences as rooms
from core.detectors.base import SequenceDetector
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import OptionError
from core.evaluation.alarm_rates import measured_rate
from core.evaluation.metrics import score_card
from core.evaluation.thresholds import (
    Threshold,
    alarm_threshold,
    best_f1_threshold,
    contamination_threshold,
    pot_threshold,
)
from core.exports import written_csv
from core.messages import N_, Text
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.spec.hyperparameters import build_from_settings, get_params
from core.spec.plugins import members
from core.tasks.selection import EVERYTHING, Selection
from core.tasks.sequences import figures as figures
from core.tasks.sequences.config import Asked, Plan, learnt, row_seconds, usual_until
from core.tasks.sequences.evaluation import WINDOW, simple_lines
from core.tasks.sequences.events import Seen, tables
from core.tasks.sequences.result import THOUSAND, Question, SequenceDetection
from core.workspace import Workspace

Floats = NDArray[np.float64]

TASK = "sequences"
EXAMPLE_ROWS = 40
EXPORTED_ROWS = 10_000
LIBRARIES = ("torch",)
SEED = 0  # of the random scores that a card has beside the others
TRY_FIRST = ("pca-residual", "moving-mean", "kmeans-ad", "sub-pca")
"""Quick, and on measured data sets rarely beaten."""


def detectors() -> dict[str, type[SequenceDetector]]:
    """Name → class of every detector that looks at series, those to try first at the head."""
    found = members(rooms, SequenceDetector)
    first = [name for name in TRY_FIRST if name in found]
    return {name: found[name] for name in (*first, *sorted(set(found) - set(first)))}


def train(
    dataset: Dataset,
    detector: SequenceDetector,
    plan: Plan,
    asked: Asked,
    *,
    workspace: Workspace,
    actor: Actor,
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> tuple[SequenceDetection, Run]:
    """Fit `detector` on the rows before `plan.until`, score every row, and flag those after it that lie above the
    threshold.

    Raises DataError where the rows are too few, OptionError for a plan or threshold that cannot be, Cancelled where
    `progress`
    was told to stop.
    """
    plan.check()
    part = selection.of(dataset)
    asked.check(part)
    progress = progress or Progress()
    model = SequenceModel(detector, Scaling(plan.scaling, plan.counts))
    plan = replace(plan, until=plan.until or usual_until(part))
    with tracked_run(TASK, type(detector).__name__, _params(model, plan, asked), dataset, actor, workspace) as run:
        fitted = learnt(part, plan.until)
        progress.tell(0.0, N_("Learning what is usual"))
        model.fit(part.rows(fitted), progress.part(0, 2))
        progress.tell(0.5, N_("Scoring every row"))
        judged = _judged(model, part, fitted)
        threshold = _threshold(asked, judged)
        model.threshold_ = threshold.value
        progress.tell(0.9, N_("Events, figures and the record"))
        found = _answer(
            judged, _question(judged, plan, asked, threshold, dataset, selection), threshold.note, _curves(progress)
        )
        _keep(run, found, part)
        save_model(run.folder / "model", model, _example(part), libraries=LIBRARIES)
    return found, run


def apply_model(
    dataset: Dataset,
    run_id: str,
    *,
    workspace: Workspace,
    actor: Actor,
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> tuple[SequenceDetection, Run]:
    """Score every selected row with the model and the threshold of an earlier run.

    Raises as `load_model` for a run without a model, DataError where the dataset is not one the model knows.
    """
    model, earlier = load_model(run_id, SequenceModel, workspace), sequences_of(run_id, workspace).question
    part, progress = selection.of(dataset), progress or Progress()
    plan = Plan("", earlier.scaling, earlier.counts)  # type: ignore[arg-type]
    asked = Asked(earlier.asked, earlier.amount, earlier.per if row_seconds(part) else THOUSAND)  # type: ignore[arg-type]
    with tracked_run(
        TASK,
        type(model.detector).__name__,
        {**_params(model, plan, asked), "model_run": run_id},
        dataset,
        actor,
        workspace,
    ) as run:
        progress.tell(0.0, N_("Scoring every row"))
        judged = _judged(model, part, np.zeros(len(part), dtype=bool))
        threshold = Threshold(
            model.threshold_,
            earlier.method,
            earlier.promise,
            Text(N_("The threshold is that of the run {run}."), {"run": run_id[:12]}),
        )
        progress.tell(0.9, N_("Events, figures and the record"))
        question = replace(_question(judged, plan, asked, threshold, dataset, selection), fitted_by=run_id)
        found = _answer(judged, question, threshold.note, _curves(Progress()))
        _keep(run, found, part)
    return found, run


def with_threshold(
    run_id: str, threshold: float, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[SequenceDetection, Run]:
    """The rows of an earlier run under the threshold that verdicts on it led to; the model is kept with that threshold.

    Raises as `sequences_of` and `load_model`, NotFoundError where the dataset is no longer stored.
    """
    earlier, progress = sequences_of(run_id, workspace), progress or Progress()
    question = replace(earlier.question, threshold=threshold, method="verdicts", promise=None)
    dataset, model = (
        workspace.datasets.load(question.dataset),
        load_model(question.fitted_by or run_id, SequenceModel, workspace),
    )
    model.threshold_ = threshold
    plan = Plan(question.until, question.scaling, question.counts)  # type: ignore[arg-type]
    asked = Asked(question.asked, question.amount, question.per)  # type: ignore[arg-type]
    chosen = {"threshold_from": "verdicts", "threshold_value": threshold, "source_run": run_id}
    with tracked_run(
        TASK, type(model.detector).__name__, {**_params(model, plan, asked), **chosen}, dataset, actor, workspace
    ) as run:
        part = Selection.asked(question).of(dataset)
        fitted = np.zeros(len(part), dtype=bool) if question.fitted_by else learnt(part, question.until)
        progress.tell(0.0, N_("Scoring every row"))
        note = Text(
            N_("The threshold was chosen from verdicts on the run {run}; it promises nothing about false alarms."),
            {"run": run_id[:12]},
        )
        judged = _judged(model, part, fitted)
        progress.tell(0.9, N_("Events, figures and the record"))
        found = _answer(judged, question, note, earlier.curves)
        _keep(run, found, part)
        save_model(run.folder / "model", model, _example(part), libraries=LIBRARIES)
    return found, run


def carry_out(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """The id of the run that answers the question `arguments` (see `question_of`).

    Raises as `train` and `apply_model`, OptionError for a detector that does not exist.
    """
    dataset = workspace.datasets.load(arguments["dataset"])
    selection = Selection.from_json(arguments)
    if arguments.get("model_run"):
        return apply_model(
            dataset,
            resolve_run(arguments["model_run"], workspace),
            workspace=workspace,
            actor=actor,
            selection=selection,
            progress=progress,
        )[1].id
    detector = build_from_settings(_known(str(arguments.get("detector"))), arguments.get("settings", {}))
    plan, asked = Plan(**arguments.get("plan", {})), Asked(**arguments.get("threshold", {}))
    return train(
        dataset, detector, plan, asked, workspace=workspace, actor=actor, selection=selection, progress=progress
    )[1].id


def _known(name: str) -> type[SequenceDetector]:
    known = detectors()
    if name not in known:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="detector",
            value=name,
            accepted=", ".join(known),
        )
    return known[name]


def question_of(
    dataset: str,
    detector: SequenceDetector | None = None,
    plan: Plan = Plan(),  # noqa: B008 it is frozen
    asked: Asked = Asked(),  # noqa: B008 it is frozen
    *,
    selection: Selection = EVERYTHING,
    model_run: str = "",
) -> dict[str, Any]:
    """What `carry_out` answers, as plain JSON: a detector to fit on the dataset of this digest, or the run whose
    model is applied.
    """
    asked_about = {"dataset": dataset, **selection.to_json()}
    if detector is None:
        return {**asked_about, "model_run": model_run}
    return {
        **asked_about,
        "detector": detector.name,
        "settings": get_params(detector),
        "plan": asdict(plan),
        "threshold": asdict(asked),
    }


def sequences_of(run_id: str, workspace: Workspace) -> SequenceDetection:
    """The scored series that a run kept. Raises NotFoundError where there are none."""
    return SequenceDetection.load(load_run(run_id, workspace).files / "result")


# ---- the parts of a result ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """What a fitted model says of the rows asked about, and how many of them it scored in a second."""

    model: SequenceModel
    seen: Seen
    rows_per_second: float

    @property
    def order(self) -> NDArray[np.intp]:
        """The places of the rows that were not learnt from, one series after the other, in the order of time."""
        places = np.concatenate([series.places for series in self.seen.series])
        return places[~self.seen.fitted[places]]

    @property
    def scores(self) -> Floats:
        """One score per row, in the order of the dataset."""
        found = np.empty(len(self.seen.dataset))
        for series, scored in zip(self.seen.series, self.seen.scored, strict=True):
            found[series.places] = scored.score
        return found


def _judged(model: SequenceModel, part: Dataset, fitted: NDArray[np.bool_]) -> _Judged:
    began = time.perf_counter()
    scored = model.score(part)
    seconds = time.perf_counter() - began
    return _Judged(model, Seen(part, series_of(part), scored, fitted, model), len(part) / max(seconds, 1e-9))


def _threshold(asked: Asked, judged: _Judged) -> Threshold:
    """The threshold asked for: from the scores of rows held out, or of the rows judged where they themselves decide."""
    dataset, calibration = judged.seen.dataset, judged.model.calibration_
    if asked.kind == "alarms":
        return alarm_threshold(calibration, asked.rate(dataset))
    if asked.kind == "pot":
        return pot_threshold(calibration, asked.amount)
    scores = judged.scores[judged.order]
    if asked.kind == "contamination":
        note = Text(N_("The share of rows flagged was given; it promises nothing about false alarms."))
        return Threshold(contamination_threshold(scores, asked.amount), "contamination", None, note)
    assert dataset.labels is not None
    return best_f1_threshold(scores, dataset.labels.to_numpy(dtype=bool)[judged.order])


def _question(
    judged: _Judged, plan: Plan, asked: Asked, threshold: Threshold, dataset: Dataset, selection: Selection
) -> Question:
    model, part = judged.model, judged.seen.dataset
    return Question(
        detector=model.detector.name,
        settings=get_params(model.detector),
        scaling=plan.scaling,
        counts=plan.counts,
        until=plan.until,
        asked=asked.kind,
        amount=asked.amount,
        per=asked.per,
        threshold=threshold.value,
        method=threshold.method,
        promise=threshold.promise,
        mode=model.detector.mode,
        dataset=dataset.digest,
        files=dataset.files,
        unit=dataset.unit,
        profile=dataset.profile,
        columns=tuple(dataset.columns),
        row_seconds=row_seconds(part),
        entities=selection.entities,
        start=str(selection.start or ""),
        end=str(selection.end or ""),
    )


def _answer(judged: _Judged, question: Question, note: Text, curves: pd.DataFrame) -> SequenceDetection:
    made = tables(judged.seen)
    return SequenceDetection(
        question,
        **made,
        curves=curves,
        card=_card(judged),
        figures=_measured(made["rows"], made["events"]) | {"rows_per_second": judged.rows_per_second},
        notes=(note,),
    )


def _measured(rows: pd.DataFrame, events: pd.DataFrame) -> dict[str, float]:
    """The share of judged rows that are flagged, of the normal ones where there are labels, and its band.

    Normal is what is not labelled and not of an event with a labelled row: such an event is a true alarm to its end,
    though
    scores are smoothed and outlast the anomaly. `excused_rows` counts the flagged rows that are normal by their label
    alone.
    """
    judged, true, excused = rows[~rows["fitted"]], None, {}
    if "label" in judged:
        known = np.append(events["known"].to_numpy(dtype=bool), False)  # the last one for rows without an event, -1
        true = (judged["label"] | known[judged["event"]]).to_numpy()
        excused = {"excused_rows": float((true & judged["anomaly"] & ~judged["label"]).sum())}
    found = measured_rate(judged["anomaly"], 0.5, true)
    return {"measured_rate": found.rate, "measured_low": found.low, "measured_high": found.high, **excused}


def _card(judged: _Judged) -> pd.DataFrame:
    """The detector and the lines that it has to pass, on the judged rows; empty where no label marks an anomaly among
    them.

    A model that comes from another run has learnt from no row here: the lines then learn from the rows they judge.
    """
    seen, order = judged.seen, judged.order
    if seen.dataset.labels is None or not (labels := seen.dataset.labels.to_numpy(dtype=bool)[order]).any():
        return pd.DataFrame({"line": []})
    test = [series.values[~seen.fitted[series.places]] for series in seen.series]
    train = [series.values[seen.fitted[series.places]] for series in seen.series] if seen.fitted.any() else test
    lines = simple_lines([each for each in train if len(each)], [each for each in test if len(each)], labels, seed=SEED)
    own = score_card(labels, judged.scores[order], WINDOW)
    return pd.DataFrame([{"line": name, **card} for name, card in {judged.model.detector.name: own, **lines}.items()])


def _curves(progress: Progress) -> pd.DataFrame:
    points = [(name, step, value) for name, curve in progress.curves.items() for step, value in curve]
    return pd.DataFrame(points, columns=["curve", "step", "value"])


def _params(model: SequenceModel, plan: Plan, asked: Asked) -> dict[str, Any]:
    """Everything the answer depends on, as the run's parameters."""
    return {
        **get_params(model.detector),
        "detector": model.detector.name,
        "until": plan.until,
        "scaling": plan.scaling,
        "counts": plan.counts,
        "threshold": asked.kind,
        "amount": asked.amount,
        "per": asked.per,
    }


def _keep(run: Run, found: SequenceDetection, part: Dataset) -> None:
    """The figures of the run, and what a page needs to show the result again."""
    run.metrics = found.metrics()
    run.details = {
        "anomalies_count": int(run.metrics["anomalies"]),
        "successful_predictions": len(found.rows),
        "failed_predictions": 0,
    }
    run.anomalies_by_entity = found.rows.loc[found.rows["anomaly"], "entity"].astype(str).value_counts().to_dict()
    found.save(run.folder / "result")
    written_csv(found.event_table().head(EXPORTED_ROWS), run.folder / "events.csv")
    (run.folder / "recipe.json").write_text(json.dumps([repair.to_json() for repair in part.recipe]), encoding="utf-8")
    figures.timeline(found, str(found.rows["entity"].iloc[0])).write_html(
        run.folder / "timeline.html", include_plotlyjs="cdn"
    )


def _example(part: Dataset) -> pd.DataFrame:
    """The first rows of the first series as the plain table that MLflow serves the model with."""
    example = part.rows(series_of(part)[0].places[:EXAMPLE_ROWS]).frame.reset_index()
    return example.assign(entity=example["entity"].astype(str))
