"""The command `python -m core serve`: the app and an MLflow server on SQLite; Ctrl-C stops both."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Annotated

import typer

from core.cli.options import exit_with
from core.settings import ROOT, get_settings
from core.storage.data_folder import open_data_folder
from mlflow_utils.spool import Spool
from mlflow_utils.store_repair import StoreFile


def serve(
    port: Annotated[int, typer.Option(envvar="PORT", help="Port of the app.")] = 8501,
    mlflow_port: Annotated[int, typer.Option(envvar="MLFLOW_PORT", help="Port of the MLflow server.")] = 5000,
    host: Annotated[str, typer.Option(help="Address on which both servers listen.")] = "127.0.0.1",
) -> None:
    """Start the app and an MLflow server and print their addresses.

    If MLFLOW_TRACKING_URI is set, only the app starts.
    """
    config = get_settings()
    for number in (port,) if config.mlflow_tracking_uri else (port, mlflow_port):
        if _is_port_busy(host, number):
            exit_with(f"Port {number} is in use; choose another, for instance: make run PORT=8601 MLFLOW_PORT=5100", 1)
    folder = config.vigie_data_dir.resolve()
    open_data_folder(folder)
    environment = dict(os.environ)
    processes = []
    if not config.mlflow_tracking_uri:
        environment |= {
            "MLFLOW_TRACKING_URI": f"http://{host}:{mlflow_port}",
            "MLFLOW_ARTEFACTS_LOCATION": config.artefacts_location or "",
        }
        StoreFile(config.tracking_uri, Spool(folder / "runs")).repair_once()
        processes.append(
            _start_mlflow(f"sqlite:///{folder / 'mlflow.db'}", config.artefacts_location or "", host, mlflow_port)
        )
    app = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    options = [f"--server.port={port}", f"--server.address={host}", "--server.headless=true"]
    processes.append(subprocess.Popen([*app, *options], env=environment, start_new_session=True))
    typer.echo(
        f"\n  Vigie   http://{host}:{port}\n  MLflow  {environment.get('MLFLOW_TRACKING_URI') or config.tracking_uri}\n"
    )
    _wait_and_stop(processes)


def _start_mlflow(store: str, artefacts: str, host: str, port: int) -> "subprocess.Popen[bytes]":
    options = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # otherwise MLflow starts 8 more processes, which need 2 GB
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--default-artifact-root",
        artefacts,
        "--artifacts-destination",
        artefacts,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    return subprocess.Popen(command, env=os.environ | options, start_new_session=True)


def _is_port_busy(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _wait_and_stop(processes: "list[subprocess.Popen[bytes]]") -> None:
    """Wait for Ctrl-C or the end of one process, then stop all of them."""
    shutdown = threading.Event()
    for stop_signal in (signal.SIGTERM, signal.SIGINT):  # a shell starts background jobs with SIGINT ignored
        signal.signal(stop_signal, lambda *_: shutdown.set())
    while not shutdown.wait(0.3) and all(process.poll() is None for process in processes):
        pass
    for process in processes:
        _send_signal(process, signal.SIGTERM)
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(8)
        _send_signal(process, signal.SIGKILL)  # and its child processes
        process.wait()


def _send_signal(process: "subprocess.Popen[bytes]", signal_number: signal.Signals) -> None:
    """Send a signal to the process group of `process`."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal_number)
