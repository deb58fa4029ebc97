"""Repair of MLflow's SQLite file: runs are recovered from the file, and those that it has lost from the spool.

The places of artifacts in it follow a folder that was moved.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Lock

from filelock import FileLock

from mlflow_utils.moved_artifacts import follow_moved_folder
from mlflow_utils.spool import Spool
from mlflow_utils.sqlite_file import move_aside, replace_damaged_file
from mlflow_utils.store_upgrade import UpgradeFailedError, create_store
from mlflow_utils.store_version import SQLITE, StoreVersion, read_file_version

logger = logging.getLogger(__name__)

CREATION_LOCK = "store.lock"
VERSION_NAMES = {"older": "an earlier", "newer": "a later"}


class StoreFile:
    """The SQLite file of a tracking URI, whose runs are also in `spool`; nothing to repair for another kind of URI.

    artefacts_location  URI of the artifacts of new experiments
    """

    def __init__(self, uri: str, artefacts_location: str | None, spool: Spool) -> None:
        path = uri.removeprefix(SQLITE)
        self._file = Path(path) if uri.startswith(SQLITE) and path else None
        self._artefacts_location, self._spool, self._lock = artefacts_location, spool, Lock()
        self._is_repaired, self._is_current = self._file is None, self._file is None

    def repair_once(self) -> None:
        """Replace a damaged or foreign file, once per process, before MLflow opens it.

        All runs of this machine are then delivered again. A run that is in the recovered file keeps its id. A former id
        of any other still leads to the run.
        """
        with self._lock:
            if self._is_repaired or self._file is None:
                return
            self._is_repaired = True
            if replace_damaged_file(self._file) is not None or not _is_usable(self._file):
                if not _is_usable(self._file):
                    logger.warning(
                        "%s has no tables of MLflow. It was moved to %s.", self._file, move_aside(self._file)
                    )
                self._spool.requeue_runs()
            follow_moved_folder(self._file, self._artefacts_location)

    def create_once(self) -> str:
        """Create the tables where the file is missing or empty, all or none; return why that failed, "" if it did not.

        It comes before any other program opens the file, such as an MLflow server.
        """
        try:
            if self._file is not None and _is_missing(self._file):
                with FileLock(self._spool.folder / CREATION_LOCK):
                    if _is_missing(self._file):
                        create_store(self._file)
        except UpgradeFailedError as error:
            return str(error)
        return ""

    def read_version(self) -> StoreVersion:
        """Return the version of the tables; a server knows that of its own database."""
        if self._is_current or self._file is None:
            return "current"
        version = read_file_version(self._file)
        self._is_current = version == "current"
        return version

    def find_version_problem(self) -> str:
        """Return why the installed MLflow cannot use the tables; "" for none."""
        version = self.read_version()
        return "" if version == "current" else f"{self._file} has the tables of {VERSION_NAMES[version]} MLflow"


def _is_missing(file: Path) -> bool:
    return not (file.exists() and file.stat().st_size)


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
