"""MLflow as in docs/how-to/run-on-a-cluster.md: records in PostgreSQL, artifacts in gs://, known hosts, sign-in."""

import json
import os
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
from core.runs.stored_runs import get_run_url, load_run
from core.runs.tracked_run import track_run
from core.settings import ROOT
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils import google_identity
from mlflow_utils.tracking import Tracking
from tests.conftest import deliver_all
from tests.support import servers
from tests.support.cloud_run_gate import TOKEN_S, open_gate, write_key_file
from tests.support.commands import run_module
from tests.support.servers import ServerProcess

pytestmark = pytest.mark.server
ALICE = Actor("alice", "tests")
MODEL_NAME = "anomalies"

SCORING_CODE = """
import sys
from core.runs.promotion import load_by_alias
from core.data.samples import load_sample
from core.detectors.row_model import RowModel
from core.workspace import get_workspace
model = load_by_alias(sys.argv[1], workspace=get_workspace(), kind=RowModel)
model.score(model.prepare_rows(load_sample("gas_daily"))).tofile(sys.argv[2])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def postgres(folder: Path) -> Iterator[ServerProcess]:
    yield (server := servers.make_postgres_server(folder / "postgres").start())
    server.kill()


@pytest.fixture(scope="module")
def gcs(folder: Path) -> Iterator[ServerProcess]:
    yield (server := servers.make_gcs_server(folder / "gcs").start())
    server.kill()


@pytest.fixture(scope="module")
def mlflow(folder: Path, postgres: ServerProcess, gcs: ServerProcess) -> Iterator[ServerProcess]:
    yield (server := servers.make_mlflow_server(folder / "mlflow", postgres.url, gcs.url).start())
    server.kill()


def open_workspace(folder: Path, mlflow: ServerProcess) -> Workspace:
    """Return a workspace that stores its artifacts through the MLflow server."""
    return Workspace.in_folder(folder, Tracking(mlflow.url, None, folder / "runs"))


def list_bucket_keys(gcs: ServerProcess) -> set[str]:
    """Return the keys in gs://vigie."""
    folder = gcs.folder / "storage" / "vigie"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def make_environment(folder: Path, mlflow: ServerProcess) -> dict[str, str]:
    """Return the environment of a process that shares only the MLflow server with this one."""
    return os.environ | {"VIGIE_DATA_DIR": str(folder), "MLFLOW_TRACKING_URI": mlflow.url, "PYTHONPATH": str(ROOT)}


def test_mlflow_server_stores_run_and_artifacts(
    tmp_path: Path, sample: Dataset, mlflow: ServerProcess, gcs: ServerProcess
) -> None:
    workspace = open_workspace(tmp_path, mlflow)
    with track_run("everything", "Nothing", {"number": 7, "name": "été"}, sample, ALICE, workspace) as run:
        run.metrics["score"] = 0.25
        go.Figure(go.Scatter(y=[1, 2])).write_html(run.folder / "figure.html")
        pd.DataFrame({"a": [1, 2]}).to_csv(run.folder / "table.csv", index=False)
    deliver_all(workspace)
    run_id = load_run(run.id, workspace).record.run_id
    mlflow_run = MlflowClient(mlflow.url).get_run(run_id)
    assert (mlflow_run.data.params["number"], mlflow_run.data.params["name"]) == ("7", "été")
    assert mlflow_run.data.metrics["score"] == 0.25
    assert mlflow_run.data.tags["vigie.status"] == "completed"
    file_names = {key.rpartition("/")[2] for key in list_bucket_keys(gcs) if run_id in key}
    assert file_names == {"checksums.json", "figure.html", "table.csv"}
    run_page = f"{mlflow.url}/#/experiments/{mlflow_run.info.experiment_id}/runs/{run_id}"
    assert get_run_url(run_id, workspace) == f"{run_page}?workflowType=machine_learning"


def test_mlflow_server_loads_model_by_alias_in_another_process(
    tmp_path: Path, sample: Dataset, mlflow: ServerProcess, gcs: ServerProcess
) -> None:
    workspace = open_workspace(tmp_path, mlflow)
    detection, run = detect(DetectionSpec(baseline="calendar"), sample, workspace=workspace, actor=ALICE)
    deliver_all(workspace)
    version = register(run.id, MODEL_NAME, workspace=workspace, actor=ALICE)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE, force=True, reason="the first one")
    assert any(version.run_id in key and key.endswith("model.skops") for key in list_bucket_keys(gcs))
    client = MlflowClient(mlflow.url)
    assert int(client.get_model_version_by_alias(MODEL_NAME, "champion").version) == version.number
    assert [model.name for model in client.search_registered_models()] == [MODEL_NAME]

    scores_path = tmp_path / "scores"
    environment = make_environment(tmp_path / "other", mlflow)
    process = run_module("tests.support.code", SCORING_CODE, MODEL_NAME, scores_path, environment=environment)
    assert process.returncode == 0, process.stderr
    assert np.array_equal(np.sort(np.fromfile(scores_path))[::-1], detection.rows["score"].to_numpy())


