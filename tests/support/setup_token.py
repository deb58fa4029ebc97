"""The setup token that a server prints."""

import re
import time
from pathlib import Path


def read_setup_token(folder: Path, seconds: float = 20) -> str:
    """Return the setup token that the servers of a data folder printed."""
    deadline = time.monotonic() + seconds
    while not (tokens := re.findall(r"first administrator:\s+(\S+)", (folder / "app.log").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    [token] = set(tokens)
    return str(token)
