"""Jobs for tests: they count, write a checkpoint and log every step.

`python -m tests.support.counting_job [lease in seconds]` starts a worker for them.
"""

import errno
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from core.actor import Actor
from core.cli.shutdown import install_shutdown_event
from core.data.samples import load_sample
from core.errors import DataError
from core.jobs.worker import JobHandler, Worker
from core.progress import Progress
from core.runs.tracked_run import track_run
from core.workspace import Workspace, get_workspace

STEP_S = 0.05


def run_test_job(
    task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress
) -> str:
    """Run the test job named `task`."""
    handler: JobHandler = HANDLERS[task]
    return handler(task, arguments, workspace=workspace, actor=actor, progress=progress)


def count_steps(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Count from the checkpoint to `until`; write every step and its process id to the file `log`."""
    assert progress.folder is not None
    checkpoint = progress.folder / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    while step < arguments["until"]:
        step += 1
        progress.report(step / arguments["until"], "counting")
        progress.add_point("loss", step, 1 / step)
        _log_step(arguments, step)
        checkpoint.write_text(str(step))
        time.sleep(arguments.get("step_s", STEP_S))
    return f"run-of-{actor.user}"


def record_run(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Record a run; the process that records the first one kills itself before it returns the run's id."""
    with track_run("tests", "Nothing", {}, load_sample("gas_daily"), actor, workspace) as run:
        _log_step(arguments, 1)
    if len(read_steps(Path(arguments["log"]))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return run.id


def never_stop(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Sleep for 60 seconds without a report."""
    time.sleep(60)
    return ""


def raise_data_error(
    task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress
) -> str:
    """Raise DataError."""
    raise DataError("{file} has no dates.", file="a.csv")


def raise_unexpected_error(
    task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress
) -> str:
    """Raise an unexpected error whose text must not be shown."""
    raise ZeroDivisionError("a secret of the machine")


def fill_disk(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Raise the error of a full disk outside any run, as a question of a page may."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "answers")


HANDLERS: dict[str, JobHandler] = {
    "count": count_steps,
    "record": record_run,
    "never_stop": never_stop,
    "refused": raise_data_error,
    "broken": raise_unexpected_error,
    "full_disk": fill_disk,
}


def read_steps(log: Path) -> list[tuple[int, int]]:
    """Return process id and number of every step in the log."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(pid), int(step)) for pid, step in (line.split() for line in lines)]


def _log_step(arguments: dict[str, Any], step: int) -> None:
    with Path(arguments["log"]).open("a") as log:
        log.write(f"{os.getpid()} {step}\n")


if __name__ == "__main__":
    workspace = get_workspace()
    workspace.jobs.lease_s = float(sys.argv[1]) if len(sys.argv) > 1 else workspace.jobs.lease_s
    Worker(workspace, run_test_job, install_shutdown_event(), give_up=lambda: os._exit(1)).run()
