"""Upgrades of a data folder and of MLflow's database to this version of the product and of MLflow."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core import __version__
from core.errors import ServiceUnavailableError, VigieError
from core.messages import N_
from core.settings import Settings
from core.storage.backup import BACKUP_FOLDER, write_backup
from core.storage.data_folder import CURRENT_FORMAT, FORMAT_FILE, open_data_folder, read_format
from core.storage.serve_lock import FolderInUseError, lock_data_folder
from core.workspace import Workspace
from mlflow_utils.store_upgrade import UpgradeFailedError, read_store_version, upgrade_store
from mlflow_utils.store_version import SQLITE, StoreVersion

logger = logging.getLogger(__name__)

ReportStep = Callable[[str], object]
"""Function that gets one line about each step of the upgrade."""


# ---- what is due ----------------------------------------------------------------------------------------------------


def check_versions(workspace: Workspace) -> str:
    """Return "". Raises ServiceUnavailableError if the tables of MLflow's SQLite file are of another version."""
    if (version := workspace.tracking.store.read_version()) != "current":
        raise make_version_error(version, workspace.tracking.uri)
    return ""


def make_version_error(version: StoreVersion, uri: str) -> ServiceUnavailableError:
    """Return the error that tells what to do about MLflow's SQLite file of another `version`."""
    if version == "newer":
        template = N_(
            "{file} was written by a later version of MLflow than the installed one. Runs wait in the data folder. "
            "Install the later version of Vigie again, or restore a backup."
        )
    else:
        template = N_(
            "{file} was written by an earlier version of MLflow. Runs wait in the data folder until the file is "
            "upgraded: stop the app and all workers, and run `python -m core upgrade`."
        )
    return ServiceUnavailableError(template, file=uri.removeprefix(SQLITE))


def warn_about_versions(workspace: Workspace) -> None:
    """Log an error if an upgrade is due."""
    try:
        check_versions(workspace)
    except ServiceUnavailableError as error:
        logger.error("%s", error)


# ---- the upgrade ----------------------------------------------------------------------------------------------------


def upgrade_data(settings: Settings, mlflow_database: str, backup: Path | None, report_step: ReportStep) -> None:
    """Upgrade the data folder, the accounts, the watches and MLflow's database, after a backup where one is due.

    mlflow_database  URL of the database of an MLflow server; "" leaves it to others
    backup           file of the backup; None chooses one in the data folder

    Nothing changes where everything is current, so that this may be called while the app runs. Raises VigieError where
    an upgrade is due and the app or a worker uses the folder, and where a database cannot be upgraded; OSError.
    """
    folder, database = settings.vigie_data_dir.resolve(), settings.database_url.get_secret_value()
    store = settings.tracking_uri if settings.tracking_uri.startswith(SQLITE) else mlflow_database
    are_tables_due, is_folder_due = _are_tables_due(database, folder), _is_folder_due(folder)
    is_store_due = bool(store) and _is_store_due(store)
    if not store:
        report_step("MLflow: set MLFLOW_BACKEND_STORE_URI to upgrade the database of its server")
    if not (are_tables_due or is_folder_due or is_store_due):
        report_step("everything is up to date")
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock_folder(folder)
    try:
        _refuse_workers(folder, database)
        if is_folder_due or (are_tables_due and not database) or store.startswith(SQLITE):
            path = backup or _name_backup(folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_backup(folder, path)
            report_step(f"backup of the data folder written to {path}")
        open_data_folder(folder)
        if database or (folder / "accounts.db").exists():
            report_step(f"accounts: {_upgrade_accounts(database, folder)}")
        if database or (folder / "watches" / "watches.db").exists():
            report_step(f"watches: {_upgrade_watches(database, folder)}")
        if is_store_due:
            _upgrade_store(store)
            report_step("MLflow: upgraded to the tables of the installed version")
        report_step("everything is up to date")
    finally:
        os.close(lock)


def _lock_folder(folder: Path) -> int:
    """Return the descriptor of the lock of the data folder. Raises VigieError where an app serves it."""
    try:
        return lock_data_folder(folder, "", "")
    except FolderInUseError as error:
        raise VigieError(
            N_("An upgrade needs the data folder {folder} for itself. Stop the app that serves it."), folder=str(folder)
        ) from error


def _refuse_workers(folder: Path, database: str) -> None:
    """Raise VigieError while a worker serves the data folder."""
    if not database and not (folder / "jobs" / "jobs.db").exists():
        return
    from core.storage.jobs import JobStore  # loads SQLAlchemy

    store = JobStore(folder / "jobs", database)
    try:
        workers = store.list_workers()
    finally:
        store.close()
    if workers:
        raise VigieError(
            N_(
                "An upgrade needs the data folder {folder} for itself. Stop the worker with process {pid} on {host}. "
                "A killed worker counts for 10 seconds more."
            ),
            folder=str(folder),
            pid=str(workers[0].pid),
            host=workers[0].host,
        )


def _are_tables_due(database: str, folder: Path) -> bool:
    """Tell whether the accounts or the watches have the tables of an earlier version."""
    from core.accounts.database import is_outdated  # loads SQLAlchemy
    from core.storage.watches.tables import MIGRATIONS

    return is_outdated(database, folder) or MIGRATIONS.is_outdated(database, folder / "watches" / "watches.db")


def _is_folder_due(folder: Path) -> bool:
    """Tell whether the data folder has the form of an earlier version."""
    is_new = not (folder / FORMAT_FILE).exists() and not any(folder.glob("*/*"))
    return not is_new and read_format(folder) < CURRENT_FORMAT


def _is_store_due(url: str) -> bool:
    """Tell whether MLflow's database has the tables of an earlier version. Raises VigieError for a later one."""
    with _translate_errors():
        version = read_store_version(url)
    if version == "newer":
        raise make_version_error(version, url if url.startswith(SQLITE) else "MLFLOW_BACKEND_STORE_URI")
    return version == "older"


def _name_backup(folder: Path) -> Path:
    return folder / BACKUP_FOLDER / f"before-{__version__}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"


def _upgrade_accounts(url: str, folder: Path) -> str:
    """Migrate the accounts, which happens at their first use, and return the version of the database."""
    from core.accounts.service import Accounts

    accounts = Accounts(url, folder)
    try:
        return accounts.fetch_version()
    finally:
        accounts.close()


def _upgrade_watches(url: str, folder: Path) -> str:
    """Migrate the watches, which happens at their first use, and return the version of the database."""
    from core.storage.watches.stores import WatchStores

    stores = WatchStores.open(folder / "watches", url)
    try:
        return stores.fetch_version()
    finally:
        stores.close()


def _upgrade_store(url: str) -> None:
    with _translate_errors():
        upgrade_store(url)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except UpgradeFailedError as error:
        raise VigieError(N_("The database of MLflow was not upgraded ({reason})."), reason=error) from error
