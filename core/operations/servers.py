"""Server processes that end together with the process that starts them, and the MLflow server of a data folder."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from core.process_groups import stop_groups
from core.settings import ROOT
from core.storage.serve_lock import announce_mlflow
from mlflow_utils.rest import request
from mlflow_utils.store_version import SQLITE

CHECK_INTERVAL_S = 0.3
FIRST_ANSWER_TIMEOUT_S = 10.0
ALL_ADDRESSES, LOOPBACK = "0.0.0.0", "127.0.0.1"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]", "10.*", "192.168.*", *(f"172.{part}.*" for part in range(16, 32)))
"""Names under which MLflow answers besides those of VIGIE_ALLOWED_HOSTS."""


class Servers:
    """Processes that end together, also if the process that starts them is killed.

    lock  file descriptor that the last one of them to end gives back; None without a lock
    """

    def __init__(self, lock: int | None) -> None:
        command = [sys.executable, "-m", "core.process_groups"]
        descriptors = () if lock is None else (lock,)
        self._guard = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=descriptors, start_new_session=True
        )
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], niceness: int = 0
    ) -> "subprocess.Popen[bytes]":
        """Start a process in a group of its own, where no signal of the terminal reaches it, and return it."""
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        self._processes.append(process)
        if niceness:
            os.setpriority(os.PRIO_PGRP, process.pid, niceness)
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{process.pid}\n".encode())
        self._guard.stdin.flush()
        return process

    def wait(self, shutdown: threading.Event) -> None:
        """Wait for the shutdown or the end of one process."""
        while not shutdown.wait(CHECK_INTERVAL_S):
            if any(process.poll() is not None for process in (*self._processes, self._guard)):
                return

    def stop(self) -> None:
        """End all processes and their child processes."""
        stop_groups(process.pid for process in self._processes)
        self._guard.kill()
        self._guard.wait()


def start_mlflow(
    servers: Servers, folder: Path, artefacts: str, host: str, port: int, names: Sequence[str] = (), niceness: int = 0
) -> None:
    """Start an MLflow server on the SQLite file of a data folder; its first answer is noted in the lock of the folder.

    artefacts  URI of the artifacts
    names      names under which browsers reach the server besides those of this machine and of private networks
    """
    options = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # otherwise MLflow starts 8 more processes, which need 2 GB
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", get_store_uri(folder)),
        *("--default-artifact-root", artefacts),
        *("--artifacts-destination", artefacts),
        *("--host", host, "--port", str(port)),
        *("--workers", "1"),
        "--uvicorn-opts=--no-access-log",  # health checks would fill the log
    ]
    if names:
        hosts = [pattern for name in (*LOCAL_NAMES, *names) for pattern in (name, f"{name}:*")]
        origins = [f"{scheme}://{name}:{port}" for name in names for scheme in ("http", "https")]
        command += ["--allowed-hosts", ",".join(hosts), "--cors-allowed-origins", ",".join(origins)]
    process = servers.start(command, os.environ | options, niceness)
    address = f"http://{host}:{port}".replace(ALL_ADDRESSES, LOOPBACK)
    threading.Thread(target=_announce_first_answer, args=(process, address, folder), daemon=True).start()


def _announce_first_answer(process: "subprocess.Popen[bytes]", address: str, folder: Path) -> None:
    while process.poll() is None:
        with suppress(OSError):
            request(address, "/health", FIRST_ANSWER_TIMEOUT_S)
            announce_mlflow(folder)
            return
        time.sleep(CHECK_INTERVAL_S)


def get_store_uri(folder: Path) -> str:
    """Return the URI of MLflow's SQLite file in a data folder."""
    return f"{SQLITE}{folder / 'mlflow.db'}"


def is_port_busy(host: str, port: int) -> bool:
    """Tell whether another process listens on a port, or this one may not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
