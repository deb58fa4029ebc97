"""Another threshold for the alarms of a run: its effect, and the one that the verdicts of users propose."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd

from core.errors import InputError, NotFoundError
from core.evaluation.feedback_metrics import (
    FALSE_ALARM,
    TRUE_ALARM,
    ReviewedRows,
    ThresholdCandidate,
    find_best_threshold,
)
from core.evaluation.threshold_views import ScoredRows, list_thresholds, tabulate_thresholds
from core.messages import N_, Message
from core.operations.feedback import serialise_row
from core.runs.result import AlarmResult
from core.runs.stored_runs import load_run, load_task_result
from core.runs.verdicts import (
    RowKey,
    compute_majorities,
    list_run_ids,
    list_watched_verdicts,
    make_row_key,
    select_row_verdicts,
)
from core.spec.spec import ThresholdOrigin, ThresholdSpec
from core.spec.task import Task, find_task, get_task
from core.workspace import Workspace


@dataclass(frozen=True)
class FlaggedRows:
    """Alarms of a run with the verdicts on them, and its scored rows.

    task       name of the task
    run_id     id of the run
    dataset    digest of the dataset
    threshold  rows with a higher score are flagged
    rows       alarms: entity, time, (end, where alarms span several rows), score, verdict ("" for none)
    scored_rows  all rows that the threshold is compared with, with labels where the data have some
    watched_rows  reviewed rows of watches that the model judged later: score, verdict
    """

    task: str
    run_id: str
    dataset: str
    threshold: float
    rows: pd.DataFrame
    scored_rows: ScoredRows
    watched_rows: tuple[tuple[float, str], ...] = ()

    @property
    def reviewed_rows(self) -> ReviewedRows:
        """Rows with a verdict other than "unsure", those of watches too."""
        scores = np.array([*self.rows["score"], *(score for score, _ in self.watched_rows)], dtype=np.float64)
        verdicts = np.array([*self.rows["verdict"], *(verdict for _, verdict in self.watched_rows)], dtype=object)
        is_reviewed = np.isin(verdicts.astype(str), [TRUE_ALARM, FALSE_ALARM])
        return ReviewedRows.from_arrays(scores[is_reviewed], verdicts[is_reviewed] == TRUE_ALARM, self.threshold)

    def count_flagged_rows(self, threshold: float) -> int:
        """Return the number of rows above a threshold."""
        return int((self.scored_rows.scores > threshold).sum())

    def select_removed_rows(self, threshold: float) -> pd.DataFrame:
        """Return the flagged rows that another threshold would no longer flag, highest score first."""
        removed_rows = self.rows[(self.rows["score"] > self.threshold) & (self.rows["score"] <= threshold)]
        return removed_rows.sort_values("score", ascending=False).reset_index(drop=True)

    def build_spec(self, threshold: float, origin: ThresholdOrigin = "verdicts") -> ThresholdSpec:
        """Return the spec of a run with the same rows and model, and another threshold of this origin."""
        spec_class = get_task(self.task).find_spec_class(ThresholdSpec) or ThresholdSpec
        return spec_class(run=self.run_id, threshold=threshold, dataset=self.dataset, origin=origin)


@dataclass(frozen=True)
class ThresholdProposal:
    """Proposed threshold, with its reason for the user."""

    candidate: ThresholdCandidate
    reason: Message


def load_run_task(run_id: str, workspace: Workspace) -> Task:
    """Return the task of a run with a threshold that verdicts can move.

    Raises NotFoundError for an unknown run, InputError for a run without such a threshold.
    """
    task = find_task(load_run(run_id, workspace).record.experiment)
    if task is None or not task.accepts_verdicts:
        raise InputError(N_("The threshold of the run {run} cannot be changed by verdicts."), run=run_id[:12])
    return task


def load_flagged_rows(run_id: str, workspace: Workspace) -> FlaggedRows:
    """Return the alarms of a run with their majority verdicts. Raises the errors of `load_run_task`."""
    task = load_run_task(run_id, workspace)
    records = select_row_verdicts(workspace.feedback.read_records(), list_run_ids(run_id, workspace))
    verdicts = compute_majorities(records)
    result = cast(AlarmResult, load_task_result(run_id, workspace))
    rows = _add_verdicts(result.list_alarms(), verdicts)
    scored_rows = _add_labels(result.list_scored_rows(), result.spec.dataset, workspace)
    known = set(_build_keys(rows[rows["verdict"] != ""]))
    watched = [reviewed for key, reviewed in list_watched_verdicts(records).items() if key not in known]
    return FlaggedRows(task.name, run_id, result.spec.dataset, result.threshold, rows, scored_rows, tuple(watched))


def tabulate_alarms(flagged: FlaggedRows, threshold: float | None = None) -> pd.DataFrame:
    """Return the alarms of a range of thresholds, or of one, as `tabulate_thresholds` does.

    With verdicts there are three more columns: verdicts_true and verdicts_false, the reviewed alarms above the
    threshold, and verdicts_precision. Raises OptionError for a threshold that is not finite.
    """
    rows, reviewed = flagged.scored_rows, flagged.reviewed_rows
    if threshold is not None:
        flagged.build_spec(threshold).check()
    thresholds = list_thresholds(rows.scores, flagged.threshold) if threshold is None else [threshold]
    table = tabulate_thresholds(rows, thresholds)
    if not len(reviewed.scores):
        return table
    precisions = [reviewed.measure_precision(value) for value in thresholds]
    return table.assign(
        verdicts_true=[precision.true_alarms for precision in precisions],
        verdicts_false=[precision.false_alarms for precision in precisions],
        verdicts_precision=[precision.share for precision in precisions],
    )


def _add_labels(rows: ScoredRows, digest: str, workspace: Workspace) -> ScoredRows:
    """Return `rows` with the labels of their dataset; unchanged where they have some or the dataset has none."""
    try:
        labels = None if rows.labels is not None else workspace.datasets.load(digest).labels
    except NotFoundError:  # the dataset is no longer stored
        return rows
    if labels is None:
        return rows
    abnormal = labels.index[labels.to_numpy(dtype=bool)]
    names = np.asarray(rows.entities, dtype=object)[rows.codes]
    is_abnormal = pd.MultiIndex.from_arrays([names, rows.times]).isin(
        pd.MultiIndex.from_arrays([abnormal.get_level_values(0).astype(str), abnormal.get_level_values(1)])
    )
    return replace(rows, labels=is_abnormal)


def _add_verdicts(rows: pd.DataFrame, verdicts: dict[RowKey, str]) -> pd.DataFrame:
    """Return `rows` with a column of verdicts. The scores are those of the result, not of the feedback."""
    table = rows.assign(entity=rows["entity"].astype(str), verdict="").reset_index(drop=True)
    reviewed = table[table["entity"].isin({key[0] for key in verdicts})]
    table.loc[reviewed.index, "verdict"] = [verdicts.get(key, "") for key in _build_keys(reviewed)]
    return table


def _build_keys(rows: pd.DataFrame) -> list[RowKey]:
    columns = [name for name in ("entity", "time", "end") if name in rows]
    row_values: Any = rows[columns].itertuples(index=False)
    return [make_row_key(serialise_row(dict(zip(columns, values, strict=True)))) for values in row_values]


def propose_threshold(flagged: FlaggedRows) -> ThresholdProposal | None:
    """Return the threshold with the most false alarms removed − true alarms lost; None without such verdicts."""
    reviewed_rows = flagged.reviewed_rows
    if not len(reviewed_rows.scores):
        return None
    candidate = find_best_threshold(reviewed_rows, flagged.scored_rows.scores)
    true_count = int(reviewed_rows.is_true_alarm.sum())
    counts = {
        "removed": candidate.false_alarms_removed,
        "lost": candidate.true_alarms_lost,
        "regained": -candidate.true_alarms_lost,
        "true": true_count,
        "false": len(reviewed_rows.is_true_alarm) - true_count,
    }
    return ThresholdProposal(candidate, Message(_explain_proposal(reviewed_rows, candidate), counts))


def _explain_proposal(reviewed_rows: ReviewedRows, candidate: ThresholdCandidate) -> str:
    if candidate.threshold == reviewed_rows.current_threshold:
        if reviewed_rows.is_true_alarm.all():
            return N_(
                "The reviewed alarm is true. The threshold can stay unchanged.",
                "All {true} reviewed alarms are true. The threshold can stay unchanged.",
            )
        return N_("No threshold removes more false alarms than it loses true alarms. The threshold can stay unchanged.")
    if not reviewed_rows.is_true_alarm.any():
        return N_(
            "The reviewed alarm is false. This threshold removes it. Review some true alarms too: without "
            "them, the number of true alarms lost is unknown.",
            "All {false} reviewed alarms are false. This threshold removes them. Review some true alarms "
            "too: without them, the number of true alarms lost is unknown.",
        )
    if candidate.true_alarms_lost < 0:
        return N_("Some true alarms lie below the current threshold. The proposed threshold flags {regained} of them.")
    return N_(
        "Among the reviewed alarms, this threshold removes {removed} of {false} false alarms "
        "and loses {lost} of {true} true alarms. No other threshold does better."
    )
