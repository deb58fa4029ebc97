"""The lock of a data folder: one MLflow server at a time works on its SQLite file, that of `serve` or of an app.

The system releases the lock when the last process that holds it ends, so a killed one leaves none behind.
"""

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from core.errors import VigieError
from core.messages import N_
from mlflow_utils.process_identity import identify_process, is_alive

LOCK_FILE = "serve.lock"
POLL_INTERVAL_S = 0.1
WAIT_S = 20.0  # longer than the servers of a killed `serve` take to end


@dataclass(frozen=True)
class Holder:
    """The process that serves a data folder, with the addresses of the app and of MLflow.

    is_ready  True from the first answer of the MLflow server on
    """

    process: str
    app: str
    mlflow: str
    started: str
    is_ready: bool = False


class FolderInUseError(VigieError):
    """Another process serves the data folder."""


def lock_data_folder(folder: Path, app: str, mlflow: str, wait_s: float = WAIT_S) -> int:
    """Lock the data folder for this process and return the file descriptor that holds the lock.

    A child process that inherits the descriptor holds the lock too. Where the servers of a killed process are still
    ending, this waits for them, `wait_s` seconds. Raises FolderInUseError if a living process serves the folder.
    """
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait_s
    while not _try_lock(descriptor):
        holder = _read_holder(descriptor)
        if (holder is not None and is_alive(holder.process)) or time.monotonic() > deadline:
            os.close(descriptor)
            raise _build_error(folder, holder)
        time.sleep(POLL_INTERVAL_S)
    _write_holder(descriptor, Holder(identify_process(), app, mlflow, datetime.now(UTC).isoformat(timespec="seconds")))
    return descriptor


def unlock_data_folder(descriptor: int) -> None:
    """Release the lock of this process, whose servers have ended."""
    os.ftruncate(descriptor, 0)
    os.close(descriptor)


def announce_mlflow(folder: Path) -> None:
    """Note that the MLflow server of this process answers; nothing changes where this process has lost the lock."""
    with suppress(OSError):  # the folder is read-only or gone
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
        holder = _read_holder(descriptor)
        if holder is not None and holder.process == identify_process():
            _write_holder(descriptor, replace(holder, is_ready=True))
        os.close(descriptor)


def find_mlflow_address(folder: Path) -> str:
    """Return the address of the MLflow server of a data folder; "" without one, and until its first answer.

    The server is not asked, so that a page need not wait for a slow one.
    """
    try:
        holder = Holder(**json.loads((folder / LOCK_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ""
    return holder.mlflow if holder.is_ready and is_alive(holder.process) else ""


def _try_lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _read_holder(descriptor: int) -> Holder | None:
    """Return the holder; None while it has not written its name."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _write_holder(descriptor: int, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    os.pwrite(descriptor, text, 0)  # before the end is cut off, so that no reader finds an empty file
    os.ftruncate(descriptor, len(text))


def _build_error(folder: Path, holder: Holder | None) -> FolderInUseError:
    if holder is None:
        return FolderInUseError(N_("Another process serves the data folder {folder}."), folder=str(folder))
    host, pid, *_start = holder.process.split(":")
    message = N_(
        "The data folder {folder} is served already: process {pid} on {host}, since {started}. Open {app}, or set "
        "VIGIE_DATA_DIR to another folder. A second app on this folder needs MLFLOW_TRACKING_URI={mlflow} and a port "
        "of its own."
    )
    values = {"pid": pid, "host": host, "started": holder.started, "app": holder.app, "mlflow": holder.mlflow}
    return FolderInUseError(message, folder=str(folder), **values)
