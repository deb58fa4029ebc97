"""Feedback records, their delivery to S3, verdict counts, and thresholds proposed from verdicts."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.errors import InputError, NotFoundError, ServiceUnavailableError
from core.evaluation.alarm_rates import compute_wilson_interval
from core.evaluation.feedback_metrics import AlarmPrecision, ReviewedRows, find_best_threshold, find_majority
from core.exports import FORMULA_STARTS, to_csv_bytes
from core.operations import feedback as feedback_operations
from core.operations.feedback_labels import add_label_column, build_label_table
from core.operations.threshold_from_feedback import load_flagged_rows, propose_threshold
from core.outbox import deliver
from core.progress import Progress
from core.runs.verdicts import compute_majorities
from core.settings import ROOT, Settings
from core.spec.codec import encode
from core.spec.spec import ApplySpec
from core.spec.task import run_job
from core.storage.feedback import KEY_PATTERN, MAX_COMMENT_CHARS, Feedback, FeedbackStore, build_feedback_schema
from core.storage.s3 import Bucket
from core.tasks.anomalies.run import apply_model, detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from tests.conftest import assert_no_hang
from tests.support.commands import start_code
from tests.support.concurrency import wait_until
from tests.support.servers import S3_SECRET, S3_USER, ServerProcess, make_s3_client, make_s3_server

BOB = Actor("bob", "tests")
BUCKET_NAME = "vigie"


def make_record(**fields: Any) -> Feedback:
    return Feedback(**({"user": "bob", "page": "anomalies"} | fields))


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- the record and its schema --------------------------------------------------------------------------------------


def test_feedback_schema_matches_published_file() -> None:
    published = (ROOT / "docs" / "feedback.schema.json").read_text(encoding="utf-8")
    assert published.rstrip("\n") == json.dumps(build_feedback_schema(), indent=2)
    jsonschema.Draft202012Validator.check_schema(build_feedback_schema())


def test_feedback_record_round_trips_and_follows_schema() -> None:
    entry = make_record(
        run_id="r",
        model="IsolationForest",
        row={"entity": "Bretagne", "time": "2020-01-01T00:00:00", "score": 0.7},
        verdict="unsure",
        rating=3,
    )
    jsonschema.Draft202012Validator(build_feedback_schema()).validate(json.loads(entry.model_dump_json()))
    assert Feedback.model_validate_json(entry.model_dump_json()) == entry


@given(*[st.text(max_size=60)] * 3)
def test_feedback_key_contains_no_user_text(user: str, page: str, comment: str) -> None:
    try:
        entry = make_record(user=user, page=page, comment=comment, row={"entity": comment})
    except ValueError:  # a lone surrogate
        return
    assert KEY_PATTERN.fullmatch(entry.key)
    assert entry.key == f"feedback/v1/date={entry.time:%Y-%m-%d}/{entry.id}.json"


@pytest.mark.parametrize(
    "identity",
    [
        "../../etc/passwd",
        "",
        "A" * 36,
        "305e4c22-b73a-4a88-84e2-a8b5e253de78/x",
        "305e4c22-b73a-4a88-84e2-a8b5e253de78\n",
    ],
)
def test_feedback_record_rejects_invalid_id(identity: str) -> None:
    with pytest.raises(ValueError, match="id"):
        make_record(id=identity)


# ---- storage in a folder --------------------------------------------------------------------------------------------


def test_feedback_store_without_bucket_uses_folder(tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path / "feedback")
    entry = make_record(comment="good")
    receipt = store.add_record(entry)
    assert (receipt.id, receipt.state, receipt.problem) == (entry.id, "kept", None)
    assert list_files(tmp_path) == [entry.key]
    assert store.read_records() == [entry]
    assert (store.count_pending(), store.deliver_pending(), store.location) == (0, 0, str(tmp_path / "feedback"))
    store.check()


def test_feedback_store_skips_invalid_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, entry = FeedbackStore(tmp_path / "feedback"), make_record()
    store.add_record(entry)
    folder = (tmp_path / entry.key).parent
    (folder / f"{uuid.uuid4()}.json").write_text("{", encoding="utf-8")
    (folder / f"{uuid.uuid4()}.json").write_text(entry.model_dump_json(), encoding="utf-8")
    (folder / "other.json").write_text(make_record().model_dump_json(), encoding="utf-8")
    (folder / f"{uuid.uuid4()}.draft").write_text("half", encoding="utf-8")
    assert FeedbackStore(tmp_path / "feedback").read_records() == [entry]
    assert caplog.text.count("is not a feedback record") == 3


def test_feedback_store_full_disk_leaves_no_partial_file(tmp_path: Path) -> None:
    """A file-size limit simulates a full disk without root rights."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from core.storage.feedback import *\n"
        "store = FeedbackStore(Path(sys.argv[1])); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"
        "try: store.add_record(Feedback(user='bob', page='x'))\n"
        "except OSError as error: print(error.strerror)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "feedback")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "File too large"
    assert list_files(tmp_path) == []


