"""Feedback of users: submission, verdicts by row, and precision of the detectors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.actor import Actor
from core.errors import InputError, NotFoundError
from core.evaluation.verdicts import FALSE, TRUE, UNSURE, Precision, majority
from core.messages import N_
from core.runs.stored_runs import load_run
from core.runs.tracked_run import recorded
from core.storage.feedback import LONGEST_COMMENT, Feedback, FeedbackStatus, Verdict
from core.workspace import Workspace
from mlflow_utils.run_record import Record

VERDICTS = {TRUE: N_("true alarm"), FALSE: N_("false alarm"), UNSURE: N_("unsure")}
LONGEST_NAME = 200
MOMENTS = ("time", "start", "end")
RowKey = tuple[str, ...]


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
            raise InputError(N_("Nothing was said: give a verdict, a rating or a comment."))
        if len(self.comment) > LONGEST_COMMENT:
            raise InputError(
                N_("The comment has {count} characters; at most {accepted} are accepted."),
                count=len(self.comment),
                accepted=LONGEST_COMMENT,
            )


def submit_feedback(given: FeedbackInput, *, workspace: Workspace, actor: Actor) -> FeedbackStatus:
    """Store feedback with the model and the dataset of its run, and record one event, which omits the comment.

    Raises InputError for feedback that is not accepted, OSError where the disk cannot store it.
    """
    given.check()
    with recorded(
        "feedback", actor, workspace, page=given.page, run=given.run_id, verdict=given.verdict, rating=given.rating
    ) as inputs:
        run = _find_record(given.run_id, workspace)
        tags = run.tags if run else {}
        record = Feedback(
            user=workspace.pseudonymise(actor.user)[:LONGEST_NAME],
            page=given.page,
            run_id=given.run_id or None,
            row=given.row,
            verdict=given.verdict,
            rating=given.rating,
            comment=given.comment.strip(),
            model=tags.get("model_name"),
            model_version=tags.get("code.version"),
            dataset=tags.get("dataset.digest"),
        )
        receipt = workspace.feedback.add(record)
        inputs["feedback"] = receipt.id
    return receipt


def _find_record(run_id: str, workspace: Workspace) -> Record | None:
    try:
        return load_run(run_id, workspace).record if run_id else None
    except NotFoundError:  # feedback is stored even without its run
        return None


# ---- by row ---------------------------------------------------------------------------------------------------------


def serialise_row(row: Mapping[str, Any]) -> dict[str, str | float]:
    """Return a row of a result in the form of feedback: timestamps and names as text, finite numbers as floats."""
    kept: dict[str, str | float] = {}
    for name, value in row.items():
        if name in MOMENTS:
            kept[name] = value.isoformat() if hasattr(value, "isoformat") else str(value)
        elif isinstance(value, int | float) or hasattr(value, "dtype"):
            if math.isfinite(value):
                kept[name] = float(value)
        else:
            kept[name] = str(value)
    return kept


def row_key(row: Mapping[str, Any]) -> RowKey:
    """Return the key of a row within its run, made of text columns only, because scores may lose digits."""
    return tuple(str(row.get(name, "")) for name in ("entity", "time", "end", "step"))


def run_ids(run_id: str, workspace: Workspace) -> frozenset[str]:
    """Return all ids of a run: `run_id`, the key that it has before delivery, and the id of MLflow."""
    record = _find_record(run_id, workspace)
    return frozenset({run_id, record.key, record.run_id} - {""}) if record else frozenset({run_id})


def row_verdicts(records: Iterable[Feedback], names: Iterable[str]) -> list[Feedback]:
    """Return the verdicts on rows of the run with the ids `names`, oldest first."""
    ids = set(names)
    return [
        record for record in records if record.run_id in ids and record.row is not None and record.verdict is not None
    ]


def latest_by_row(records: Iterable[Feedback]) -> dict[RowKey, list[Feedback]]:
    """Return row → the latest verdict of each user. `records` are of one run, oldest first."""
    latest: dict[tuple[RowKey, str], Feedback] = {}
    for record in records:
        if record.row is not None and record.verdict is not None:
            latest[row_key(record.row), record.user] = record
    found: dict[RowKey, list[Feedback]] = {}
    for (row, _), record in latest.items():
        found.setdefault(row, []).append(record)
    return found


def majority_by_row(records: Iterable[Feedback]) -> dict[RowKey, str]:
    """Return row → the majority verdict, with one vote per user. A tie gives "unsure"."""
    return {row: majority(str(record.verdict) for record in voices) for row, voices in latest_by_row(records).items()}


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


def precision_table(records: Iterable[Feedback], *, each_run: bool = False) -> pd.DataFrame:
    """Return the precision of the reviewed alarms, by task and detector (and by run).

    Columns: page, model, (run,) true, false, unsure, judged (true or false), precision (0–1), low, high (95 % limits).
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for run, own in _by_run(records).items():
        first = own[0]
        name = (first.page, first.model or "", *((run,) if each_run else ()))
        groups.setdefault(name, []).extend(majority_by_row(own).values())
    columns = [
        "page",
        "model",
        *(["run"] if each_run else []),
        "true",
        "false",
        "unsure",
        "judged",
        "precision",
        "low",
        "high",
    ]
    lines = [(*name, *_counted(verdicts)) for name, verdicts in groups.items()]
    return (
        pd.DataFrame(lines, columns=columns)
        .sort_values(["judged", *columns[:2]], ascending=[False, True, True])
        .reset_index(drop=True)
    )


def _by_run(records: Iterable[Feedback]) -> dict[str, list[Feedback]]:
    found: dict[str, list[Feedback]] = {}
    for record in records:
        if record.run_id and record.verdict is not None and record.row is not None:
            found.setdefault(record.run_id, []).append(record)
    return found


def _counted(verdicts: list[str]) -> tuple[float, ...]:
    found = Precision(verdicts.count(TRUE), verdicts.count(FALSE))
    return (found.true, found.false, verdicts.count(UNSURE), found.judged, found.share, *found.band)
