"""Events as Arrow tables, which hold months of events without one Python object per event."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.json

from core.storage.events.log import Event, Events, began_before, stamp

BLOCK = 8 << 20  # bytes
WORDS = (
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
NUMBERS = ("response_time", "cpu_usage", "memory_usage", "emissions_kg")
COUNTS = pa.list_(pa.struct([("entity", pa.string()), ("count", pa.int64())]))
SCHEMA = pa.schema(
    [
        ("timestamp", pa.string()),
        *((name, pa.string()) for name in WORDS),
        *((name, pa.float64()) for name in NUMBERS),
        ("details", pa.struct([("anomalies_by_entity", COUNTS)])),
    ]
)


def of_events(events: Iterable[Event]) -> pa.Table:
    """Return a table with one row per event and the columns of SCHEMA, in the given order.

    Timestamps have the text format of `stamp`.
    """
    return pa.Table.from_pylist([_row(event) for event in events], SCHEMA)


def of_log(log: Events, since: datetime | None = None, most: int = 500_000) -> tuple[pa.Table, bool]:
    """Return the newest `most` events of the log that began at `since` or later, and whether there are more.

    The first value is a table with the columns of SCHEMA, oldest event first.
    """
    parts: deque[pa.Table] = deque()
    kept = seen = 0
    for block in _blocks(log, since):
        parts.append(_columns(block))
        kept, seen = kept + len(parts[-1]), seen + len(parts[-1])
        while kept - len(parts[0]) >= most:
            kept -= len(parts.popleft())
    found = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    return found.slice(max(kept - most, 0)), seen > most


def _row(event: Event) -> dict[str, object]:
    found = event.details.anomalies_by_entity
    counts = None if found is None else [{"entity": each.entity, "count": each.count} for each in found]
    row: dict[str, object] = {name: getattr(event, name) for name in (*WORDS, *NUMBERS)}
    return row | {"timestamp": stamp(event.timestamp), "details": {"anomalies_by_entity": counts}}


def _blocks(log: Events, since: datetime | None) -> Iterator[list[bytes]]:
    """Yield complete lines in blocks of about `BLOCK` bytes."""
    for path in log.files_since(since):
        with path.open("rb") as file:
            while lines := file.readlines(BLOCK):
                yield (
                    lines
                    if since is None
                    else [line for line in lines if not began_before(line, stamp(since).encode())]
                )


def _columns(lines: list[bytes]) -> pa.Table:
    """Return the events of JSON lines as a table.

    If a line is not a valid event, the lines are parsed one by one and invalid ones are skipped.
    """
    if not lines:
        return SCHEMA.empty_table()
    whole = b"".join(lines)
    options = pyarrow.json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
    try:
        reading = pyarrow.json.ReadOptions(use_threads=False, block_size=len(whole) + 1)
        return pyarrow.json.read_json(pa.BufferReader(whole), reading, options).select(SCHEMA.names)
    except pa.ArrowInvalid:
        return of_events(_one_by_one(lines))


def _one_by_one(lines: list[bytes]) -> Iterator[Event]:
    for line in lines:
        try:
            yield Event.model_validate_json(line)
        except ValueError:
            continue
