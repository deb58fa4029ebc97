"""Health checks of MLflow and of its artifact store, which avoid the import of MLflow where possible."""

import os
import sqlite3
from contextlib import closing
from importlib.metadata import version as installed_version
from pathlib import Path
from urllib.parse import urlsplit

from mlflow_utils.rest import request

REQUEST_TIMEOUT_S = 1.4
MISSING_PATH = "vigie-health"  # this path is empty; an empty listing is a successful answer
SQLITE = "sqlite:///"


def check_server(uri: str) -> str:
    """Return the version of MLflow after a request that uses its database.

    Raises OSError, including HTTPError of urllib.
    """
    if not uri.startswith("http"):
        return f"{installed_version('mlflow')}, SQLite {_check_sqlite(uri)}"
    request(uri, "/api/2.0/mlflow/experiments/search", REQUEST_TIMEOUT_S, {"max_results": 1})
    return request(uri, "/version", REQUEST_TIMEOUT_S).strip()


def load_artifact_library(location: str | None) -> None:
    """Import the library of the artifact store at `location`, where `check_artifacts` needs one."""
    if location and urlsplit(location).scheme not in ("", "file"):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        get_artifact_repository(location)


def check_artifacts(uri: str, location: str | None) -> None:
    """Check the artifact store at `location`, or that of the server `uri` where `location` is None.

    Raises OSError, or the errors of the library of a cloud store.
    """
    if not location:
        request(uri, f"/api/2.0/mlflow-artifacts/artifacts?path={MISSING_PATH}", REQUEST_TIMEOUT_S)
    elif urlsplit(location).scheme in ("", "file"):
        folder = Path(urlsplit(location).path)
        if not os.access(next(parent for parent in (folder, *folder.parents) if parent.exists()), os.W_OK):
            raise PermissionError(f"{folder} cannot be written to")
    else:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        get_artifact_repository(location).list_artifacts(MISSING_PATH)


def _check_sqlite(uri: str) -> str:
    """Return the version of the SQLite library. Raises sqlite3.Error if the file exists and is not readable."""
    path = Path(uri.removeprefix(SQLITE))
    if path.exists():
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as connection:
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    return sqlite3.sqlite_version
