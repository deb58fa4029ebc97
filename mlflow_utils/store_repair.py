"""Repair of MLflow's SQLite file: runs are recovered from the file, and those that it has lost from the spool."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Lock

from mlflow_utils.spool import Spool
from mlflow_utils.sqlite_file import move_aside, replace_damaged_file

logger = logging.getLogger(__name__)

SQLITE = "sqlite:///"


class StoreFile:
    """The SQLite file of a tracking URI, whose runs are also in `spool`; nothing to repair for another kind of URI."""

    def __init__(self, uri: str, spool: Spool) -> None:
        path = uri.removeprefix(SQLITE)
        self._file = Path(path) if uri.startswith(SQLITE) and path else None
        self._spool, self._lock = spool, Lock()

    def repair_once(self) -> None:
        """Replace a damaged or foreign file, once per process, before MLflow opens it.

        All runs of this machine are then delivered again. A run that is in the recovered file keeps its id. A former id
        of any other still leads to the run.
        """
        with self._lock:
            file, self._file = self._file, None
            if file is None or (replace_damaged_file(file) is None and _is_usable(file)):
                return
            if not _is_usable(file):
                logger.warning("%s has no tables of MLflow. It was moved to %s.", file, move_aside(file))
            self._spool.requeue_runs()


def _is_usable(file: Path) -> bool:
    """Tell whether MLflow can open the file: a missing or empty one, or one with the version of its tables."""
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(file)) as connection:
            is_empty = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
            return is_empty or bool(connection.execute("SELECT version_num FROM alembic_version").fetchall())
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)  # otherwise it is locked
