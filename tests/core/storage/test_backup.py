"""Backups of data folders: consistent while others write, restored elsewhere, and refused where they are not whole."""

import json
import shutil
import sqlite3
import stat
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.cli.health import EXIT_CODES
from core.data.dataset import Dataset
from core.errors import UnreadableFileError, VigieError
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.storage.backup import CONTENTS, restore_backup, write_backup
from core.storage.data_folder import CURRENT_FORMAT, FORMAT_FILE, open_data_folder
from core.storage.durable_files import find_damage
from core.workspace import Workspace
from tests.conftest import Command, create_workspace
from tests.support.commands import assert_one_line_error

ACTOR = Actor("alice", "tests")


def track_small_run(number: int, dataset: Dataset, workspace: Workspace) -> str:
    with track_run("tests", "Nothing", {"number": number}, dataset, ACTOR, workspace) as run:
        (run.folder / "note.txt").write_text(str(number))
    return run.id


def fill_folder(folder: Path, store: Path, sample: Dataset) -> tuple[Workspace, str]:
    """Fill a data folder with a dataset and a run; return its workspace and the id of the run."""
    folder.mkdir()
    open_data_folder(folder)
    workspace = create_workspace(folder, store)
    workspace.datasets.save(sample, "alice")
    return workspace, track_small_run(1, sample, workspace)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid backup without a database of MLflow."""
    folder = tmp_path_factory.mktemp("small") / "data"
    folder.mkdir()
    open_data_folder(folder)
    (folder / "notes").mkdir()
    (folder / "notes" / "one.json").write_text('{"text": "hello"}')
    with closing(sqlite3.connect(folder / "some.db")) as connection, connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    path = folder.parent / "backup.zip"
    write_backup(folder, path)
    return path


# ---- a backup opens elsewhere ---------------------------------------------------------------------------------------


def test_restored_backup_opens_after_the_original_is_gone(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    workspace, run = fill_folder(tmp_path / "data", empty_store, sample)
    used = (tmp_path / "data" / "datasets" / sample.digest).stat().st_mtime_ns
    written = write_backup(tmp_path / "data", tmp_path / "backup.zip")
    workspace.jobs.close()
    shutil.rmtree(tmp_path / "data")
    assert restore_backup(tmp_path / "backup.zip", tmp_path / "elsewhere") == written
    restored = create_workspace(tmp_path / "elsewhere", empty_store)
    assert restored.datasets.load(sample.digest).digest == sample.digest
    assert (restored.datasets.folder / sample.digest).stat().st_mtime_ns == used
    shutil.rmtree(restored.folder / "runs" / load_run(run, restored).record.key)  # only MLflow has the files now
    assert (load_run(run, restored).files / "note.txt").read_text() == "1"
    assert not list((tmp_path / "elsewhere").glob(".restore-*"))


def test_backup_leaves_out_what_is_temporary_or_personal(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    open_data_folder(folder)
    for name in (
        "jobs/raw-uploads/1/calls.csv",
        "staged-uploads/a",
        "renderings/b",
        "backups/c.zip",
        "datasets/x.draft",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    (folder / "jobs" / "key").mkdir()
    (folder / "jobs" / "key" / "checkpoint").write_text("step 3")
    write_backup(folder, tmp_path / "backup.zip")
    names = set(zipfile.ZipFile(tmp_path / "backup.zip").namelist())
    assert names == {"jobs/key/checkpoint", FORMAT_FILE, CONTENTS}


def test_linked_folder_is_in_the_backup(tmp_path: Path) -> None:
    open_data_folder(tmp_path / "data")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a").write_text("on another disk")
    (tmp_path / "data" / "datasets").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "nowhere").symlink_to(tmp_path / "missing")
    write_backup(tmp_path / "data", tmp_path / "backup.zip")
    restore_backup(tmp_path / "backup.zip", tmp_path / "new")
    assert (tmp_path / "new" / "datasets" / "a").read_text() == "on another disk"
    assert {path.name for path in (tmp_path / "new").rglob("*")} <= {"a", "datasets", "format.json"}


def test_backup_while_runs_are_written_holds_whole_runs(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    """Every run of the restored folder has its files, in the spool and in MLflow."""
    workspace, _run = fill_folder(tmp_path / "data", empty_store, sample)
    ending = threading.Event()

    def write_runs() -> None:
        number = 2
        while not ending.is_set():
            track_small_run(number, sample, workspace)
            number += 1

    thread = threading.Thread(target=write_runs)
    thread.start()
    try:
        for number in range(3):
            write_backup(tmp_path / "data", tmp_path / f"{number}.zip")
    finally:
        ending.set()
        thread.join(60)
    for number in range(3):
        folder = tmp_path / f"restored {number}"
        restore_backup(tmp_path / f"{number}.zip", folder)
        restored = create_workspace(folder, empty_store)
        restored.tracking.deliver_pending()
        records = [record for record in restored.tracking.spool.list_newest(1000) if record.status == "completed"]
        assert records
        for record in records:
            stored = load_run(record.id, restored)
            assert (stored.files / "note.txt").read_text() == str(record.params["number"])
            assert find_damage(stored.files) == ""
            assert restored.tracking.open_client().get_run(record.run_id).info.status == "FINISHED"


def test_backup_commands(tmp_path: Path, vigie: Command) -> None:
    vigie("health")  # it opens all stores
    process = vigie("backup", tmp_path / "backup.zip", DATABASE_URL="postgresql://vigie:hunter22@nowhere/vigie")
    assert process.returncode == 0, process.stderr
    assert "DATABASE_URL (pg_dump)" in process.stderr
    assert "hunter22" not in process.stderr
    assert_one_line_error(vigie("backup", tmp_path / "backup.zip"), 1, "exists already")
    assert_one_line_error(vigie("restore", tmp_path / "backup.zip"), 1, "is not empty")
    process = vigie("restore", tmp_path / "backup.zip", VIGIE_DATA_DIR=str(tmp_path / "new"))
    assert process.returncode == 0, process.stderr
    assert vigie("health", VIGIE_DATA_DIR=str(tmp_path / "new")).returncode < EXIT_CODES["down"]


def test_nothing_is_backed_up_from_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="nothing to back up"):
        write_backup(tmp_path / "missing", tmp_path / "backup.zip")
    assert not list(tmp_path.iterdir())


# ---- archives that are refused --------------------------------------------------------------------------------------


def assert_refused(archive: Path, folder: Path, match: str = "Nothing was restored") -> None:
    with pytest.raises(UnreadableFileError, match=match):
        restore_backup(archive, folder)
    assert not list(folder.parent.rglob("evil*"))
    assert not list(folder.iterdir()) if folder.exists() else True


def rewrite(
    archive: Path,
    target: Path,
    change: Callable[[dict[str, Any]], object] = lambda entry: None,
    add: Callable[[zipfile.ZipFile], object] = lambda copy: None,
) -> Path:
    """Write a copy of an archive with another list of contents, and with more members."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            body = source.read(name)
            if name == CONTENTS:
                entry = json.loads(body)
                change(entry)
                body = json.dumps(entry).encode()
            copy.writestr(name, body)
        add(copy)
    return target


