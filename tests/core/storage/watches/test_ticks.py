"""Ticks: leases, what is stored of them, and processes that are killed in the middle."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import make_url

from core.errors import ServiceUnavailableError
from core.messages import Message
from core.storage.watches.stores import WatchStores
from core.storage.watches.ticks import AlarmCount, TickLease
from core.watches.incident import IncidentChange
from tests.conftest import assert_no_hang, find_free_port
from tests.support.commands import start_code
from tests.support.concurrency import run_concurrently
from tests.support.watch_stores import (
    DAY,
    HOUR,
    MINUTE,
    START,
    build_announcement,
    build_arrivals,
    build_incident,
    build_outcome,
    build_watch,
    claim_watch,
    classify_rows,
    commit_rows,
    dump_watch_tables,
    expire_leases,
    open_watch_stores,
)


def test_watch_is_leased_to_one_worker(watched: WatchStores) -> None:
    assert watched.ticks.claim_tick("early", START - MINUTE) is None
    answers = run_concurrently(5, lambda number: watched.ticks.claim_tick(f"worker {number}", START))
    [lease] = [answer for answer in answers if isinstance(answer, TickLease)]
    assert answers.count(None) == 4
    assert (lease.watch.name, lease.due, lease.cursor, lease.failures, lease.attempts) == ("calls", START, "", 0, 1)
    assert watched.ticks.claim_tick("other", START + DAY, "calls") is None
    assert watched.ticks.extend_lease(lease)


def test_watch_that_was_due_first_is_asked_first(watched: WatchStores) -> None:
    watched.watches.add_watch(build_watch("later"), START + MINUTE)
    watched.watches.add_watch(build_watch("first"), START - MINUTE)
    names = [claim_watch(watched, START + HOUR).watch.name for _ in range(3)]
    assert names == ["first", "calls", "later"]
    assert watched.ticks.claim_tick("worker", START + HOUR) is None


def test_watch_that_kills_its_workers_comes_after_the_others(watched: WatchStores) -> None:
    """A table too large for the memory ends every worker; the other watches have to be asked all the same."""
    watched.watches.add_watch(build_watch("healthy"), START + HOUR)
    assert [claim_watch(watched, START + HOUR).watch.name for _ in range(2)] == ["calls", "healthy"]
    lease = claim_watch(watched, START + HOUR) if expire_leases(watched) else None
    assert lease is None
    watched.ticks.commit_tick(
        healthy := claim_watch(watched, START + HOUR, name="healthy"), build_outcome(healthy), START
    )
    assert [claim_watch(watched, START + HOUR).watch.name for _ in range(2)] == ["healthy", "calls"]


def test_tick_is_stored_with_everything(watched: WatchStores) -> None:
    rows = {("north", START): 1.0, ("south", START): -2.0}
    incident = build_incident(entity="south")
    lease = claim_watch(watched)
    outcome = build_outcome(
        lease,
        rows,
        cursor='{"file": 3}',
        arrivals=build_arrivals(rows),
        changes=(IncidentChange(kind="opened", incident=incident),),
        announcements=(build_announcement(incident),),
    )
    problem = Message("{file} was left out: {reason}.", {"file": Message("A file"), "reason": OSError("odd")})
    record = replace(outcome.record, alarms=1, incidents_opened=1, problem=problem, drift=0.3, drift_column="load")
    assert watched.ticks.commit_tick(lease, replace(outcome, record=record), START + HOUR)
    [stored] = watched.ticks.list_ticks("calls")
    assert replace(stored, problem=None) == replace(record, problem=None)
    assert str(stored.problem) == "A file was left out: odd."
    state = watched.watches.load_state("calls")
    assert (state.last_tick, state.next_tick, state.last_row_at) == (stored, START + HOUR, START)
    assert watched.ticks.measure_alarms("calls", START - MINUTE) == AlarmCount(2, 1, 1)
    assert watched.ticks.measure_alarms("calls", START) == AlarmCount(0, 0, 0)
    assert watched.incidents.list_incidents() == [incident]
    assert classify_rows(watched, rows).states.tolist() == [2, 2]
    assert watched.rows.load_past("calls", ["north", "south"], START, START + HOUR).equals(build_arrivals(rows))
    assert claim_watch(watched, START + HOUR).cursor == '{"file": 3}'


def test_late_commit_of_a_lost_lease_writes_nothing(watched: WatchStores) -> None:
    lost = claim_watch(watched)
    expire_leases(watched)
    new = claim_watch(watched, worker="other")
    assert new.attempts == 2
    rows = {("north", START): -1.0}
    changes = (IncidentChange(kind="opened", incident=build_incident()),)
    outcome = build_outcome(
        lost,
        rows,
        cursor="wrong",
        arrivals=build_arrivals(rows),
        changes=changes,
        announcements=(build_announcement(build_incident()),),
    )
    before = dump_watch_tables(watched)
    assert not watched.ticks.commit_tick(lost, outcome, START + DAY)
    assert not watched.ticks.fail_tick(lost, outcome, START + DAY)
    assert not watched.ticks.extend_lease(lost)
    assert dump_watch_tables(watched) == before
    assert watched.ticks.extend_lease(new)
    assert watched.ticks.commit_tick(new, build_outcome(new, rows, cursor="right"), START + DAY)
    assert not watched.ticks.commit_tick(new, build_outcome(new, rows, cursor="again"), START + DAY)
    assert claim_watch(watched, START + DAY).cursor == "right"
    assert len(watched.ticks.list_ticks("calls")) == 1


def test_lease_that_ended_and_was_not_taken_over_still_counts(watched: WatchStores) -> None:
    lease = claim_watch(watched)
    expire_leases(watched)
    assert not watched.watches.load_state("calls").is_running
    assert watched.ticks.commit_tick(lease, build_outcome(lease, {("north", START): 1.0}), START + HOUR)


def test_failed_tick_keeps_the_cursor_and_counts(watched: WatchStores) -> None:
    commit_rows(watched, {("north", START): 1.0}, cursor="place")
    silence = IncidentChange(kind="opened", incident=build_incident(entity="", kind="no data", rows=0))
    for number in (1, 2):
        lease = claim_watch(watched, START + number * HOUR)
        assert lease.failures == number - 1
        rows = {("north", START + number * HOUR): 1.0}
        outcome = build_outcome(lease, rows, cursor="further", changes=(silence,), arrivals=build_arrivals(rows))
        record = replace(outcome.record, state="failed", rows_new=0, problem=Message("The source does not answer."))
        assert watched.ticks.fail_tick(lease, replace(outcome, record=record), START + (number + 1) * HOUR)
        assert classify_rows(watched, rows).states.tolist() == [0], "a failed tick has judged no row"
    state = watched.watches.load_state("calls")
    assert (state.failures, state.last_row_at) == (2, START)
    assert [incident.kind for incident in watched.incidents.list_incidents()] == ["no data"]
    lease = claim_watch(watched, START + 3 * HOUR)
    assert (lease.cursor, lease.failures) == ("place", 2)
    assert watched.ticks.commit_tick(lease, build_outcome(lease), START + 4 * HOUR)
    state = watched.watches.load_state("calls")
    assert (state.failures, state.last_row_at) == (0, START), "no row came"
    assert [tick.state for tick in watched.ticks.list_ticks("calls")] == ["completed", "failed", "failed", "completed"]


def test_repeated_announcement_is_stored_once(watched: WatchStores) -> None:
    announcement = build_announcement(build_incident())
    for number in range(3):
        commit_rows(watched, {}, START + number * HOUR, announcements=(announcement, announcement))
    assert len(dump_watch_tables(watched)["watch_announcements"]) == 1


def test_ticks_are_deleted_after_two_months(watched: WatchStores) -> None:
    for day in range(0, 100, 10):
        commit_rows(watched, {("north", START + day * DAY): 1.0}, START + day * DAY)
    days = [(tick.ended - START).days for tick in watched.ticks.list_ticks("calls")]
    assert days == [90, 80, 70, 60, 50, 40, 30]
    assert [(tick.ended - START).days for tick in watched.ticks.list_ticks("calls", limit=2)] == [90, 80]


CLAIM_ALL_SCRIPT = """
import sys
import time
from pathlib import Path

