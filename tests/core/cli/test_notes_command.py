"""Commands `python -m core notes`, run in processes of their own."""

from functools import partial
from pathlib import Path

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.operations.notes import NoteInput, add_note
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.commands import assert_one_line_error, read_json_output, run_vigie


@pytest.fixture
def notes(tmp_path: Path, workspace: Workspace) -> Command:
    """Runner of `python -m core notes …` on the data folder of `workspace`."""
    return partial(run_vigie, tmp_path, "notes", MLFLOW_TRACKING_URI="")


def test_notes_command_adds_lists_and_removes(notes: Command, sample: Dataset, workspace: Workspace) -> None:
    digest = workspace.datasets.save(sample)
    entity, moment = sample.entities[0], str(sample.time[0])[:10]
    added = read_json_output(notes("add", digest, "meter\nreplaced", "--at", moment, "--entity", entity, "--json"))
    assert (added["text"], added["entity"], added["start"]) == ("meter\nreplaced", entity, f"{moment}T00:00:00")
    colleague = NoteInput("site closed", sample.time[3].to_pydatetime())
    other = add_note(colleague, sample, workspace=workspace, actor=Actor("a colleague", "tests"))
    assert [note["id"] for note in read_json_output(notes("list", digest, "--json"))["notes"]] == [
        added["id"],
        other.id,
    ]
    events = read_json_output(notes("events", digest, "--calendar", "FR", "--json"))["events"]
    assert {"holiday", "note"} <= {event["kind"] for event in events}
    assert_one_line_error(notes("events", digest, "--calendar", "Atlantis"), 2, "Atlantis")
    assert_one_line_error(notes("remove", digest, other.id), 1, "Only a colleague can change this note")
    assert_one_line_error(notes("add", digest, "x", "--at", "tomorrow"), 2, "--at = 'tomorrow' is not accepted")
    assert_one_line_error(notes("list", "0" * 64), 1, "is not stored here")
    notes("remove", digest, added["id"])
    notes("remove", digest, other.id, "--any-author")
    assert "no note" in notes("list", digest).stdout
