"""Ticks whose worker is killed at random: `python -m tests.support.killed_ticks FOLDER NAME KILLS SEED`.

Files of the watch NAME arrive meanwhile in its inbox. Each worker is a process of its own, forked from this one, and
ends by SIGKILL after a random time. The last one runs until nothing is left. The number of files is printed.
"""

import os
import random
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import core.tasks.anomalies.judge  # noqa: F401  loaded once, before the forks
from core.operations.watching.judges import load_judge
from core.operations.watching.tick import run_tick
from core.operations.watching.watcher import make_worker_name
from core.storage.watches.stores import WatchStores
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.support.watched_power import FIRST_WATCHED, make_rows, write_rows

LEASE_S = 0.6
LONGEST_S = 0.8  # until a worker that has its model is killed
HOURS_PER_FILE = 4
IDLE_TICKS = 2  # without a row, after which the last worker ends
FAULTY_HOURS = (5, 6, 7)


def main(folder: Path, name: str, kills: int, seed: int) -> None:
    """Kill `kills` workers, then let one end its work."""
    chance, files = random.Random(seed), 0
    for _ in range(kills):
        ready, tell_ready = os.pipe()
        process = os.fork()
        if not process:
            _work(folder, name, tell_ready)
        os.close(tell_ready)
        os.read(ready, 1)
        os.close(ready)
        write_rows(make_faulty_rows(files), folder / "inbox" / name / f"{files:04d}.csv")
        files += 1
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    process = os.fork()
    if not process:
        _work(folder, name)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    sys.stdout.write(str(files))


def make_faulty_rows(file: int) -> pd.DataFrame:
    """Return the rows of a file; every sixth one ends a fault of three hours that begins in the one before."""
    rows = make_rows(FIRST_WATCHED + pd.Timedelta(hours=file * HOURS_PER_FILE), HOURS_PER_FILE, file)
    rows.loc[(rows["site"] == "paris") & rows["time"].dt.hour.isin(FAULTY_HOURS), "power"] *= 1.7
    return rows


def open_workspace(folder: Path) -> Workspace:
    """Return the workspace in `folder`, whose leases are short."""
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri(), folder / "runs")
    workspace = Workspace.in_folder(folder, tracking)
    workspace.__dict__["watches"] = WatchStores.open(folder / "watches", lease_s=LEASE_S)
    return workspace


def _work(folder: Path, name: str, tell_ready: int | None = None) -> None:
    """Ask the watch again and again; the last worker, without `tell_ready`, ends when nothing comes any more."""
    code = 1
    try:
        workspace, worker, idle = open_workspace(folder), make_worker_name(), 0
        load_judge(workspace.watches.watches.load_watch(name), workspace)
        if tell_ready is not None:
            os.write(tell_ready, b"!")
        while idle < IDLE_TICKS or tell_ready is not None:
            now = datetime.now(UTC)
            lease = workspace.watches.ticks.claim_tick(worker, now, name)
            record = None if lease is None else run_tick(lease, workspace, now)
            if record is None:
                time.sleep(LEASE_S / 4)  # a killed worker had it
            else:
                idle = 0 if record.rows_new else idle + 1
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
