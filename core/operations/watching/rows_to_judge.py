"""Rows to judge: those whose verdicts move the threshold of a model most."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.verdict_questions import MIN_DISTANCE, ThresholdBelief, choose_questions
from core.operations.threshold_from_feedback import FlaggedRows, ThresholdProposal, load_flagged_rows, propose_threshold
from core.runs.promotion import resolve_run
from core.workspace import Workspace

MAX_ROWS_TO_JUDGE = 50
END_COLUMN = "end"  # of alarms that span several rows


@dataclass(frozen=True)
class RowsToJudge:
    """Rows to ask a person about, and what the verdicts so far propose.

    task       name of the task, the page of the feedback
    run_id     id of the run that the verdicts belong to
    threshold  rows with a higher score are flagged
    rows       entity, time, end (only where alarms span several rows), score, is_flagged; the most telling row first
    reviewed   number of rows with a verdict so far
    proposal   threshold that these verdicts propose; None without a verdict
    """

    task: str
    run_id: str
    threshold: float
    rows: pd.DataFrame
    reviewed: int
    proposal: ThresholdProposal | None


def choose_rows_to_judge(model: str, workspace: Workspace, count: int = 10) -> RowsToJudge:
    """Return the rows of a run whose verdicts would tell most about its best threshold.

    `model` is the id of a run, or NAME@ALIAS, such as `Watch.model`. Of rows that follow one another, and thus have one
    cause, only one is asked about. Raises the errors of `resolve_run` and `load_run_task`.
    """
    run_id = resolve_run(model, workspace)
    flagged = load_flagged_rows(run_id, workspace)
    rows = _choose_rows(flagged, min(max(count, 0), MAX_ROWS_TO_JUDGE))
    reviewed = flagged.reviewed_rows
    return RowsToJudge(flagged.task, run_id, flagged.threshold, rows, len(reviewed.scores), propose_threshold(flagged))


def _choose_rows(flagged: FlaggedRows, count: int) -> pd.DataFrame:
    table = flagged.rows[np.isfinite(flagged.rows["score"].to_numpy(dtype=np.float64))].reset_index(drop=True)
    columns = [name for name in ("entity", "time", END_COLUMN, "score") if name in table]
    is_open = (table["verdict"] == "").to_numpy()
    if not count or not is_open.any():
        return table[columns].head(0).assign(is_flagged=np.zeros(0, dtype=bool))
    numbers, scores = _number_rows(table), table["score"].to_numpy(dtype=np.float64)
    known = flagged.scored_rows.scores
    belief = ThresholdBelief.from_verdicts(known[np.isfinite(known)], flagged.reviewed_rows)
    candidates = np.flatnonzero(is_open)
    chosen = choose_questions(belief, scores[candidates], numbers[candidates], numbers[~is_open], count)
    rows = table.loc[candidates[chosen], columns]
    return rows.assign(is_flagged=rows["score"] > flagged.threshold).reset_index(drop=True)


def _number_rows(table: pd.DataFrame) -> NDArray[np.intp]:
    """Return the place of each row, (rows,): neighbours of one entity differ by 1; alarms that last differ by more."""
    codes, _ = pd.factorize(table["entity"])
    order = np.lexsort((pd.Index(table["time"]).to_numpy(), codes))
    steps = np.where(np.diff(codes[order], prepend=-1) != 0, MIN_DISTANCE, MIN_DISTANCE if END_COLUMN in table else 1)
    numbers = np.empty(len(table), dtype=np.intp)
    numbers[order] = np.cumsum(steps)
    return numbers
