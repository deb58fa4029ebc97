"""Usage and performance of the product: tables of events from Elasticsearch or from the local log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import ServiceUnavailableError
from core.messages import Text
from core.storage.events.arrow import WORDS, of_events, of_log
from core.workspace import Workspace

PERIODS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "all": None,
}
STATUSES = ("completed", "failed", "interrupted")
STEPS = ("1min", "5min", "15min", "1h", "3h", "6h", "12h", "1D", "7D", "30D", "90D")
MOST_STEPS = 60
NAMES = {
    "timestamp": "time",
    "application_name": "application",
    "model_name": "model",
    "model_version": "version",
    "run_id": "run",
    "response_time": "seconds",
    "cpu_usage": "cpu",
    "memory_usage": "memory",
    "error_message": "error",
}


@dataclass(frozen=True)
class Observed:
    """Events as tables.

    table     one row per event: time (UTC), event, application, user, model, version, run, status, seconds, cpu and
              memory (percent), emissions_kg, error_type, error
    entities  one row per event and entity with anomalies: event (its row in `table`), entity, count
    source    "elasticsearch" or "files"
    why       reason of the files where Elasticsearch is configured; None otherwise
    capped    True where older events were left out
    skipped   number of documents in Elasticsearch that are not valid events
    """

    table: pd.DataFrame
    entities: pd.DataFrame
    source: str = "files"
    why: Text | None = None
    capped: bool = False
    skipped: int = 0


@dataclass(frozen=True)
class Figures:
    """Summary of the usage: `failed` is a share 0–1 of the actions, p50 and p95 are response times in seconds."""

    actions: int
    failed: float
    p50: float
    p95: float
    users: int


def observed(workspace: Workspace, period: str) -> Observed:
    """Return the events of the last `period` (a key of PERIODS).

    They come from Elasticsearch where it is configured and answers, else from the local log.
    """
    length = PERIODS[period]
    since = None if length is None else datetime.now(UTC) - length
    if workspace.event_stream is None:
        return _from_files(workspace, since)
    try:
        found = workspace.event_stream.read(since)
    except ServiceUnavailableError as error:
        return replace(_from_files(workspace, since), why=error.text)
    return replace(
        tables(of_events(found.events)), source="elasticsearch", capped=found.truncated, skipped=found.skipped
    )


def _from_files(workspace: Workspace, since: datetime | None) -> Observed:
    columns, capped = of_log(workspace.events, since)
    return replace(tables(columns), capped=capped)


def tables(columns: pa.Table) -> Observed:
    """Convert the Arrow table of `core.storage.events.arrow` to `Observed`, without incomplete events."""
    for name in WORDS:
        place = columns.schema.get_field_index(name)
        columns = columns.set_column(place, name, columns[name].combine_chunks().dictionary_encode())
    table = columns.drop(["details"]).to_pandas().rename(columns=NAMES)
    table["time"] = pd.to_datetime(table["time"], format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)
    whole = table["time"].notna() & table["seconds"].notna() & table["status"].isin(STATUSES)
    order = table[whole].sort_values("time", kind="stable").index.to_numpy()
    found = pc.struct_field(columns["details"], "anomalies_by_entity").combine_chunks().take(pa.array(order))
    counts = found.flatten()
    entities = pd.DataFrame(
        {
            "event": pc.list_parent_indices(found).to_numpy(zero_copy_only=False),
            "entity": counts.field("entity").to_pandas(),
            "count": counts.field("count").to_pandas(),
        }
    )
    return Observed(table.loc[order].reset_index(drop=True), entities)


def filtered(found: Observed, **chosen: Sequence[str]) -> Observed:
    """Return the events with one of the chosen values per column (application, model, status); all for no value."""
    keep = np.ones(len(found.table), dtype=bool)
    for column, values in chosen.items():
        if values:
            keep &= found.table[column].isin(list(values)).to_numpy()
    return replace(found, table=found.table[keep], entities=found.entities[keep[found.entities["event"].to_numpy()]])


def figures(table: pd.DataFrame) -> Figures:
    """Summarise a table of events, which must not be empty."""
    p50, p95 = np.quantile(table["seconds"], [0.5, 0.95])
    return Figures(
        len(table), float((table["status"] == "failed").mean()), float(p50), float(p95), table["user"].nunique()
    )


def per_model(table: pd.DataFrame) -> pd.DataFrame:
    """Return statistics of the runs by application and model, most runs first.

    Columns: runs, completed, failed and interrupted (counts), p50 and p95 (seconds), cpu and memory (medians in
    percent), versions (count). Actions without a model are left out.
    """
    runs = table[table["model"].notna()]
    groups = runs.groupby(["application", "model"], observed=True)
    found = pd.DataFrame(
        {
            "runs": groups.size(),
            **_by_status(runs, ["application", "model"]),
            "p50": groups["seconds"].quantile(0.5),
            "p95": groups["seconds"].quantile(0.95),
            "cpu": groups["cpu"].median(),
            "memory": groups["memory"].median(),
            "versions": groups["version"].nunique(),
        }
    )
    return found.reset_index().sort_values("runs", ascending=False, kind="stable", ignore_index=True)


def _by_status(runs: pd.DataFrame, by: list[str]) -> dict[str, pd.Series]:
    counts = runs.groupby([*by, "status"], observed=True).size().unstack("status", fill_value=0)
    return {status: counts.get(status, 0) for status in STATUSES}


def over_time(table: pd.DataFrame) -> pd.DataFrame:
    """Return statistics per time bin, at most `MOST_STEPS` bins.

    Columns: actions and failed (counts), p50 and p95 (seconds), cpu and memory (means in percent). The index `time` is
    the start of the bin in UTC. Empty bins are left out.
    """
    rows = table.assign(time=table["time"].dt.floor(step(table["time"])), failed=table["status"] == "failed")
    groups = rows.groupby("time")
    return pd.DataFrame(
        {
            "actions": groups.size(),
            "failed": groups["failed"].sum(),
            "p50": groups["seconds"].quantile(0.5),
            "p95": groups["seconds"].quantile(0.95),
            "cpu": groups["cpu"].mean(),
            "memory": groups["memory"].mean(),
        }
    )


def step(times: pd.Series) -> str:
    """Return the shortest of `STEPS` that divides the span of `times` into at most `MOST_STEPS` bins."""
    span = times.max() - times.min() if len(times) else pd.Timedelta(0)
    return next((each for each in STEPS if span / pd.Timedelta(each) < MOST_STEPS), STEPS[-1])


def anomalies_per_entity(found: Observed) -> pd.DataFrame:
    """Return the number of runs with anomalies and of anomalies, by entity and model; most anomalies first.

    A row that two runs flag counts twice. Each event names at most 50 entities.
    """
    joined = found.entities.join(found.table[["model"]], on="event")
    groups = joined.groupby(["entity", "model"], observed=True)["count"]
    table = groups.agg(runs="size", anomalies="sum").reset_index()
    return table.sort_values("anomalies", ascending=False, kind="stable", ignore_index=True)


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """Return the failed events, newest first: time, application, event, model, error_type, error, run."""
    failed = table[table["status"] == "failed"]
    return (
        failed[["time", "application", "event", "model", "error_type", "error", "run"]]
        .iloc[::-1]
        .reset_index(drop=True)
    )


def emissions(table: pd.DataFrame) -> pd.DataFrame:
    """Return the emissions by model, highest first: runs (count), hours, kg (CO₂), grams_per_run (CO₂)."""
    groups = table[table["emissions_kg"].notna()].groupby("model", observed=True)
    found = pd.DataFrame(
        {"runs": groups.size(), "hours": groups["seconds"].sum() / 3600, "kg": groups["emissions_kg"].sum()}
    )
    found["grams_per_run"] = 1000 * found["kg"] / found["runs"]
    return found.reset_index().sort_values("kg", ascending=False, kind="stable", ignore_index=True)
