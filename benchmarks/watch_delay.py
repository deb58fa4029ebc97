"""Time from a file's arrival in a watched folder to the mail about its incident, with real worker processes."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from aiosmtpd.controller import Controller

from benchmarks.report import ResultLine, check_target
from core.data.samples import make_sample_table
from core.settings import ROOT, Settings
from core.workspace import Workspace
from tests.support.commands import read_json_output, run_vigie
from tests.support.processes import find_free_port, kill_process_tree

WATCH, INTERVAL_S, TRIALS, SEED = "gas", 60.0, 6, 7
REST_TARGET_S = 5.0  # from the instant at which the tick is due to the mail
MAIL_TIMEOUT_S = 150.0
FAULT_HOUR, FAULT_FACTOR = "14:00", 5.0
DAYS_BETWEEN_FAULTS = 10  # so that each is an incident of its own
DETECTOR = ("--detector", "isolation-forest")


class Postbox:
    """Handler of a mail server that notes when each mail arrives."""

    def __init__(self) -> None:
        self.arrivals: Queue[float] = Queue()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (a name of aiosmtpd)
        """Accept a mail."""
        self.arrivals.put(time.time())
        return "250 OK"


def main() -> list[ResultLine]:
    """Let files arrive at random times within the minute, and wait for the mail about each."""
    postbox, random_times = Postbox(), random.Random(SEED)
    with TemporaryDirectory(prefix="vigie-watch-") as name:
        folder, inbox = Path(name) / "data", Path(name) / "inbox"
        folder.mkdir()
        inbox.mkdir()
        server = Controller(postbox, hostname="127.0.0.1", port=find_free_port())
        server.start()
        settings = {
            "MLFLOW_TRACKING_URI": "",
            "VIGIE_SMTP_URL": f"smtp://127.0.0.1:{server.port}",
            "VIGIE_MAIL_FROM": "vigie@example.org",
            "VIGIE_SOURCE_PLACES": str(inbox),
        }
        try:
            faults = _prepare_watch(folder, inbox, settings)
            with _run_workers(folder, settings):
                delays = []
                for number in range(TRIALS):
                    time.sleep(random_times.uniform(0, INTERVAL_S))
                    delays.append(_measure_delay(faults[number], inbox / f"{number}.csv", postbox, folder))
        finally:
            server.stop()
    totals, rests = zip(*delays, strict=True)
    return [
        ResultLine(
            "from the file to the mail",
            f"{max(totals):.1f} s",
            f"{min(totals):.1f} – {max(totals):.1f}",
            f"{TRIALS} files, a tick in {INTERVAL_S:.0f} s",
            *check_target(max(totals), INTERVAL_S + REST_TARGET_S, "s"),
        ),
        ResultLine(
            "from the tick to the mail",
            f"{max(rests):.1f} s",
            f"{min(rests):.1f} – {max(rests):.1f}",
            f"{TRIALS} files",
            *check_target(max(rests), REST_TARGET_S, "s"),
        ),
    ]


def _prepare_watch(folder: Path, inbox: Path, settings: dict[str, str]) -> list[pd.DataFrame]:
    """Train a model and add the watch; return one row with a fault for each trial."""
    gas = make_sample_table("gas_daily")
    gas = gas[gas["region"] == gas["region"].iloc[0]].sort_values("date").reset_index(drop=True)
    count = TRIALS * DAYS_BETWEEN_FAULTS
    gas.iloc[:-count].to_csv(folder.parent / "past.csv", index=False)
    run = read_json_output(run_vigie(folder, "detect", folder.parent / "past.csv", *DETECTOR, "--json", **settings))[
        "run_id"
    ]
    for words in (
        ("recipients", "add", "ops", "--mail", "ops@example.org", "--max-per-hour", "1000"),
        ("add", "--name", WATCH, "--from-run", run, "--every", "1 minute", "--folder", inbox, "--recipient", "ops"),
    ):
        read_json_output(run_vigie(folder, "watch", *words, "--json", **settings))
    rows = [gas.iloc[[len(gas) - count + number * DAYS_BETWEEN_FAULTS]].copy() for number in range(TRIALS)]
    for row in rows:
        row[FAULT_HOUR] *= FAULT_FACTOR
    return rows


@contextmanager
def _run_workers(folder: Path, settings: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "core", "worker", "--workers", "2"]
    environment = os.environ | {"VIGIE_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"} | settings
    with (folder.parent / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for_tick(folder)
        yield
    finally:
        kill_process_tree(process)


def _wait_for_tick(folder: Path) -> None:
    """Wait until the workers have asked the watch once: their start is not measured."""
    workspace = Workspace.from_settings(Settings(vigie_data_dir=folder))
    deadline = time.monotonic() + MAIL_TIMEOUT_S
    while workspace.watches.watches.load_state(WATCH).last_tick is None:
        if time.monotonic() > deadline:
            raise TimeoutError((folder.parent / "worker.log").read_text(encoding="utf-8")[-2000:])
        time.sleep(0.2)


def _measure_delay(row: pd.DataFrame, path: Path, postbox: Postbox, folder: Path) -> tuple[float, float]:
    """Let a file arrive; return the seconds from its arrival, and from the next tick, to the mail."""
    part = path.with_name(f".{path.name}.part")
    row.to_csv(part, index=False)
    workspace = Workspace.from_settings(Settings(vigie_data_dir=folder))
    due = workspace.watches.watches.load_state(WATCH).next_tick or datetime.now(UTC)
    part.rename(path)
    arrived = time.time()
    try:
        mailed = postbox.arrivals.get(timeout=MAIL_TIMEOUT_S)
    except Empty:
        raise TimeoutError((folder.parent / "worker.log").read_text(encoding="utf-8")[-2000:]) from None
    return mailed - arrived, mailed - max(due.timestamp(), arrived)
