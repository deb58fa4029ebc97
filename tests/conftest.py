"""Shared fixtures: real and generated data, workspaces, job workers, an MLflow server, the command line."""

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
import streamlit as st
from filelock import FileLock
from hypothesis import HealthCheck, settings
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
from pages.components import cache as page_cache
from tests.support.command_server import ForkedProcess, share_command_server
from tests.support.commands import run_vigie
from tests.support.library_caches import PAGE_FUNCTIONS, TRACKING_FUNCTIONS, remember
from tests.support.processes import find_free_port, kill_process_tree, wait_until_reachable  # noqa: F401 for tests
from tests.support.servers import build_mlflow_server

# no deadline and no check of slowness: speed is measured in benchmarks/. A fixture may serve all examples of a test.
UNCHECKED = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much)
free = settings(deadline=None, suppress_health_check=UNCHECKED)
settings.register_profile("same examples", free, derandomize=True, max_examples=25)
settings.register_profile("new examples", free, max_examples=200, print_blob=True)  # make fuzz
settings.load_profile("same examples")

remember(PAGE_FUNCTIONS)

# SQLite waits for the disk at each of thousands of commits; in memory it does not
MEMORY_DISK, MEMORY_DISK_BYTES = Path("/dev/shm"), 6 * 2**30
if MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free > MEMORY_DISK_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))

WORKER_BYTES = int(2.5 * 2**30)  # of a worker with its browser and servers
Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Function that runs `python -m core …` with its arguments."""
SLOW_FIXTURES = ("browser", "app_url", "postgres_server", "database_url", "vigie", "page_workspace", "workspace")
"""Fixtures of slow modules, the slowest first."""
SLOW_FOLDERS = ("detectors", "forecasters", "tasks")
"""Folders of tests that train."""
HANG_S = 10.0  # the shortest wait of a client without a limit of ours is 15 s
GAS_FILE_NAMES = ("df_part1.csv", "df_part2.csv", "df_part3.csv")


def pytest_xdist_auto_num_workers() -> int:
    """Return three workers for two processors, if each has its memory.

    They wait for servers and browsers in between; each one costs half a minute of a processor for its imports.
    """
    return max(1, min(3 * len(os.sched_getaffinity(0)) // 2, psutil.virtual_memory().available // WORKER_BYTES))


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of pytest-xdist share the process that forks commands and servers."""
    if not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no":
        share_command_server()


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

    The workers of pytest-xdist share it. CodeCarbon is preloaded here as well, as the app does it in the background.
    """
    emissions.preload("FRA")
    remember(TRACKING_FUNCTIONS)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
    store = folder / "empty_store" / "mlflow.db"
    with FileLock(folder / "empty_store.lock"):
        if not store.exists():
            new_folder = tmp_path_factory.mktemp("store")
            Tracking(f"sqlite:///{new_folder / 'mlflow.db'}", None, new_folder / "runs").preload()
            new_folder.rename(store.parent)
    return store


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
        job = jobs.find(str(key), page_cache.get_workspace())
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


StartServer = Callable[[], ForkedProcess]
"""Function that starts a server and returns its process."""


@pytest.fixture
def mlflow_server(tmp_path: Path, empty_store: Path) -> Iterator[tuple[str, StartServer]]:
    """Address of an MLflow server on SQLite, and the function that starts or restarts it."""
    shutil.copy(empty_store, tmp_path / "server.db")
    store, artifacts = f"sqlite:///{tmp_path / 'server.db'}", str(tmp_path / "artifacts")
    server = build_mlflow_server(tmp_path, store, artifacts, port=find_free_port())
    yield server.url, lambda: server.start().process
    server.kill()


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
