"""The MLflow server that an app starts beside itself on the SQLite file of its data folder, to browse the runs.

The app and the workers use the file and do not need the server, so nothing waits for it.
"""

import logging
import shlex
import threading
from contextlib import suppress

from core.operations.servers import Servers, get_store_uri, is_port_busy, start_mlflow
from core.storage.serve_lock import FolderInUseError, lock_data_folder, unlock_data_folder
from core.workspace import Workspace

logger = logging.getLogger(__name__)

OFF = "off"
START_DELAY_S = 6.0  # delay, so that the first pages of a new app are not slowed down
RETRY_INTERVAL_S = 10.0  # after the end of the server, or while another app has one
MAX_PORTS = 20
NICENESS = 5


def keep_mlflow_running(workspace: Workspace, app: str, shutdown: threading.Event) -> None:
    """Run an MLflow server until the shutdown, unless one is set or another process has one for this data folder.

    app  address of the app, for those who ask who serves the folder
    """
    address = workspace.settings.vigie_mlflow_address
    if workspace.settings.mlflow_tracking_uri or address == OFF or shutdown.wait(START_DELAY_S):
        return
    host, _, port = address.rpartition(":")
    while True:
        with suppress(FolderInUseError, OSError):  # another app has one, or the folder is read-only
            _run_server(workspace, app, host, int(port), shutdown)
        if shutdown.wait(RETRY_INTERVAL_S):
            return


def format_server_command(workspace: Workspace) -> str:
    """Return the command that starts an MLflow server on the SQLite file of the data folder."""
    return shlex.join(["python", "-m", "mlflow", "server", "--backend-store-uri", get_store_uri(workspace.folder)])


def _run_server(workspace: Workspace, app: str, host: str, first_port: int, shutdown: threading.Event) -> None:
    store = workspace.tracking.store
    store.repair_once()
    if store.find_version_problem() or store.create_once():
        return
    port = next((port for port in range(first_port, first_port + MAX_PORTS) if not is_port_busy(host, port)), 0)
    if not port:
        logger.warning("no MLflow server: the ports %d to %d are in use", first_port, first_port + MAX_PORTS - 1)
        return
    lock = lock_data_folder(workspace.folder, app, f"http://{host}:{port}", wait_s=0)
    servers = Servers(lock)
    try:
        names = [name.strip() for name in workspace.settings.vigie_allowed_hosts.split(",") if name.strip()]
        artefacts = workspace.tracking.artefacts_location or ""
        start_mlflow(servers, workspace.folder, artefacts, host, port, names, NICENESS)
        servers.wait(shutdown)
    finally:
        servers.stop()
        unlock_data_folder(lock)