from tests.support.watch_stores import HOUR, START, build_outcome, open_watch_stores

folder, url, worker = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
while not folder.with_name("start").exists():
    time.sleep(0.01)
with open_watch_stores(folder, url) as stores:
    while lease := stores.ticks.claim_tick(worker, START):
        assert stores.ticks.commit_tick(lease, build_outcome(lease, {("north", START): 1.0}), START + HOUR)
        print(lease.watch.name)
"""


def test_processes_ask_each_watch_once(watched: WatchStores, database_url: str, tmp_path: Path) -> None:
    names = ["calls", *(f"watch-{number:02d}" for number in range(15))]
    for name in names[1:]:
        watched.watches.add_watch(build_watch(name), START)
    processes = [start_code(CLAIM_ALL_SCRIPT, tmp_path / "watches", database_url, number) for number in range(3)]
    (tmp_path / "start").touch()
    ended = [process.complete() for process in processes]
    assert [(process.returncode, process.stderr) for process in ended] == [(0, "")] * 3
    assert sorted("".join(process.stdout for process in ended).split()) == names
    assert all(len(watched.ticks.list_ticks(name)) == 1 for name in names)


KILL_SCRIPT = """
import itertools
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from core.watches.incident import IncidentChange
from tests.support import watch_stores as support
from tests.support.watch_stores import HOUR, START

