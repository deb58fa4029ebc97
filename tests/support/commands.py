"""Commands `python -m core …` in a process of their own, and their output: one JSON object, or one line of error."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.settings import ROOT
from tests.support.command_server import get_command_server

TIMEOUT_S = 180.0


def run_vigie(
    data_folder: Path, *arguments: object, piped: str = "", **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m core …` with a data folder and settings; `piped` is the standard input.

    The process is a fork of one that has imported the libraries, which saves seconds per command.
    """
    words = [str(argument) for argument in arguments]
    environment = build_environment(data_folder, settings)
    process = get_command_server().start("core", *words, environment=environment, piped=piped)
    try:
        code = process.wait(TIMEOUT_S)
    finally:
        process.kill()
    output, errors = ((process.folder / name).read_text() for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(["python", "-m", "core", *words], code, output, errors)


def run_vigie_afresh(data_folder: Path, *arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m core …` as a user does: in a new process that imports its libraries."""
    return subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        cwd=ROOT,
        env=build_environment(data_folder, settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def build_environment(data_folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    return os.environ | {"VIGIE_DATA_DIR": str(data_folder), "OMP_NUM_THREADS": "1"} | settings


def read_json_output(process: "subprocess.CompletedProcess[str]") -> Any:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def assert_one_line_error(process: "subprocess.CompletedProcess[str]", code: int, message: str) -> None:
    assert process.returncode == code, process.stderr
    assert process.stdout == ""
    assert message in process.stderr, process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
