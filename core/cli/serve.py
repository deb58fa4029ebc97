"""The command `python -m core serve`: the app and an MLflow server on SQLite; Ctrl-C stops both."""

import os
import sys
from typing import Annotated

import typer

from core.cli.options import exit_on_error, exit_with
from core.cli.shutdown import install_shutdown_event
from core.operations.servers import Servers, get_store_uri, is_port_busy, start_mlflow
from core.operations.upgrades import make_version_error
from core.settings import ROOT
from core.storage.data_folder import open_data_folder
from core.storage.serve_lock import lock_data_folder
from core.workspace import read_settings
from mlflow_utils.defaults import set_mlflow_defaults
from mlflow_utils.spool import Spool
from mlflow_utils.store_repair import StoreFile


def serve(
    port: Annotated[int, typer.Option(envvar="PORT", help="Port of the app.")] = 8501,
    mlflow_port: Annotated[int, typer.Option(envvar="MLFLOW_PORT", help="Port of the MLflow server.")] = 5000,
    host: Annotated[str, typer.Option(help="Address on which both servers listen.")] = "127.0.0.1",
) -> None:
    """Start the app and an MLflow server and print their addresses.

    One data folder has one MLflow server: a second `serve` on it tells who serves it already. If MLFLOW_TRACKING_URI is
    set, only the app starts, and several may share a data folder.
    """
    shutdown = install_shutdown_event()
    config = read_settings()
    set_mlflow_defaults()
    folder = config.vigie_data_dir.resolve()
    open_data_folder(folder)
    app_url, mlflow_url = f"http://{host}:{port}", config.mlflow_tracking_uri or f"http://{host}:{mlflow_port}"
    lock = None
    if not config.mlflow_tracking_uri:
        with exit_on_error():
            lock = lock_data_folder(folder, app_url, mlflow_url)
    for number in (port,) if lock is None else (port, mlflow_port):
        if is_port_busy(host, number):
            exit_with(f"Port {number} is in use; choose another, for instance: make run PORT=8601 MLFLOW_PORT=5100", 1)
    artefacts = config.artefacts_location or ""
    if lock is not None:
        store = StoreFile(get_store_uri(folder), artefacts, Spool(folder / "runs"))
        store.repair_once()
        if (version := store.read_version()) != "current":
            exit_with(str(make_version_error(version, get_store_uri(folder))), 1)
        if problem := store.create_once():
            exit_with(problem, 1)
    servers = Servers(lock)
    try:
        environment = dict(os.environ)
        if lock is not None:
            environment |= {"MLFLOW_TRACKING_URI": mlflow_url, "MLFLOW_ARTEFACTS_LOCATION": artefacts}
            start_mlflow(servers, folder, artefacts, host, mlflow_port)
        app = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
        options = [f"--server.port={port}", f"--server.address={host}", "--server.headless=true"]
        servers.start([*app, *options], environment)
        typer.echo(f"\n  Vigie   {app_url}\n  MLflow  {mlflow_url}\n")
        servers.wait(shutdown)
    finally:
        servers.stop()