def list_file(name: str) -> Callable[[dict[str, Any]], object]:
    facts = {"bytes": 4, "sha256": "0" * 64, "changed": 0}
    return lambda entry: entry["files"].update({name: facts})


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/tmp/evil",
        "notes/../../evil",
        "a\\..\\evil",
        "./evil",
        "notes//evil",
        "notes/one.json/evil",
        "evil/",
    ],
)
def test_archive_with_a_path_out_of_the_folder_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    hostile = rewrite(archive, tmp_path / "h.zip", list_file(name), lambda copy: copy.writestr(name, "evil"))
    assert_refused(hostile, tmp_path / "deep" / "data")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "notes/one.json"])
def test_archive_with_a_faulty_folder_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    hostile = rewrite(archive, tmp_path / "h.zip", lambda entry: entry["folders"].update({name: 0}))
    assert_refused(hostile, tmp_path / "deep" / "data")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_archive_with_a_link_or_device_is_refused(kind: int, archive: Path, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("evil")
    info.external_attr = (kind | 0o777) << 16
    hostile = rewrite(archive, tmp_path / "h.zip", list_file("evil"), lambda copy: copy.writestr(info, "/etc"))
    assert_refused(hostile, tmp_path / "data", "link or a device")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda entry: entry.update(format=CURRENT_FORMAT + 1, version="99.0"), "version 99.0"),
        (lambda entry: entry.update(archive=99, version="99.0"), "version 99.0"),
        (lambda entry: entry.update(kind="a cooking book"), "another program"),
        (lambda entry: entry["files"].pop("notes/one.json"), "list of files"),
        (list_file("missing"), "list of files"),
        (lambda entry: entry["files"]["notes/one.json"].update(sha256="0" * 64), "one.json is damaged"),
        (lambda entry: entry["files"]["notes/one.json"].update(bytes=3), "another size"),
        (lambda entry: entry["files"]["notes/one.json"].update(changed=float("inf")), "not a complete backup"),
        (lambda entry: entry["files"].update({"notes/one.json": 3}), "not a complete backup"),
        (lambda entry: entry.update(files=[]), "not a complete backup"),
        (lambda entry: entry["folders"].update(notes="x"), "not a complete backup"),
        (lambda entry: entry.pop("format"), "not a complete backup"),
    ],
)
def test_archive_with_a_faulty_list_is_refused(
    change: Callable[[dict[str, Any]], object], match: str, archive: Path, tmp_path: Path
) -> None:
    assert_refused(rewrite(archive, tmp_path / "h.zip", change), tmp_path / "data", match)


def test_backup_that_needs_more_than_the_disk_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr("core.storage.backup.shutil.disk_usage", lambda path: full)
    with pytest.raises(VigieError, match="are free"):
        restore_backup(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


@given(data=st.data())
def test_truncated_or_altered_archive_is_refused_or_whole(data: st.DataObject, archive: Path, tmp_path: Path) -> None:
    """A changed byte that nothing depends on, such as a date in the archive, may pass; then every file is intact."""
    body = bytearray(archive.read_bytes())
    position = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        del body[position:]
    else:
        body[position] ^= data.draw(st.integers(1, 255))
    faulty, folder = tmp_path / "faulty.zip", tmp_path / "data"
    faulty.write_bytes(body)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        restore_backup(faulty, folder)
    except (UnreadableFileError, OSError):
        assert not list(folder.iterdir())
    else:
        assert (folder / "notes" / "one.json").read_text() == '{"text": "hello"}'
        assert len(body) == archive.stat().st_size


def test_backup_of_an_earlier_format_is_brought_up_to_date(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "incoming").mkdir(parents=True)
    (folder / FORMAT_FILE).write_text(json.dumps({"format": 2, "version": "0.0.1"}))
    write_backup(folder, tmp_path / "backup.zip")
    restore_backup(tmp_path / "backup.zip", tmp_path / "new")
    assert json.loads((tmp_path / "new" / FORMAT_FILE).read_text())["format"] == CURRENT_FORMAT
    assert not (tmp_path / "new" / "incoming").exists()
