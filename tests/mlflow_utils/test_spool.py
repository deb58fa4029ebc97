"""Spool of runs: one file, opened by many processes."""

import subprocess
import sys
from pathlib import Path

from core.settings import ROOT

OPEN_SPOOLS = """
import sys, threading
from pathlib import Path
from mlflow_utils.spool import Spool

errors = []

def open_spool():
    try:
        for number in range(30):
            Spool(Path(sys.argv[1]) / str(number)).list_pending()
    except Exception as error:
        errors.append(error)

sys.stdin.readline()  # all processes start at the same time
threads = [threading.Thread(target=open_spool) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(f"{errors}" if errors else 0)
"""


def test_spool_is_created_by_several_processes_at_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_SPOOLS, str(tmp_path / "runs")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