# ---- delivery to S3 -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = make_s3_server(tmp_path_factory.mktemp("s3"), BUCKET_NAME)
    allowed = [
        f"{action}:{BUCKET_NAME}" for action in ("Read", "Write", "List")
    ]  # the first identity may also create the missing bucket
    users = json.loads((running.folder / "s3.json").read_text())
    users["identities"].append(
        {"name": "narrow", "credentials": [{"accessKey": "narrow", "secretKey": S3_SECRET}], "actions": allowed}
    )
    (running.folder / "s3.json").write_text(json.dumps(users))
    running.start()
    Bucket(BUCKET_NAME, "eu-west-3", running.url, S3_USER, S3_SECRET).put("first", b"")  # slow: it creates a volume
    yield running
    running.kill()


@pytest.fixture
def bucket(server: ServerProcess) -> Bucket:
    """An empty bucket."""
    client = make_s3_client(server.url)
    for key in read_bucket(server):
        client.delete_object(Bucket=BUCKET_NAME, Key=key)
    empty_bucket = Bucket(BUCKET_NAME, "eu-west-3", server.url, S3_USER, S3_SECRET)
    empty_bucket.check()  # creates the client, as background delivery does before a page needs it
    return empty_bucket


@pytest.fixture
def store(tmp_path: Path, bucket: Bucket) -> FeedbackStore:
    return FeedbackStore(tmp_path / "feedback", bucket)


def read_bucket(server: ServerProcess) -> dict[str, bytes]:
    """Return the feedback objects in the bucket by key."""
    client = make_s3_client(server.url)
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET_NAME).get("Contents", ())]
    return {
        key: client.get_object(Bucket=BUCKET_NAME, Key=key)["Body"].read() for key in keys if key.startswith("feedback")
    }


def test_feedback_store_uploads_record_immediately(store: FeedbackStore, server: ServerProcess, tmp_path: Path) -> None:
    entry = make_record(user="../../Jean", comment="voilà")
    store._interactive_breaker.timeout_s = 15.0  # the test with a hanging bucket measures the wait
    receipt = store.add_record(entry)
    assert receipt.is_sent
    assert read_bucket(server) == {entry.key: entry.model_dump_json().encode()}
    assert (
        make_s3_client(server.url).head_object(Bucket=BUCKET_NAME, Key=entry.key)["ContentType"] == "application/json"
    )
    assert list_files(tmp_path) == [entry.key]
    assert (store.count_pending(), store.last_error, store.location) == (0, "", "s3://vigie")
    store.check()


def test_feedback_store_does_not_wait_for_hanging_bucket(store: FeedbackStore, server: ServerProcess) -> None:
    first, second = make_record(), make_record()
    server.freeze()
    try:
        with assert_no_hang():
            receipt = store.add_record(first)
        assert (receipt.state, receipt.problem) == ("waiting", None)
        assert store._interactive_breaker.is_open, "the next call is rejected at once"
        assert store.add_record(second).state == "waiting"
        assert store.count_pending() == 2
        assert "no answer" in store.last_error
        assert [entry.id for entry in store.read_records()][-2:] == [first.id, second.id]
        with pytest.raises(ServiceUnavailableError):
            store.check()
    finally:
        server.thaw()
    time.sleep(0.3)
    assert store.send_pending() == 2
    assert (store.count_pending(), store.last_error) == (0, "")
    assert {first.key, second.key} <= set(read_bucket(server))
    assert store.send_pending() == 0


