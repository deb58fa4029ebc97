"""Notes as users add, edit and remove them, and known events with notes."""

import json
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.errors import AccessDeniedError, InputError, NotFoundError
from core.operations import notes as note_operations
from core.operations.known_events import EventSource, list_known_events
from core.operations.notes import NoteInput, add_note, edit_note, get_notes_digest, read_notes, remove_note
from core.storage.notes import MAX_NOTE_CHARS
from core.workspace import Workspace

ALICE, BOB = Actor("alice", "tests"), Actor("bob", "tests")
MOMENT = datetime(2024, 5, 1)


def make_dataset(step: str = "D", rows: int = 60, zone: str = "Europe/Paris") -> Dataset:
    times = pd.date_range("2024-04-01", periods=rows, freq=step)
    index = make_index(["Bretagne"] * rows + ["Ohio"] * rows, times.append(times))
    frame = pd.DataFrame({"load": range(2 * rows)}, index=index, dtype=float)
    return Dataset(frame, "demo", step=pd.Timedelta(1, step), zone=zone)


def test_note_of_author_is_edited_and_removed_by_author_only(workspace: Workspace) -> None:
    dataset = make_dataset()
    note = add_note(NoteInput(" site closed ", MOMENT), dataset, workspace=workspace, actor=ALICE)
    assert (note.text, note.author, note.start, note.end) == ("site closed", "alice", MOMENT, MOMENT)
    longer = NoteInput("site closed for two days", MOMENT, datetime(2024, 5, 2), "Ohio")
    with pytest.raises(AccessDeniedError, match="Only alice"):
        edit_note(note.id, longer, dataset, workspace=workspace, actor=BOB)
    with pytest.raises(AccessDeniedError, match="Only alice"):
        remove_note(note.id, note.dataset, workspace=workspace, actor=BOB)
    assert read_notes(dataset, workspace) == [note]
    edited = edit_note(note.id, longer, dataset, workspace=workspace, actor=ALICE)
    assert (edited.id, edited.entity, edited.written) == (note.id, "Ohio", note.written)
    assert edited.edited is not None
    assert read_notes(dataset, workspace) == [edited]
    remove_note(note.id, note.dataset, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError):
        edit_note(note.id, longer, dataset, workspace=workspace, actor=ALICE)
    assert read_notes(dataset, workspace) == []


def test_events_of_notes_omit_text(workspace: Workspace) -> None:
    dataset = make_dataset()
    note = add_note(NoteInput("a secret", MOMENT), dataset, workspace=workspace, actor=ALICE)
    with pytest.raises(AccessDeniedError):
        remove_note(note.id, note.dataset, workspace=workspace, actor=BOB)
    remove_note(note.id, note.dataset, workspace=workspace, actor=ALICE)
    events = workspace.events.read_events()
    assert [(event.event, event.user, event.status) for event in events] == [
        ("note_add", "alice", "completed"),
        ("note_remove", "bob", "failed"),
        ("note_remove", "alice", "completed"),
    ]
    assert events[0].details.inputs == {"dataset": note.dataset, "note": note.id}
    assert "secret" not in json.dumps([event.to_json_line() for event in events])


def test_notes_survive_repairs_of_data(workspace: Workspace) -> None:
    dataset = make_dataset()
    repaired = dataset.replace(frame=dataset.frame + 1, source=dataset.digest)
    note = add_note(NoteInput("before", MOMENT), dataset, workspace=workspace, actor=ALICE)
    later = add_note(NoteInput("after", datetime(2024, 5, 3)), repaired, workspace=workspace, actor=BOB)
    assert repaired.digest != dataset.digest
    assert read_notes(dataset, workspace) == read_notes(repaired, workspace) == [note, later]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (NoteInput(" \u202e\x07 ", MOMENT), "empty"),
        (NoteInput("x" * (MAX_NOTE_CHARS + 1), MOMENT), "maximum is 500"),
        (NoteInput("x", MOMENT, datetime(2024, 4, 30)), "ends before it starts"),
        (NoteInput("x", datetime(1066, 10, 14)), "between 1700 and 2200"),
        (NoteInput("x", MOMENT, entity="Texas"), "Bretagne, Ohio"),
    ],
    ids=["empty", "long", "reversed", "ancient", "entity"],
)
def test_add_note_rejects_input(entry: NoteInput, words: str, workspace: Workspace) -> None:
    dataset = make_dataset()
    with pytest.raises(InputError, match=words):
        add_note(entry, dataset, workspace=workspace, actor=ALICE)
    assert read_notes(dataset, workspace) == []
    assert workspace.events.read_events() == []


def test_add_note_rejects_data_without_dates_and_too_many(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(["a", "a"], pd.Index([0, 1]))
    with pytest.raises(InputError, match="no dates"):
        NoteInput("x", MOMENT).check(Dataset(pd.DataFrame({"load": [1.0, 2.0]}, index), "demo"))
    monkeypatch.setattr(note_operations, "MAX_NOTES", 1)
    add_note(NoteInput("x", MOMENT), make_dataset(), workspace=workspace, actor=ALICE)
    with pytest.raises(InputError, match="Delete some first"):
        add_note(NoteInput("y", MOMENT), make_dataset(), workspace=workspace, actor=ALICE)


def test_failed_edit_keeps_note(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset()
    note = add_note(NoteInput("first", MOMENT), dataset, workspace=workspace, actor=ALICE)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(Exception, match=r"disk|space"):
        edit_note(note.id, NoteInput("second", MOMENT), dataset, workspace=workspace, actor=ALICE)
    assert read_notes(dataset, workspace) == [note]


def test_known_events_have_notes_of_whole_days_and_of_moments(workspace: Workspace) -> None:
    for dataset, length in ((make_dataset(), pd.Timedelta(days=1)), (make_dataset("h", 1000), pd.Timedelta(0))):
        note = add_note(NoteInput("x", MOMENT, entity="Ohio"), dataset, workspace=workspace, actor=ALICE)
        events = list_known_events(dataset, workspace, EventSource(calendar="FR"), "fr")
        [event] = events[events["kind"] == "note"].to_dict("records")
        assert (event["start"], event["end"]) == (pd.Timestamp(note.start), pd.Timestamp(note.end) + length)
        assert (event["entities"], str(event["label"])) == (("Ohio",), "x (alice)")
        assert "Fête du Travail" in [str(label) for label in events["label"]]
        assert get_notes_digest(dataset) == dataset.digest
