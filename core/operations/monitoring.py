"""How the product is used and how it goes: tables made from events of Elasticsearch or the files."""

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
    source    "elasticsearch" or "files"; `why` says why not from Elasticsearch where it should be
    capped    there were more events: these are the newest
    skipped   documents of Elasticsearch that are no events
    """

    table: pd.DataFrame
    entities: pd.DataFrame
    source: str = "files"
    why: Text | None = None
    capped: bool = False
    skipped: int = 0


@dataclass(frozen=True)
class Figures:
    """What is told first: `failed` is a share of all actions, p50 and p95 are seconds."""

    actions: int
    failed: float
    p50: float
    p95: float
    users: int


def observed(workspace: Workspace, period: str) -> Observed:
    """Return the events of the last `period` (a key of PERIODS).

    They come from Elasticsearch where it is named and answers, else from the files.
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
    """Events as `core.storage.events.arrow` has them; what is no event after all is left out."""
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
    """Only events whose column (application, model, status) has one of the chosen values; nothing chosen means all."""
    keep = np.ones(len(found.table), dtype=bool)
    for column, values in chosen.items():
        if values:
            keep &= found.table[column].isin(list(values)).to_numpy()
    return replace(found, table=found.table[keep], entities=found.entities[keep[found.entities["event"].to_numpy()]])


def figures(table: pd.DataFrame) -> Figures:
    """Of a table that is not empty."""
    p50, p95 = np.quantile(table["seconds"], [0.5, 0.95])
    return Figures(
        len(table), float((table["status"] == "failed").mean()), float(p50), float(p95), table["user"].nunique()
    )


def per_model(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of each application and model, most runs first.

    Columns are runs, completed, failed, interrupted, p50 and p95 of seconds, medians of cpu and memory, and number of
    versions. Actions without a model are left out.
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
    """Per step of time (at most MOST_STEPS of them): actions, failed, p50 and p95 of seconds, means of cpu and memory.

    Steps without an action are left out. The index `time` is the beginning of the step, UTC.
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
    """The shortest of STEPS that divides the span of `times` into at most MOST_STEPS."""
    span = times.max() - times.min() if len(times) else pd.Timedelta(0)
    return next((each for each in STEPS if span / pd.Timedelta(each) < MOST_STEPS), STEPS[-1])


def anomalies_per_entity(found: Observed) -> pd.DataFrame:
    """Per entity and model: runs that found anomalies in it, and how many they found together; most first.

    A row that two runs flag counts twice. Each event names at most 50 entities.
    """
    joined = found.entities.join(found.table[["model"]], on="event")
    groups = joined.groupby(["entity", "model"], observed=True)["count"]
    table = groups.agg(runs="size", anomalies="sum").reset_index()
    return table.sort_values("anomalies", ascending=False, kind="stable", ignore_index=True)


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """What failed, the newest first: time, application, event, model, error_type, error, run."""
    failed = table[table["status"] == "failed"]
    return (
        failed[["time", "application", "event", "model", "error_type", "error", "run"]]
        .iloc[::-1]
        .reset_index(drop=True)
    )


def emissions(table: pd.DataFrame) -> pd.DataFrame:
    """Per model: runs whose emissions are known, hours they took, kg CO₂ together, grams per run; most first."""
    groups = table[table["emissions_kg"].notna()].groupby("model", observed=True)
    found = pd.DataFrame(
        {"runs": groups.size(), "hours": groups["seconds"].sum() / 3600, "kg": groups["emissions_kg"].sum()}
    )
    found["grams_per_run"] = 1000 * found["kg"] / found["runs"]
    return found.reset_index().sort_values("kg", ascending=False, kind="stable", ignore_index=True)
