"""Verdicts as labels: of the rows that were judged, and beside the measurements, as the readers of Vigie take them."""

from collections.abc import Iterable

import pandas as pd

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.evaluation.verdicts import TRUE, UNSURE
from core.operations.feedback import RowKey, about, agreed, names_of, row_key, row_of
from core.runs.stored_runs import load_run
from core.storage.feedback import Feedback
from core.tasks.sequences.result import SequenceDetection
from core.workspace import Workspace

COLUMNS = ["entity", "time", "score", "label", "verdict", "run", "model", "dataset"]


def labels(records: Iterable[Feedback], workspace: Workspace) -> pd.DataFrame:
    """One line per judged row: entity, time, score, label (1 a true alarm, 0 a false one), and where that comes from.

    Rows people are unsure of are left out: they are no label. An event of sequences becomes all rows from its start
    to its
    end, where its run can be fetched; else its first row.
    """
    every = list(records)
    runs = dict.fromkeys(record.run_id for record in every if record.run_id)
    parts, seen = [], set[str]()
    for run in runs:
        if run in seen:
            continue
        names = names_of(run, workspace)
        seen |= names
        parts.append(_of_run(about(every, names), run, workspace))
    lines = [line for part in parts for line in part]
    return (
        pd.DataFrame(lines, columns=COLUMNS)
        .sort_values(["dataset", "entity", "time"], kind="stable")
        .reset_index(drop=True)
    )


def labelled(dataset: Dataset, records: Iterable[Feedback], workspace: Workspace) -> pd.DataFrame:
    """The measurements of `dataset` with a column `label`: 1 where more runs have the row as a true alarm than as a
    false one.

    Rows that nobody judged have 0, as in any file of known anomalies.
    """
    judged = labels([record for record in records if record.dataset == dataset.digest], workspace)
    judged["time"] = pd.to_datetime(judged["time"]) if dataset.dated else pd.to_numeric(judged["time"])
    share = judged.groupby(["entity", "time"])["label"].mean()
    true = pd.MultiIndex.from_tuples(share.index[share > 0.5], names=["entity", "time"])
    table = dataset.frame.reset_index()
    table["entity"] = table["entity"].astype(str)
    label = pd.MultiIndex.from_frame(table[["entity", "time"]]).isin(true)
    table.insert(2, "label", label.astype(int))
    return table


def _of_run(records: list[Feedback], run: str, workspace: Workspace) -> list[tuple[object, ...]]:
    verdicts = {row: verdict for row, verdict in agreed(records).items() if verdict != UNSURE}
    rows = {row_key(record.row): record for record in records if record.row}
    spans = _spans(run, workspace) if any(row[2] for row in verdicts) else {}
    found: list[tuple[object, ...]] = []
    for row, verdict in verdicts.items():
        record = rows[row]
        assert record.row is not None
        scored = spans.get(row) or [(row[0], row[1], record.row.get("score"))]
        found += [
            (*each, int(verdict == TRUE), verdict, run, record.model or "", record.dataset or "") for each in scored
        ]
    return found


def _spans(run: str, workspace: Workspace) -> dict[RowKey, list[tuple[object, ...]]]:
    """The rows of every event of a run of sequences."""
    try:
        found = SequenceDetection.load(load_run(run, workspace).files / "result")
    except NotFoundError:
        return {}
    spans: dict[RowKey, list[tuple[object, ...]]] = {}
    for event in found.events.itertuples():
        inside = found.rows.iloc[int(event.first) : int(event.last) + 1]
        key = row_key(row_of({"entity": event.entity, "time": event.start, "end": event.end}))
        moments = [row_of({"time": each})["time"] for each in inside["time"]]
        spans[key] = list(zip(inside["entity"].astype(str), moments, inside["score"].astype(float), strict=True))
    return spans
