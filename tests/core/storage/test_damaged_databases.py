"""Files of jobs and accounts that are damaged, foreign or moved: replaced with what can be read, never a traceback."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from core.accounts.service import Accounts
from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.storage.jobs import JobStore
from mlflow_utils.sqlite_file import find_damage, replace_damaged_file

ALICE = Actor("alice", "tests")
PAGE_BYTES = 4096


def add_jobs(store: JobStore, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        store.submit("tests", {"number": number, "text": "x" * 300}, ALICE)


def list_numbers(store: JobStore) -> set[int]:
    return {job.arguments["number"] for job in store.list_unfinished("alice")}


def damage_database(path: Path, kind: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    body = bytearray(path.read_bytes())
    if kind == "text":
        body = bytearray(b"not a database" * 2000)
    elif kind == "header":
        body[:16] = b"\x00" * 16
    else:
        body[-PAGE_BYTES:] = b"\x07" * PAGE_BYTES
    path.write_bytes(body)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("kind", ["text", "header", "page"])
def test_damaged_queue_is_replaced_and_goes_on(kind: str, is_open: bool, tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    add_jobs(store, 30)
    if not is_open:
        store.close()
    damage_database(tmp_path / "jobs.db", kind)
    if is_open:
        store.close()  # the pages of an open connection are in its memory
        store = JobStore(tmp_path)
    known = list_numbers(store)
    add_jobs(store, 2, first=100)
    assert list_numbers(store) >= known | {100, 101}
    assert known <= set(range(30))
    if kind != "page":
        assert known == (set() if kind == "text" else set(range(30))), "only the header was damaged"
        assert list(tmp_path.glob("jobs.db.moved-*"))
    store.close()


def test_queue_follows_a_file_that_another_process_replaced(tmp_path: Path) -> None:
    first, second = JobStore(tmp_path), JobStore(tmp_path)
    add_jobs(first, 3)
    assert list_numbers(second) == {0, 1, 2}
    first.close()
    path = tmp_path / "jobs.db"
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    for companion in tmp_path.glob("jobs.db-*"):
        companion.unlink()
    copy.replace(path)  # as after a repair
    add_jobs(JobStore(tmp_path), 1, first=7)
    assert list_numbers(second) == {0, 1, 2, 7}
    add_jobs(second, 1, first=8)
    assert list_numbers(JobStore(tmp_path)) == {0, 1, 2, 7, 8}


@pytest.mark.parametrize("table", ["jobs (title TEXT, salary INTEGER)", "workers (name TEXT, age INTEGER)"])
def test_queue_of_another_program_is_moved_aside(table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        connection.execute(f"CREATE TABLE {table}")
    store = JobStore(tmp_path)
    add_jobs(store, 1)
    assert list_numbers(store) == {0}
    [aside] = tmp_path.glob("jobs.db.moved-*")
    assert str(aside) in caplog.text
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == [(f"CREATE TABLE {table}",)]


def test_accounts_of_another_program_are_moved_aside(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "accounts.db")) as connection:
        connection.execute("CREATE TABLE users (login TEXT)")
    accounts = Accounts("", tmp_path)
    assert accounts.list_users() == []
    assert list(tmp_path.glob("accounts.db.moved-*"))
    accounts.database.close()


def test_accounts_of_a_later_version_are_refused_and_stay(tmp_path: Path) -> None:
    accounts = Accounts("", tmp_path)
    accounts.add_first_administrator("ada", "a long passphrase of words")
    accounts.database.close()
    with closing(sqlite3.connect(tmp_path / "accounts.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of-the-future'")
        connection.commit()
    with pytest.raises(ServiceUnavailableError, match="another version"):
        Accounts("", tmp_path).list_users()
    assert not list(tmp_path.glob("*.moved-*"))


@pytest.mark.parametrize("kind", ["text", "header", "page"])
def test_damaged_accounts_are_replaced_and_keep_readable_users(kind: str, tmp_path: Path) -> None:
    accounts = Accounts("", tmp_path)
    accounts.add_first_administrator("ada", "a long passphrase of words")
    accounts.database.close()
    damage_database(tmp_path / "accounts.db", kind)
    accounts = Accounts("", tmp_path)
    names = {user.name for user in accounts.list_users()}
    assert names == (set() if kind == "text" else {"ada"})
    if not names:
        assert accounts.add_first_administrator("grace", "another long passphrase").name == "grace"
    assert kind == "page" or find_damage(tmp_path / "accounts.db") == ""
    accounts.database.close()


def test_repair_by_many_at_once_happens_once(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    add_jobs(store, 5)
    store.close()
    damage_database(tmp_path / "jobs.db", "text")
    answers: list[Path | None] = []
    threads = [
        threading.Thread(target=lambda: answers.append(replace_damaged_file(tmp_path / "jobs.db"))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([path for path in answers if path is not None]) == 1
