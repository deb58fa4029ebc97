"""SQLite files that are damaged, foreign, locked or read-only: moved aside, recovered, or a clear error."""

import random
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from core.data.dataset import Dataset
from core.workspace import Workspace
from mlflow_utils import sqlite_file
from mlflow_utils.run_record import Record
from mlflow_utils.runs import load_run
from mlflow_utils.spool import Spool
from mlflow_utils.sqlite_file import SqliteFile, find_damage, replace_damaged_file
from mlflow_utils.tracking import Tracking
from tests.core.runs.test_killed_runs import track_numbered_run

PAGE_BYTES = 4096
SCHEMA = "CREATE TABLE IF NOT EXISTS words (number INTEGER PRIMARY KEY, word TEXT NOT NULL);" + (
    "CREATE INDEX IF NOT EXISTS words_by_text ON words (word);"
)


def fill_spool(folder: Path, count: int) -> list[str]:
    """Store `count` runs; return their keys."""
    spool, keys = Spool(folder), []
    for number in range(count):
        record = Record("tests", f"run {number}", params={"number": number, "text": "x" * 500})
        spool.add_run(record, f'{{"run_id": "{record.key}"}}')
        spool.save_run(record, "waiting")
        keys.append(record.key)
    return keys


def list_aside(file: Path) -> list[Path]:
    return [path for path in sorted(file.parent.glob(f"{file.name}.moved-*")) if path.suffix not in (".db-wal", "")]


