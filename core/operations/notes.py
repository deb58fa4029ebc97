"""Notes on moments of a dataset: add, edit, remove; only the author changes a note."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import AccessDeniedError, InputError
from core.messages import N_
from core.runs.tracked_run import record_event
from core.storage.notes import FIRST_YEAR, LAST_YEAR, MAX_NAME_CHARS, MAX_NOTE_CHARS, Note
from core.workspace import Workspace

MAX_NOTES = 1000  # of a dataset
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class NoteInput:
    """A note as entered.

    end     last moment; None for a single moment
    entity  "" for all entities
    """

    text: str
    start: datetime
    end: datetime | None = None
    entity: str = ""

    @property
    def plain_text(self) -> str:
        """The text without characters that are invisible or turn the direction of writing."""
        return CONTROL_CHARACTERS.sub(" ", self.text.replace("\r\n", "\n")).strip()

    @property
    def last(self) -> datetime:
        """The last moment."""
        return self.start if self.end is None else self.end

    def check(self, dataset: Dataset) -> None:
        """Raise InputError for a text, a span or an entity that is not accepted."""
        if not dataset.has_dates:
            raise InputError(N_("These data have no dates. A note needs a date."))
        if not self.plain_text:
            raise InputError(N_("The note is empty."))
        if len(self.plain_text) > MAX_NOTE_CHARS:
            raise InputError(
                N_("The note has {count} characters. The maximum is {accepted}."),
                count=len(self.plain_text),
                accepted=MAX_NOTE_CHARS,
            )
        if self.last < self.start:
            raise InputError(N_("The note ends before it starts."))
        if self.start.year < FIRST_YEAR or self.last.year > LAST_YEAR:
            raise InputError(N_("A note lies between {first} and {last}."), first=str(FIRST_YEAR), last=str(LAST_YEAR))
        if self.entity and self.entity not in dataset.entities:
            raise InputError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name="entity",
                value=self.entity,
                accepted=", ".join(dataset.entities[:20]),
            )


def get_notes_digest(dataset: Dataset) -> str:
    """Return the digest under which the notes of a dataset are kept: that of the data before any repair."""
    return dataset.source or dataset.digest


def read_notes(dataset: Dataset, workspace: Workspace) -> list[Note]:
    """Return the notes of a dataset, by their start."""
    return workspace.notes.read_notes(get_notes_digest(dataset))


def add_note(note_input: NoteInput, dataset: Dataset, *, workspace: Workspace, actor: Actor) -> Note:
    """Store a note, and record one event, which omits the text.

    Raises InputError for a note that is not accepted, OSError where the disk cannot store it.
    """
    note_input.check(dataset)
    digest = get_notes_digest(dataset)
    if len(workspace.notes.read_notes(digest)) >= MAX_NOTES:
        raise InputError(N_("These data have {count} notes already. Delete some first."), count=MAX_NOTES)
    with record_event("note_add", actor, workspace, dataset=digest) as inputs:
        note = Note(
            dataset=digest,
            start=_to_plain_time(note_input.start),
            end=_to_plain_time(note_input.last),
            entity=note_input.entity,
            author=actor.user[:MAX_NAME_CHARS],
            text=note_input.plain_text,
        )
        workspace.notes.save(note)
        inputs["note"] = note.id
    return note


def edit_note(note_id: str, note_input: NoteInput, dataset: Dataset, *, workspace: Workspace, actor: Actor) -> Note:
    """Replace moment, entity and text of an own note, and record one event.

    Raises as `add_note`; NotFoundError for a note that was deleted, and AccessDeniedError for one of somebody else.
    """
    note_input.check(dataset)
    with record_event("note_edit", actor, workspace, dataset=get_notes_digest(dataset), note=note_id):
        note = workspace.notes.load(get_notes_digest(dataset), note_id)
        _require_author(note, actor)
        changes = {
            "start": _to_plain_time(note_input.start),
            "end": _to_plain_time(note_input.last),
            "entity": note_input.entity,
            "text": note_input.plain_text,
            "edited": datetime.now(UTC),
        }
        edited = note.model_copy(update=changes)
        workspace.notes.save(edited)
    return edited


def remove_note(note_id: str, digest: str, *, workspace: Workspace, actor: Actor, is_own: bool = True) -> Note:
    """Delete a note of the data `digest`, and record one event; return the note.

    Raises NotFoundError without the note, and AccessDeniedError for one of somebody else unless `is_own` is False.
    """
    with record_event("note_remove", actor, workspace, dataset=digest, note=note_id):
        note = workspace.notes.load(digest, note_id)
        if is_own:
            _require_author(note, actor)
        workspace.notes.delete(note)
    return note


def is_author(note: Note, actor: Actor) -> bool:
    """Tell whether the actor has written the note."""
    return note.author == actor.user[:MAX_NAME_CHARS]


def _require_author(note: Note, actor: Actor) -> None:
    if not is_author(note, actor):
        raise AccessDeniedError(N_("Only {author} can change this note."), author=note.author)


def _to_plain_time(time: datetime) -> datetime:
    return pd.Timestamp(time).floor("s").to_pydatetime()
