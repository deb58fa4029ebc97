"""Records of the re-fittings of a watch: one JSON file each, so that a date is never fitted twice."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.messages import Message
from core.storage.durable_files import write_durably
from core.watches.watch import NAME_PATTERN

MAX_RECORDS = 200  # of a watch; older ones are deleted
RefitOutcome = Literal["promoted", "kept", "failed"]

logger = logging.getLogger(__name__)


class RefitRecord(BaseModel):
    """Outcome of one re-fitting.

    due       date of the schedule; the time of the request where a person asked for it
    outcome   "promoted": the new model judges from now on; "kept": the old one does; "failed": there is no new one
    rows      number of stored rows that were at hand
    run       id of the run of the new model; "" without one
    version   NAME/NUMBER of the new model; "" without one
    template, values  why, as a message
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    watch: str = Field(pattern=NAME_PATTERN)
    due: AwareDatetime
    started: AwareDatetime
    ended: AwareDatetime
    outcome: RefitOutcome
    rows: Annotated[int, Field(ge=0)] = 0
    run: str = ""
    version: str = ""
    template: str = ""
    values: dict[str, Any] = Field(default_factory=dict)

    @property
    def reason(self) -> Message:
        """Message that tells why it ended so."""
        return Message(self.template, self.values)


class RefitRecords:
    """Records in `folder`, in one subfolder per watch, whose names are their dates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_record(self, record: RefitRecord) -> None:
        """Store a record, in place of an earlier one of this date. Raises OSError."""
        write_durably(self._get_path(record.watch, record.due), record.model_dump_json().encode())
        for path in self._list_paths(record.watch)[MAX_RECORDS:]:
            path.unlink(missing_ok=True)

    def has_record(self, watch: str, due: datetime) -> bool:
        """Tell whether a date is done."""
        return self._get_path(watch, due).is_file()

    def list_records(self, watch: str, since: datetime | None = None) -> list[RefitRecord]:
        """Return the records of the dates of a watch from `since` on, the latest first; damaged files are left out."""
        records = [record for path in self._list_paths(watch) if (record := _read_record(path)) is not None]
        return [record for record in records if since is None or record.due >= since]

    def _list_paths(self, watch: str) -> list[Path]:
        return sorted((self.folder / watch).glob("*.json"), reverse=True)

    def _get_path(self, watch: str, due: datetime) -> Path:
        return self.folder / watch / f"{due.astimezone(UTC):%Y%m%dT%H%M%S}.json"


def _read_record(path: Path) -> RefitRecord | None:
    try:
        return RefitRecord.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        logger.warning("%s is no record of a re-fitting", path)
        return None
