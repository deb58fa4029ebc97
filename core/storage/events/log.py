"""The event log: one JSON line per user action.

If an event cannot be written, a warning is logged and the action continues.
"""

import errno
import json
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

logger = logging.getLogger(__name__)

LINE_PREFIX = b'{"timestamp": "'  # beginning of `Event.to_json_line`; the timestamp that follows sorts as text
TIMESTAMP_CHARS = len("2026-11-22T01:30:00.000000Z")
MONTH_CHARS = len("2026-11")
MAX_ENTITIES = 50


class EntityCount(BaseModel):
    """Number of anomalies of one entity."""

    model_config = ConfigDict(extra="forbid")

    entity: str
    count: int = Field(ge=0)


class Details(BaseModel):
    """Outcome of the action. Successful predictions are scored rows; an anomaly is not a failed prediction."""

    model_config = ConfigDict(extra="forbid")

    anomalies_count: int | None = Field(None, ge=0, description="Flagged rows, points or images.")
    anomalies_by_entity: list[EntityCount] | None = Field(
        None, description="The entities with most anomalies, at most 50."
    )
    clusters_count: int | None = Field(None, ge=0, description="Clusters of a clustering, without noise.")
    noise_points_count: int | None = Field(None, ge=0, description="Points of a clustering that belong to no cluster.")
    predicted_consumption: float | None = Field(
        None, description="Sum of a forecast over its entities and times; the mean of values that cannot be added."
    )
    successful_predictions: int | None = Field(None, ge=0)
    failed_predictions: int | None = Field(None, ge=0)
    inputs: Mapping[str, Any] = Field(default_factory=dict, description="What the user chose; file names, data digest.")


class Event(BaseModel):
    """One user action: completed, failed or interrupted."""

    model_config = ConfigDict(extra="forbid")

    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC), description="Start of the action, UTC.")
    event: str = Field(description="The action: data_load, data_repair, model_execution …")
    application_name: str = Field("Vigie", description="The page or command.")
    application_version: str | None = Field(None, description="Version of the product.")
    user: str | None = Field(None, description="User name; a keyed hash if VIGIE_USER_KEY is set.")
    model_name: str | None = None
    model_version: str | None = Field(
        None, description="The model used: NAME/NUMBER of a registered version, else the id of the run that trained it."
    )
    run_id: str | None = Field(None, description="Id of the run, if the action has created one.")
    status: Literal["completed", "failed", "interrupted"]
    log_level: Literal["INFO", "WARNING", "ERROR"]
    response_time: float = Field(ge=0, description="Duration of the action in seconds.")
    cpu_usage: float | None = Field(None, ge=0, description="CPU usage of the machine during the action, in percent.")
    memory_usage: float | None = Field(
        None, ge=0, le=100, description="Memory usage of the machine at the end of the action, in percent."
    )
    emissions_kg: float | None = Field(None, ge=0, description="Estimated emissions of the run in kg CO2.")
    error_type: str | None = None
    error_message: str | None = None
    details: Details = Field(default_factory=Details)

    def to_json_line(self) -> str:
        """Return the event as one line of JSON with a UTC timestamp that ends in Z."""
        fields = self.model_dump(mode="json", fallback=str)
        fields["timestamp"] = format_timestamp(self.timestamp)
        return json.dumps(fields, default=str) + "\n"  # ASCII, so that any file name can be written


class EventLog:
    """The event log in the monthly files `folder/events-YYYY-MM.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, event: Event) -> None:
        """Append an event; a failure is a warning in the log of the process."""
        try:
            self.add_line(event.to_json_line())
        except (OSError, ValueError) as error:
            logger.warning("event not written: %s", error)

    def add_line(self, line: str) -> None:
        """Append a line of `Event.to_json_line` with a single write, so that lines of two processes do not mix.

        Raises OSError where it cannot be written. The line survives a power cut.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._get_path(line).open("ab+", buffering=0) as log:
            text = _find_missing_newline(log) + line.encode()
            if log.write(text) < len(text):  # the next line begins on its own line, and this one is skipped
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), log.name)
            os.fsync(log.fileno())

    def has_line(self, line: str) -> bool:
        """Tell whether the log holds exactly this line of `Event.to_json_line`. Raises OSError if it is unreadable."""
        path = self._get_path(line)
        return path.is_file() and line.encode() in path.read_bytes()

    def read_events(self, since: datetime | None = None) -> list[Event]:
        """Return all events that began at `since` or later, oldest file first; invalid lines are skipped."""
        return list(self.iter_events(since))

    def iter_events(self, since: datetime | None = None) -> Iterator[Event]:
        """Yield the events of `read_events` one by one, so that months of events need little memory."""
        for path in self.list_files_since(since):
            yield from _iter_file_events(path, "" if since is None else format_timestamp(since))

    def list_files(self) -> list[Path]:
        """Return the files of the log, oldest first."""
        return sorted(self.folder.glob("events-*.jsonl"))

    def list_files_since(self, since: datetime | None) -> list[Path]:
        """Return the files that may contain events of `since` or later."""
        first = (
            "" if since is None else f"events-{since - timedelta(days=1):%Y-%m}"
        )  # the month of a file name is that of the writer's time zone
        return [path for path in self.list_files() if path.stem >= first]

    def _get_path(self, line: str) -> Path:
        """Return the file of the month in which the event of a line began, in UTC."""
        return self.folder / f"events-{line[len(LINE_PREFIX) :][:MONTH_CHARS]}.jsonl"


def _iter_file_events(path: Path, start: str) -> Iterator[Event]:
    """Yield the events of one file that began at `start` (in the format of `format_timestamp`) or later."""
    invalid_count = 0
    with path.open("rb") as file:
        for line in file:
            if starts_before(line, start.encode()):
                continue
            try:
                yield Event.model_validate_json(line)
            except ValueError:
                invalid_count += 1
    if invalid_count:
        logger.warning("unreadable event in %s: %d lines", path.name, invalid_count)


def starts_before(line: bytes, start: bytes) -> bool:
    """Tell whether the event of a line began before `start`, without parsing the JSON.

    `start` has the format of `format_timestamp`.
    """
    return line.startswith(LINE_PREFIX) and line[len(LINE_PREFIX) : len(LINE_PREFIX) + TIMESTAMP_CHARS] < start


def format_timestamp(time: datetime) -> str:
    """Return a time as text in the format of events: UTC, microseconds, Z at the end.

    Example:
        >>> format_timestamp(datetime.fromisoformat("2026-01-31T09:30:00+01:00"))
        '2026-01-31T08:30:00.000000Z'
    """
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _find_missing_newline(log: IO[bytes]) -> bytes:
    """Return a line break if the last line has none after a crash, so that the next event gets its own line."""
    if log.seek(0, os.SEEK_END) == 0:
        return b""
    log.seek(-1, os.SEEK_END)
    return b"" if log.read(1) == b"\n" else b"\n"


def build_event_schema() -> dict[str, Any]:
    """Return the JSON Schema of an event, published as docs/event.schema.json."""
    return Event.model_json_schema()
