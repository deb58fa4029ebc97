"""The page *Health* and `python -m core health`, for services that work, are not set, hang, are down or refuse."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.actor import Actor
from core.data.dataset import Dataset
from core.operations.health import ServiceHealth, check_services, summarise_health
from core.operations.system_info import MASK, list_settings, list_versions
from core.runs.tracked_run import track_run
from core.settings import LIBRARY_VARIABLES, ROOT, Settings, get_settings
from core.workspace import Workspace, get_workspace
from tests.conftest import StartServer, assert_no_hang, find_free_port, kill_process_tree
from tests.support.commands import run_module
from tests.support.servers import S3_SECRET, S3_USER, make_elasticsearch_server, make_postgres_server, make_s3_server

PAGE = str(ROOT / "pages" / "operations/health.py")
SECRET = "hunter2-do-not-show"


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A monkeypatch of an environment without settings; cached settings and workspaces are cleared."""
    for name in (*map(str.upper, Settings.model_fields), *LIBRARY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    _clear_caches()
    yield monkeypatch
    _clear_caches()


def _clear_caches() -> None:
    for cached_function in (get_settings, get_workspace):
        cached_function.cache_clear()


@contextmanager
def run_hanging_server() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]


def check_health(workspace: Workspace | None = None) -> dict[str, ServiceHealth]:
    return {
        service.name: service for service in check_services(workspace or get_workspace(), lambda workspace: [object()])
    }


def make_service_settings(port: int) -> dict[str, str]:
    """Return settings that place every service at `port`."""
    return {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "S3_BUCKET_NAME": "vigie",
        "S3_REGION_NAME": "eu-west-3",
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY": "key",
        "AWS_SECRET_KEY": SECRET,
        "ELASTIC_DEPLOYMENT_ENDPOINT": f"http://127.0.0.1:{port}",
        "ELASTIC_USERNAME": "elastic",
        "ELASTIC_PASSWORD": SECRET,
        "DATABASE_URL": f"postgresql+psycopg://vigie:{SECRET}@127.0.0.1:{port}/accounts",
    }


SERVICE_NAMES = {"MLflow", "Artifacts", "Accounts", "Feedback", "Events", "Jobs", "Announcements"}


def test_health_without_settings_has_no_failure(clean_environment: pytest.MonkeyPatch) -> None:
    services = check_health()
    assert {name for name, service in services.items() if service.state == "not_set"} == SERVICE_NAMES
    assert services["Data folder"].state == "works"
    assert summarise_health(services.values()) == "well"


