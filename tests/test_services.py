"""MLflow server as in docs/deployment.md: records in PostgreSQL, artifacts in gs://, known hosts, and sign-in."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset
from core.operations.health import check_services
from core.runs.promotion import promote, register
from core.runs.stored_runs import load_run, mlflow_run_url
from core.runs.tracked_run import tracked_run
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests import servers
from tests.conftest import ROOT, deliver
from tests.servers import Running

pytestmark = pytest.mark.server
BY = Actor("alice", "tests")
NAME = "anomalies"

SCORE = """
import sys
from core.runs.promotion import load_by_alias
from core.data.samples import load_sample
from core.detectors.row_model import RowModel
from core.workspace import get_workspace
model = load_by_alias(sys.argv[1], workspace=get_workspace(), kind=RowModel)
model.score(model.ready(load_sample("gas_daily"))).tofile(sys.argv[2])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def postgres(folder: Path) -> Iterator[Running]:
    yield (server := servers.postgres(folder / "postgres").start())
    server.kill()


@pytest.fixture(scope="module")
def gcs(folder: Path) -> Iterator[Running]:
    yield (server := servers.gcs(folder / "gcs").start())
    server.kill()


@pytest.fixture(scope="module")
def mlflow(folder: Path, postgres: Running, gcs: Running) -> Iterator[Running]:
    yield (server := servers.mlflow(folder / "mlflow", postgres.url, gcs.url).start())
    server.kill()


def workspace_on(folder: Path, mlflow: Running) -> Workspace:
    """Return a workspace that stores its artifacts through the MLflow server."""
    return Workspace.in_folder(folder, Tracking(mlflow.url, None, folder / "runs"))


def bucket(gcs: Running) -> set[str]:
    """Return the keys in gs://vigie."""
    folder = gcs.folder / "storage" / "vigie"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def elsewhere(folder: Path, mlflow: Running) -> dict[str, str]:
    """Return the environment of a process that shares only the MLflow server with this one."""
    return os.environ | {"VIGIE_DATA_DIR": str(folder), "MLFLOW_TRACKING_URI": mlflow.url, "PYTHONPATH": str(ROOT)}


def test_a_run_with_everything_is_in_postgres_and_in_the_bucket(
    tmp_path: Path, sample: Dataset, mlflow: Running, gcs: Running
) -> None:
    at = workspace_on(tmp_path, mlflow)
    with tracked_run("everything", "Nothing", {"number": 7, "name": "été"}, sample, BY, at) as run:
        run.metrics["score"] = 0.25
        go.Figure(go.Scatter(y=[1, 2])).write_html(run.folder / "figure.html")
        pd.DataFrame({"a": [1, 2]}).to_csv(run.folder / "table.csv", index=False)
    deliver(at)
    run_id = load_run(run.id, at).record.run_id
    found = MlflowClient(mlflow.url).get_run(run_id)
    assert (found.data.params["number"], found.data.params["name"]) == ("7", "été")
    assert found.data.metrics["score"] == 0.25
    assert found.data.tags["vigie.status"] == "completed"
    kept = {key.rpartition("/")[2] for key in bucket(gcs) if run_id in key}
    assert kept == {"figure.html", "table.csv"}
    assert mlflow_run_url(run_id, at) == f"{mlflow.url}/#/experiments/{found.info.experiment_id}/runs/{run_id}"


def test_a_model_is_loaded_by_alias_in_another_process_and_scores_the_same(
    tmp_path: Path, sample: Dataset, mlflow: Running, gcs: Running
) -> None:
    at = workspace_on(tmp_path, mlflow)
    detection, run = detect(DetectionSpec(compare_with="calendar"), sample, workspace=at, actor=BY)
    deliver(at)
    version = register(run.id, NAME, workspace=at, actor=BY)
    promote(NAME, workspace=at, actor=BY, force=True, reason="the first one")
    assert any(version.run_id in key and key.endswith("model.skops") for key in bucket(gcs))
    client = MlflowClient(mlflow.url)
    assert int(client.get_model_version_by_alias(NAME, "champion").version) == version.number
    assert [each.name for each in client.search_registered_models()] == [NAME]

    scores = tmp_path / "scores"
    command = [sys.executable, "-c", SCORE, NAME, str(scores)]
    done = subprocess.run(
        command, env=elsewhere(tmp_path / "other", mlflow), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.sort(np.fromfile(scores))[::-1], detection.rows["score"].to_numpy())


