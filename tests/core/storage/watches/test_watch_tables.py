"""The tables of watches: created, of a later version, of another program, damaged."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from core.accounts.service import Accounts
from core.errors import ServiceUnavailableError, VigieError
from core.storage.backup import restore_backup, write_backup
from core.storage.jobs import JobStore
from core.storage.watches.stores import WatchStores
from core.storage.watches.tables import BLOCKS, HEAD, METADATA, MIGRATIONS
from core.watches.incident import IncidentChange
from core.workspace import Workspace
from tests.core.storage.test_damaged_databases import damage_database
from tests.support.concurrency import run_concurrently
from tests.support.watch_stores import (
    HOUR,
    START,
    build_arrivals,
    build_incident,
    build_outcome,
    build_watch,
    claim_watch,
    classify_rows,
    commit_rows,
    dump_watch_tables,
    open_watch_stores,
)


def test_watch_migrations_match_tables(stores: WatchStores) -> None:
    stores.watches.list_states()

    def compare_tables(session: Session) -> list[Any]:
        options = {"compare_type": True, "version_table": MIGRATIONS.version_table}
        return compare_metadata(MigrationContext.configure(session.connection(), opts=options), METADATA)

    assert stores.database.read(compare_tables) == []
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.folder))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    assert stores.fetch_version().startswith(("PostgreSQL 1", "SQLite 3."))


def test_watches_share_a_database_with_accounts_and_jobs(
    stores: WatchStores, database_url: str, tmp_path: Path
) -> None:
    """They are opened in any order; each has a version of its own."""
    accounts, jobs = Accounts(database_url, tmp_path), JobStore(tmp_path / "jobs", database_url)
    try:
        opened: list[Callable[[], object]] = [accounts.list_users, jobs.list_workers, stores.watches.list_states]
        assert run_concurrently(3, lambda number: opened[number]()) == [[], [], []]
    finally:
        accounts.close()
        jobs.close()


def test_watches_of_a_later_version_are_refused_and_stay(watched: WatchStores, tmp_path: Path) -> None:
    commit_rows(watched, {("north", START): 1.0})
    before = dump_watch_tables(watched)
    set_version = "UPDATE watch_alembic_version SET version_num = :number"
    watched.database.write(lambda session: session.execute(text(set_version), {"number": "of-the-future"}))
    watched.close()
    with pytest.raises(ServiceUnavailableError, match="the tables of the watches are of another version"):
        watched.watches.list_states()
    assert not list(tmp_path.rglob("*.moved-*"))
    engine = create_engine(watched.database._database.url)
    with engine.begin() as connection:
        connection.execute(text(set_version), {"number": HEAD})
    engine.dispose()
    watched.reset()
    assert dump_watch_tables(watched) == before


def test_watches_of_another_program_are_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "watches.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE watch_watches (price INTEGER)")
    with open_watch_stores(tmp_path, "") as stores:
        assert stores.watches.list_states() == []
    [aside] = tmp_path.glob("watches.db.moved-*")
    assert str(aside) in caplog.text


@pytest.mark.parametrize("kind", ["text", "header", "page"])
def test_damaged_watches_are_moved_aside_and_told(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What can be read is recovered: with a damaged header everything, with a damaged page all but its rows."""
    with open_watch_stores(tmp_path, "") as stores:
        for number in range(30):
            stores.watches.add_watch(build_watch(f"watch-{number:02d}", owner="x" * 300), START)
            lease = claim_watch(stores, name=f"watch-{number:02d}")
            change = IncidentChange(kind="opened", incident=build_incident(lease.watch.name, comment="y" * 500))
            assert stores.ticks.commit_tick(
                lease, build_outcome(lease, {("north", START): 1.0}, changes=(change,)), START
            )
        known = dump_watch_tables(stores)
    damage_database(tmp_path / "watches.db", kind)
    with open_watch_stores(tmp_path, "") as stores:
        watches, incidents = stores.watches.list_states(), stores.incidents.list_incidents()
        stores.watches.add_watch(build_watch("fresh"), START)
        if kind == "header":
            assert (len(watches), len(incidents)) == (30, 30)
            assert {name: rows for name, rows in dump_watch_tables(stores).items() if name != "watch_watches"} == {
                name: rows for name, rows in known.items() if name != "watch_watches"
            }
        elif kind == "text":
            assert watches == incidents == []
    if kind != "page":
        [aside] = tmp_path.glob("watches.db.moved-*")
        assert str(aside) in caplog.text


def test_new_watch_has_no_rows_of_a_watch_that_was_lost(tmp_path: Path) -> None:
    """Of a damaged file, ticks and judged rows may be recovered without their watch, whose key is free again."""
    rows = {("north", START): 1.0}
    with open_watch_stores(tmp_path, "") as stores:
        stores.watches.add_watch(build_watch(), START)
        commit_rows(stores, rows)
    with closing(sqlite3.connect(tmp_path / "watches.db")) as connection, connection:
        connection.execute("DELETE FROM watch_watches")
    with open_watch_stores(tmp_path, "") as stores:
        stores.watches.add_watch(build_watch("calls"), START)
        assert stores.ticks.list_ticks("calls") == []
        assert classify_rows(stores, rows).needs_judgement.all()


def test_damaged_block_is_told_and_judges_nothing_twice(watched: WatchStores) -> None:
    rows = {("north", START): 1.0}
    commit_rows(watched, rows, arrivals=build_arrivals(rows))
    watched.database.write(lambda session: session.execute(BLOCKS.update().values(body=b"\x07" * 40)))
    with pytest.raises(VigieError, match="damaged"):
        classify_rows(watched, rows)
    with pytest.raises(VigieError, match="damaged"):
        watched.rows.load_past("calls", ["north"], START, START + HOUR)


def test_backup_has_the_watches(workspace: Workspace, tmp_path: Path) -> None:
    workspace.watches.watches.add_watch(build_watch(), START)
    commit_rows(workspace.watches, {("north", START): 1.0})
    before = dump_watch_tables(workspace.watches)
    write_backup(workspace.folder, tmp_path / "backup.zip")
    workspace.watches.close()
    restore_backup(tmp_path / "backup.zip", tmp_path / "restored")
    with open_watch_stores(tmp_path / "restored" / "watches", "") as stores:
        assert dump_watch_tables(stores) == before
        assert [state.watch.name for state in stores.watches.list_states()] == ["calls"]
