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
from core.operations.health import ServiceHealth, check_services, has_failure
from core.operations.system_info import MASK, list_settings, list_versions
from core.runs.tracked_run import track_run
from core.settings import ROOT, Settings, get_settings
from core.workspace import Workspace, get_workspace
from tests.conftest import StartServer, assert_no_hang, find_free_port, kill_process_tree

PAGE = str(ROOT / "pages" / "operations/health.py")
SECRET = "hunter2-do-not-show"


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A monkeypatch of an environment without settings; cached settings and workspaces are cleared."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
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


SERVICE_NAMES = {"MLflow", "Artifacts", "Accounts", "Feedback", "Events", "Jobs"}


def test_health_without_settings_has_no_failure(clean_environment: pytest.MonkeyPatch) -> None:
    services = check_health()
    assert {name for name, service in services.items() if service.state == "not_set"} == SERVICE_NAMES
    assert services["Data folder"].state == "works"
    assert not has_failure(services.values())


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
    assert has_failure(services.values())
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
    assert not has_failure([jobs_health])


def test_health_settings_mask_secrets(clean_environment: pytest.MonkeyPatch) -> None:
    for name, value in make_service_settings(1).items():
        clean_environment.setenv(name, value)
    setting_by_name = {setting.name: setting for setting in list_settings(get_settings())}
    assert set(setting_by_name) == {name.upper() for name in Settings.model_fields}
    assert (setting_by_name["AWS_SECRET_KEY"].value, setting_by_name["DATABASE_URL"].value) == (MASK, MASK)
    assert (setting_by_name["S3_BUCKET_NAME"].value, setting_by_name["S3_BUCKET_NAME"].is_set) == ("vigie", True)
    assert (setting_by_name["COUNTRY_ISO_CODE"].value, setting_by_name["COUNTRY_ISO_CODE"].is_set) == ("FRA", False)
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
    assert "1 runs" in page.info[0].value or "goes on" in page.info[0].value


# ---- command --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uri", "code"), [("", 0), ("http://127.0.0.1:9", 1)])
def test_health_command_exit_code_reports_failure(uri: str, code: int, tmp_path: Path) -> None:
    empty = {name.upper(): "" for name in Settings.model_fields}
    environment = {**os.environ, **empty, "VIGIE_DATA_DIR": str(tmp_path), "MLFLOW_TRACKING_URI": uri}
    process = subprocess.run(
        [sys.executable, "-m", "core", "health", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == code, process.stderr
    health = json.loads(process.stdout)
    assert health["ok"] is (code == 0)
    assert {service["name"] for service in health["services"]} == SERVICE_NAMES | {"Data folder", "Stored files"}