def test_feedback_store_keeps_records_during_outage(tmp_path: Path, bucket: Bucket) -> None:
    offline = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    records = [make_record(time=datetime.now(UTC) - timedelta(days=day)) for day in range(3)]
    assert [offline.add_record(entry).state for entry in records] == ["waiting"] * 3
    assert offline.deliver_pending() == 0
    assert (offline.count_pending(), offline.last_error != "") == (3, True)
    online = FeedbackStore(tmp_path / "feedback", bucket)
    assert online.count_pending() == 3
    assert online.send_pending() == 3
    assert online.read_records() == sorted(records, key=lambda entry: entry.time)
    assert list_files(tmp_path) == sorted(entry.key for entry in records)


def test_feedback_store_reset_closes_circuit_breaker(tmp_path: Path, bucket: Bucket) -> None:
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    store.add_record(make_record())
    assert store.send_pending() == 0
    store.bucket = bucket
    create_client(store)
    assert store.send_pending() == 0, "the circuit breaker is open"
    store.reset()
    assert store.send_pending() == 1


def create_client(store: FeedbackStore) -> None:
    """Create the S3 client, which is slow on a busy machine. The circuit breaker is not involved."""
    assert store.bucket is not None
    with suppress(Exception):
        store.bucket.check()


def test_feedback_store_names_missing_bucket(tmp_path: Path, bucket: Bucket) -> None:
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, name="no-such-bucket"))
    create_client(store)
    with pytest.raises(ServiceUnavailableError, match="The bucket no-such-bucket does not exist"):
        store.check()
    assert "S3_BUCKET_NAME" in store.last_error


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"secret_key": "wrong"}, "Check AWS_SECRET_KEY"),
        ({"access_key": "nobody"}, "Check AWS_ACCESS_KEY"),
        ({"access_key": "narrow", "name": "of-others"}, "have no access to the bucket of-others"),
        ({"name": "Not A Bucket"}, "The settings of S3 are not valid"),
        ({"endpoint": "ftp//nowhere"}, "The settings of S3 are not valid"),
    ],
)
def test_feedback_store_names_wrong_setting(tmp_path: Path, bucket: Bucket, wrong: dict[str, str], words: str) -> None:
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, **wrong))
    assert store.add_record(make_record()).state == "waiting"
    assert store.send_pending() == 0
    assert words in store.last_error
    assert words in str(store.add_record(make_record()).problem), "the reason stays while the circuit breaker is open"
    assert S3_SECRET not in store.last_error + repr(store.bucket)
    with pytest.raises(ServiceUnavailableError, match=words.split()[-1]):
        store.check()
    fixed_store = FeedbackStore(tmp_path / "feedback", bucket)
    assert fixed_store.send_pending() == 2


def test_feedback_store_reports_missing_keys(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, access_key="", secret_key=""))
    create_client(store)
    assert "The S3 keys are incomplete" in str(store.add_record(make_record()).problem)


