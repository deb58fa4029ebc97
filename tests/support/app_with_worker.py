"""The app and its embedded worker, both forked: `python -m tests.support.app_with_worker OPTION…`.

The app would start the worker as a new process, whose imports take longer than most tests.
"""

import os
import runpy
import sys
import time

from core import jobs
from core.settings import ROOT
from core.storage.data_folder import restrict_new_files
from core.workspace import get_workspace

REGISTRATION_TIMEOUT_S = 20.0


def main() -> None:
    """Fork the worker, wait until it is in the list, where the app looks for it, and become the app."""
    restrict_new_files()
    if os.fork() == 0:
        run_module("core", "worker", "--embedded")
    wait_for_worker()
    run_module("streamlit", "run", str(ROOT / "app.py"), *sys.argv[1:])


def wait_for_worker() -> None:
    workspace, deadline = get_workspace(), time.monotonic() + REGISTRATION_TIMEOUT_S
    while not jobs.list_workers(workspace):
        assert time.monotonic() < deadline, "the worker has not started"
        time.sleep(0.02)


def run_module(name: str, *arguments: str) -> None:
    """Run `python -m NAME ARGUMENT…` in this process; does not return."""
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
