"""Verdicts of users on the rows of a run, one vote per user."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import NotFoundError
from core.evaluation.feedback_metrics import FALSE_ALARM, TRUE_ALARM, AlarmPrecision, find_majority
from core.runs.stored_runs import load_run
from core.storage.feedback import Feedback
from core.workspace import Workspace
from mlflow_utils.run_record import Record

ROW_KEY_COLUMNS = ("entity", "time", "end", "step", "measure")
"""Columns that tell the rows of a result apart, where it has them; text only, because scores may lose digits."""
WATCH_COLUMN = "watch"
"""Name of the watch, in verdicts on rows that came after the run; the result of the run lacks them."""
RowKey = tuple[str, ...]


def find_record(run_id: str, workspace: Workspace) -> Record | None:
    """Return the record of a run; None for "" and for a run that is not stored."""
    try:
        return load_run(run_id, workspace).record if run_id else None
    except NotFoundError:
        return None


def make_row_key(row: Mapping[str, Any]) -> RowKey:
    """Return the key of a row within its run: its values of `ROW_KEY_COLUMNS`, "" for those that it lacks."""
    return tuple(str(row.get(name, "")) for name in ROW_KEY_COLUMNS)


def list_run_ids(run_id: str, workspace: Workspace) -> frozenset[str]:
    """Return all ids of a run: `run_id`, the key that it has before delivery, and the id of MLflow."""
    record = find_record(run_id, workspace)
    return frozenset({run_id, record.key, record.run_id} - {""}) if record else frozenset({run_id})


def select_row_verdicts(records: Iterable[Feedback], run_ids: Iterable[str]) -> list[Feedback]:
    """Return the verdicts on rows of the run with the ids `run_ids`, oldest first."""
    ids = set(run_ids)
    return [
        record for record in records if record.run_id in ids and record.row is not None and record.verdict is not None
    ]


def group_latest_verdicts(records: Iterable[Feedback]) -> dict[RowKey, list[Feedback]]:
    """Return row → the latest verdict of each user. `records` are of one run, oldest first."""
    latest: dict[tuple[RowKey, str], Feedback] = {}
    for record in records:
        if record.row is not None and record.verdict is not None:
            latest[make_row_key(record.row), record.user] = record
    verdicts_by_row: dict[RowKey, list[Feedback]] = {}
    for (row, _), record in latest.items():
        verdicts_by_row.setdefault(row, []).append(record)
    return verdicts_by_row


def list_watched_verdicts(records: Iterable[Feedback]) -> dict[RowKey, tuple[float, str]]:
    """Return row → score and majority verdict, of reviewed rows of watches. `records` are of one run, oldest first.

    A row whose score is not known is left out.
    """
    watched = [record for record in records if record.row is not None and WATCH_COLUMN in record.row]
    return {
        row: (float(score), find_majority(str(record.verdict) for record in row_records))
        for row, row_records in group_latest_verdicts(watched).items()
        if isinstance(score := (row_records[0].row or {}).get("score"), int | float)
    }


def compute_majorities(records: Iterable[Feedback]) -> dict[RowKey, str]:
    """Return row → the majority verdict, with one vote per user. A tie gives "unsure"."""
    return {
        row: find_majority(str(record.verdict) for record in row_records)
        for row, row_records in group_latest_verdicts(records).items()
    }


def measure_model_precision(run_id: str, workspace: Workspace) -> AlarmPrecision:
    """Return the precision of the reviewed alarms of a model: of its own run, and of the runs that applied it."""
    model_ids = list_run_ids(run_id, workspace)
    records_by_run: dict[str, list[Feedback]] = {}
    for record in workspace.feedback.read_records():
        if record.run_id and record.row is not None and record.verdict is not None:
            records_by_run.setdefault(record.run_id, []).append(record)
    verdicts: list[str] = []
    for reviewed_run, records in records_by_run.items():
        run = None if reviewed_run in model_ids else find_record(reviewed_run, workspace)
        if reviewed_run in model_ids or (run is not None and run.params.get("model_run") in model_ids):
            verdicts += compute_majorities(records).values()
    return AlarmPrecision(verdicts.count(TRUE_ALARM), verdicts.count(FALSE_ALARM))
