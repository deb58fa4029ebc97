"""Usage and performance of the product: tables of events from Elasticsearch or from the local log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import ServiceUnavailableError, WeakPasswordError
from core.messages import N_, Message
from core.storage.events.arrow import TEXT_FIELDS, events_to_table, log_to_table
from core.workspace import Workspace

PERIODS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "all": None,
}
STATUSES = ("completed", "failed", "interrupted")
ACTION_LABELS = {
    "account_change": N_("Change of an account"),
    "announcement_discard": N_("Discarded announcement"),
    "announcement_retry": N_("New attempt of an announcement"),
    "data_convert": N_("Conversion of data"),
    "data_doctor": N_("Check of data"),
    "data_load": N_("Loading of data"),
    "data_repair": N_("Repair of data"),
    "drift_check": N_("Comparison with the training data"),
    "feedback": N_("Feedback"),
    "first_administrator": N_("Creation of the first administrator"),
    "incident_accept": N_("New normal level"),
    "incident_acknowledge": N_("Acknowledged incident"),
    "incident_assign": N_("Assignment of an incident"),
    "incident_mute": N_("Muted incident"),
    "incident_reopen": N_("Reopened incident"),
    "incident_resolve": N_("Resolved incident"),
    "maintenance_add": N_("New maintenance window"),
    "maintenance_remove": N_("Removal of a maintenance window"),
    "model_execution": N_("Run"),
    "model_promotion": N_("Promotion of a model"),
    "model_registration": N_("Registration of a model"),
    "note_add": N_("New note"),
    "note_edit": N_("Change of a note"),
    "note_remove": N_("Removal of a note"),
    "recipient_remove": N_("Removal of a recipient"),
    "recipient_save": N_("Recipient"),
    "recipient_try": N_("Trial of a recipient"),
    "run_rename": N_("New name of a run"),
    "sign_in": N_("Sign-in"),
    "sign_out": N_("Sign-out"),
    "watch_add": N_("New watch"),
    "watch_change": N_("Change of a watch"),
    "watch_pause": N_("Pause of a watch"),
    "watch_refit": N_("New training of a watch"),
    "watch_remove": N_("Removal of a watch"),
    "watch_resume": N_("Continuation of a watch"),
    "watch_run": N_("Watch asked at once"),
    "watch_tick": N_("Tick of a watch"),
    "what_if": N_("Scenario"),
}
"""Name of an action in the event log → its label for the reader."""
BIN_SIZES = ("1min", "5min", "15min", "1h", "3h", "6h", "12h", "1D", "7D", "30D", "90D")
MAX_BINS = 60
COLUMN_NAMES = {
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
class EventTables:
    """Events as tables.

    table     one row per event: time (UTC), event, application, user, model, version, run, status, seconds, cpu and
              memory (percent), emissions_kg, error_type, error
    entities  one row per event and entity with anomalies: event (its row in `table`), entity, count
    source    "elasticsearch" or "files"
    fallback_reason  reason of the files where Elasticsearch is configured; None otherwise
    is_truncated  True where older events were left out
    skipped_count  number of documents in Elasticsearch that are not valid events
    """

    table: pd.DataFrame
    entities: pd.DataFrame
    source: str = "files"
    fallback_reason: Message | None = None
    is_truncated: bool = False
    skipped_count: int = 0


@dataclass(frozen=True)
class UsageSummary:
    """Summary of the usage.

    failed_share    share 0–1 of the actions
    p50, p95        response times in seconds
    weak_passwords  number of new passwords that were refused as too easy to guess
    """

    actions: int
    failed_share: float
    p50: float
    p95: float
    users: int
    weak_passwords: int


def load_events(workspace: Workspace, period: str) -> EventTables:
    """Return the events of the last `period` (a key of PERIODS).

    They come from Elasticsearch where it is configured and answers, else from the local log.
    """
    length = PERIODS[period]
    since = None if length is None else datetime.now(UTC) - length
    if workspace.event_stream is None:
        return _load_from_log(workspace, since)
    try:
        event_page = workspace.event_stream.read_events(since)
    except ServiceUnavailableError as error:
        return replace(_load_from_log(workspace, since), fallback_reason=error.message)
    return replace(
        build_tables(events_to_table(event_page.events)),
        source="elasticsearch",
        is_truncated=event_page.truncated,
        skipped_count=event_page.skipped,
    )


def _load_from_log(workspace: Workspace, since: datetime | None) -> EventTables:
    columns, is_truncated = log_to_table(workspace.events, since)
    return replace(build_tables(columns), is_truncated=is_truncated)


def build_tables(columns: pa.Table) -> EventTables:
    """Convert the Arrow table of `core.storage.events.arrow` to `EventTables`, without incomplete events."""
    for name in TEXT_FIELDS:
        position = columns.schema.get_field_index(name)
        columns = columns.set_column(position, name, columns[name].combine_chunks().dictionary_encode())
    table = columns.drop(["details"]).to_pandas().rename(columns=COLUMN_NAMES)
    table["time"] = pd.to_datetime(table["time"], format="ISO8601", utc=True, errors="coerce")
    is_complete = table["time"].notna() & table["seconds"].notna() & table["status"].isin(STATUSES)
    order = table[is_complete].sort_values("time", kind="stable").index.to_numpy()
    anomaly_lists = pc.struct_field(columns["details"], "anomalies_by_entity").combine_chunks().take(pa.array(order))
    counts = anomaly_lists.flatten()
    entities = pd.DataFrame(
        {
            "event": pc.list_parent_indices(anomaly_lists).to_numpy(zero_copy_only=False),
            "entity": counts.field("entity").to_pandas(),
            "count": counts.field("count").to_pandas(),
        }
    )
    return EventTables(table.loc[order].reset_index(drop=True), entities)


def filter_events(events: EventTables, **choices: Sequence[str]) -> EventTables:
    """Return the events with one of the chosen values per column (application, model, status); all for no value."""
    is_kept = np.ones(len(events.table), dtype=bool)
    for column, values in choices.items():
        if values:
            is_kept &= events.table[column].isin(list(values)).to_numpy()
    return replace(
        events, table=events.table[is_kept], entities=events.entities[is_kept[events.entities["event"].to_numpy()]]
    )


def summarise_usage(table: pd.DataFrame) -> UsageSummary:
    """Summarise a table of events, which must not be empty."""
    p50, p95 = np.quantile(table["seconds"], [0.5, 0.95])
    return UsageSummary(
        len(table),
        float((table["status"] == "failed").mean()),
        float(p50),
        float(p95),
        table["user"].nunique(),
        int((table["error_type"] == WeakPasswordError.__name__).sum()),
    )


def summarise_per_model(table: pd.DataFrame) -> pd.DataFrame:
    """Return statistics of the runs by application and model, most runs first.

    Columns: runs, completed, failed and interrupted (counts), p50 and p95 (seconds), cpu and memory (medians in
    percent), versions (count). Actions without a model are left out.
    """
    runs = table[table["model"].notna()]
    groups = runs.groupby(["application", "model"], observed=True)
    summary = pd.DataFrame(
        {
            "runs": groups.size(),
            **_count_by_status(runs, ["application", "model"]),
            "p50": groups["seconds"].quantile(0.5),
            "p95": groups["seconds"].quantile(0.95),
            "cpu": groups["cpu"].median(),
            "memory": groups["memory"].median(),
            "versions": groups["version"].nunique(),
        }
    )
    return summary.reset_index().sort_values("runs", ascending=False, kind="stable", ignore_index=True)


def _count_by_status(runs: pd.DataFrame, group_columns: list[str]) -> dict[str, pd.Series]:
    counts = runs.groupby([*group_columns, "status"], observed=True).size().unstack("status", fill_value=0)
    return {status: counts.get(status, 0) for status in STATUSES}


def summarise_over_time(table: pd.DataFrame) -> pd.DataFrame:
    """Return statistics per time bin, at most `MAX_BINS` bins.

    Columns: actions and failed (counts), p50 and p95 (seconds), cpu and memory (means in percent). The index `time` is
    the start of the bin, in the zone of the given times. Empty bins are left out.
    """
    rows = table.assign(time=table["time"].dt.floor(choose_bin_size(table["time"])), failed=table["status"] == "failed")
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


def choose_bin_size(times: pd.Series) -> str:
    """Return the shortest of `BIN_SIZES` that divides the span of `times` into at most `MAX_BINS` bins."""
    span = times.max() - times.min() if len(times) else pd.Timedelta(0)
    return next((bin_size for bin_size in BIN_SIZES if span / pd.Timedelta(bin_size) < MAX_BINS), BIN_SIZES[-1])


def count_anomalies_per_entity(events: EventTables) -> pd.DataFrame:
    """Return the number of runs with anomalies and of anomalies, by entity and model; most anomalies first.

    A row that two runs flag counts twice. Each event names at most 50 entities.
    """
    entity_rows = events.entities.join(events.table[["model"]], on="event")
    groups = entity_rows.groupby(["entity", "model"], observed=True)["count"]
    table = groups.agg(runs="size", anomalies="sum").reset_index()
    return table.sort_values("anomalies", ascending=False, kind="stable", ignore_index=True)


def list_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Return the failed events, newest first: time, application, event, model, error_type, error, run."""
    failed = table[table["status"] == "failed"]
    return (
        failed[["time", "application", "event", "model", "error_type", "error", "run"]]
        .iloc[::-1]
        .reset_index(drop=True)
    )


def sum_emissions(table: pd.DataFrame) -> pd.DataFrame:
    """Return the emissions by model, highest first: runs (count), hours, kg (CO₂), grams_per_run (CO₂)."""
    groups = table[table["emissions_kg"].notna()].groupby("model", observed=True)
    summary = pd.DataFrame(
        {"runs": groups.size(), "hours": groups["seconds"].sum() / 3600, "kg": groups["emissions_kg"].sum()}
    )
    summary["grams_per_run"] = 1000 * summary["kg"] / summary["runs"]
    return summary.reset_index().sort_values("kg", ascending=False, kind="stable", ignore_index=True)