def test_mlflow_server_serves_ui(mlflow: ServerProcess) -> None:
    with urllib.request.urlopen(mlflow.url, timeout=10) as response:
        assert b"<title>MLflow</title>" in response.read()


@pytest.mark.parametrize(("host", "status"), [("evil.example.org", 403), ("", 200)])
def test_mlflow_server_rejects_unknown_hosts(mlflow: ServerProcess, host: str, status: int) -> None:
    request = urllib.request.Request(f"{mlflow.url}/api/2.0/mlflow/experiments/get?experiment_id=0")
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == status
    except urllib.error.HTTPError as error:
        error.close()
        assert error.code == status  # noqa: PT017 both statuses are expected answers


# ---- MLflow with sign-in -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secured_mlflow(folder: Path, postgres: ServerProcess, gcs: ServerProcess) -> Iterator[ServerProcess]:
    """MLflow with its sign-in plug-in. The administrator is admin with the password not-a-secret-9."""
    if find_spec("flask_wtf") is None:
        pytest.skip("no Flask-WTF on this machine: pip install -r requirements-dev.txt")
    config_folder = folder / "guarded"
    config_folder.mkdir()
    (config_folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{config_folder / 'users.db'}\n"
        "admin_username = admin\nadmin_password = not-a-secret-9\nauthorization_function "
        "= mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    server = servers.make_mlflow_server(
        config_folder,
        postgres.url,
        gcs.url,
        "vigie",
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(config_folder / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="of the tests",
    )
    yield server.start()
    server.kill()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-a-secret-9")
    return monkeypatch


def record_run(number: int, dataset: Dataset, workspace: Workspace) -> bool:
    with track_run("guarded", "Nothing", {"number": number}, dataset, ALICE, workspace) as run:
        (run.folder / "note.txt").write_text(str(number))
    return run.delivered


def test_mlflow_server_requires_authentication(secured_mlflow: ServerProcess) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refusal:
        urllib.request.urlopen(f"{secured_mlflow.url}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=10)
    refusal.value.close()


def test_mlflow_server_gets_runs_after_credentials_are_fixed(
    tmp_path: Path, sample: Dataset, secured_mlflow: ServerProcess, credentials: pytest.MonkeyPatch
) -> None:
    workspace = open_workspace(tmp_path, secured_mlflow)
    credentials.setenv("MLFLOW_TRACKING_PASSWORD", "mistaken-8")
    assert not record_run(1, sample, workspace)
    assert not record_run(2, sample, workspace)
    workspace.tracking.wait_for_delivery(15)
    workspace.tracking.reset()
    assert workspace.tracking.deliver_pending() == 0
    assert "401" in workspace.tracking.last_error
    services = {service.name: service for service in check_services(workspace, lambda workspace: [])}
    assert (services["MLflow"].state, services["MLflow"].backlog) == ("failing", 2)
    assert "MLFLOW_TRACKING_PASSWORD" in str(services["MLflow"].problem)
    assert "mistaken-8" not in json.dumps([str(health) for health in services.values()])

    credentials.setenv("MLFLOW_TRACKING_PASSWORD", "not-a-secret-9")
    record_run(3, sample, workspace)
    deliver_all(workspace)
    client = MlflowClient(secured_mlflow.url)
    experiment = client.get_experiment_by_name("guarded")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.params["number"] for run in runs) == ["1", "2", "3"]
    deadline = time.monotonic() + 30  # the check of a password is slow on a busy machine
    while (
        mlflow_health := {service.name: service for service in check_services(workspace, lambda workspace: [])}[
            "MLflow"
        ]
    ).state != "works":
        assert time.monotonic() < deadline, mlflow_health
    assert mlflow_health.version == installed("mlflow")


# ---- MLflow behind Cloud Run ---------------------------------------------------------------------------------------


def test_identity_tokens_are_renewed_when_they_expire(
    tmp_path: Path, sample: Dataset, mlflow: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs and their files pass a gate that wants a token, also after the first one has expired."""
    with open_gate(mlflow.url) as gate:
        workspace = Workspace.in_folder(tmp_path, Tracking(gate.url, None, tmp_path / "runs"))
        assert not record_run(1, sample, workspace)
        assert gate.refused
        write_key_file(tmp_path / "key.json", gate)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        monkeypatch.setenv("MLFLOW_TRACKING_AUTH", google_identity.NAME)
        deliver_all(workspace)
        refused_before, given_before = gate.refused, gate.given

        time.sleep(TOKEN_S)
        gate.expire_tokens()
        record_run(2, sample, workspace)
        deliver_all(workspace)
        assert (gate.refused, gate.audiences) == (refused_before, {gate.url})
        assert gate.given > given_before
        client = MlflowClient(mlflow.url)
        experiment = client.get_experiment_by_name("guarded")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"], max_results=2)
        assert sorted(run.data.params["number"] for run in runs) == ["1", "2"]
        assert {file.path for run in runs for file in client.list_artifacts(run.info.run_id)} >= {"note.txt"}
