"""Commands `python -m core …` in a process of their own, and their output: one JSON object, or one line of error."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.settings import ROOT


def run_vigie(
    data_folder: Path, *arguments: object, piped: str = "", **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m core …` with a data folder and settings; `piped` is the standard input."""
    return subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"VIGIE_DATA_DIR": str(data_folder), "OMP_NUM_THREADS": "1"} | settings,
        input=piped,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def read_json_output(process: "subprocess.CompletedProcess[str]") -> Any:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def assert_one_line_error(process: "subprocess.CompletedProcess[str]", code: int, message: str) -> None:
    assert process.returncode == code, process.stderr
    assert process.stdout == ""
    assert message in process.stderr, process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