def test_bucket_accepts_standard_aws_variables(
    tmp_path: Path, server: ServerProcess, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
    config = Settings(
        _env_file=None, s3_bucket_name=BUCKET_NAME, s3_endpoint_url=server.url, s3_region_name="eu-west-3"
    )
    store = FeedbackStore(tmp_path / "feedback", Bucket.from_settings(config))
    create_client(store)
    assert store.add_record(make_record()).is_sent


def test_bucket_accepts_predecessor_variables(
    tmp_path: Path, server: ServerProcess, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY": S3_USER,
        "AWS_SECRET_KEY": S3_SECRET,
        "S3_BUCKET_NAME": BUCKET_NAME,
        "S3_ENDPOINT_URL": server.url,
        "S3_REGION_NAME": "eu-west-3",
    }.items():
        monkeypatch.setenv(name, value)
    store = FeedbackStore(tmp_path / "feedback", Bucket.from_settings(Settings(_env_file=None)))
    create_client(store)
    assert store.add_record(make_record()).is_sent
    assert Bucket.from_settings(Settings(_env_file=None, s3_bucket_name="")) is None


# ---- no record lost or duplicated -----------------------------------------------------------------------------------


def test_feedback_store_resend_is_idempotent(store: FeedbackStore, server: ServerProcess, tmp_path: Path) -> None:
    """The process ends after the upload and before the file is moved."""
    entry = make_record(comment="first")
    store.add_record(entry)
    before = (
        make_s3_client(server.url).head_object(Bucket=BUCKET_NAME, Key=entry.key)["LastModified"],
        read_bucket(server),
    )
    waiting = tmp_path / "feedback" / "waiting" / f"{entry.id}.json"
    waiting.write_bytes((tmp_path / entry.key).read_bytes())
    (tmp_path / entry.key).unlink()
    assert store.read_records() == [entry]
    assert (store.send_pending(), store.send_pending()) == (1, 0)
    assert (
        make_s3_client(server.url).head_object(Bucket=BUCKET_NAME, Key=entry.key)["LastModified"],
        read_bucket(server),
    ) == before
    assert list_files(tmp_path) == [entry.key]


SLOW_SENDER_CODE = """
import sys, time
from pathlib import Path
from core.storage import feedback
from core.storage.s3 import Bucket
class Slow(Bucket):
    def put(self, key, body):
        super().put(key, body)
        print("put", flush=True)
        time.sleep(60)
folder, *rest = sys.argv[1:]
store = feedback.FeedbackStore(Path(folder), Slow(*rest))
store.send_pending()
"""


def test_feedback_store_recovers_from_kill_after_upload(
    store: FeedbackStore, server: ServerProcess, bucket: Bucket, tmp_path: Path
) -> None:
    offline = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    records = [make_record() for _ in range(3)]
    for entry in records:
        offline.add_record(entry)
    arguments = [str(tmp_path / "feedback"), BUCKET_NAME, "eu-west-3", server.url, S3_USER, S3_SECRET]
    sender = start_code(SLOW_SENDER_CODE, *arguments)
    wait_until(lambda: (sender.folder / "stdout").read_text() == "put\n")
    sender.kill()
    sender.wait(10)
    assert (len(read_bucket(server)), store.count_pending()) == (1, 3)
    assert store.send_pending() == 3
    assert sorted(read_bucket(server)) == sorted(entry.key for entry in records) == list_files(tmp_path)
    assert [entry.id for entry in store.read_records()] == [entry.id for entry in records]


def test_feedback_store_two_senders_make_no_duplicates(
    store: FeedbackStore, server: ServerProcess, bucket: Bucket, tmp_path: Path
) -> None:
    offline = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    for _ in range(20):
        offline.add_record(make_record())
    code = (
        "import sys; from pathlib import Path; from core.storage.feedback import *; "
        "FeedbackStore(Path(sys.argv[1]), Bucket(*sys.argv[2:])).send_pending()"
    )
    arguments = [str(tmp_path / "feedback"), BUCKET_NAME, "eu-west-3", server.url, S3_USER, S3_SECRET]
    second_sender = start_code(code, *arguments)
    while store.count_pending():
        store.send_pending()
    assert second_sender.wait(30) == 0
    assert len(read_bucket(server)) == len(store.read_records()) == 20
    assert sorted(read_bucket(server)) == list_files(tmp_path)


def test_feedback_store_fetches_and_validates_remote_records(
    tmp_path: Path, server: ServerProcess, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    own_store, other_store = (FeedbackStore(tmp_path / folder / "feedback", bucket) for folder in ("here", "there"))
    own_entry, other_entry = make_record(), make_record(user="eve", comment="=1+1")
    own_store.add_record(own_entry)
    other_store.add_record(other_entry)
    client, forged = make_s3_client(server.url), make_record()
    day = f"feedback/v1/date={datetime.now(UTC):%Y-%m-%d}"
    for name, body in (
        (f"{uuid.uuid4()}.json", b"{}"),
        (f"{uuid.uuid4()}.json.bak", b"{}"),
        ("evil.json", b"{}"),
        (f"deep/{uuid.uuid4()}.json", b"{}"),
        (f"{forged.id}.json", make_record().model_dump_json().encode()),
        (f"{uuid.uuid4()}.json", b"x" * 100_000),
    ):
        client.put_object(Bucket=BUCKET_NAME, Key=f"{day}/{name}", Body=body)
    assert own_store.deliver_pending() == 0
    assert [entry.id for entry in own_store.read_records()] == [own_entry.id, other_entry.id]
    assert list_files(tmp_path / "here") == sorted([own_entry.key, other_entry.key])
    assert caplog.text.count("is not a feedback record") == 2
    other_store.add_record(make_record())
    assert own_store.fetch_remote() == 0, "objects are fetched at most once a minute"
    own_store.reset()
    assert own_store.fetch_remote() == 1
    assert caplog.text.count("is not a feedback record") == 2, "an invalid object is fetched once"


def test_outbox_delivers_feedback(workspace: Workspace, bucket: Bucket, server: ServerProcess) -> None:
    bucket_workspace = replace(workspace, feedback=FeedbackStore(workspace.feedback.folder, bucket))
    FeedbackStore(workspace.feedback.folder, replace(bucket, endpoint="http://127.0.0.1:1")).add_record(make_record())
    assert deliver(bucket_workspace)["feedback"] == 1
    assert len(read_bucket(server)) == 1


# ---- submitted feedback ---------------------------------------------------------------------------------------------


@pytest.fixture
def detection_run(workspace: Workspace, sample: Dataset) -> str:
    """Id of a stored run of the task anomalies."""
    small = sample.filter_rows(sample.entities[:2])
    workspace.datasets.save(small)
    return detect(make_spec(), small, workspace=workspace, actor=BOB)[1].id


def make_spec() -> DetectionSpec:
    return DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity", contamination=0.01)


def submit_verdict(workspace: Workspace, run_id: str, position: int, verdict: str, user: str = "bob") -> None:
    row = feedback_operations.serialise_row(
        load_detection(run_id, workspace).rows.loc[position, ["entity", "time", "score"]].to_dict()
    )
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput("anomalies", run_id, row, verdict),
        workspace=workspace,
        actor=Actor(user, "tests"),
    )  # type: ignore[arg-type]


def test_submit_feedback_stores_run_and_event(workspace: Workspace, detection_run: str) -> None:
    keyed_workspace = replace(
        workspace, settings=workspace.settings.model_copy(update={"vigie_user_key": SecretStr("a long random text")})
    )
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput("anomalies", detection_run, None, None, 5, "  fine  "),
        workspace=keyed_workspace,
        actor=BOB,
    )
    [entry] = keyed_workspace.feedback.read_records()
    assert (entry.model, entry.rating, entry.comment, entry.user) == (
        "IsolationForest",
        5,
        "fine",
        keyed_workspace.pseudonymise("bob"),
    )
    assert "bob" not in entry.model_dump_json()
    assert keyed_workspace.events.read_events()[-1].details.inputs == {
        "page": "anomalies",
        "run": detection_run,
        "verdict": None,
        "rating": 5,
        "feedback": entry.id,
    }


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({}, "Give a verdict, a rating or a comment"),
        ({"comment": " "}, "Give a verdict, a rating or a comment"),
        ({"comment": "x" * (MAX_COMMENT_CHARS + 1)}, "2,001 characters. The maximum is 2,000"),
    ],
)
def test_submit_feedback_rejects_invalid_input(workspace: Workspace, what: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        feedback_operations.submit_feedback(
            feedback_operations.FeedbackInput("Vigie", **what), workspace=workspace, actor=BOB
        )  # type: ignore[arg-type]
    assert not workspace.feedback.read_records()


def test_submit_feedback_accepts_deleted_run(workspace: Workspace) -> None:
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput("anomalies", "f" * 32, {"entity": "a"}, "true_alarm"),
        workspace=workspace,
        actor=BOB,
    )
    assert workspace.feedback.read_records()[0].run_id == "f" * 32


