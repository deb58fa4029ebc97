"""Watched buckets of S3 and Google Cloud Storage: new and grown objects, and stores that refuse or do not answer."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import AccessDeniedError, ServiceUnavailableError, VigieError
from core.settings import Settings
from core.storage.sources import Arrivals, bucket, check_source, read_arrivals
from core.watches.source import BucketSource
from tests.support.servers import S3_SECRET, S3_USER, ServerProcess, make_gcs_server, make_s3_client, make_s3_server

pytestmark = pytest.mark.server

ROWS = b"time,MW\n2024-01-01 00:00,5\n"


@pytest.fixture(autouse=True)
def environment_of_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the credentials of the machine from the libraries."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-keys"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    yield (server := make_s3_server(tmp_path_factory.mktemp("s3"), "plant").start())
    server.kill()


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    yield (server := make_gcs_server(tmp_path_factory.mktemp("gcs"), "plant").start())
    server.kill()


@dataclass
class StoredFiles:
    """Bucket with a folder of its own for a test."""

    address: str
    settings: Settings
    client: Any

    def put(self, key: str, body: bytes) -> None:
        if self.address.startswith("s3"):
            self.client.put_object(Bucket="plant", Key=key, Body=body)
        else:
            self.client.bucket("plant").blob(key).upload_from_string(body)

    def take(self, folder: Path, cursor: str = "") -> Arrivals:
        target = folder / f"tick-{time.monotonic_ns()}"
        target.mkdir()
        return read_arrivals(BucketSource(address=self.address, pattern="*.csv"), cursor, target, self.settings)


def make_s3_settings(url: str, secret: str = S3_SECRET) -> Settings:
    return Settings.model_construct(
        aws_access_key=SecretStr(S3_USER),
        aws_secret_key=SecretStr(secret),
        s3_endpoint_url=url,
        s3_region_name="eu-west-3",
        vigie_source_places="s3://plant, s3://absent, gs://plant, gs://absent",
    )


@pytest.fixture(params=["s3", "gs"])
def stored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StoredFiles:
    if request.param == "s3":
        url = request.getfixturevalue("s3").url
        return StoredFiles("s3://plant/loads", make_s3_settings(url), make_s3_client(url))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("gcs").url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "vigie")
    from google.cloud import storage

    return StoredFiles("gs://plant/loads", make_s3_settings(""), storage.Client())


def list_texts(arrivals: Arrivals) -> dict[str, bytes]:
    return {name: path.read_bytes() for path, name in arrivals.files}


def test_new_and_grown_objects_arrive(stored: StoredFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "WINDOW_BYTES", 40)
    check_source(BucketSource(address=stored.address), stored.settings)
    stored.put("loads/day/a.csv", ROWS)
    stored.put("loads/b.csv", ROWS * 0 + b"time,MW\n" + b"2024-01-02 00:00,%d\n" % 7)
    for key in ("loads/.hidden.csv", "loads/c.log", "loads-2/d.csv", "loads/e.csv.part"):
        stored.put(key, ROWS)
    first = stored.take(tmp_path)
    assert list_texts(first) == {"day/a.csv": ROWS, "b.csv": b"time,MW\n2024-01-02 00:00,7\n"}
    assert not stored.take(tmp_path, first.cursor).files
    grown = ROWS + b"".join(b"2024-01-01 %02d:00,6\n" % hour for hour in range(1, 24))
    stored.put("loads/day/a.csv", grown)
    second = stored.take(tmp_path, first.cursor)
    assert list_texts(second) == {"day/a.csv": b"time,MW\n" + grown.removeprefix(ROWS)}
    stored.put("loads/day/a.csv", grown + b"2024-01-02 00:00,8")
    third = stored.take(tmp_path, second.cursor)
    assert list_texts(third) == {"day/a.csv": b"time,MW\n2024-01-02 00:00,8"}, "an object is complete"
    corrected = grown.replace(b"23:00,6", b"23:00,7")
    stored.put("loads/day/a.csv", corrected)
    assert list_texts(stored.take(tmp_path, third.cursor)) == {"day/a.csv": corrected}


def test_object_that_changes_after_the_list_waits(
    stored: StoredFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the version that was listed is read, so that no part is of one version and the next of another."""
    stored.address = stored.address.replace("loads", "changing")
    stored.put("changing/a.csv", ROWS)
    take_new_parts = bucket.take_new_parts

    def change_first(*arguments: Any) -> Any:
        stored.put("changing/a.csv", ROWS + ROWS[8:])
        return take_new_parts(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "take_new_parts", change_first)
        first = stored.take(tmp_path)
    assert not first.files
    assert list_texts(stored.take(tmp_path, first.cursor)) == {"a.csv": ROWS + ROWS[8:]}


def test_absent_bucket_is_a_dead_source(stored: StoredFiles) -> None:
    address = stored.address.replace("plant", "absent")
    with pytest.raises(ServiceUnavailableError, match=r"The bucket absent does not exist\.$"):
        check_source(BucketSource(address=address), stored.settings)


def test_bucket_outside_of_places_gets_no_request(tmp_path: Path) -> None:
    source = BucketSource(address="s3://other/loads")
    with pytest.raises(AccessDeniedError, match="VIGIE_SOURCE_PLACES"):
        check_source(source, make_s3_settings("http://127.0.0.1:1"))


def test_wrong_key_of_s3_is_told(s3: ServerProcess) -> None:
    with pytest.raises(AccessDeniedError, match="AWS_SECRET_KEY") as raised:
        check_source(BucketSource(address="s3://plant"), make_s3_settings(s3.url, "wrong-secret-9"))
    assert "wrong-secret-9" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_dead_store_is_unavailable(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "vigie")
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        check_source(BucketSource(address=f"{scheme}://plant"), make_s3_settings("http://127.0.0.1:1"))


def test_google_without_credentials_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with pytest.raises(VigieError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        check_source(BucketSource(address="gs://plant"), make_s3_settings(""))
