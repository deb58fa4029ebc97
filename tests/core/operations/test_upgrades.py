"""Upgrades of real older data: MLflow's tables on SQLite and PostgreSQL, and the format of the data folder."""

import json
import os
import shutil
import sqlite3
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

from core.accounts.database import is_outdated
from core.actor import Actor
from core.cli.health import EXIT_CODES
from core.data.dataset import Dataset
from core.errors import ServiceUnavailableError, VigieError
from core.operations.upgrades import check_versions, upgrade_data
from core.runs.comparison import search_runs
from core.runs.tracked_run import track_run
from core.settings import Settings
from core.storage.data_folder import CURRENT_FORMAT, FORMAT_FILE, open_data_folder
from core.storage.job import WorkerHeartbeat
from core.storage.jobs import JobStore
from core.storage.serve_lock import lock_data_folder
from core.workspace import Workspace
from mlflow_utils.store_upgrade import UpgradeFailedError, upgrade_store
from mlflow_utils.store_version import list_revisions, read_file_version
from tests.conftest import Command, create_workspace
from tests.support.commands import assert_one_line_error
from tests.support.databases import PASSWORD, create_database, open_accounts
from tests.support.processes import find_free_port
from tests.support.servers import ServerProcess
from tests.support.watch_stores import START, build_watch, open_watch_stores

OLDER_REVISION = "cfd24bdc0731"  # of MLflow 1.23, before most of today's tables
INSERT_RUN = """
INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES (7, 'old', 's3://x', 'active');
INSERT INTO runs (run_uuid, name, experiment_id, artifact_uri, status, lifecycle_stage, start_time, source_type,
                  user_id)
VALUES ('0123456789abcdef0123456789abcdef', 'of long ago', 7, 's3://x/1', 'FINISHED', 'active', 1, 'LOCAL', 'bob');
"""


def read_services(process: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, str]]:
    """Return what `health --json` tells about each service, by its name."""
    return {service["name"]: service for service in json.loads(process.stdout)["services"]}


def make_older_store(url: str) -> None:
    """Create the tables of an earlier MLflow at a URL, with one run."""
    engine = create_engine(url)
    InitialBase.metadata.create_all(engine)
    with warnings.catch_warnings(), engine.begin() as connection:
        warnings.simplefilter("ignore")  # of SQLAlchemy, about MLflow's tables
        config = utils._get_alembic_config(url.replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, OLDER_REVISION)
        for statement in INSERT_RUN.strip().split(";\n"):
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="module")
def older_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("older") / "mlflow.db"
    make_older_store(f"sqlite:///{file}")
    return file


@pytest.fixture
def older_workspace(tmp_path: Path, older_store: Path) -> Workspace:
    return create_workspace(tmp_path, older_store)


def test_revisions_are_those_of_mlflow(older_store: Path, empty_store: Path, tmp_path: Path) -> None:
    known, latest = list_revisions()
    assert latest == utils._get_latest_schema_revision()
    assert OLDER_REVISION in known
    assert [read_file_version(path) for path in (older_store, empty_store, tmp_path / "missing")] == [
        *("older", "current", "current")
    ]