# ---- verdict counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("voices", "agreed"),
    [
        (["true_alarm"], "true_alarm"),
        (["true_alarm", "false_alarm"], "unsure"),
        (["false_alarm", "false_alarm", "true_alarm"], "false_alarm"),
        (["unsure", "true_alarm"], "unsure"),
        (["true_alarm", "true_alarm", "unsure", "unsure"], "unsure"),
        (["unsure"], "unsure"),
        ([], "unsure"),
    ],
)
def test_majority_of_verdicts(voices: list[str], agreed: str) -> None:
    assert find_majority(voices) == agreed


def test_majority_verdict_uses_latest_of_each_user(workspace: Workspace, detection_run: str) -> None:
    for verdict, user in (
        ("true_alarm", "bob"),
        ("false_alarm", "bob"),
        ("false_alarm", "bob"),
        ("true_alarm", "eve"),
        ("true_alarm", "ann"),
    ):
        submit_verdict(workspace, detection_run, 0, verdict, user)
    assert list(compute_majorities(workspace.feedback.read_records()).values()) == ["true_alarm"]
    [line] = feedback_operations.build_precision_table(workspace.feedback.read_records()).to_dict("records")
    assert (line["page"], line["model"], line["true"], line["false"], line["reviewed"]) == (
        "anomalies",
        "IsolationForest",
        1,
        0,
        1,
    )


