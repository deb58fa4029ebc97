"""Commands `python -m core …` in a process of their own, and their output: one JSON object, or one line of error."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.settings import ROOT
from tests.support.command_server import ForkedProcess, get_command_server

TIMEOUT_S = 180.0


def run_vigie(
    data_folder: Path,
    *arguments: object,
    piped: str = "",
    working_folder: Path = ROOT,
    timeout_s: float = TIMEOUT_S,
    **settings: str,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m core …` with a data folder and settings; `piped` is the standard input."""
    environment = build_environment(data_folder, settings)
    return run_module(
        "core", *arguments, environment=environment, piped=piped, working_folder=working_folder, timeout_s=timeout_s
    )


def run_module(
    module: str,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    piped: str = "",
    working_folder: Path = ROOT,
    timeout_s: float = TIMEOUT_S,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m MODULE …` in a fork of a process that has imported the libraries, which saves seconds."""
    words = [str(argument) for argument in arguments]
    process = get_command_server().start(
        module, *words, environment=environment or os.environ, piped=piped, working_folder=working_folder
    )
    try:
        process.wait(timeout_s)
    finally:
        process.kill()
    return process.complete("python", "-m", module, *words)


def start_code(code: str, *arguments: object) -> ForkedProcess:
    """Start `python -W error -c CODE …` in such a fork."""
    return get_command_server().start("tests.support.code", code, *map(str, arguments), environment=os.environ)


def run_code(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run `python -W error -c CODE …` in such a fork."""
    return run_module("tests.support.code", code, *arguments)


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
