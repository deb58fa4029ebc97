"""Feedback of users: submission, verdicts by row, and precision of the detectors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.actor import Actor
from core.errors import InputError
from core.evaluation.feedback_metrics import FALSE_ALARM, TRUE_ALARM, UNSURE, AlarmPrecision
from core.messages import N_
from core.runs.lineage import name_model
from core.runs.tracked_run import record_event
from core.runs.verdicts import compute_majorities, find_record
from core.storage.feedback import MAX_COMMENT_CHARS, MAX_MODEL_VERSION_CHARS, Feedback, FeedbackStatus, Verdict
from core.workspace import Workspace

VERDICT_LABELS = {TRUE_ALARM: N_("true alarm"), FALSE_ALARM: N_("false alarm"), UNSURE: N_("unsure")}
MAX_NAME_LENGTH = 200
TIMESTAMP_COLUMNS = ("time", "start", "end")


@dataclass(frozen=True)
class FeedbackInput:
    """Feedback of a user, as entered.

    page     name of the page or task
    run_id   id of the run; "" without one
    row      row of the run, from `serialise_row`; None without one
    rating   1 (bad) to 5 (good); None without one
    """

    page: str
    run_id: str = ""
    row: dict[str, str | float] | None = None
    verdict: Verdict | None = None
    rating: int | None = None
    comment: str = ""

    def check(self) -> None:
        """Raise InputError if the feedback is empty or the comment is too long."""
        if self.verdict is None and self.rating is None and not self.comment.strip():
            raise InputError(N_("The feedback is empty. Give a verdict, a rating or a comment."))
        if len(self.comment) > MAX_COMMENT_CHARS:
            raise InputError(
                N_("The comment has {count} characters. The maximum is {accepted}."),
                count=len(self.comment),
                accepted=MAX_COMMENT_CHARS,
            )


def submit_feedback(feedback_input: FeedbackInput, *, workspace: Workspace, actor: Actor) -> FeedbackStatus:
    """Store feedback with the model and the dataset of its run, and record one event, which omits the comment.

    Raises InputError for feedback that is not accepted, OSError where the disk cannot store it.
    """
    feedback_input.check()
    with record_event(
        "feedback",
        actor,
        workspace,
        page=feedback_input.page,
        run=feedback_input.run_id,
        verdict=feedback_input.verdict,
        rating=feedback_input.rating,
    ) as inputs:
        run = find_record(feedback_input.run_id, workspace)
        tags = run.tags if run else {}
        record = Feedback(
            user=workspace.pseudonymise(actor.user)[:MAX_NAME_LENGTH],
            page=feedback_input.page,
            run_id=feedback_input.run_id or None,
            row=feedback_input.row,
            verdict=feedback_input.verdict,
            rating=feedback_input.rating,
            comment=feedback_input.comment.strip(),
            model=tags.get("model_name"),
            model_version=name_model(run, workspace)[:MAX_MODEL_VERSION_CHARS] if run else None,
            dataset=tags.get("dataset.digest"),
        )
        status = workspace.feedback.add_record(record)
        inputs["feedback"] = status.id
    return status


# ---- by row ---------------------------------------------------------------------------------------------------------


def serialise_row(row: Mapping[str, Any]) -> dict[str, str | float]:
    """Return a row of a result in the form of feedback: timestamps and names as text, finite numbers as floats."""
    serialised: dict[str, str | float] = {}
    for name, value in row.items():
        if name in TIMESTAMP_COLUMNS:
            serialised[name] = value.isoformat() if hasattr(value, "isoformat") else str(value)
        elif isinstance(value, int | float) or hasattr(value, "dtype"):
            if math.isfinite(value):
                serialised[name] = float(value)
        else:
            serialised[name] = str(value)
    return serialised


# ---- over all runs --------------------------------------------------------------------------------------------------


def to_frame(records: Iterable[Feedback]) -> pd.DataFrame:
    """Return one line per record, newest first. The columns user, page, entity and comment hold unescaped user text."""
    columns = [
        "time",
        "user",
        "page",
        "model",
        "version",
        "run",
        "entity",
        "moment",
        "score",
        "verdict",
        "rating",
        "comment",
        "dataset",
        "id",
    ]
    lines = [
        (
            record.time,
            record.user,
            record.page,
            record.model or "",
            record.model_version or "",
            record.run_id or "",
            (record.row or {}).get("entity", ""),
            (record.row or {}).get("time", ""),
            (record.row or {}).get("score"),
            record.verdict or "",
            record.rating,
            record.comment,
            record.dataset or "",
            record.id,
        )
        for record in records
    ]
    table = pd.DataFrame(lines, columns=columns).astype(
        {"entity": str, "moment": str, "score": float, "rating": "Int64"}
    )
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table.iloc[::-1].reset_index(drop=True)


def build_precision_table(records: Iterable[Feedback], *, per_run: bool = False) -> pd.DataFrame:
    """Return the precision of the reviewed alarms, by task and detector (and by run).

    Columns: page, model, (run,) true, false, unsure, judged (true or false), precision (0–1), low, high (95 % limits).
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for run, run_records in _group_by_run(records).items():
        first = run_records[0]
        name = (first.page, first.model or "", *((run,) if per_run else ()))
        groups.setdefault(name, []).extend(compute_majorities(run_records).values())
    columns = [
        "page",
        "model",
        *(["run"] if per_run else []),
        "true",
        "false",
        "unsure",
        "reviewed",
        "precision",
        "low",
        "high",
    ]
    lines = [(*name, *_count_verdicts(verdicts)) for name, verdicts in groups.items()]
    return (
        pd.DataFrame(lines, columns=columns)
        .sort_values(["reviewed", *columns[:2]], ascending=[False, True, True])
        .reset_index(drop=True)
    )


def _group_by_run(records: Iterable[Feedback]) -> dict[str, list[Feedback]]:
    records_by_run: dict[str, list[Feedback]] = {}
    for record in records:
        if record.run_id and record.verdict is not None and record.row is not None:
            records_by_run.setdefault(record.run_id, []).append(record)
    return records_by_run


def _count_verdicts(verdicts: list[str]) -> tuple[float, ...]:
    precision = AlarmPrecision(verdicts.count(TRUE_ALARM), verdicts.count(FALSE_ALARM))
    return (
        precision.true_alarms,
        precision.false_alarms,
        verdicts.count(UNSURE),
        precision.reviewed_count,
        precision.share,
        *precision.interval,
    )
