"""One event per action, in one schema, as JSON lines.

Telemetry never costs a result: a log that cannot be written warns.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

logger = logging.getLogger(__name__)

BEGINNING = b'{"timestamp": "'  # how `Event.line` begins; the time that follows sorts as text
LENGTH = len("2026-11-22T01:30:00.000000Z")
MOST_ENTITIES = 50


class EntityCount(BaseModel):
    """How many anomalies one entity had."""

    model_config = ConfigDict(extra="forbid")

    entity: str
    count: int = Field(ge=0)


class Details(BaseModel):
    """What came of the action. Predictions that succeeded are rows scored: an anomaly is not a failed prediction."""

    model_config = ConfigDict(extra="forbid")

    anomalies_count: int | None = Field(None, ge=0)
    anomalies_by_entity: list[EntityCount] | None = Field(
        None, description="The entities with most anomalies, at most 50."
    )
    noise_points_count: int | None = Field(None, ge=0)
    successful_predictions: int | None = Field(None, ge=0)
    failed_predictions: int | None = Field(None, ge=0)
    inputs: Mapping[str, Any] = Field(default_factory=dict, description="Settings, file names, data digest.")


class Event(BaseModel):
    """One user action, however it ended."""

    model_config = ConfigDict(extra="forbid")

    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC), description="When it began, UTC.")
    event: str = Field(description="The action: data_load, data_repair, model_execution …")
    application_name: str = Field("Vigie", description="The page or command.")
    user: str | None = Field(None, description="Who acted; a keyed hash where VIGIE_USER_KEY is set.")
    model_name: str | None = None
    model_version: str | None = None
    run_id: str | None = Field(None, description="The run on record, if the action made one.")
    status: Literal["completed", "failed", "interrupted"]
    log_level: Literal["INFO", "WARNING", "ERROR"]
    response_time: float = Field(ge=0, description="Seconds.")
    cpu_usage: float | None = Field(None, ge=0, description="Percent of the machine while it ran.")
    memory_usage: float | None = Field(None, ge=0, le=100, description="Percent of the machine at its end.")
    emissions_kg: float | None = Field(None, ge=0, description="Estimated kg CO2 of a run.")
    error_type: str | None = None
    error_message: str | None = None
    details: Details = Field(default_factory=Details)

    def line(self) -> str:
        """The event as one line of JSON; the time ends in Z."""
        written = self.model_dump(mode="json", fallback=str)
        written["timestamp"] = stamp(self.timestamp)
        return json.dumps(written, default=str) + "\n"  # ASCII: whatever a file name holds, the line can be written


class Events:
    """The log: `folder/events-YYYY-MM.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, event: Event) -> None:
        """Append the event; one write, so that lines of two processes never mix."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / f"events-{event.timestamp:%Y-%m}.jsonl").open("ab+", buffering=0) as log:
                log.write(_after_a_cut_line(log) + event.line().encode())
        except (OSError, ValueError) as error:
            logger.warning("event not written: %s", error)

    def read(self, since: datetime | None = None) -> list[Event]:
        """Every event that began at `since` or later, oldest file first; a line cut off by a crash is left out."""
        return list(self.each(since))

    def each(self, since: datetime | None = None) -> Iterator[Event]:
        """As `read`, one at a time, so that months of events need little memory."""
        for path in self.files_since(since):
            yield from _events(path, "" if since is None else stamp(since))

    def files(self) -> list[Path]:
        """The files of the log, oldest first."""
        return sorted(self.folder.glob("events-*.jsonl"))

    def files_since(self, since: datetime | None) -> list[Path]:
        """The files that may hold events of `since` or later."""
        first = (
            "" if since is None else f"events-{since - timedelta(days=1):%Y-%m}"
        )  # the writer's zone named the month
        return [path for path in self.files() if path.stem >= first]


def _events(path: Path, first: str) -> Iterator[Event]:
    """The events of one file that began at `first` (as `stamp` writes it) or later."""
    unreadable = 0
    with path.open("rb") as file:
        for line in file:
            if began_before(line, first.encode()):
                continue
            try:
                yield Event.model_validate_json(line)
            except ValueError:
                unreadable += 1
    if unreadable:
        logger.warning("unreadable event in %s: %d lines", path.name, unreadable)


def began_before(line: bytes, first: bytes) -> bool:
    """Does the line say that its event began before `first` (as `stamp` writes it)? Read from its beginning alone."""
    return line.startswith(BEGINNING) and line[len(BEGINNING) : len(BEGINNING) + LENGTH] < first


def stamp(moment: datetime) -> str:
    """`moment` as events write it: UTC, microseconds, Z at the end."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _after_a_cut_line(log: IO[bytes]) -> bytes:
    """A line break where a crash left a line without its end, so that the next event is not glued to it."""
    if log.seek(0, os.SEEK_END) == 0:
        return b""
    log.seek(-1, os.SEEK_END)
    return b"" if log.read(1) == b"\n" else b"\n"


def schema() -> dict[str, Any]:
    """The published JSON Schema of an event (docs/event.schema.json)."""
    return Event.model_json_schema()