@pytest.mark.parametrize("fault", ["gone", "hanging"])
def test_health_with_all_services_down(fault: str, clean_environment: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(run_hanging_server()) if fault == "hanging" else find_free_port()
        for name, value in make_service_settings(port).items():
            clean_environment.setenv(name, value)
        current_workspace = get_workspace()
        import boto3  # noqa: F401  a slow import is not the service's fault
        import elasticsearch  # noqa: F401

        with assert_no_hang():
            services = {service.name: service for service in check_services(current_workspace, jobs.list_workers)}
    assert {name for name, service in services.items() if service.state == "failing"} == SERVICE_NAMES
    assert all(services[name].problem for name in SERVICE_NAMES)
    assert summarise_health(services.values()) == "down"
    assert SECRET not in str([(str(service.problem), service) for service in services.values()])


def test_health_reports_backlog_and_reason(clean_environment: pytest.MonkeyPatch, sample: Dataset) -> None:
    clean_environment.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{find_free_port()}")
    for number in range(2):
        with track_run("tests", "Nothing", {"number": number}, sample, Actor("alice", "tests"), get_workspace()):
            pass
    mlflow_health = check_health()["MLflow"]
    assert (mlflow_health.state, mlflow_health.backlog) == ("failing", 2)
    assert "refused" in str(mlflow_health.problem).lower()


@pytest.mark.server
def test_health_reports_mlflow_version(
    clean_environment: pytest.MonkeyPatch, mlflow_server: tuple[str, StartServer]
) -> None:
    uri, start = mlflow_server
    clean_environment.setenv("MLFLOW_TRACKING_URI", uri)
    server = start()
    services = check_health()
    assert (services["MLflow"].state, services["MLflow"].version) == ("works", list_versions()["mlflow"])
    assert services["Artifacts"].state == "works"
    kill_process_tree(server)
    assert check_health()["MLflow"].state == "failing"


def test_health_without_worker_needs_attention(clean_environment: pytest.MonkeyPatch) -> None:
    [jobs_health] = [service for service in check_services(get_workspace(), lambda at: []) if service.name == "Jobs"]
    assert jobs_health.state == "short"
    assert summarise_health([jobs_health]) == "degraded"


def test_worker_is_missed_where_a_job_waits(clean_environment: pytest.MonkeyPatch) -> None:
    """Nobody need run a worker for an empty queue. A waiting job needs one, and so does one whose worker was killed."""

    def check_jobs() -> ServiceHealth:
        services = check_services(get_workspace(), jobs.list_workers, needs_worker=False)
        return next(service for service in services if service.name == "Jobs")

    assert check_jobs().state == "at_rest"
    assert summarise_health([check_jobs()]) == "well"
    jobs.submit("anomalies", {}, workspace=get_workspace(), actor=Actor("alice", "tests"))
    assert check_jobs().state == "short"
    assert get_workspace().jobs.claim("a killed worker") is not None
    assert check_jobs().state == "short"


@pytest.mark.parametrize("counts", [{"backlog": 1}, {"refused": 1}])
def test_health_with_waiting_records_is_degraded(counts: dict[str, int]) -> None:
    assert summarise_health([ServiceHealth("MLflow", "works", **counts), ServiceHealth("Jobs", "works")]) == "degraded"
    assert summarise_health([ServiceHealth("MLflow", "failing", **counts)]) == "down"


def test_health_names_misspelt_settings(clean_environment: pytest.MonkeyPatch) -> None:
    assert check_health()["Settings"].state == "works"
    clean_environment.setenv("MLFLOW_TRACKING_URL", SECRET)
    settings_health = check_health()["Settings"]
    assert settings_health.state == "short"
    assert "MLFLOW_TRACKING_URL (MLFLOW_TRACKING_URI)" in str(settings_health.problem)
    assert SECRET not in str(settings_health)


def test_health_settings_mask_secrets(clean_environment: pytest.MonkeyPatch) -> None:
    for name, value in make_service_settings(1).items():
        clean_environment.setenv(name, value)
    clean_environment.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    clean_environment.setenv("HTTPS_PROXY", f"http://user:{SECRET}@proxy.example.org")
    setting_by_name = {setting.name: setting for setting in list_settings(get_settings())}
    assert set(setting_by_name) == {*map(str.upper, Settings.model_fields), "MLFLOW_TRACKING_PASSWORD", "HTTPS_PROXY"}
    assert {setting_by_name[name].value for name in ("AWS_SECRET_KEY", "DATABASE_URL", "MLFLOW_TRACKING_PASSWORD")} == {
        MASK
    }
    assert setting_by_name["HTTPS_PROXY"].value == "http://[removed]@proxy.example.org"
    assert (setting_by_name["S3_BUCKET_NAME"].value, setting_by_name["S3_BUCKET_NAME"].source) == (
        "vigie",
        "environment",
    )
    country = setting_by_name["COUNTRY_ISO_CODE"]
    assert (country.value, country.source) == ("FRA", "default")
    assert SECRET not in str(setting_by_name)


# ---- page -----------------------------------------------------------------------------------------------------------


def test_health_page_shows_states_in_words(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{find_free_port()}")
    clean_environment.setenv("AWS_SECRET_KEY", SECRET)
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    assert not page.exception
    assert "MLflow" in page.error[0].value
    words = " ".join(element.value for element in page.markdown)
    assert "does not work" in words
    assert "not configured" in words
    assert SECRET not in str(page)
    page.button(key="deliver-now").click().run()
    assert not page.exception
    assert "No record was delivered" in page.info[0].value


def test_health_page_tells_what_needs_attention(clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setenv("MLFLOW_TRACKING_URL", SECRET)
    clean_environment.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    assert not page.exception
    assert "something needs attention" in page.warning[0].value
    assert "MLFLOW_TRACKING_URL (MLFLOW_TRACKING_URI)" in " ".join(text.value for text in page.text)
    [settings] = [table.value.set_index("Setting") for table in page.dataframe if "Setting" in table.value]
    assert settings.loc["COUNTRY_ISO_CODE"].tolist() == ["FRA", "default"]
    assert settings.loc["VIGIE_DATA_DIR", "Source"] == "environment"
    assert settings.loc["MLFLOW_TRACKING_TOKEN"].tolist() == [MASK, "environment"]
    assert SECRET not in str(page)


def test_health_page_reports_delivery(
    clean_environment: pytest.MonkeyPatch, sample: Dataset, empty_store: Path, tmp_path: Path
) -> None:
    clean_environment.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{find_free_port()}")
    with track_run("tests", "Nothing", {}, sample, Actor("alice", "tests"), get_workspace()):
        pass
    clean_environment.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    _clear_caches()
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    page.button(key="deliver-now").click().run()
    assert not page.exception
    assert "1 runs" in page.info[0].value or "continues in the background" in page.info[0].value


# ---- command --------------------------------------------------------------------------------------------------------


def run_health(folder: Path, *options: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m core health --json`."""
    empty = dict.fromkeys((*map(str.upper, Settings.model_fields), *LIBRARY_VARIABLES), "")
    environment = {**os.environ, **empty, "VIGIE_DATA_DIR": str(folder), **settings}
    return run_module("core", "health", "--json", *options, environment=environment)


@pytest.mark.parametrize(
    ("settings", "options", "code", "state"),
    [
        ({}, [], 0, "well"),
        ({}, ["--require-worker"], 1, "degraded"),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_TRACKING_PASSWORD": SECRET}, [], 2, "down"),
    ],
    ids=["at rest", "no worker", "no MLflow"],
)
def test_health_command_exit_code_is_for_monitoring(
    settings: dict[str, str], options: list[str], code: int, state: str, tmp_path: Path
) -> None:
    """The settings stand in a file, and empty in the environment."""
    env_file = tmp_path / "settings.env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    process = run_health(tmp_path / "data", *options, VIGIE_ENV_FILE=str(env_file))
    health = json.loads(process.stdout)
    assert (process.returncode, health["state"]) == (code, state), process.stderr
    assert SECRET not in process.stdout + process.stderr
    assert {service["name"] for service in health["services"]} == SERVICE_NAMES | {
        "Data folder",
        "Settings",
        "Versions",
        "Stored files",
    }
    assert {setting["name"]: setting["source"] for setting in health["settings"]} == {
        "VIGIE_DATA_DIR": "environment",
        **dict.fromkeys(settings, ".env"),
    }


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"VIGIE_WORKERS": "none"}, "VIGIE_WORKERS = 'none'"),
        ({"VIGIE_DATA_DIR": "/dev/null/vigie"}, "/dev/null/vigie cannot be used"),
    ],
)
def test_health_command_without_workspace_is_down(settings: dict[str, str], reason: str, tmp_path: Path) -> None:
    process = run_health(tmp_path, **settings)
    assert process.returncode == 2
    assert (json.loads(process.stdout)["state"], len(process.stderr.splitlines())) == ("down", 1)
    assert reason in json.loads(process.stdout)["problem"]


LOADING_SCRIPT = """
import sys
from core.circuit_breaker import ServiceBreaker
from core.operations.health import check_services, summarise_health
from core.workspace import get_workspace

def call_after_imports(self, work, *arguments, **options):
    started.append(before := set(sys.modules))
    try:
        return call(self, work, *arguments, **options)
    finally:
        late.update(name for name in set(sys.modules) - before if name.partition(".")[0] in CLIENTS)

CLIENTS = ("boto3", "elasticsearch", "elastic_transport", "sqlalchemy", "psycopg", "alembic")
started, late, call, ServiceBreaker.call = [], set(), ServiceBreaker.call, call_after_imports
services = check_services(get_workspace(), lambda workspace: [workspace.jobs.list_workers()])
assert started
print(summarise_health(services), *((service.name, service.state, str(service.problem)) for service in services))
print(sorted(late))
"""


@pytest.mark.server
def test_health_imports_clients_before_the_clock_starts(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ExitStack() as stack:
        servers = [
            make(tmp_path_factory.mktemp("service") / "server")
            for make in (make_s3_server, make_elasticsearch_server, make_postgres_server)
        ]
        for server in servers:
            stack.callback(server.kill)
            server.start()
        s3, elasticsearch, postgres = (server.url for server in servers)
        settings = {
            "VIGIE_DATA_DIR": str(tmp_path),
            "S3_BUCKET_NAME": "vigie",
            "S3_REGION_NAME": "eu-west-3",
            "S3_ENDPOINT_URL": s3,
            "AWS_ACCESS_KEY": S3_USER,
            "AWS_SECRET_KEY": S3_SECRET,
            "ELASTIC_DEPLOYMENT_ENDPOINT": elasticsearch,
            "DATABASE_URL": postgres,
        }
        process = subprocess.run(
            [sys.executable, "-c", LOADING_SCRIPT],
            cwd=ROOT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
    assert process.returncode == 0, process.stderr
    state, late = process.stdout.splitlines()
    assert state.startswith("well"), state
    assert late == "[]"
