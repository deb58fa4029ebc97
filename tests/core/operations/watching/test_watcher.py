"""The loop of a worker that asks watches: when rows arrive, when the database is gone, and at the shutdown."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.operations.watching import watcher
from core.operations.watching.tick import run_watch_now
from core.operations.watching.watcher import make_worker_name, run_ticks_once, watch_loop
from core.storage.watches.ticks import TickRecord
from core.workspace import Workspace
from tests.support.watched_power import ALICE, FIRST_WATCHED, make_rows, train_power_model, watch_inbox, write_rows

WAIT_S = 60.0


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Workspace, str]:
    """A workspace with a model, and the id of its run."""
    return train_power_model(tmp_path_factory.mktemp("watched"), empty_store)


@contextmanager
def run_loop(workspace: Workspace) -> Iterator[threading.Thread]:
    """Run the loop in a thread until the end of the block."""
    shutdown = threading.Event()
    thread = threading.Thread(target=watch_loop, args=(workspace, shutdown))
    thread.start()
    try:
        yield thread
    finally:
        shutdown.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def wait_for_tick(workspace: Workspace, name: str) -> TickRecord:
    """Return the first tick of a watch."""
    deadline = time.monotonic() + WAIT_S
    while not (records := workspace.watches.ticks.list_ticks(name)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return records[-1]


def test_loop_asks_new_watch(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    with run_loop(workspace):
        _, inbox = watch_inbox(workspace, run_id, "looped")
        assert wait_for_tick(workspace, "looped").state == "completed"
    write_rows(make_rows(FIRST_WATCHED, 1), inbox / "rows.csv")
    assert run_watch_now("looped", workspace, ALICE).rows_new == 3


def test_loop_survives_errors(
    trained_model: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace, run_id = trained_model
    monkeypatch.setattr(watcher, "POLL_S", 0.01)
    database = workspace.watches.database
    original, failures = database.read, iter([ZeroDivisionError("once")])

    def read(*arguments: Any) -> Any:
        is_loop = threading.current_thread() is not threading.main_thread()
        if is_loop and (error := next(failures, None)) is not None:
            raise error
        return original(*arguments)

    monkeypatch.setattr(database, "read", read)
    with run_loop(workspace):
        watch_inbox(workspace, run_id, "survived")
        assert wait_for_tick(workspace, "survived").state == "completed"
    assert "the watches cannot be asked now" in caplog.text


def test_ticks_of_worker_that_ends_are_run_once(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    shutdown = threading.Event()
    run_ticks_once(workspace, shutdown)  # those of other tests
    watch_inbox(workspace, run_id, "once")
    assert run_ticks_once(workspace, shutdown) == 1
    assert run_ticks_once(workspace, shutdown) == 0
    shutdown.set()
    watch_inbox(workspace, run_id, "too-late")
    assert run_ticks_once(workspace, shutdown) == 0


def test_workers_of_one_process_have_own_names() -> None:
    assert make_worker_name() != make_worker_name()
