"""Upgrade of MLflow's database to the tables of the installed version."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow_utils.sqlite_file import COMPANIONS
from mlflow_utils.store_version import SQLITE, StoreVersion, list_revisions, read_file_version


class UpgradeFailedError(Exception):
    """A database of MLflow that cannot be created or upgraded. Nothing has changed in a SQLite file."""


def read_store_version(url: str) -> StoreVersion:
    """Return the version of the tables at a database URL; those that do not exist yet count as current.

    Raises UpgradeFailedError where the database does not answer.
    """
    if url.startswith(SQLITE):
        return read_file_version(Path(url.removeprefix(SQLITE)))
    with _open_engine(url) as engine:
        from mlflow.store.db import utils

        revision = None if utils._is_empty_database(engine) else utils._get_schema_version(engine)
    known, latest = list_revisions()
    return "current" if revision in (None, latest) else "older" if revision in known else "newer"


def upgrade_store(url: str) -> bool:
    """Upgrade the tables at the database URL; return False for those that are current or do not exist yet.

    A SQLite file is copied, the copy is upgraded and takes its place, so that a killed upgrade changes nothing. No
    other process may have the file open. Raises UpgradeFailedError.
    """
    if not url.startswith(SQLITE):
        return _upgrade_tables(url)
    file = Path(url.removeprefix(SQLITE))
    if not file.exists():
        return False
    with TemporaryDirectory(prefix=".upgrade-", dir=file.parent) as folder:
        draft = Path(folder) / file.name
        copy_database(file, draft)
        if not _upgrade_tables(f"{SQLITE}{draft}"):
            return False
        _write_log(draft)
        _write_log(file)  # the log of the former file must not be read with the new
        for suffix in COMPANIONS:
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        shutil.copymode(file, draft)
        draft.replace(file)
    return True


def create_store(file: Path) -> None:
    """Create a SQLite file with all tables of MLflow in the place of a missing or empty one.

    MLflow itself creates one table after the other: a full disk or a killed process would leave a file that neither
    MLflow nor an upgrade can complete. Raises UpgradeFailedError.
    """
    with _create_folder(file.parent) as folder:
        draft = folder / file.name
        with _open_engine(f"{SQLITE}{draft}") as engine:
            from mlflow.store.db import utils

            utils._initialize_tables(engine)
        _write_log(draft)
        draft.replace(file)


@contextmanager
def _create_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder below `parent` and delete it afterwards. Raises UpgradeFailedError for a full disk."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".create-", dir=parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise UpgradeFailedError(str(error)) from error


def _write_log(file: Path) -> None:
    """Write the log beside a SQLite file into it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy_database(file: Path, target: Path) -> None:
    """Copy a SQLite file as it is at one instant, while others write to it. Raises sqlite3.Error."""
    with (
        closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def _upgrade_tables(url: str) -> bool:
    with _open_engine(url) as engine:
        from mlflow.store.db import utils

        latest = utils._get_latest_schema_revision()
        if utils._is_empty_database(engine) or utils._get_schema_version(engine) == latest:
            return False
        utils._upgrade_db(engine)
    return True


@contextmanager
def _open_engine(url: str) -> Iterator[Any]:
    """Yield a connection pool of MLflow; an error of the block is raised as UpgradeFailedError."""
    from mlflow.store.db import utils

    try:
        engine = utils.create_sqlalchemy_engine(url)  # without the retries of a server that starts
        try:
            yield engine
        finally:
            engine.dispose()
    except Exception as error:
        raise UpgradeFailedError(" ".join(str(error).split()) or type(error).__name__) from error
