"""The page *Health* and `python -m core health`, for services that work, are not set, hang, are down or refuse."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.actor import Actor
from core.data.dataset import Dataset
from core.operations.health import ServiceHealth, check_services, fails
from core.operations.system_info import MASK, settings_of, versions
from core.runs.tracked_run import tracked_run
from core.settings import Settings, settings
from core.workspace import Workspace, get_workspace
from tests.conftest import ROOT, Server, free_port, stop

PAGE = str(ROOT / "pages" / "operations/health.py")
SECRET = "hunter2-do-not-show"
LONGEST = 2.0  # seconds


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A monkeypatch of an environment without settings; cached settings and workspaces are cleared."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    _forget()
    yield monkeypatch
    _forget()


def _forget() -> None:
    for made in (settings, get_workspace):
        made.cache_clear()


@contextmanager
def hanging() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]


def told(at: Workspace | None = None) -> dict[str, ServiceHealth]:
    return {each.name: each for each in check_services(at or get_workspace(), lambda at: [object()])}


def everything_at(port: int) -> dict[str, str]:
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


SET = {"MLflow", "Artifacts", "Accounts", "Feedback", "Events", "Jobs"}


def test_with_no_setting_nothing_fails(at_home: pytest.MonkeyPatch) -> None:
    found = told()
    assert {name for name, each in found.items() if each.state == "not_set"} == SET
    assert found["Data folder"].state == "works"
    assert not fails(found.values())


@pytest.mark.parametrize("fault", ["gone", "hanging"])
def test_everything_away_at_once(fault: str, at_home: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(hanging()) if fault == "hanging" else free_port()
        for name, value in everything_at(port).items():
            at_home.setenv(name, value)
        at = get_workspace()
        import boto3  # noqa: F401  a slow import is not the service's fault
        import elasticsearch  # noqa: F401

        began = time.perf_counter()
        found = {each.name: each for each in check_services(at, jobs.list_workers)}
        seconds = time.perf_counter() - began
    assert {name for name, each in found.items() if each.state == "failing"} == SET
    assert all(found[name].problem for name in SET)
    assert fails(found.values())
    assert seconds < LONGEST
    assert SECRET not in str([(str(each.problem), each) for each in found.values()])


def test_what_waits_is_counted_and_why_is_said(at_home: pytest.MonkeyPatch, sample: Dataset) -> None:
    at_home.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    for number in range(2):
        with tracked_run("tests", "Nothing", {"number": number}, sample, Actor("alice", "tests"), get_workspace()):
            pass
    found = told()["MLflow"]
    assert (found.state, found.backlog) == ("failing", 2)
    assert "refused" in str(found.problem).lower()


@pytest.mark.server
def test_a_server_that_works_says_its_version(at_home: pytest.MonkeyPatch, mlflow_server: tuple[str, Server]) -> None:
    uri, start = mlflow_server
    at_home.setenv("MLFLOW_TRACKING_URI", uri)
    server = start()
    found = told()
    assert (found["MLflow"].state, found["MLflow"].version) == ("works", versions()["mlflow"])
    assert found["Artifacts"].state == "works"
    stop(server)
    assert told()["MLflow"].state == "failing"


def test_no_worker_needs_attention(at_home: pytest.MonkeyPatch) -> None:
    [found] = [each for each in check_services(get_workspace(), lambda at: []) if each.name == "Jobs"]
    assert found.state == "short"
    assert not fails([found])


def test_secrets_are_masked(at_home: pytest.MonkeyPatch) -> None:
    for name, value in everything_at(1).items():
        at_home.setenv(name, value)
    found = {each.name: each for each in settings_of(settings())}
    assert set(found) == {name.upper() for name in Settings.model_fields}
    assert (found["AWS_SECRET_KEY"].value, found["DATABASE_URL"].value) == (MASK, MASK)
    assert (found["S3_BUCKET_NAME"].value, found["S3_BUCKET_NAME"].is_set) == ("vigie", True)
    assert (found["COUNTRY_ISO_CODE"].value, found["COUNTRY_ISO_CODE"].is_set) == ("FRA", False)
    assert SECRET not in str(found)


# ---- page -----------------------------------------------------------------------------------------------------------


def test_the_page_says_states_in_words(at_home: pytest.MonkeyPatch) -> None:
    at_home.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    at_home.setenv("AWS_SECRET_KEY", SECRET)
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    assert not page.exception
    assert "MLflow" in page.error[0].value
    words = " ".join(each.value for each in page.markdown)
    assert "does not work" in words
    assert "not set" in words
    assert SECRET not in str(page)
    page.button(key="deliver-now").click().run()
    assert not page.exception
    assert "Nothing" in page.info[0].value


def test_delivering_now_says_what_was(
    at_home: pytest.MonkeyPatch, sample: Dataset, empty_store: Path, tmp_path: Path
) -> None:
    at_home.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with tracked_run("tests", "Nothing", {}, sample, Actor("alice", "tests"), get_workspace()):
        pass
    at_home.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    _forget()
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    page.button(key="deliver-now").click().run()
    assert not page.exception
    assert "1 runs" in page.info[0].value or "goes on" in page.info[0].value


# ---- command --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uri", "code"), [("", 0), ("http://127.0.0.1:9", 1)])
def test_the_command_ends_with_1_where_something_set_does_not_work(uri: str, code: int, tmp_path: Path) -> None:
    empty = {name.upper(): "" for name in Settings.model_fields}
    environment = {**os.environ, **empty, "VIGIE_DATA_DIR": str(tmp_path), "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(
        [sys.executable, "-m", "core", "health", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is (code == 0)
    assert {each["name"] for each in found["services"]} == SET | {"Data folder"}
