"""One event per action, in one schema, as JSON lines. Telemetry never costs a result: a log that cannot be written warns."""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

logger = logging.getLogger(__name__)


class Details(BaseModel):
    """What came of the action. Predictions that succeeded are rows scored: an anomaly is not a failed prediction."""

    model_config = ConfigDict(extra="forbid")

    anomalies_count: int | None = Field(None, ge=0)
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
    error_type: str | None = None
    error_message: str | None = None
    details: Details = Field(default_factory=Details)

    def line(self) -> str:
        """The event as one line of JSON; the time ends in Z."""
        written = self.model_dump(mode="json", fallback=str)
        written["timestamp"] = self.timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
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

    def read(self) -> list[Event]:
        """Every event, oldest first; a line cut off by a crash is left out."""
        found = []
        for path in sorted(self.folder.glob("events-*.jsonl")):
            for line in path.read_bytes().splitlines():
                try:
                    found.append(Event.model_validate_json(line))
                except ValueError:
                    logger.warning("unreadable event in %s", path.name)
        return found


def _after_a_cut_line(log: IO[bytes]) -> bytes:
    """A line break where a crash left a line without its end, so that the next event is not glued to it."""
    if log.seek(0, os.SEEK_END) == 0:
        return b""
    log.seek(-1, os.SEEK_END)
    return b"" if log.read(1) == b"\n" else b"\n"


def schema() -> dict[str, Any]:
    """The published JSON Schema of an event (docs/event.schema.json)."""
    return Event.model_json_schema()