def test_precision_has_wilson_interval() -> None:
    precision = AlarmPrecision(8, 2)
    assert precision.share == 0.8
    assert precision.interval == compute_wilson_interval(8, 10)
    assert precision.interval == pytest.approx((0.490, 0.943), abs=5e-4)  # Wilson's interval in published tables
    assert np.isnan(AlarmPrecision(0, 0).share)
    assert AlarmPrecision(0, 0).interval == (0.0, 1.0)


# ---- labels ---------------------------------------------------------------------------------------------------------


def test_label_table_omits_unsure_rows(workspace: Workspace, detection_run: str) -> None:
    for number, verdict in enumerate(["true_alarm", "false_alarm", "true_alarm", "unsure"]):
        submit_verdict(workspace, detection_run, number, verdict)
    table = build_label_table(workspace.feedback.read_records(), workspace)
    assert sorted(table["label"]) == [0, 1, 1]
    assert set(table["run"]) == {detection_run}


def test_label_column_round_trips_through_csv(workspace: Workspace, sample: Dataset, tmp_path: Path) -> None:
    small = sample.filter_rows(sample.entities[:2])
    workspace.datasets.save(small)
    detection, run = detect(make_spec(), small, workspace=workspace, actor=BOB)
    for number, verdict in enumerate(["true_alarm", "false_alarm", "true_alarm", "unsure"]):
        submit_verdict(workspace, run.id, number, verdict)
    (tmp_path / "labelled.csv").write_bytes(
        to_csv_bytes(add_label_column(small, workspace.feedback.read_records(), workspace))
    )
    dataset = load([tmp_path / "labelled.csv"])
    assert dataset.labels is not None
    assert dataset.columns == small.columns
    marked = {(str(entity), time) for entity, time in dataset.labels.index[dataset.labels]}
    assert marked == {(str(row.entity), row.time) for row in detection.rows.loc[[0, 2]].itertuples()}


def test_label_table_expands_events_to_rows(workspace: Workspace) -> None:
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors
    from tests.support.sample_sequences import make_series

    sequence_spec = SequenceSpec(list_detectors()["pca-residual"](), threshold="contamination", amount=0.1)
    detection, run = train(sequence_spec, make_series(2), workspace=workspace, actor=BOB)
    event = detection.events.iloc[0]
    row = feedback_operations.serialise_row(
        {"entity": event["entity"], "time": event["start"], "end": event["end"], "score": event["peak"]}
    )
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput("sequences", run.id, row, "true_alarm"), workspace=workspace, actor=BOB
    )
    table = build_label_table(workspace.feedback.read_records(), workspace)
    assert len(table) == event["last"] - event["first"] + 1
    assert table["score"].max() == pytest.approx(event["peak"])
    assert set(table["label"]) == {1}


@given(st.sampled_from(["=", "+", "-", "@", "\t", "\r"]), st.text(max_size=20))
def test_feedback_export_contains_no_formula(tmp_path: Path, first: str, rest: str) -> None:
    try:
        entry = make_record(
            user=first + rest,
            page=first + rest,
            comment=first + rest,
            row={"entity": first + rest, "time": first + rest},
        )
    except ValueError:
        return
    csv_bytes = to_csv_bytes(feedback_operations.to_frame([entry]))
    (tmp_path / "out.csv").write_bytes(csv_bytes)
    cells = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert len(cells) == 1, "a line break in a cell starts no row"
    for column in ("user", "page", "comment", "entity", "moment"):
        assert not cells[column].iloc[0].lstrip(" \n").startswith(FORMULA_STARTS)


# ---- thresholds proposed from verdicts ------------------------------------------------------------------------------


