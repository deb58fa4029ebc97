"""Labels from verdicts: a table of the reviewed rows, and datasets with a label column."""

from collections.abc import Iterable
from typing import cast

import pandas as pd

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.evaluation.feedback_metrics import TRUE_ALARM, UNSURE
from core.operations.feedback import serialise_row
from core.runs.result import AlarmResult
from core.runs.stored_runs import load_task_result
from core.runs.verdicts import RowKey, compute_majorities, list_run_ids, make_row_key, select_row_verdicts
from core.storage.feedback import Feedback
from core.workspace import Workspace

LABEL_COLUMNS = ["entity", "time", "score", "label", "verdict", "run", "model", "dataset"]
ScoredRow = tuple[object, ...]


def build_label_table(records: Iterable[Feedback], workspace: Workspace) -> pd.DataFrame:
    """Return one line per reviewed row: entity, time, score, label (1 true alarm, 0 false alarm), and its origin.

    Rows with the verdict "unsure" are left out. An alarm that spans several rows labels all of them where its run can
    be loaded, else its first row.
    """
    records = list(records)
    lines, seen_ids = [], set[str]()
    for run_id in dict.fromkeys(record.run_id for record in records if record.run_id):
        if run_id not in seen_ids:
            run_ids_of_run = list_run_ids(run_id, workspace)
            seen_ids |= run_ids_of_run
            lines += _label_run(select_row_verdicts(records, run_ids_of_run), run_id, workspace)
    table = pd.DataFrame(lines, columns=LABEL_COLUMNS)
    return table.sort_values(["dataset", "entity", "time"], kind="stable").reset_index(drop=True)


def add_label_column(dataset: Dataset, records: Iterable[Feedback], workspace: Workspace) -> pd.DataFrame:
    """Return the measurements of `dataset` with a column `label`: 1 where more runs label the row true than false.

    Rows without a verdict have 0, as in any file of labelled anomalies.
    """
    labels = build_label_table([record for record in records if record.dataset == dataset.digest], workspace)
    labels["time"] = pd.to_datetime(labels["time"]) if dataset.has_dates else pd.to_numeric(labels["time"])
    share = labels.groupby(["entity", "time"])["label"].mean()
    true_rows = pd.MultiIndex.from_tuples(share.index[share > 0.5], names=["entity", "time"])
    table = dataset.frame.reset_index()
    table["entity"] = table["entity"].astype(str)
    label = pd.MultiIndex.from_frame(table[["entity", "time"]]).isin(true_rows)
    table.insert(2, "label", label.astype(int))
    return table


def _label_run(records: list[Feedback], run_id: str, workspace: Workspace) -> list[ScoredRow]:
    """Return the lines of the label table for one run."""
    verdicts = {row: verdict for row, verdict in compute_majorities(records).items() if verdict != UNSURE}
    record_by_row = {make_row_key(record.row): record for record in records if record.row}
    rows_by_alarm = _load_alarm_rows(run_id, workspace) if any(row[2] for row in verdicts) else {}
    lines: list[ScoredRow] = []
    for row, verdict in verdicts.items():
        record = record_by_row[row]
        first_row = (row[0], row[1], (record.row or {}).get("score"))
        origin = (int(verdict == TRUE_ALARM), verdict, run_id, record.model or "", record.dataset or "")
        lines += [(*scored, *origin) for scored in rows_by_alarm.get(row) or [first_row]]
    return lines


def _load_alarm_rows(run_id: str, workspace: Workspace) -> dict[RowKey, list[ScoredRow]]:
    """Return key of an alarm → its rows (entity, time, score); empty where the run cannot be loaded."""
    try:
        result = cast(AlarmResult, load_task_result(run_id, workspace))
    except NotFoundError:
        return {}
    rows_by_entity = {str(entity): rows for entity, rows in result.rows.groupby("entity", observed=True)}
    rows_by_alarm: dict[RowKey, list[ScoredRow]] = {}
    for alarm in result.list_alarms().to_dict("records"):
        entity = str(alarm["entity"])
        rows = rows_by_entity[entity]
        alarm_rows = rows[(rows["time"] >= alarm["time"]) & (rows["time"] <= alarm["end"])]
        measure = {"measure": alarm["measure"]} if "measure" in alarm else {}
        if measure:
            alarm_rows = alarm_rows[alarm_rows["measure"] == alarm["measure"]]
        times = [serialise_row({"time": time})["time"] for time in alarm_rows["time"]]
        key = make_row_key(serialise_row({"entity": entity, "time": alarm["time"], "end": alarm["end"], **measure}))
        rows_by_alarm[key] = [
            (entity, time, score) for time, score in zip(times, alarm_rows["score"].astype(float), strict=True)
        ]
    return rows_by_alarm
