"""Workers killed at random: every row is judged once, and every incident is announced once."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from core.settings import ROOT
from core.storage.watches.tables import ANNOUNCEMENTS
from core.watches.announcing import Announcement
from core.watches.watch import Recipient
from core.workspace import Workspace
from tests.support.killed_ticks import HOURS_PER_FILE, make_faulty_rows
from tests.support.watched_power import ENTITIES, train_power_model, watch_inbox

KILLS = 4


def run_killed_ticks(workspace: Workspace, name: str, kills: int, seed: int) -> int:
    """Kill workers of the watch, and return the number of files that arrived."""
    command = [sys.executable, "-m", "tests.support.killed_ticks", str(workspace.folder), name, str(kills), str(seed)]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def list_announcements(workspace: Workspace, name: str) -> list[Announcement]:
    """Return the stored announcements of a watch."""
    bodies = workspace.watches.database.read(lambda session: session.scalars(select(ANNOUNCEMENTS.c.body)).all())
    waiting = [Announcement.model_validate_json(body) for body in bodies]
    return [announcement for announcement in waiting if announcement.watch == name]


@pytest.mark.parametrize("seed", [1])
def test_killed_workers_lose_and_repeat_nothing(seed: int, tmp_path: Path, empty_store: Path) -> None:
    workspace, run_id = train_power_model(tmp_path, empty_store)
    recipient = Recipient(name="night-shift", channel="mail", address="night@example.org")
    workspace.watches.recipients.save_recipient(recipient)
    watch_inbox(workspace, run_id, "killed", recipients=("night-shift",))
    files = run_killed_ticks(workspace, "killed", KILLS, seed)
    records = workspace.watches.ticks.list_ticks("killed", 10_000)
    assert {record.state for record in records} == {"completed"}
    assert sum(record.rows_new for record in records) == files * HOURS_PER_FILE * len(ENTITIES)
    assert sum(record.rows_corrected for record in records) == 0
    faults = sum(bool((make_faulty_rows(file)["time"].dt.hour == 7).any()) for file in range(files))
    incidents = workspace.watches.incidents.list_incidents(watch="killed")
    assert [incident.rows for incident in incidents] == [3] * faults
    opened = [each for each in list_announcements(workspace, "killed") if each.change.kind == "opened"]
    assert sorted(each.change.incident.id for each in opened) == sorted(incident.id for incident in incidents)
    assert not list((workspace.folder / "arrivals" / "killed").iterdir()), "files of killed workers are left"
