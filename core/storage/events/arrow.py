"""Events as Arrow tables, which hold months of events without one Python object per event."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.json

from core.storage.events.log import Event, EventLog, format_timestamp, starts_before

BLOCK_BYTES = 8 << 20  # bytes
TEXT_FIELDS = (
    "event",
    "application_name",
    "user",
    "model_name",
    "model_version",
    "run_id",
    "status",
    "error_type",
    "error_message",
)
NUMBER_FIELDS = ("response_time", "cpu_usage", "memory_usage", "emissions_kg")
COUNTS_TYPE = pa.list_(pa.struct([("entity", pa.string()), ("count", pa.int64())]))
SCHEMA = pa.schema(
    [
        ("timestamp", pa.string()),
        *((name, pa.string()) for name in TEXT_FIELDS),
        *((name, pa.float64()) for name in NUMBER_FIELDS),
        ("details", pa.struct([("anomalies_by_entity", COUNTS_TYPE)])),
    ]
)


def events_to_table(events: Iterable[Event]) -> pa.Table:
    """Return a table with one row per event and the columns of SCHEMA, in the given order.

    Timestamps have the text format of `format_timestamp`.
    """
    return pa.Table.from_pylist([_event_to_row(event) for event in events], SCHEMA)


def log_to_table(log: EventLog, since: datetime | None = None, max_events: int = 500_000) -> tuple[pa.Table, bool]:
    """Return the newest `max_events` events of the log that began at `since` or later, and whether there are more.

    The first value is a table with the columns of SCHEMA, oldest event first.
    """
    parts: deque[pa.Table] = deque()
    row_count = total_count = 0
    for block in _iter_blocks(log, since):
        parts.append(_parse_lines(block))
        row_count, total_count = row_count + len(parts[-1]), total_count + len(parts[-1])
        while row_count - len(parts[0]) >= max_events:
            row_count -= len(parts.popleft())
    table = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    return table.slice(max(row_count - max_events, 0)), total_count > max_events


def _event_to_row(event: Event) -> dict[str, object]:
    entity_counts = event.details.anomalies_by_entity
    counts = None if entity_counts is None else [{"entity": item.entity, "count": item.count} for item in entity_counts]
    row: dict[str, object] = {name: getattr(event, name) for name in (*TEXT_FIELDS, *NUMBER_FIELDS)}
    return row | {"timestamp": format_timestamp(event.timestamp), "details": {"anomalies_by_entity": counts}}


def _iter_blocks(log: EventLog, since: datetime | None) -> Iterator[list[bytes]]:
    """Yield complete lines in blocks of about `BLOCK_BYTES` bytes."""
    for path in log.list_files_since(since):
        with path.open("rb") as file:
            while lines := file.readlines(BLOCK_BYTES):
                yield (
                    lines
                    if since is None
                    else [line for line in lines if not starts_before(line, format_timestamp(since).encode())]
                )


def _parse_lines(lines: list[bytes]) -> pa.Table:
    """Return the events of JSON lines as a table.

    If a line is not a valid event, the lines are parsed one by one and invalid ones are skipped.
    """
    if not lines:
        return SCHEMA.empty_table()
    content = b"".join(lines)
    parse_options = pyarrow.json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
    try:
        read_options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1)
        return pyarrow.json.read_json(pa.BufferReader(content), read_options, parse_options).select(SCHEMA.names)
    except pa.ArrowInvalid:
        return events_to_table(_iter_valid_events(lines))


def _iter_valid_events(lines: list[bytes]) -> Iterator[Event]:
    for line in lines:
        try:
            yield Event.model_validate_json(line)
        except ValueError:
            continue
