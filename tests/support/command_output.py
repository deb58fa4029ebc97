"""Output of commands: one JSON object, or one line of error."""

import json
import subprocess
from typing import Any


def read_json_output(process: "subprocess.CompletedProcess[str]") -> Any:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def assert_one_line_error(process: "subprocess.CompletedProcess[str]", code: int, message: str) -> None:
    assert process.returncode == code, process.stderr
    assert process.stdout == ""
    assert message in process.stderr, process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