folder, url = Path(sys.argv[1]), sys.argv[2]


def ask_once(last_statement):
    rows = {("north", START): 1.0, ("south", START): -1.0}
    incident = support.build_incident(entity="south", id="a" * 32)
    numbers = itertools.count(1)
    with support.open_watch_stores(folder, url) as stores:
        lease = support.claim_watch(stores)

        def kill(*_arguments):
            if next(numbers) == last_statement:
                os.kill(os.getpid(), signal.SIGKILL)

        for name in ("before_cursor_execute", "commit"):
            event.listen(Engine, name, kill)
        outcome = support.build_outcome(
            lease,
            rows,
            cursor="end",
            arrivals=support.build_arrivals(rows),
            changes=(IncidentChange(kind="opened", incident=incident),),
            announcements=(support.build_announcement(incident),),
        )
        assert stores.ticks.commit_tick(lease, outcome, START + HOUR)


for last_statement in itertools.count(1):
    if not (process := os.fork()):
        code = 1
        try:
            ask_once(last_statement)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code != -signal.SIGKILL:
        print(last_statement, code)
        break
    with support.open_watch_stores(folder, url) as stores:
        [state] = stores.watches.list_states()
        tables = support.dump_watch_tables(stores)
        stored = {name for name, rows in tables.items() if rows}
        assert stored == {"watch_watches", "watch_recipients"}, (last_statement, stored)
        assert (state.next_tick, state.last_tick, state.last_row_at) == (START, None, None)
        support.expire_leases(stores)
"""


def test_tick_killed_at_any_statement_leaves_nothing(watched: WatchStores, database_url: str, tmp_path: Path) -> None:
    """A process is killed before each statement of the commit, and before the commit itself."""
    watched.close()
    process = start_code(KILL_SCRIPT, tmp_path / "watches", database_url).complete()
    assert (process.returncode, process.stderr) == (0, "")
    statements, code = map(int, process.stdout.split())
    assert statements > 12
    assert code == 0, "the last one was not killed"
    [tick] = watched.ticks.list_ticks("calls")
    assert tick.rows_new == 2
    assert watched.incidents.count_open() == 1
    assert len(dump_watch_tables(watched)["watch_announcements"]) == 1
    assert claim_watch(watched, START + HOUR).cursor == "end"


def test_tick_waits_for_the_long_write_of_another_process(tmp_path: Path) -> None:
    """A page gives up sooner; what a tick has judged would have to be judged again."""
    with open_watch_stores(tmp_path, "") as stores:
        stores.watches.add_watch(build_watch(), START)
        lease = claim_watch(stores)
        with closing(sqlite3.connect(tmp_path / "watches.db", check_same_thread=False, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ServiceUnavailableError, match="locked"):
                stores.watches.set_paused("calls", False, START)
            timer = Timer(0.3, lambda: other.execute("COMMIT"))
            timer.start()
            assert stores.ticks.commit_tick(lease, build_outcome(lease, {("north", START): 1.0}), START + HOUR)
            timer.join()


def test_unreachable_database_of_watches_is_told_at_once(tmp_path: Path) -> None:
    url = make_url(f"postgresql://user:secret-word@127.0.0.1:{find_free_port()}/watches")
    with open_watch_stores(tmp_path / "watches", url.render_as_string(hide_password=False)) as stores:
        with assert_no_hang(), pytest.raises(ServiceUnavailableError, match="database of the watches") as error:
            stores.watches.list_states()
        assert "secret-word" not in str(error.value)
        with assert_no_hang(), pytest.raises(ServiceUnavailableError):
            stores.ticks.claim_tick("worker", START + timedelta(days=1))
