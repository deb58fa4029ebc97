"""Ask whether MLflow is there, lets us in, and its store of artifacts answers.

MLflow is not imported for it, which takes seconds.
"""

import os
import sqlite3
from contextlib import closing
from importlib.metadata import version as installed
from pathlib import Path
from urllib.parse import urlsplit

from mlflow_utils.rest import asked
from mlflow_utils.tracking import Tracking

REQUEST = 1.4  # seconds
SOMEWHERE = "vigie-health"  # nothing is there; a store that lists nothing has answered
SQLITE = "sqlite:///"


def server(tracking: Tracking) -> str:
    """The version of MLflow, once it has answered as it would answer for a run.

    Raises OSError, urllib's HTTPError included.
    """
    if not tracking.uri.startswith("http"):
        return f"{installed('mlflow')}, SQLite {_sqlite(tracking.uri)}"
    asked(tracking.uri, "/api/2.0/mlflow/experiments/search", REQUEST, {"max_results": 1})
    return asked(tracking.uri, "/version", REQUEST).strip()


def artifacts(tracking: Tracking) -> None:
    """Ask the place where artifacts end. Raises OSError, or what the library of a cloud's store raises."""
    place = tracking.artefacts_location
    if not place:
        asked(tracking.uri, f"/api/2.0/mlflow-artifacts/artifacts?path={SOMEWHERE}", REQUEST)
        return
    if urlsplit(place).scheme in ("", "file"):
        folder = Path(urlsplit(place).path)
        if not os.access(next(above for above in (folder, *folder.parents) if above.exists()), os.W_OK):
            raise PermissionError(f"{folder} cannot be written to")
    else:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        get_artifact_repository(place).list_artifacts(SOMEWHERE)


def _sqlite(uri: str) -> str:
    """The version of the library; the file is there or can be made."""
    path = Path(uri.removeprefix(SQLITE))
    if path.exists():
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as connection:
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    return sqlite3.sqlite_version
