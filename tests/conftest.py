"""Shared fixtures: real and generated data, workspaces, job workers, an MLflow server, the command line."""

import gc
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import settings
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.samples import load_sample
from core.jobs.worker import JobHandler, Worker
from core.queries import run_job
from core.settings import Settings
from core.workspace import Workspace
from mlflow_utils import emissions
from mlflow_utils.tracking import Tracking
from pages.components import cache
from tests.support.commands import run_vigie

# no deadline: speed is measured in benchmarks/
settings.register_profile("same examples", deadline=None, derandomize=True)
settings.register_profile("new examples", deadline=None, max_examples=500, print_blob=True)  # make fuzz
settings.load_profile("same examples")

# SQLite waits for the disk at each of thousands of commits; in memory it does not
MEMORY_DISK, MEMORY_DISK_BYTES = Path("/dev/shm"), 6 * 2**30
if MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free > MEMORY_DISK_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Function that runs `python -m core …` with its arguments."""
SLOW_FIXTURES = ("browser", "app_url", "postgres_server", "database_url", "vigie", "page_workspace", "workspace")
"""Fixtures of slow modules, the slowest first."""
SLOW_FOLDERS = ("detectors", "forecasters", "tasks")
"""Folders of tests that train."""
HANG_S = 10.0  # the shortest wait of a client without a limit of ours is 15 s
GAS_FILE_NAMES = ("df_part1.csv", "df_part2.csv", "df_part3.csv")


def pytest_collection_finish() -> None:
    """Leave what was imported out of the collection of garbage: a worker collects after every job."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slow modules, so that no worker waits long for the last module of another."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = rank_test(item)
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


def rank_test(item: pytest.Item) -> int:
    """Return 0 for a test in a browser, and higher numbers for quicker ones."""
    names = getattr(item, "fixturenames", ())
    if item.get_closest_marker("server"):
        return 1
    if (fixture := next((name for name in SLOW_FIXTURES if name in names), None)) is not None:
        return SLOW_FIXTURES.index(fixture)
    return len(SLOW_FIXTURES) + (not any(folder in item.path.parts for folder in SLOW_FOLDERS))


@pytest.fixture(autouse=True)
def restore_main_module() -> Iterator[None]:
    """Put back `__main__`: AppTest leaves the script of its page there, and a new process would run it."""
    main_module = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main_module


@pytest.fixture(autouse=True)
def restore_settings() -> Iterator[None]:
    """Put back the variables of the settings: `mlflow.set_tracking_uri` sets one, which later commands would use."""
    names = {name.upper() for name in Settings.model_fields}
    variables = {name: os.environ[name] for name in names & os.environ.keys()}
    yield
    for name in names & os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real datasets: VIGIE_SHARED_DATA, or shared/data next to the checkout.

    The test is skipped if there is no such folder.
    """
    folder = Path(os.environ.get("VIGIE_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set VIGIE_SHARED_DATA to the folder that holds gas_france/")
    return folder


@pytest.fixture(scope="session")
def gas_files(shared_data: Path) -> list[Path]:
    """Paths of the three parts of the French regional gas file."""
    return [shared_data / "gas_france" / name for name in GAS_FILE_NAMES]


@pytest.fixture(scope="session")
def gas(gas_files: list[Path]) -> Dataset:
    """Dataset of the three gas files."""
    return load(list(gas_files))


@pytest.fixture(scope="session")
def sample() -> Dataset:
    """Generated gas sample."""
    return load_sample("gas_daily")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow SQLite file with tables and no runs. Tests copy it, because creating the tables takes seconds.

    CodeCarbon is preloaded here as well, as the app does it in the background.
    """
    emissions.preload("FRA")
    folder = tmp_path_factory.mktemp("store")
    Tracking(f"sqlite:///{folder / 'mlflow.db'}", None, folder / "runs").preload()
    return folder / "mlflow.db"


@pytest.fixture
def workspace(tmp_path: Path, empty_store: Path) -> Workspace:
    """Workspace of one test, on SQLite and without a server."""
    return create_workspace(tmp_path, empty_store)