def test_the_ui_is_served(mlflow: Running) -> None:
    with urllib.request.urlopen(mlflow.url, timeout=10) as answer:
        assert b"<title>MLflow</title>" in answer.read()


@pytest.mark.parametrize(("host", "status"), [("evil.example.org", 403), ("", 200)])
def test_only_known_hosts_are_answered(mlflow: Running, host: str, status: int) -> None:
    request = urllib.request.Request(f"{mlflow.url}/api/2.0/mlflow/experiments/get?experiment_id=0")
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == status
    except urllib.error.HTTPError as error:
        error.close()
        assert error.code == status  # noqa: PT017 both statuses are expected answers


# ---- MLflow with sign-in -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(folder: Path, postgres: Running, gcs: Running) -> Iterator[Running]:
    """MLflow with its sign-in plug-in. The administrator is admin with the password not-a-secret-9."""
    if find_spec("flask_wtf") is None:
        pytest.skip("no Flask-WTF on this machine: pip install -r requirements-dev.txt")
    place = folder / "guarded"
    place.mkdir()
    (place / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{place / 'users.db'}\n"
        "admin_username = admin\nadmin_password = not-a-secret-9\nauthorization_function "
        "= mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    server = servers.mlflow(
        place,
        postgres.url,
        gcs.url,
        "vigie",
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(place / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="of the tests",
    )
    yield server.start()
    server.kill()


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-a-secret-9")
    return monkeypatch


def record(number: int, dataset: Dataset, at: Workspace) -> bool:
    with tracked_run("guarded", "Nothing", {"number": number}, dataset, BY, at) as run:
        (run.folder / "note.txt").write_text(str(number))
    return run.delivered


def test_who_does_not_say_who_it_is_gets_nothing(guarded: Running) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refusal:
        urllib.request.urlopen(f"{guarded.url}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=10)
    refusal.value.close()


def test_with_wrong_credentials_runs_wait_and_are_delivered_with_the_right_ones(
    tmp_path: Path, sample: Dataset, guarded: Running, signed_in: pytest.MonkeyPatch
) -> None:
    at = workspace_on(tmp_path, guarded)
    signed_in.setenv("MLFLOW_TRACKING_PASSWORD", "mistaken-8")
    assert not record(1, sample, at)
    assert not record(2, sample, at)
    at.tracking.wait_for_delivery(15)
    at.tracking.reset()
    assert at.tracking.deliver_pending() == 0
    assert "401" in at.tracking.last_error
    told = {service.name: service for service in check_services(at, lambda at: [])}
    assert (told["MLflow"].state, told["MLflow"].backlog) == ("failing", 2)
    assert "MLFLOW_TRACKING_PASSWORD" in str(told["MLflow"].problem)
    assert "mistaken-8" not in json.dumps([str(each) for each in told.values()])

    signed_in.setenv("MLFLOW_TRACKING_PASSWORD", "not-a-secret-9")
    record(3, sample, at)
    deliver(at)
    client = MlflowClient(guarded.url)
    experiment = client.get_experiment_by_name("guarded")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.params["number"] for run in runs) == ["1", "2", "3"]
    until = time.monotonic() + 30  # the check of a password is slow on a busy machine
    while (
        found := {service.name: service for service in check_services(at, lambda at: [])}["MLflow"]
    ).state != "works":
        assert time.monotonic() < until, found
    assert found.version == installed("mlflow")