@pytest.fixture(scope="module")
def filled_spool(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Folder of a spool with 60 runs, which tests copy, and the keys of the runs."""
    folder = tmp_path_factory.mktemp("spool")
    return folder, fill_spool(folder, 60)


@given(
    kind=st.sampled_from(["header", "zeros", "noise", "cut", "text", "emptied"]),
    seed=st.integers(0, 10**6),
    in_wal=st.booleans(),
)
def test_damaged_spool_is_replaced_and_keeps_readable_runs(
    filled_spool: tuple[Path, list[str]], kind: str, seed: int, in_wal: bool
) -> None:
    filled_folder, keys = filled_spool
    with TemporaryDirectory(dir=filled_folder.parent) as temp:
        folder, place = Path(temp), random.Random(seed)
        copytree(filled_folder, folder, dirs_exist_ok=True)
        file = folder / "spool.db"
        if not in_wal:
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        body = bytearray(file.read_bytes())
        if kind == "header":
            body[: place.randint(1, 100)] = b"\xff" * place.randint(1, 100)
        elif kind in ("zeros", "noise"):
            start = place.randrange(0, max(len(body) // PAGE_BYTES, 1)) * PAGE_BYTES
            body[start : start + PAGE_BYTES] = bytes(PAGE_BYTES) if kind == "zeros" else place.randbytes(PAGE_BYTES)
        elif kind == "cut":
            body = body[: place.randrange(0, len(body))]
        else:
            body = bytearray(b"these are notes, not a database\n" * 40) if kind == "text" else bytearray()
        file.write_bytes(body)
        spool = Spool(folder)
        found = {record.key for record in spool.list_newest(1000)}
        new = Record("tests", "after the damage")
        spool.add_run(new)
        assert new.key in {record.key for record in spool.list_newest(1000)}
        assert found <= set(keys)
        assert {record.key for record in spool.list_pending()} <= found
        spool.list_unwritten_events()
        spool.list_waiting_names()
        if kind in ("header", "text") and not in_wal:
            assert list_aside(file), "nothing was moved aside"


@pytest.mark.parametrize("page", range(1, 12))
def test_rows_around_a_damaged_page_are_recovered(page: int, tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    file = SqliteFile(path, SCHEMA)
    file.execute(*(("INSERT INTO words (word) VALUES (?)", (f"word {number} " * 20,)) for number in range(400)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    body = bytearray(path.read_bytes())
    body[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = b"\x07" * PAGE_BYTES
    path.write_bytes(body)
    assert find_damage(path)
    aside = replace_damaged_file(path)
    assert aside is not None
    assert aside.exists()
    [(count,)] = SqliteFile(path, SCHEMA).fetch_rows("SELECT count(*) FROM words")
    assert count >= 300 or page == 1, "a whole table was lost with one page"
    assert find_damage(path) == ""
    assert replace_damaged_file(path) is None, "an intact file was replaced"


@pytest.mark.parametrize("schema", ["CREATE TABLE runs (distance REAL)", "CREATE TABLE events (key TEXT, at REAL)"])
def test_spool_of_another_program_is_moved_aside(schema: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(schema)
    keys = fill_spool(tmp_path, 2)
    assert {record.key for record in Spool(tmp_path).list_newest(10)} == set(keys)
    [aside] = tmp_path.glob("spool.db.moved-*")
    assert str(aside) in caplog.text
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == [(schema,)]


def test_file_damaged_while_it_is_in_use_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill_spool(tmp_path, 3)
    spool = Spool(tmp_path)
    (tmp_path / "spool.db").write_bytes(b"not a database, by accident" * 400)
    record = Record("tests", "later")
    spool.add_run(record)
    assert spool.find_run(record.key) is not None
    assert str(next(tmp_path.glob("spool.db.moved-*"))) in caplog.text


def test_locked_file_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(tmp_path / "spool.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TimeoutError, match="another process keeps the file locked"):
            spool.add_run(Record("tests", "blocked"))
        other.execute("ROLLBACK")
    record = Record("tests", "free again")
    spool.add_run(record)
    assert [found.key for found in spool.list_newest(5)] == [record.key]
    assert not list(tmp_path.glob("*.moved-*")), "a locked file was moved"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of its own, which can be made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_runs_on_a_read_only_disk_can_be_read(disk: Path) -> None:
    keys = fill_spool(disk, 3)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    spool = Spool(disk)
    assert {record.key for record in spool.list_newest(10)} == set(keys)
    with pytest.raises(PermissionError, match="Read-only"):
        spool.save_run(Record("tests", "new"), "waiting")


# ---- MLflow's own file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "noise", "foreign"])
def test_damaged_file_of_mlflow_is_replaced_and_its_runs_are_delivered_again(
    kind: str, workspace: Workspace, sample: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        track_numbered_run(number, sample, workspace)
    old_ids = {record.params["number"]: record.run_id for record in workspace.tracking.spool.list_newest(10)}
    file = workspace.folder / "mlflow.db"
    if kind == "text":
        file.write_bytes(b"no database" * 1000)
    elif kind == "noise":
        body = bytearray(file.read_bytes())
        body[PAGE_BYTES * 2 :] = random.Random(1).randbytes(len(body) - PAGE_BYTES * 2)
        file.write_bytes(body)
    else:
        file.unlink()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE recipes (name TEXT)")
    copy = workspace.folder / "copy.db"  # a path that this process has not opened yet
    file.rename(copy)
    tracking = Tracking(f"sqlite:///{copy}", workspace.tracking.artefacts_location, workspace.tracking.spool.folder)
    assert tracking.check()
    tracking.deliver_pending()
    client = MlflowClient(tracking.uri)
    runs = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert sorted(run.data.params["number"] for run in runs) == ["0", "1", "2"]
    for number, old_id in old_ids.items():
        stored = load_run(tracking, old_id)
        assert stored is not None
        assert stored.record.params["number"] == number
    assert str(next(workspace.folder.glob("copy.db.moved-*"))) in caplog.text


def test_intact_file_of_mlflow_is_left_alone(workspace: Workspace, sample: Dataset) -> None:
    track_numbered_run(1, sample, workspace)
    tracking = Tracking(workspace.tracking.uri, None, workspace.tracking.spool.folder)
    assert tracking.check()
    assert tracking.spool.list_pending() == []
    assert not list(workspace.folder.rglob("*.moved-*"))
