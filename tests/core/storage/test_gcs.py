"""Artifacts in Google Cloud Storage without MLflow's proxy: the check of the bucket, delivery and download."""

import json
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import AccessDeniedError
from core.operations.health import check_services
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.storage.gcs import PROBE_NAME, ArtifactBucket
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import deliver_all, find_free_port
from tests.support.servers import ServerProcess, make_gcs_server

LOCATION = "gs://vigie/runs"
STEP_BY_PERMISSION = {
    "storage.objects.create": ("POST", "/upload/"),
    "storage.objects.list": ("GET", "/storage/v1/b/vigie/o?"),
    "storage.objects.get": ("GET", "/download/"),
    "storage.objects.delete": ("DELETE", "/storage/"),
}
"""Permission → method and beginning of the path of the request that needs it."""


@pytest.fixture(autouse=True)
def google_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the credentials of the machine from Google's library."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    yield (server := make_gcs_server(tmp_path_factory.mktemp("gcs")).start())
    server.kill()


@contextmanager
def run_http_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Yield the address of an HTTP server that answers by `handler`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def refuse_step(gcs_url: str, method: str, path: str, code: int) -> Iterator[str]:
    """Yield the address of a proxy before the emulator, which has no permissions, that refuses one kind of request."""

    class Proxy(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == method and self.path.startswith(path):
                self.send_answer(code, "application/json", json.dumps({"error": {"code": code}}).encode())
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "range")}
            request = urllib.request.Request(f"{gcs_url}{self.path}", body or None, headers, method=self.command)
            with urllib.request.urlopen(request) as answer:
                self.send_answer(answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read())

        def send_answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_values: object) -> None:
            """Stay silent."""

        do_GET = do_POST = do_DELETE = answer

    with run_http_server(Proxy) as url:
        yield url


def check_reason(location: str = LOCATION, credentials_file: str = "") -> str:
    """Return why the check of a bucket fails, for an operator."""
    with pytest.raises(AccessDeniedError) as error:
        ArtifactBucket(location, credentials_file).check()
    return str(error.value)


def list_probes(gcs: ServerProcess) -> list[Path]:
    return [path for path in (gcs.folder / "storage").rglob("*") if path.is_file() and PROBE_NAME in str(path)]


# ---- the check ------------------------------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.parametrize("location", [LOCATION, "gs://vigie", "gs://vigie/"])
def test_bucket_that_works_keeps_no_probe(location: str, gcs: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    assert ArtifactBucket(location).check() == ""
    assert list_probes(gcs) == []


@pytest.mark.server
def test_missing_bucket_is_named(gcs: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    reason = check_reason("gs://nobody-has-this/runs")
    assert reason.startswith("The bucket nobody-has-this does not exist (HTTP 404). Check MLFLOW_ARTEFACTS_LOCATION.")


@pytest.mark.server
@pytest.mark.parametrize("permission", STEP_BY_PERMISSION)
def test_missing_permission_is_named(permission: str, gcs: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    with refuse_step(gcs.url, *STEP_BY_PERMISSION[permission], 403) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        reason = check_reason()
    assert f"lacks the permission {permission} for the bucket vigie (HTTP 403)" in reason
    probes = list_probes(gcs)
    assert len(probes) == (permission == "storage.objects.delete")
    for probe in probes:
        probe.unlink()


@pytest.mark.server
def test_refused_credentials_are_told(gcs: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    with refuse_step(gcs.url, *STEP_BY_PERMISSION["storage.objects.create"], 401) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        assert check_reason().startswith("Google does not accept the credentials (")


def test_bucket_without_a_name_is_told() -> None:
    assert "The address gs:///runs names no bucket. Accepted: gs://bucket/folder." in check_reason("gs:///runs")


def test_missing_credentials_are_told() -> None:
    assert check_reason().startswith("There are no credentials of Google. Set GOOGLE_APPLICATION_CREDENTIALS")


def test_search_for_credentials_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent_server:
        monkeypatch.delenv("NO_GCE_CHECK")
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{silent_server.getsockname()[1]}")
        assert check_reason().startswith("There are no credentials of Google.")


@pytest.mark.parametrize(
    "content",
    [None, "", "no JSON", "[]", "{}", '{"type": "service_account"}', '{"type": "somebody"}', b"\xff\x00"],
    ids=["missing", "empty", "text", "list", "object", "no key", "other type", "binary"],
)
def test_credentials_file_that_is_none_is_named(
    content: str | bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    reason = check_reason(credentials_file=str(path))
    assert reason.startswith(f"The file {path} has no credentials of Google (")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in reason


def write_service_account(path: Path, token_address: str) -> None:
    """Write the key file of a service account that nobody has, with a new key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoded_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "vigie",
        "private_key_id": "1",
        "private_key": encoded_key.decode(),
        "client_email": "vigie@vigie.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_address,
    }
    path.write_text(json.dumps(account))


class RefusingHandler(BaseHTTPRequestHandler):
    """Answers as Google does to the key of a deleted account."""

    def do_POST(self) -> None:
        body = json.dumps({"error": "invalid_grant", "error_description": "Invalid grant: account not found"}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_values: object) -> None:
        """Stay silent."""


def test_key_of_deleted_account_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_http_server(RefusingHandler) as url:
        write_service_account(path := tmp_path / "key.json", url)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        reason = check_reason(credentials_file=str(path))
    assert reason == ("Google does not accept the credentials (invalid_grant: Invalid grant: account not found).")


# ---- through health, and artifacts ----------------------------------------------------------------------------------


def open_google_workspace(folder: Path, store: Path) -> Workspace:
    """Return a workspace with its records in SQLite and its artifacts in the bucket, without MLflow's proxy."""
    shutil.copy(store, folder / "mlflow.db")
    return Workspace.in_folder(folder, Tracking(f"sqlite:///{folder / 'mlflow.db'}", LOCATION, folder / "runs"))


def test_health_tells_that_google_is_out_of_reach(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{find_free_port()}")
    services = check_services(open_google_workspace(tmp_path, empty_store), lambda workspace: [object()])
    [artifacts] = [service for service in services if service.name == "Artifacts"]
    assert (artifacts.state, artifacts.place) == ("failing", LOCATION)
    assert str(artifacts.problem).startswith("No answer: ")


@pytest.mark.server
def test_artifacts_are_delivered_and_fetched_without_proxy(
    tmp_path: Path, empty_store: Path, sample: Dataset, gcs: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    workspace = open_google_workspace(tmp_path, empty_store)
    with track_run("tests", "Nothing", {}, sample, Actor("alice", "tests"), workspace) as run:
        (run.folder / "parts").mkdir()
        (run.folder / "parts" / "note.txt").write_text("été")
    deliver_all(workspace)
    files = load_run(run.id, workspace).files
    shutil.rmtree(files)
    assert (load_run(run.id, workspace).files / "parts" / "note.txt").read_text() == "été"
    services = check_services(workspace, lambda workspace: [object()])
    assert [service.state for service in services if service.name == "Artifacts"] == ["works"]
    assert list_probes(gcs) == []
