"""Runs that are killed after every step: `python -m tests.support.killed_runs FOLDER URI STRIDE FILE…`.

A step is one of the first three visits of a line of one of the files. Each run is a process of its own, forked from
this one, and ends with `os._exit` at its step, as after `kill -9`. The last run is not killed. The number of runs is
printed.
"""

import os
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.runs.tracked_run import track_run
from core.workspace import Workspace
from mlflow_utils import emissions
from mlflow_utils.tracking import Tracking

KILLED = 9
MAX_VISITS = 3  # of a line; loops over the runs that wait would never end


def main(folder: Path, uri: str, stride: int, files: frozenset[str]) -> None:
    import mlflow.pyfunc  # noqa: F401  loaded once, before the forks

    emissions.preload("FRA")
    dataset = load_sample("gas_daily")
    with TemporaryDirectory() as other_folder:
        assert dataset.digest, "what is computed once in a process is computed before the forks"
        open_workspace(Path(other_folder), uri)
    for number in count():
        process = os.fork()
        if not process:
            _run_until_killed(folder, uri, dataset, number, 1 + number * stride, files)
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != KILLED:
            sys.stdout.write(str(number + 1))
            return


def open_workspace(folder: Path, uri: str) -> Workspace:
    return Workspace.in_folder(folder, Tracking(uri, (folder / "mlartifacts").as_uri(), folder / "runs"))


def _run_until_killed(
    folder: Path, uri: str, dataset: Dataset, number: int, last_step: int, files: frozenset[str]
) -> None:
    """Track a run, and end the process at its step `last_step`."""
    code = 1
    try:
        workspace = open_workspace(folder, uri)
        steps, visits = count(1), Counter[tuple[str, int]]()

        def trace(frame: FrameType, event: str, _argument: Any) -> Any:
            if not frame.f_code.co_filename.endswith(tuple(files)):
                return None
            if event == "line":
                line = frame.f_code.co_filename, frame.f_lineno
                visits[line] += 1
                if visits[line] <= MAX_VISITS and next(steps) == last_step:
                    os._exit(KILLED)
            return trace

        sys.settrace(trace)
        with track_run("tests", "Nothing", {"number": number}, dataset, Actor("alice", "tests"), workspace) as run:
            (run.folder / "note.txt").write_text(str(number))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), frozenset(sys.argv[4:]))
