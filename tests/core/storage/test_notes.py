"""Store of notes: two writers, a killed writer, damaged files."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import NotFoundError
from core.settings import ROOT
from core.storage.notes import MAX_NOTE_CHARS, Note, NoteStore

DATASET = "a" * 64


def make_note(text: str = "meter replaced", **fields: object) -> Note:
    moment = datetime(2024, 1, 5)
    return Note(**({"dataset": DATASET, "start": moment, "end": moment, "author": "bob", "text": text} | fields))  # type: ignore[arg-type]


def write_notes(folder: Path, author: str, count: int) -> None:
    for number in range(count):
        NoteStore(folder).save(make_note(f"{author} {number}", author=author))


def test_notes_are_read_by_moment(tmp_path: Path) -> None:
    store = NoteStore(tmp_path)
    later, earlier = make_note("later"), make_note("earlier", start=datetime(2023, 1, 1), end=datetime(2023, 2, 1))
    other = make_note("other data", dataset="b" * 64)
    for note in (later, earlier, other):
        store.save(note)
    assert NoteStore(tmp_path).read_notes(DATASET) == [earlier, later]
    store.delete(earlier)
    store.delete(earlier)
    assert store.read_notes(DATASET) == [later]
    with pytest.raises(NotFoundError, match="was deleted"):
        store.load(DATASET, earlier.id)


def test_two_writers_of_notes_lose_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_notes, args=(tmp_path, name, 40)) for name in ("alice", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    texts = {note.text for note in NoteStore(tmp_path).read_notes(DATASET)}
    assert texts == {f"{name} {number}" for name in ("alice", "bob") for number in range(40)}


def test_killed_writer_leaves_whole_notes(tmp_path: Path) -> None:
    """The process is killed while it edits one note and adds others; every note that it reported is there, whole."""
    code = f"""
import sys
from pathlib import Path
from tests.core.storage.test_notes import NoteStore, make_note
store, edited = NoteStore(Path({str(tmp_path)!r})), make_note("version 0")
for number in range(100_000):
    store.save(edited.model_copy(update={{"text": f"version {{number}}"}}))
    note = make_note(f"note {{number}}")
    store.save(note)
    print(note.id, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [process.stdout.readline().strip() for _ in range(20)]
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        reported += process.stdout.read().split()
    notes = NoteStore(tmp_path).read_notes(DATASET)
    assert set(filter(lambda name: len(name) == 32, reported)) <= {note.id for note in notes}
    [version] = [note.text for note in notes if note.text.startswith("version")]
    assert int(version.split()[1]) >= 19
    assert len(list((tmp_path / DATASET).glob("*.draft"))) <= 1


def test_damaged_notes_are_skipped_and_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, note = NoteStore(tmp_path), make_note()
    store.save(note)
    folder = tmp_path / DATASET
    half = note.model_dump_json().encode()[:40]
    strange_files = {
        f"{'0' * 32}.json": half,
        f"{'1' * 32}.json": b"\xff\x00",
        "other-name.json": note.model_dump_json().encode(),
        f"{'2' * 32}.draft": half,
    }
    for name, body in strange_files.items():
        (folder / name).write_bytes(body)
    assert store.read_notes(DATASET) == [note]
    assert caplog.text.count("is not a note") == 3
    assert all((folder / name).read_bytes() == body for name, body in strange_files.items())


@pytest.mark.parametrize("digest", ["../accounts", "", "a/../../b", "*"])
def test_notes_of_strange_digest_are_none(tmp_path: Path, digest: str) -> None:
    store = NoteStore(tmp_path / "notes")
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "x.json").write_text("{}")
    assert store.read_notes(digest) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": "x" * (MAX_NOTE_CHARS + 1)},
        {"end": datetime(2024, 1, 4)},
        {"start": datetime(1, 1, 1)},
        {"start": datetime(2024, 1, 5, tzinfo=UTC)},
        {"id": "../../x"},
        {"dataset": "../x"},
    ],
    ids=str,
)
def test_note_rejects_fields(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make_note(**fields)


@given(st.text(min_size=1, max_size=MAX_NOTE_CHARS).filter(lambda text: text.isprintable()), st.text(max_size=50))
def test_note_round_trips(text: str, entity: str) -> None:
    note = make_note(text, entity=entity.encode("utf-8", "ignore").decode())
    assert Note.model_validate_json(note.model_dump_json()) == note
