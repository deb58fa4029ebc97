"""Truth about the past of a watch: the labels of its data, else the verdicts of persons."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.time_zones import to_instants
from core.evaluation.feedback_metrics import FALSE_ALARM, TRUE_ALARM
from core.operations.watching.replay_alarms import SPAN_COLUMNS, ReplayedRows, find_labelled_spans
from core.runs.verdicts import compute_majorities, find_record, list_run_ids
from core.storage.feedback import Feedback
from core.workspace import Workspace


def read_verdict_spans(run_id: str, workspace: Workspace, zone: str) -> pd.DataFrame:
    """Return the verdicts on rows of a model, of its own run and of runs that applied it, with `SPAN_COLUMNS`.

    Times on the clock of the data are read in `zone`; "" for an unknown one. Verdicts that persons are unsure about are
    left out, and rows without dates.
    """
    lines = []
    for (entity, time, end, *_others), verdict in _iter_majorities(run_id, workspace):
        start = _parse_instant(time, zone)
        if verdict in (TRUE_ALARM, FALSE_ALARM) and start is not None:
            lines.append((entity, start, _parse_instant(end, zone) or start, verdict == TRUE_ALARM))
    table = pd.DataFrame(lines, columns=list(SPAN_COLUMNS))
    times = {name: table[name].to_numpy("datetime64[ns]") for name in ("start", "end")}
    table = table.assign(**times, is_true=table["is_true"].astype(bool))
    return table.sort_values(list(SPAN_COLUMNS), kind="stable", ignore_index=True)


def compute_verdict_digest(spans: pd.DataFrame) -> str:
    """Return a digest of verdicts; "" for none."""
    return hashlib.sha256(spans.to_csv(index=False).encode()).hexdigest()[:32] if len(spans) else ""


def build_label_spans(rows: ReplayedRows, dataset: Dataset, instants: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the labelled stretches of replayed rows; `instants` are those of the rows of `dataset`."""
    assert dataset.labels is not None, "only for labelled data"
    is_abnormal = dataset.labels.to_numpy(dtype=bool)
    labelled = pd.MultiIndex.from_arrays([np.asarray(dataset.entity)[is_abnormal].astype(str), instants[is_abnormal]])
    names = np.asarray(rows.entities, dtype=object)[rows.codes]
    is_labelled: NDArray[np.bool_] = pd.MultiIndex.from_arrays([names, pd.DatetimeIndex(rows.instants)]).isin(labelled)
    return find_labelled_spans(rows, is_labelled)


def _iter_majorities(run_id: str, workspace: Workspace) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each reviewed row with its majority verdict, run by run."""
    model_ids = list_run_ids(run_id, workspace)
    for reviewed_run, records in _group_by_run(workspace.feedback.read_records()).items():
        run = None if reviewed_run in model_ids else find_record(reviewed_run, workspace)
        if reviewed_run in model_ids or (run is not None and run.params.get("model_run") in model_ids):
            yield from compute_majorities(records).items()


def _group_by_run(records: Iterable[Feedback]) -> dict[str, list[Feedback]]:
    records_by_run: dict[str, list[Feedback]] = {}
    for record in records:
        if record.run_id and record.row is not None and record.verdict is not None:
            records_by_run.setdefault(record.run_id, []).append(record)
    return records_by_run


def _parse_instant(text: str, zone: str) -> pd.Timestamp | None:
    """Return the UTC instant of a time of feedback, without its zone; None for a text that is no time."""
    time = pd.to_datetime(text, errors="coerce") if text and not text.replace(".", "").isdigit() else pd.NaT
    if pd.isna(time):
        return None
    if time.tzinfo is not None:
        return time.tz_convert("UTC").tz_localize(None)
    is_named = zone and "/+" not in zone and "/-" not in zone
    return to_instants(pd.DatetimeIndex([time]), np.zeros(1, dtype=bool), zone)[0] if is_named else time