def accept_threshold(run_id: str, threshold: float, workspace: Workspace) -> str:
    """Accept another threshold for a run as the page does, as a job. Return the id of the new run."""
    flagged = load_flagged_rows(run_id, workspace)
    arguments = json.loads(json.dumps(encode(flagged.build_spec(threshold))))
    return run_job(flagged.task, arguments, workspace=workspace, actor=BOB, progress=Progress())


SCORE_LISTS = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 5e-324, -5e-324])), min_size=1, max_size=30
)


@given(SCORE_LISTS, st.data())
def test_best_threshold_candidate_is_optimal(scores: list[float], data: st.DataObject) -> None:
    true = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    current = data.draw(st.one_of(st.floats(-2e6, 2e6), st.sampled_from(scores)))
    reviewed_rows = ReviewedRows.from_arrays(scores, true, current)
    best = find_best_threshold(reviewed_rows, scores)
    assert best.gain >= 0
    values, flags = np.array(scores), np.array(true)

    def correct(threshold: float) -> int:
        return int(((values > threshold) == flags).sum())

    assert best.gain == correct(best.threshold) - correct(current)
    reachable = [current, *np.nextafter(values, -np.inf), *values]
    assert correct(best.threshold) == max(correct(float(threshold)) for threshold in reachable), (
        "no threshold gives more correct rows"
    )


@given(SCORE_LISTS, st.data())
def test_threshold_candidate_counts_grow_with_threshold(scores: list[float], data: st.DataObject) -> None:
    true = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    reviewed_rows = ReviewedRows.from_arrays(scores, true, data.draw(st.floats(-2e6, 2e6)))
    cuts = [reviewed_rows.evaluate_threshold(threshold) for threshold in sorted(reviewed_rows.list_thresholds())]
    assert [cut.false_alarms_removed for cut in cuts] == sorted(cut.false_alarms_removed for cut in cuts)
    assert [cut.true_alarms_lost for cut in cuts] == sorted(cut.true_alarms_lost for cut in cuts)
    now = reviewed_rows.evaluate_threshold(reviewed_rows.current_threshold)
    assert (now.false_alarms_removed, now.true_alarms_lost) == (0, 0)


def test_best_threshold_candidate_resolves_ties() -> None:
    reviewed_rows = ReviewedRows.from_arrays([1.0, 2.0, 3.0, 4.0], [False, True, False, True], 0.5)
    assert [reviewed_rows.evaluate_threshold(threshold).gain for threshold in (1.5, 3.5)] == [1, 1]
    assert find_best_threshold(reviewed_rows, [1.0, 2.0, 3.0, 4.0]).threshold == 1.5
    assert find_best_threshold(ReviewedRows.from_arrays([1.0, 2.0], [True, True], 0.5), [1.0, 2.0]).threshold == 0.5


@pytest.mark.parametrize(
    ("verdicts", "words", "flagged"),
    [
        (["true_alarm"] * 3, "All 3 reviewed alarms are true. The threshold can stay", None),
        (["false_alarm"] * 3, "All 3 reviewed alarms are false", 0),
        (
            ["true_alarm", "true_alarm", "true_alarm", "false_alarm", "false_alarm"],
            "removes 2 of 2 false alarms and loses 0 of 3 true",
            3,
        ),
        (["false_alarm", "true_alarm"], "No threshold removes more false alarms than it loses true", None),
    ],
)
def test_propose_threshold_from_verdicts(
    workspace: Workspace, detection_run: str, verdicts: list[str], words: str, flagged: int | None
) -> None:
    for number, verdict in enumerate(verdicts):
        submit_verdict(workspace, detection_run, number, verdict)
    flagged_rows = load_flagged_rows(detection_run, workspace)
    proposal = propose_threshold(flagged_rows)
    assert proposal is not None
    assert words in str(proposal.reason)
    now = flagged_rows.count_flagged_rows(flagged_rows.threshold)
    assert flagged_rows.count_flagged_rows(proposal.candidate.threshold) == (now if flagged is None else flagged)
    assert len(flagged_rows.select_removed_rows(proposal.candidate.threshold)) == now - flagged_rows.count_flagged_rows(
        proposal.candidate.threshold
    )


