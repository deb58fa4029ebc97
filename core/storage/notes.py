"""Notes of users on moments of a dataset: one JSON file each, kept beside the datasets."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, model_validator

from core.errors import NotFoundError
from core.messages import N_
from core.storage.durable_files import read_checked, sync_folder, write_checked

logger = logging.getLogger(__name__)

MAX_NOTE_CHARS, MAX_NAME_CHARS = 500, 1000
FIRST_YEAR, LAST_YEAR = 1700, 2200  # of a moment; a timestamp of pandas has a few more
DIGEST_PATTERN = r"[0-9a-f]{64}"
ID_PATTERN = r"[0-9a-f]{32}"


class Note(BaseModel):
    """Remark of a user on a moment of a dataset.

    dataset        digest of the dataset as it was read; repairs do not change it
    start, end     first and last moment, on the clock of the data; equal for a single moment
    entity         "" for all entities
    author         name of the user
    written        time of writing; `edited` is that of the last change, None without one
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: uuid4().hex, pattern=f"^{ID_PATTERN}$")
    dataset: str = Field(pattern=f"^{DIGEST_PATTERN}$")
    start: NaiveDatetime
    end: NaiveDatetime
    entity: Annotated[str, Field(max_length=MAX_NAME_CHARS)] = ""
    author: Annotated[str, Field(max_length=MAX_NAME_CHARS)]
    written: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    edited: AwareDatetime | None = None
    text: Annotated[str, Field(min_length=1, max_length=MAX_NOTE_CHARS)]

    @model_validator(mode="after")
    def check_span(self) -> "Note":
        """Raise ValueError for an end before the start, and for years that no data have."""
        if not (self.start.year >= FIRST_YEAR and self.start <= self.end and self.end.year <= LAST_YEAR):
            raise ValueError(f"{self.start} to {self.end} is no span of time")
        return self


class NoteStore:
    """Notes in the files `folder/<digest of the dataset>/<id>.json`.

    A note is one file, so that two people who write at the same time do not meet. A damaged file loses no other note.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, note: Note) -> None:
        """Write a new note, or the new version of a note. Raises OSError if it cannot be written; nothing changes then.

        A killed process leaves the version before it.
        """
        write_checked(self._get_path(note.dataset, note.id), note.model_dump_json())

    def read_notes(self, dataset: str) -> list[Note]:
        """Return the notes of a dataset by their start; a damaged file stays, with a warning in the log."""
        notes = (_read_note(path) for path in (self.folder / dataset).glob("*.json") if dataset.isalnum())
        return sorted((note for note in notes if note is not None), key=lambda note: (note.start, note.written))

    def list_damaged(self) -> list[str]:
        """Return the paths of the files that are no notes."""
        return [str(path) for path in self.folder.glob("*/*.json") if _read_note(path) is None and path.exists()]

    def load(self, dataset: str, note_id: str) -> Note:
        """Return one note. Raises NotFoundError without it."""
        note = next((note for note in self.read_notes(dataset) if note.id == note_id), None)
        if note is None:
            raise NotFoundError(N_("The note {id} does not exist, or was deleted."), id=note_id[:12])
        return note

    def delete(self, note: Note) -> None:
        """Delete a note; nothing happens if it is deleted already."""
        path = self._get_path(note.dataset, note.id)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)

    def _get_path(self, dataset: str, note_id: str) -> Path:
        return self.folder / dataset / f"{note_id}.json"


def _read_note(path: Path) -> Note | None:
    """Return the note in a file that is named after it and its dataset; None for any other file."""
    try:
        note = Note.model_validate_json(read_checked(path))
    except FileNotFoundError:  # somebody has just deleted it
        return None
    except (OSError, ValueError):
        note = None
    if note is None or (note.dataset, note.id) != (path.parent.name, path.stem):
        logger.warning("%s is not a note", path)
        return None
    return note