def create_workspace(folder: Path, store: Path, uri: str = "") -> Workspace:
    """Create a workspace in `folder`, on the MLflow server `uri` or, without one, on its store or a copy of `store`."""
    if not uri and not (folder / "mlflow.db").exists():
        shutil.copy(store, folder / "mlflow.db")
    address = uri or f"sqlite:///{folder / 'mlflow.db'}"
    return Workspace.in_folder(folder, Tracking(address, (folder / "mlartifacts").as_uri(), folder / "runs"))


@contextmanager
def run_worker(workspace: Workspace, handler: JobHandler = run_job) -> Iterator[Worker]:
    """Run a worker for the jobs of `workspace` in a thread, until the context ends."""
    ending = threading.Event()
    worker = Worker(workspace, handler, ending)
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield worker
    finally:
        ending.set()
        thread.join(60)


@pytest.fixture
def worker(workspace: Workspace) -> Iterator[Worker]:
    """Running worker for the jobs of `workspace`."""
    with run_worker(workspace) as job_worker:
        yield job_worker


def wait_for_job(app: AppTest, seconds: float = 60) -> AppTest:
    """Wait until the job of a page has ended, and run the page again. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while key := app.query_params.get("work"):
        job = jobs.find(str(key), cache.get_workspace())
        if job is None or job.is_finished:
            app.run()
        assert time.monotonic() < deadline, f"the job has not ended within {seconds} s"
        time.sleep(0.02)
    return app


def wait_for_answers(app: AppTest, seconds: float = 60) -> AppTest:
    """Rerun the page, as it does by itself, until it shows no progress. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while app.get("progress"):
        assert time.monotonic() < deadline, f"no answer within {seconds} s"
        time.sleep(0.1)
        app.run()
    return app


def deliver_all(workspace: Workspace, seconds: float = 90) -> None:
    """Deliver all pending records, as the worker does. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while workspace.tracking.spool.list_pending():
        assert time.monotonic() < deadline, workspace.tracking.last_error
        workspace.tracking.wait_for_delivery(1)
        workspace.tracking.reset()
        workspace.tracking.deliver_pending()
    workspace.tracking.deliver_pending()


@contextmanager
def assert_no_hang() -> Iterator[None]:
    """Fail if the block waits for a silent service, which lasts longer. How long it may take is in benchmarks/."""
    start_s = time.monotonic()
    yield
    assert time.monotonic() - start_s < HANG_S


def find_free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_reachable(url: str, seconds: float = 60) -> None:
    """Wait until `url` answers. Raises OSError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


StartServer = Callable[[], "subprocess.Popen[bytes]"]
"""Function that starts a server and returns its process."""


@pytest.fixture
def mlflow_server(tmp_path: Path, empty_store: Path) -> Iterator[tuple[str, StartServer]]:
    """Address of an MLflow server on SQLite, and the function that starts or restarts it."""
    port = find_free_port()
    shutil.copy(empty_store, tmp_path / "server.db")
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            f"sqlite:///{tmp_path / 'server.db'}",
            "--artifacts-destination",
            str(tmp_path / "artifacts"),
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        log = (tmp_path / "server.log").open("ab")
        process = subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True)
        log.close()
        started.append(process)
        wait_until_reachable(f"http://127.0.0.1:{port}/health")
        return process

    yield f"http://127.0.0.1:{port}", start
    for process in started:
        kill_process_tree(process)


def kill_process_tree(process: "subprocess.Popen[bytes]") -> None:
    """Kill a server and its child processes without warning, as a power failure does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(10)


@pytest.fixture
def page_workspace(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Workspace that the pages use. Nothing is preloaded in the background."""
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: workspace)
    monkeypatch.setattr("core.lifespan.start_preload", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield workspace
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def vigie(tmp_path: Path, empty_store: Path) -> Command:
    """Runner of `python -m core …` with its own data folder."""
    (tmp_path / "data").mkdir()
    shutil.copy(empty_store, tmp_path / "data" / "mlflow.db")
    return partial(run_vigie, tmp_path / "data")