def test_propose_threshold_ignores_unsure_verdicts(workspace: Workspace, detection_run: str) -> None:
    submit_verdict(workspace, detection_run, 0, "unsure")
    assert propose_threshold(load_flagged_rows(detection_run, workspace)) is None


def test_flagged_rows_ignore_scores_in_records(workspace: Workspace, detection_run: str) -> None:
    """Anyone with write access to the bucket could store a false score or row."""
    top = load_detection(detection_run, workspace).rows.iloc[0]
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput(
            "anomalies",
            detection_run,
            feedback_operations.serialise_row({"entity": top["entity"], "time": top["time"], "score": 1e9}),
            "false_alarm",
        ),
        workspace=workspace,
        actor=BOB,
    )
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput(
            "anomalies",
            detection_run,
            {"entity": "nowhere", "time": "1970-01-01T00:00:00", "score": 1e9},
            "false_alarm",
        ),
        workspace=workspace,
        actor=BOB,
    )
    assert load_flagged_rows(detection_run, workspace).reviewed_rows.scores.tolist() == [top["score"]]


def test_accepted_threshold_becomes_applicable_run(workspace: Workspace, detection_run: str, sample: Dataset) -> None:
    before, small = load_detection(detection_run, workspace), sample.filter_rows(sample.entities[:2])
    threshold = float(before.anomalies["score"].iloc[2])
    new_run_id = accept_threshold(detection_run, threshold, workspace)
    after = load_detection(new_run_id, workspace)
    assert len(after.anomalies) == 2
    pd.testing.assert_series_equal(after.rows["score"], before.rows["score"])
    assert (after.threshold_run, after.threshold) == (detection_run, threshold)
    applied, _ = apply_model(ApplySpec(new_run_id), small, workspace=workspace, actor=BOB)
    assert (len(applied.anomalies), applied.threshold_run) == (2, detection_run)
    assert load_detection(detection_run, workspace).spec == before.spec
    assert load_detection(detection_run, workspace).threshold == before.threshold
    event = workspace.events.read_events()[1]
    assert (event.details.inputs["threshold_from"], event.details.inputs["source_run"]) == ("verdicts", detection_run)


def test_propose_threshold_lowers_for_missed_alarms(workspace: Workspace, detection_run: str) -> None:
    before = load_detection(detection_run, workspace)
    missed = len(before.anomalies) + 4
    submit_verdict(workspace, detection_run, missed, "true_alarm")
    proposal = propose_threshold(load_flagged_rows(detection_run, workspace))
    assert proposal is not None
    assert "Some true alarms lie below the current threshold. The proposed threshold flags 1" in str(proposal.reason)
    new_run_id = accept_threshold(detection_run, proposal.candidate.threshold, workspace)
    assert len(load_detection(new_run_id, workspace).anomalies) >= missed + 1


def test_accepted_threshold_for_sequences(workspace: Workspace) -> None:
    from core.tasks.sequences.run import apply_model, load_sequences, train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors
    from tests.support.sample_sequences import make_series

    dataset = make_series(2)
    workspace.datasets.save(dataset)
    sequence_spec = SequenceSpec(list_detectors()["pca-residual"](), threshold="contamination", amount=0.1)
    before, run = train(sequence_spec, dataset, workspace=workspace, actor=BOB)
    threshold = float(before.events["peak"].iloc[1])
    new_run_id = accept_threshold(run.id, threshold, workspace)
    after = load_sequences(new_run_id, workspace)
    assert len(after.events) == 1
    assert (after.method, after.target_rate) == ("verdicts", None)
    assert "chosen from verdicts on run" in str(after.notes[0])
    np.testing.assert_array_equal(after.rows["score"], before.rows["score"])
    assert int(after.rows["anomaly"].sum()) == load_flagged_rows(run.id, workspace).count_flagged_rows(threshold)
    applied, _ = apply_model(ApplySpec(new_run_id), dataset, workspace=workspace, actor=BOB)
    assert (applied.threshold, applied.method) == (threshold, "verdicts")


def test_accepted_threshold_requires_known_run_and_finite_value(workspace: Workspace, detection_run: str) -> None:
    with pytest.raises(NotFoundError):
        load_flagged_rows("f" * 32, workspace)
    with pytest.raises(InputError, match="is not a finite number"):
        accept_threshold(detection_run, float("nan"), workspace)
