"""Verdicts that act: a threshold that fits what people said of a run, seen before it is accepted as a new run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.actor import Actor
from core.errors import InputError
from core.evaluation.verdicts import FALSE, TRUE, Cut, Judged, best_cut
from core.messages import N_, Text
from core.operations.feedback import about, agreed, names_of, row_of
from core.progress import Progress
from core.runs.stored_runs import load_run
from core.tasks.anomalies import run as anomalies
from core.tasks.sequences import run as sequences
from core.workspace import Workspace

TASKS = (anomalies.TASK, sequences.TASK)  # those whose alarms have a threshold


@dataclass(frozen=True)
class Alarms:
    """What a run flags, and what people say of it.

    dataset    its digest
    threshold  rows with a score above it are flagged
    rows       what can be judged: entity, time, (end, of events), score, verdict ("" where nobody judged)
    scores     the score of every row that the run judged
    """

    task: str
    dataset: str
    threshold: float
    rows: pd.DataFrame
    scores: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def judged(self) -> Judged:
        """The rows that people are sure of."""
        sure = self.rows[self.rows["verdict"].isin([TRUE, FALSE])]
        return Judged.of(sure["score"].to_numpy(), (sure["verdict"] == TRUE).to_numpy(), self.threshold)

    def flagged(self, threshold: float) -> int:
        """How many rows lie above a threshold."""
        return int((self.scores > threshold).sum())

    def removed(self, threshold: float) -> pd.DataFrame:
        """What is flagged now and would not be any more, the highest score first."""
        gone = self.rows[(self.rows["score"] > self.threshold) & (self.rows["score"] <= threshold)]
        return gone.sort_values("score", ascending=False).reset_index(drop=True)


@dataclass(frozen=True)
class Proposal:
    """The threshold that the verdicts suggest, and why, for a person."""

    cut: Cut
    reason: Text


def task_of(run_id: str, workspace: Workspace) -> str:
    """Raises NotFoundError for a run that is not there, InputError for one without a threshold."""
    task = load_run(run_id, workspace).record.experiment
    if task in TASKS:
        return task
    raise InputError(N_("The run {run} has no threshold: only runs of anomalies and sequences have."), run=run_id[:12])


def alarms(run_id: str, workspace: Workspace) -> Alarms:
    """What a run flags, with what most people say of each row. Raises as `task_of`."""
    task = task_of(run_id, workspace)
    verdicts = agreed(about(workspace.feedback.read(), names_of(run_id, workspace)))
    if task == "anomalies":
        found = anomalies.detection_of(run_id, workspace)
        rows, every = found.rows[["entity", "time", "score"]], found.rows["score"]
        question: Any = found.question
    else:
        series = sequences.sequences_of(run_id, workspace)
        rows = series.events.rename(columns={"start": "time", "peak": "score"})[["entity", "time", "end", "score"]]
        question, every = series.question, series.judged["score"]
    return Alarms(
        task, question.dataset, question.threshold, _with_verdicts(rows, verdicts), every.to_numpy(dtype=np.float64)
    )


def _with_verdicts(rows: pd.DataFrame, verdicts: dict[tuple[str, ...], str]) -> pd.DataFrame:
    """`rows` with what is said of each; the scores are those of the result, whatever a record claims."""
    table = rows.assign(entity=rows["entity"].astype(str)).reset_index(drop=True)
    moments = {
        name: [row_of({"time": each})["time"] for each in table[name]] for name in ("time", "end") if name in table
    }
    keys = zip(table["entity"], moments["time"], moments.get("end", [""] * len(table)), strict=True)
    return table.assign(verdict=[verdicts.get((entity, str(time), str(end), ""), "") for entity, time, end in keys])


def proposal(found: Alarms) -> Proposal | None:
    """The threshold that removes most false alarms less the true ones lost; None where nobody is sure of any row."""
    judged = found.judged
    if not len(judged.scores):
        return None
    cut = best_cut(judged, found.scores)
    true = int(judged.true.sum())
    counts = {
        "removed": cut.removed,
        "lost": cut.lost,
        "regained": -cut.lost,
        "true": true,
        "false": len(judged.true) - true,
    }
    return Proposal(cut, Text(_reason(judged, cut), counts))


def _reason(judged: Judged, cut: Cut) -> str:
    if cut.threshold == judged.current:
        if judged.true.all():
            return N_("All {true} judged alarms are true: the threshold can stay as it is.")
        return N_("No threshold removes more of the false alarms than it loses of the true ones: it can stay as it is.")
    if not judged.true.any():
        return N_(
            "All {false} judged alarms are false. This threshold removes them; judge some true alarms too, "
            "because nothing says yet what it would lose."
        )
    if cut.lost < 0:
        return N_("True alarms lie below the threshold: this one flags {regained} of them.")
    return N_(
        "Of the judged alarms, this threshold removes {removed} of {false} false ones and loses {lost} of "
        "{true} true ones; no other does better."
    )


def accept(
    run_id: str, threshold: float, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> str:
    """A new run of the same task on the same rows with the same model and `threshold`; its id. The old run stays as
    it is.

    Raises as `task_of`, InputError for what is no finite number, NotFoundError where the data or the model are gone.
    """
    if not np.isfinite(threshold):
        raise InputError(N_("{name} = {value} is no finite number."), name="threshold", value=str(threshold))
    if task_of(run_id, workspace) == "anomalies":
        return anomalies.with_threshold(run_id, threshold, workspace=workspace, actor=actor)[1].id
    return sequences.with_threshold(run_id, threshold, workspace=workspace, actor=actor, progress=progress)[1].id


def carry_out(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """`accept` as a job: `run` and `threshold`."""
    return accept(
        str(arguments["run"]), float(arguments["threshold"]), workspace=workspace, actor=actor, progress=progress
    )
