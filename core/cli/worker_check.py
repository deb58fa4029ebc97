"""Check of a container: `python -m core.cli.worker_check` succeeds while a worker of this host is alive.

The health check of an image must be quick, so this module imports less than a command does.
"""

import socket
import sys

from core.settings import get_settings, load_environment
from core.storage.jobs import JobStore


def has_worker() -> bool:
    """Tell whether a worker of this host has told lately that it is alive.

    Raises ServiceUnavailableError where the queue does not answer.
    """
    settings = get_settings()
    store = JobStore(settings.vigie_data_dir.resolve() / "jobs", settings.database_url.get_secret_value())
    return any(worker.host == socket.gethostname() for worker in store.list_workers())


if __name__ == "__main__":
    load_environment()
    sys.exit(0 if has_worker() else "no worker of this host is alive")
