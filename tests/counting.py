"""A job that can be watched: it counts, keeps a checkpoint, and writes down every step. `python -m tests.counting`
does such jobs.
"""

import os
import time
from pathlib import Path
from typing import Any

from core.actor import Actor
from core.cli.worker import told_to_end
from core.errors import DataError
from core.jobs.worker import CarryOut, Worker
from core.progress import Progress
from core.workspace import Workspace, get_workspace

STEP = 0.05  # seconds


def count(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Count to `until` from where the checkpoint says; every step goes into the file `log`, with the process that
    took it.
    """
    assert progress.folder is not None
    checkpoint = progress.folder / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    while step < arguments["until"]:
        step += 1
        progress.tell(step / arguments["until"], "counting")
        progress.draw("loss", step, 1 / step)
        with Path(arguments["log"]).open("a") as log:
            log.write(f"{os.getpid()} {step}\n")
        checkpoint.write_text(str(step))
        time.sleep(STEP)
    return f"run-of-{actor.user}"


def deaf(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Work that tells nothing for a minute."""
    time.sleep(60)
    return ""


def refused(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    raise DataError("{file} has no dates.", file="a.csv")


def broken(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    raise ZeroDivisionError("a secret of the machine")


VERBS: dict[str, CarryOut] = {"count": count, "deaf": deaf, "refused": refused, "broken": broken}


def steps(log: Path) -> list[tuple[int, int]]:
    """Process and number of every step taken."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(pid), int(step)) for pid, step in (line.split() for line in lines)]


if __name__ == "__main__":
    Worker(get_workspace(), told_to_end(), carry_out=VERBS.__getitem__, give_up=lambda: os._exit(1)).run()