def test_run_waits_for_the_upgrade_and_health_says_so(
    older_workspace: Workspace, sample: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with track_run("tests", "Nothing", {}, sample, Actor("alice", "tests"), older_workspace) as run:
        (run.folder / "note.txt").write_text("new")
    assert not run.delivered
    page, reason = search_runs(older_workspace)
    assert [item.record.key for item in page.runs] == [run.key]
    assert "an earlier MLflow" in reason
    with pytest.raises(ServiceUnavailableError, match="python -m core upgrade"):
        check_versions(older_workspace)
    assert upgrade_store(older_workspace.tracking.uri)
    assert check_versions(older_workspace) == ""
    assert older_workspace.tracking.deliver_pending() == 1
    names = {item.record.name for item in search_runs(older_workspace)[0].runs}
    assert names >= {"of long ago"}
    assert len(names) == 2
    assert not upgrade_store(older_workspace.tracking.uri)


def test_failed_upgrade_changes_nothing(tmp_path: Path, older_store: Path) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(older_store, file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE registered_model_aliases (something INTEGER)")  # in the way of a migration
    before = file.read_bytes()
    with pytest.raises(UpgradeFailedError, match="registered_model_alias"):
        upgrade_store(f"sqlite:///{file}")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_upgrade_command(tmp_path: Path, older_store: Path, vigie: Command) -> None:
    """An older format, older accounts and an older store; then nothing is due."""
    data = tmp_path / "data"
    shutil.copy(older_store, data / "mlflow.db")
    process = vigie("serve", "--port", str(find_free_port()), "--mlflow-port", str(find_free_port()))
    assert_one_line_error(process, 1, "python -m core upgrade")
    (data / "incoming").mkdir()
    (data / FORMAT_FILE).write_text(json.dumps({"format": 2, "version": "0.0.1"}))
    process = vigie("upgrade")
    assert process.returncode == 0, process.stderr
    assert "MLflow: upgraded" in process.stdout
    [archive] = (data / "backups").glob("before-*.zip")
    assert "mlflow.db" in zipfile.ZipFile(archive).namelist()
    assert json.loads((data / FORMAT_FILE).read_text())["format"] == CURRENT_FORMAT
    services = read_services(vigie("health", "--json"))
    assert services["Versions"]["state"] == "works", services
    process = vigie("upgrade")
    assert process.returncode == 0, process.stderr
    assert process.stdout == "everything is up to date\n"
    assert list((data / "backups").iterdir()) == [archive]


def test_health_names_an_older_store(tmp_path: Path, older_store: Path, vigie: Command) -> None:
    shutil.copy(older_store, tmp_path / "data" / "mlflow.db")
    process = vigie("health", "--json")
    assert process.returncode == EXIT_CODES["down"]
    assert "run `python -m core upgrade`" in read_services(process)["Versions"]["problem"]
    assert "run `python -m core upgrade`" in vigie("worker", "--once").stderr


def test_store_of_a_later_mlflow_is_refused_and_unchanged(tmp_path: Path, vigie: Command) -> None:
    file = tmp_path / "data" / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    before = file.read_bytes()
    assert "later version of MLflow" in vigie("upgrade").stderr
    assert "later version of MLflow" in vigie("health").stdout
    assert file.read_bytes() == before


def test_upgrade_needs_the_folder_for_itself(tmp_path: Path, older_store: Path, vigie: Command) -> None:
    shutil.copy(older_store, tmp_path / "data" / "mlflow.db")
    lock = lock_data_folder(tmp_path / "data", "http://127.0.0.1:8501", "")
    assert_one_line_error(vigie("upgrade"), 1, "Stop the app that serves it")
    os.close(lock)


@pytest.mark.server
def test_upgrade_of_a_database_on_postgresql(postgres_server: ServerProcess, tmp_path: Path, vigie: Command) -> None:
    with create_database(postgres_server) as database:
        url = make_url(database).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        assert not upgrade_store(url), "the server creates the tables of a new database"
        make_older_store(url)
        environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_BACKEND_STORE_URI": url}
        process = vigie("upgrade", **environment)
        assert process.returncode == 0, process.stderr
        assert "MLflow: upgraded" in process.stdout
        assert vigie("upgrade", **environment).stdout == "everything is up to date\n"
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT name FROM runs")) == "of long ago"
        engine.dispose()


# ---- accounts, and workers that live --------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def account_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a new database of accounts and jobs; "" for SQLite files in the data folder."""
    if request.param == "sqlite":
        yield ""
        return
    with create_database(request.getfixturevalue("postgres_server")) as url:
        yield url


def make_older_accounts(url: str, folder: Path) -> None:
    """Create accounts with one user, and take them back to the first version of their tables."""
    with open_accounts(url, folder) as accounts:
        accounts.add_user("alice", PASSWORD, ["analyst"])

        def remove_later_tables(session: Session) -> None:
            session.execute(text("DROP TABLE devices"))
            session.execute(text("UPDATE alembic_version SET version_num = '0001'"))

        accounts.database.write(remove_later_tables)


def upgrade(url: str, folder: Path) -> list[str]:
    """Upgrade a data folder whose MLflow server is left to others; return the reported steps."""
    steps: list[str] = []
    fields = {"vigie_data_dir": folder, "database_url": SecretStr(url), "mlflow_tracking_uri": "http://127.0.0.1:9"}
    upgrade_data(Settings.model_construct(**fields), "", None, steps.append)
    return steps


def test_accounts_of_an_earlier_version_are_upgraded_and_sign_in(tmp_path: Path, account_url: str) -> None:
    open_data_folder(tmp_path)
    make_older_accounts(account_url, tmp_path)
    assert is_outdated(account_url, tmp_path)
    steps = upgrade(account_url, tmp_path)
    assert [step for step in steps if step.startswith("accounts: ")], steps
    backups = list(tmp_path.glob("backups/before-*.zip"))
    assert len(backups) == (not account_url), "a database on a server is not in the data folder"
    assert all("accounts.db" in zipfile.ZipFile(backup).namelist() for backup in backups)
    assert not is_outdated(account_url, tmp_path)
    with open_accounts(account_url, tmp_path) as accounts:
        token = accounts.sign_in("alice", PASSWORD, "127.0.0.1")
        assert accounts.remember_device(token), "the table of devices is there"
    assert upgrade(account_url, tmp_path)[-1] == "everything is up to date"
    assert list(tmp_path.glob("backups/before-*.zip")) == backups


def test_watches_are_upgraded_with_the_accounts(tmp_path: Path, account_url: str) -> None:
    open_data_folder(tmp_path)
    with open_watch_stores(tmp_path / "watches", account_url) as stores:
        stores.watches.add_watch(build_watch(), START)
    assert upgrade(account_url, tmp_path)[-1] == "everything is up to date"
    make_older_accounts(account_url, tmp_path)
    assert [step for step in upgrade(account_url, tmp_path) if step.startswith("watches: ")]
    with open_watch_stores(tmp_path / "watches", account_url) as stores:
        assert [state.watch.name for state in stores.watches.list_states()] == ["calls"]


def test_upgrade_refuses_watches_of_a_later_version(tmp_path: Path, account_url: str) -> None:
    open_data_folder(tmp_path)
    with open_watch_stores(tmp_path / "watches", account_url) as stores:
        stores.watches.add_watch(build_watch(), START)
        set_version = text("UPDATE watch_alembic_version SET version_num = '9999'")
        stores.database.write(lambda session: session.execute(set_version))
    with pytest.raises(ServiceUnavailableError, match="the tables of the watches are of another version"):
        upgrade(account_url, tmp_path)
    assert not list(tmp_path.rglob("*.moved-*"))


def test_upgrade_waits_for_the_end_of_every_worker(tmp_path: Path, account_url: str) -> None:
    open_data_folder(tmp_path)
    make_older_accounts(account_url, tmp_path)
    jobs = JobStore(tmp_path / "jobs", account_url)
    jobs.record_worker(WorkerHeartbeat("w1", "host-of-worker", 4711, embedded=False))
    with pytest.raises(VigieError, match="Stop the worker with process 4711 on host-of-worker"):
        upgrade(account_url, tmp_path)
    assert is_outdated(account_url, tmp_path)
    assert not list(tmp_path.glob("backups/*"))
    jobs.delete_worker("w1")
    jobs.close()
    upgrade(account_url, tmp_path)
    assert not is_outdated(account_url, tmp_path)


def test_upgrade_tells_that_the_database_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailableError, match="PostgreSQL does not answer"):
        upgrade("postgresql://vigie:vigie@127.0.0.1:9/accounts", tmp_path)
