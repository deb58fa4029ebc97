"""Labels from verdicts: a table of the reviewed rows, and datasets with a label column."""

from collections.abc import Iterable
from typing import cast

import pandas as pd

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.evaluation.verdicts import TRUE, UNSURE
from core.operations.feedback import RowKey, majority_by_row, row_key, row_verdicts, run_ids, serialise_row
from core.runs.result import AlarmResult
from core.runs.stored_runs import load_task_result
from core.storage.feedback import Feedback
from core.workspace import Workspace

COLUMNS = ["entity", "time", "score", "label", "verdict", "run", "model", "dataset"]
ScoredRow = tuple[object, ...]


def label_table(records: Iterable[Feedback], workspace: Workspace) -> pd.DataFrame:
    """Return one line per reviewed row: entity, time, score, label (1 true alarm, 0 false alarm), and its origin.

    Rows with the verdict "unsure" are left out. An alarm that spans several rows labels all of them where its run can
    be loaded, else its first row.
    """
    records = list(records)
    lines, seen = [], set[str]()
    for run_id in dict.fromkeys(record.run_id for record in records if record.run_id):
        if run_id not in seen:
            names = run_ids(run_id, workspace)
            seen |= names
            lines += _label_run(row_verdicts(records, names), run_id, workspace)
    table = pd.DataFrame(lines, columns=COLUMNS)
    return table.sort_values(["dataset", "entity", "time"], kind="stable").reset_index(drop=True)


def add_label_column(dataset: Dataset, records: Iterable[Feedback], workspace: Workspace) -> pd.DataFrame:
    """Return the measurements of `dataset` with a column `label`: 1 where more runs label the row true than false.

    Rows without a verdict have 0, as in any file of labelled anomalies.
    """
    labels = label_table([record for record in records if record.dataset == dataset.digest], workspace)
    labels["time"] = pd.to_datetime(labels["time"]) if dataset.dated else pd.to_numeric(labels["time"])
    share = labels.groupby(["entity", "time"])["label"].mean()
    true = pd.MultiIndex.from_tuples(share.index[share > 0.5], names=["entity", "time"])
    table = dataset.frame.reset_index()
    table["entity"] = table["entity"].astype(str)
    label = pd.MultiIndex.from_frame(table[["entity", "time"]]).isin(true)
    table.insert(2, "label", label.astype(int))
    return table


def _label_run(records: list[Feedback], run_id: str, workspace: Workspace) -> list[ScoredRow]:
    """Return the lines of the label table for one run."""
    verdicts = {row: verdict for row, verdict in majority_by_row(records).items() if verdict != UNSURE}
    by_row = {row_key(record.row): record for record in records if record.row}
    spans = _span_rows(run_id, workspace) if any(end for _, _, end, _ in verdicts) else {}
    lines: list[ScoredRow] = []
    for row, verdict in verdicts.items():
        record = by_row[row]
        first = (row[0], row[1], (record.row or {}).get("score"))
        origin = (int(verdict == TRUE), verdict, run_id, record.model or "", record.dataset or "")
        lines += [(*scored, *origin) for scored in spans.get(row) or [first]]
    return lines


def _span_rows(run_id: str, workspace: Workspace) -> dict[RowKey, list[ScoredRow]]:
    """Return key of an alarm → its rows (entity, time, score); empty where the run cannot be loaded."""
    try:
        result = cast(AlarmResult, load_task_result(run_id, workspace))
    except NotFoundError:
        return {}
    by_entity = {str(entity): rows for entity, rows in result.rows.groupby("entity", observed=True)}
    spans: dict[RowKey, list[ScoredRow]] = {}
    for alarm in result.alarm_rows().to_dict("records"):
        entity = str(alarm["entity"])
        rows = by_entity[entity]
        inside = rows[(rows["time"] >= alarm["time"]) & (rows["time"] <= alarm["end"])]
        times = [serialise_row({"time": time})["time"] for time in inside["time"]]
        key = row_key(serialise_row({"entity": entity, "time": alarm["time"], "end": alarm["end"]}))
        spans[key] = [(entity, time, score) for time, score in zip(times, inside["score"].astype(float), strict=True)]
    return spans
