"""Feedback records, their delivery to S3, verdict counts, and thresholds proposed from verdicts."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.errors import InputError, NotFoundError, ServiceUnavailableError
from core.evaluation.alarm_rates import wilson
from core.evaluation.verdicts import Judged, Precision, best_cut, majority
from core.exports import FORMULA, as_csv
from core.operations import feedback as said
from core.operations.feedback_labels import add_label_column, label_table
from core.operations.threshold_from_feedback import load_flagged_rows, propose_threshold
from core.outbox import deliver
from core.progress import Progress
from core.settings import Settings
from core.spec.codec import encode
from core.spec.spec import ApplySpec
from core.spec.task import run_job
from core.storage.feedback import KEY, LONGEST_COMMENT, Feedback, FeedbackStore, schema
from core.storage.s3 import Bucket
from core.tasks.anomalies.run import apply_model, detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, detectors
from core.workspace import Workspace
from tests.conftest import ROOT
from tests.servers import S3_SECRET, S3_USER, Running, s3, s3_client

BY = Actor("bob", "tests")
NAME = "vigie"


def record(**fields: Any) -> Feedback:
    return Feedback(**({"user": "bob", "page": "anomalies"} | fields))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- the record and its schema --------------------------------------------------------------------------------------


def test_published_schema_is_the_schema() -> None:
    published = (ROOT / "docs" / "feedback.schema.json").read_text(encoding="utf-8")
    assert published.rstrip("\n") == json.dumps(schema(), indent=2)
    jsonschema.Draft202012Validator.check_schema(schema())


def test_records_follow_the_schema_and_come_back() -> None:
    one = record(
        run_id="r",
        model="IsolationForest",
        row={"entity": "Bretagne", "time": "2020-01-01T00:00:00", "score": 0.7},
        verdict="unsure",
        rating=3,
    )
    jsonschema.Draft202012Validator(schema()).validate(json.loads(one.model_dump_json()))
    assert Feedback.model_validate_json(one.model_dump_json()) == one


@given(*[st.text(max_size=60)] * 3)
def test_nothing_typed_is_in_the_key(user: str, page: str, comment: str) -> None:
    try:
        one = record(user=user, page=page, comment=comment, row={"entity": comment})
    except ValueError:  # a lone surrogate
        return
    assert KEY.fullmatch(one.key)
    assert one.key == f"feedback/v1/date={one.time:%Y-%m-%d}/{one.id}.json"


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
def test_an_id_is_a_uuid(identity: str) -> None:
    with pytest.raises(ValueError, match="id"):
        record(id=identity)


# ---- storage in a folder --------------------------------------------------------------------------------------------


def test_without_a_bucket_the_folder_is_its_place(tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path / "feedback")
    one = record(comment="good")
    receipt = store.add(one)
    assert (receipt.id, receipt.state, receipt.problem) == (one.id, "kept", None)
    assert files(tmp_path) == [one.key]
    assert store.read() == [one]
    assert (store.pending_count(), store.deliver_pending(), store.location) == (0, 0, str(tmp_path / "feedback"))
    store.check()


def test_what_is_no_record_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, one = FeedbackStore(tmp_path / "feedback"), record()
    store.add(one)
    folder = (tmp_path / one.key).parent
    (folder / f"{uuid.uuid4()}.json").write_text("{", encoding="utf-8")
    (folder / f"{uuid.uuid4()}.json").write_text(one.model_dump_json(), encoding="utf-8")
    (folder / "other.json").write_text(record().model_dump_json(), encoding="utf-8")
    (folder / f"{uuid.uuid4()}.draft").write_text("half", encoding="utf-8")
    assert FeedbackStore(tmp_path / "feedback").read() == [one]
    assert caplog.text.count("is no record of feedback") == 3


def test_a_full_disk_leaves_nothing_half(tmp_path: Path) -> None:
    """A file-size limit simulates a full disk without root rights."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from core.storage.feedback import *\n"
        "store = FeedbackStore(Path(sys.argv[1])); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"
        "try: store.add(Feedback(user='bob', page='x'))\n"
        "except OSError as error: print(error.strerror)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "feedback")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "File too large"
    assert files(tmp_path) == []


# ---- delivery to S3 -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = s3(tmp_path_factory.mktemp("s3"), NAME)
    allowed = [
        f"{action}:{NAME}" for action in ("Read", "Write", "List")
    ]  # the first identity may also create the missing bucket
    users = json.loads((running.folder / "s3.json").read_text())
    users["identities"].append(
        {"name": "narrow", "credentials": [{"accessKey": "narrow", "secretKey": S3_SECRET}], "actions": allowed}
    )
    (running.folder / "s3.json").write_text(json.dumps(users))
    running.start()
    Bucket(NAME, "eu-west-3", running.url, S3_USER, S3_SECRET).put("first", b"")  # slow: it creates a volume
    yield running
    running.kill()


@pytest.fixture
def bucket(server: Running) -> Bucket:
    """An empty bucket."""
    client = s3_client(server.url)
    for key in stored(server):
        client.delete_object(Bucket=NAME, Key=key)
    made = Bucket(NAME, "eu-west-3", server.url, S3_USER, S3_SECRET)
    made.check()  # creates the client, as background delivery does before a page needs it
    return made


@pytest.fixture
def store(tmp_path: Path, bucket: Bucket) -> FeedbackStore:
    return FeedbackStore(tmp_path / "feedback", bucket)


def stored(server: Running) -> dict[str, bytes]:
    """Return the feedback objects in the bucket by key."""
    client = s3_client(server.url)
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=NAME).get("Contents", ())]
    return {key: client.get_object(Bucket=NAME, Key=key)["Body"].read() for key in keys if key.startswith("feedback")}


def waited(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def test_a_record_is_sent_at_once(store: FeedbackStore, server: Running, tmp_path: Path) -> None:
    one = record(user="../../Jean", comment="voilà")
    store._interactive_breaker.timeout_s = 15.0  # the test with a hanging bucket measures the wait
    receipt = store.add(one)
    assert receipt.is_sent
    assert stored(server) == {one.key: one.model_dump_json().encode()}
    assert s3_client(server.url).head_object(Bucket=NAME, Key=one.key)["ContentType"] == "application/json"
    assert files(tmp_path) == [one.key]
    assert (store.pending_count(), store.last_error, store.location) == (0, "", "s3://vigie")
    store.check()


def test_a_hanging_store_delays_nothing(store: FeedbackStore, server: Running) -> None:
    one, two = record(), record()
    server.freeze()
    try:
        receipt, seconds = waited(lambda: store.add(one))
        assert (receipt.state, receipt.problem) == ("waiting", None)
        assert seconds < 1.5
        receipt, seconds = waited(lambda: store.add(two))
        assert (receipt.state, seconds < 0.2) == ("waiting", True), "the open circuit breaker rejects the call"
        assert store.pending_count() == 2
        assert "no answer" in store.last_error
        assert [each.id for each in store.read()][-2:] == [one.id, two.id]
        with pytest.raises(ServiceUnavailableError):
            store.check()
    finally:
        server.thaw()
    time.sleep(0.3)
    assert store.send() == 2
    assert (store.pending_count(), store.last_error) == (0, "")
    assert {one.key, two.key} <= set(stored(server))
    assert store.send() == 0


def test_a_store_that_is_down_is_waited_for(tmp_path: Path, bucket: Bucket) -> None:
    gone = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    records = [record(time=datetime.now(UTC) - timedelta(days=day)) for day in range(3)]
    assert [gone.add(each).state for each in records] == ["waiting"] * 3
    assert gone.deliver_pending() == 0
    assert (gone.pending_count(), gone.last_error != "") == (3, True)
    back = FeedbackStore(tmp_path / "feedback", bucket)
    assert back.pending_count() == 3
    assert back.send() == 3
    assert back.read() == sorted(records, key=lambda each: each.time)
    assert files(tmp_path) == sorted(each.key for each in records)


def test_a_store_that_is_back_is_asked_at_once_where_somebody_says_so(tmp_path: Path, bucket: Bucket) -> None:
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    store.add(record())
    assert store.send() == 0
    store.bucket = bucket
    warm(store)
    assert store.send() == 0, "the circuit breaker is open"
    store.reset()
    assert store.send() == 1


def warm(store: FeedbackStore) -> None:
    """Create the S3 client, which is slow on a busy machine. The circuit breaker is not involved."""
    assert store.bucket is not None
    with suppress(Exception):
        store.bucket.check()


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path, bucket: Bucket) -> None:
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, name="no-such-bucket"))
    warm(store)
    with pytest.raises(ServiceUnavailableError, match="There is no bucket no-such-bucket"):
        store.check()
    assert "S3_BUCKET_NAME" in store.last_error


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"secret_key": "wrong"}, "check AWS_SECRET_KEY"),
        ({"access_key": "nobody"}, "check AWS_ACCESS_KEY"),
        ({"access_key": "narrow", "name": "of-others"}, "does not let these keys into the bucket of-others"),
        ({"name": "Not A Bucket"}, "settings of S3 cannot be used"),
        ({"endpoint": "ftp//nowhere"}, "settings of S3 cannot be used"),
    ],
)
def test_what_an_operator_can_mend_is_told(tmp_path: Path, bucket: Bucket, wrong: dict[str, str], words: str) -> None:
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, **wrong))
    assert store.add(record()).state == "waiting"
    assert store.send() == 0
    assert words in store.last_error
    assert words in str(store.add(record()).problem), "the reason stays while the circuit breaker is open"
    assert S3_SECRET not in store.last_error + repr(store.bucket)
    with pytest.raises(ServiceUnavailableError, match=words.split()[-1]):
        store.check()
    mended = FeedbackStore(tmp_path / "feedback", bucket)
    assert mended.send() == 2


def test_no_keys_at_all_are_told(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = FeedbackStore(tmp_path / "feedback", replace(bucket, access_key="", secret_key=""))
    warm(store)
    assert "no complete keys" in str(store.add(record()).problem)


def test_the_standard_names_of_aws_work(
    tmp_path: Path, server: Running, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
    given = Settings(_env_file=None, s3_bucket_name=NAME, s3_endpoint_url=server.url, s3_region_name="eu-west-3")
    store = FeedbackStore(tmp_path / "feedback", Bucket.from_settings(given))
    warm(store)
    assert store.add(record()).is_sent


def test_the_names_of_the_predecessor_work(
    tmp_path: Path, server: Running, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY": S3_USER,
        "AWS_SECRET_KEY": S3_SECRET,
        "S3_BUCKET_NAME": NAME,
        "S3_ENDPOINT_URL": server.url,
        "S3_REGION_NAME": "eu-west-3",
    }.items():
        monkeypatch.setenv(name, value)
    store = FeedbackStore(tmp_path / "feedback", Bucket.from_settings(Settings(_env_file=None)))
    warm(store)
    assert store.add(record()).is_sent
    assert Bucket.from_settings(Settings(_env_file=None, s3_bucket_name="")) is None


# ---- no record lost or duplicated -----------------------------------------------------------------------------------


def test_sending_again_changes_nothing(store: FeedbackStore, server: Running, tmp_path: Path) -> None:
    """The process ends after the upload and before the file is moved."""
    one = record(comment="first")
    store.add(one)
    before = s3_client(server.url).head_object(Bucket=NAME, Key=one.key)["LastModified"], stored(server)
    waiting = tmp_path / "feedback" / "waiting" / f"{one.id}.json"
    waiting.write_bytes((tmp_path / one.key).read_bytes())
    (tmp_path / one.key).unlink()
    assert store.read() == [one]
    assert (store.send(), store.send()) == (1, 0)
    assert (s3_client(server.url).head_object(Bucket=NAME, Key=one.key)["LastModified"], stored(server)) == before
    assert files(tmp_path) == [one.key]


KILLED = """
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
store.send()
"""


def test_killed_between_put_and_move(store: FeedbackStore, server: Running, bucket: Bucket, tmp_path: Path) -> None:
    offline = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    records = [record() for _ in range(3)]
    for each in records:
        offline.add(each)
    arguments = [str(tmp_path / "feedback"), NAME, "eu-west-3", server.url, S3_USER, S3_SECRET]
    child = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "put\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    assert (len(stored(server)), store.pending_count()) == (1, 3)
    assert store.send() == 3
    assert sorted(stored(server)) == sorted(each.key for each in records) == files(tmp_path)
    assert [each.id for each in store.read()] == [each.id for each in records]


def test_two_processes_send_the_same(store: FeedbackStore, server: Running, bucket: Bucket, tmp_path: Path) -> None:
    offline = FeedbackStore(tmp_path / "feedback", replace(bucket, endpoint="http://127.0.0.1:1"))
    for _ in range(20):
        offline.add(record())
    code = (
        "import sys; from pathlib import Path; from core.storage.feedback import *; "
        "FeedbackStore(Path(sys.argv[1]), Bucket(*sys.argv[2:])).send()"
    )
    arguments = [str(tmp_path / "feedback"), NAME, "eu-west-3", server.url, S3_USER, S3_SECRET]
    other = subprocess.Popen([sys.executable, "-W", "error", "-c", code, *arguments], cwd=ROOT)
    while store.pending_count():
        store.send()
    assert other.wait(30) == 0
    assert len(stored(server)) == len(store.read()) == 20
    assert sorted(stored(server)) == files(tmp_path)


def test_what_others_sent_is_fetched_and_checked(
    tmp_path: Path, server: Running, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = (FeedbackStore(tmp_path / place / "feedback", bucket) for place in ("here", "there"))
    mine, theirs = record(), record(user="eve", comment="=1+1")
    here.add(mine)
    there.add(theirs)
    client, forged = s3_client(server.url), record()
    day = f"feedback/v1/date={datetime.now(UTC):%Y-%m-%d}"
    for name, body in (
        (f"{uuid.uuid4()}.json", b"{}"),
        (f"{uuid.uuid4()}.json.bak", b"{}"),
        ("evil.json", b"{}"),
        (f"deep/{uuid.uuid4()}.json", b"{}"),
        (f"{forged.id}.json", record().model_dump_json().encode()),
        (f"{uuid.uuid4()}.json", b"x" * 100_000),
    ):
        client.put_object(Bucket=NAME, Key=f"{day}/{name}", Body=body)
    assert here.deliver_pending() == 0
    assert [each.id for each in here.read()] == [mine.id, theirs.id]
    assert files(tmp_path / "here") == sorted([mine.key, theirs.key])
    assert caplog.text.count("is no record of feedback") == 2
    there.add(record())
    assert here.fetch() == 0, "objects are fetched at most once a minute"
    here.reset()
    assert here.fetch() == 1
    assert caplog.text.count("is no record of feedback") == 2, "an invalid object is fetched once"


def test_delivery_sends(place: Workspace, bucket: Bucket, server: Running) -> None:
    at = replace(place, feedback=FeedbackStore(place.feedback.folder, bucket))
    FeedbackStore(place.feedback.folder, replace(bucket, endpoint="http://127.0.0.1:1")).add(record())
    assert deliver(at)["feedback"] == 1
    assert len(stored(server)) == 1


# ---- submitted feedback ---------------------------------------------------------------------------------------------


@pytest.fixture
def scored(place: Workspace, sample: Dataset) -> str:
    """Id of a stored run of the task anomalies."""
    small = sample.select(sample.entities[:2])
    place.datasets.save(small)
    return detect(spec(), small, workspace=place, actor=BY)[1].id


def spec() -> DetectionSpec:
    return DetectionSpec(detectors()["isolation-forest"](n_estimators=10), compare_with="entity")


def judge(at: Workspace, run: str, place: int, verdict: str, user: str = "bob") -> None:
    row = said.serialise_row(load_detection(run, at).rows.loc[place, ["entity", "time", "score"]].to_dict())
    said.submit_feedback(said.FeedbackInput("anomalies", run, row, verdict), workspace=at, actor=Actor(user, "tests"))  # type: ignore[arg-type]


def test_what_is_given_knows_its_run(place: Workspace, scored: str) -> None:
    at = replace(place, settings=place.settings.model_copy(update={"vigie_user_key": SecretStr("a long random text")}))
    said.submit_feedback(said.FeedbackInput("anomalies", scored, None, None, 5, "  fine  "), workspace=at, actor=BY)
    [found] = at.feedback.read()
    assert (found.model, found.rating, found.comment, found.user) == (
        "IsolationForest",
        5,
        "fine",
        at.pseudonymise("bob"),
    )
    assert "bob" not in found.model_dump_json()
    assert at.events.read()[-1].details.inputs == {
        "page": "anomalies",
        "run": scored,
        "verdict": None,
        "rating": 5,
        "feedback": found.id,
    }


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({}, "Nothing was said"),
        ({"comment": " "}, "Nothing was said"),
        ({"comment": "x" * (LONGEST_COMMENT + 1)}, "2,001 characters; at most 2,000"),
    ],
)
def test_what_cannot_be_accepted_is_told(place: Workspace, what: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        said.submit_feedback(said.FeedbackInput("Vigie", **what), workspace=place, actor=BY)  # type: ignore[arg-type]
    assert not place.feedback.read()


def test_a_run_that_is_gone_is_no_reason_to_lose_what_was_said(place: Workspace) -> None:
    said.submit_feedback(
        said.FeedbackInput("anomalies", "f" * 32, {"entity": "a"}, "true_alarm"), workspace=place, actor=BY
    )
    assert place.feedback.read()[0].run_id == "f" * 32


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
def test_majority(voices: list[str], agreed: str) -> None:
    assert majority(voices) == agreed


def test_a_person_has_one_voice_a_row_and_the_latest_wins(place: Workspace, scored: str) -> None:
    for verdict, user in (
        ("true_alarm", "bob"),
        ("false_alarm", "bob"),
        ("false_alarm", "bob"),
        ("true_alarm", "eve"),
        ("true_alarm", "ann"),
    ):
        judge(place, scored, 0, verdict, user)
    assert list(said.majority_by_row(place.feedback.read()).values()) == ["true_alarm"]
    [line] = said.precision_table(place.feedback.read()).to_dict("records")
    assert (line["page"], line["model"], line["true"], line["false"], line["judged"]) == (
        "anomalies",
        "IsolationForest",
        1,
        0,
        1,
    )


def test_precision_has_an_interval() -> None:
    found = Precision(8, 2)
    assert found.share == 0.8
    assert found.band == wilson(8, 10)
    assert found.band == pytest.approx((0.490, 0.943), abs=5e-4)  # Wilson's interval in published tables
    assert np.isnan(Precision(0, 0).share)
    assert Precision(0, 0).band == (0.0, 1.0)


# ---- labels ---------------------------------------------------------------------------------------------------------


def test_labels_of_rows(place: Workspace, scored: str) -> None:
    for number, verdict in enumerate(["true_alarm", "false_alarm", "true_alarm", "unsure"]):
        judge(place, scored, number, verdict)
    table = label_table(place.feedback.read(), place)
    assert sorted(table["label"]) == [0, 1, 1]
    assert set(table["run"]) == {scored}


def test_labelled_data_are_read_back_by_the_readers(place: Workspace, sample: Dataset, tmp_path: Path) -> None:
    small = sample.select(sample.entities[:2])
    place.datasets.save(small)
    found, run = detect(spec(), small, workspace=place, actor=BY)
    for number, verdict in enumerate(["true_alarm", "false_alarm", "true_alarm", "unsure"]):
        judge(place, run.id, number, verdict)
    (tmp_path / "labelled.csv").write_bytes(as_csv(add_label_column(small, place.feedback.read(), place)))
    read = load([tmp_path / "labelled.csv"])
    assert read.labels is not None
    assert read.columns == small.columns
    marked = {(str(entity), time) for entity, time in read.labels.index[read.labels]}
    assert marked == {(str(row.entity), row.time) for row in found.rows.loc[[0, 2]].itertuples()}


def test_labels_of_events_are_their_rows(place: Workspace) -> None:
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, detectors
    from tests.test_sequences import several

    asked = SequenceSpec(detectors()["pca-residual"](), threshold="contamination", amount=0.1)
    found, run = train(asked, several(2), workspace=place, actor=BY)
    event = found.events.iloc[0]
    row = said.serialise_row(
        {"entity": event["entity"], "time": event["start"], "end": event["end"], "score": event["peak"]}
    )
    said.submit_feedback(said.FeedbackInput("sequences", run.id, row, "true_alarm"), workspace=place, actor=BY)
    table = label_table(place.feedback.read(), place)
    assert len(table) == event["last"] - event["first"] + 1
    assert table["score"].max() == pytest.approx(event["peak"])
    assert set(table["label"]) == {1}


@given(st.sampled_from(["=", "+", "-", "@", "\t", "\r"]), st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_export_holds_a_formula(tmp_path: Path, first: str, rest: str) -> None:
    try:
        one = record(
            user=first + rest,
            page=first + rest,
            comment=first + rest,
            row={"entity": first + rest, "time": first + rest},
        )
    except ValueError:
        return
    written = as_csv(said.to_frame([one]))
    (tmp_path / "out.csv").write_bytes(written)
    cells = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert len(cells) == 1, "a line break in a cell starts no row"
    for column in ("user", "page", "comment", "entity", "moment"):
        assert not cells[column].iloc[0].lstrip(" \n").startswith(FORMULA)


# ---- thresholds proposed from verdicts ------------------------------------------------------------------------------


def accept(run_id: str, threshold: float, at: Workspace) -> str:
    """Accept another threshold for a run as the page does, as a job. Return the id of the new run."""
    flagged = load_flagged_rows(run_id, at)
    arguments = json.loads(json.dumps(encode(flagged.build_spec(threshold))))
    return run_job(flagged.task, arguments, workspace=at, actor=BY, progress=Progress())


SCORES = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 5e-324, -5e-324])), min_size=1, max_size=30
)


@given(SCORES, st.data())
def test_a_suggestion_is_never_worse_and_no_candidate_is_better(scores: list[float], data: st.DataObject) -> None:
    true = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    current = data.draw(st.one_of(st.floats(-2e6, 2e6), st.sampled_from(scores)))
    judged = Judged.of(scores, true, current)
    best = best_cut(judged, scores)
    assert best.gain >= 0
    values, flags = np.array(scores), np.array(true)

    def correct(threshold: float) -> int:
        return int(((values > threshold) == flags).sum())

    assert best.gain == correct(best.threshold) - correct(current)
    reachable = [current, *np.nextafter(values, -np.inf), *values]
    assert correct(best.threshold) == max(correct(float(each)) for each in reachable), (
        "no threshold gives more correct rows"
    )


@given(SCORES, st.data())
def test_counts_grow_with_the_threshold(scores: list[float], data: st.DataObject) -> None:
    true = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    judged = Judged.of(scores, true, data.draw(st.floats(-2e6, 2e6)))
    cuts = [judged.cut(threshold) for threshold in sorted(judged.candidates())]
    assert [cut.removed for cut in cuts] == sorted(cut.removed for cut in cuts)
    assert [cut.lost for cut in cuts] == sorted(cut.lost for cut in cuts)
    now = judged.cut(judged.current)
    assert (now.removed, now.lost) == (0, 0)


def test_ties_change_least_and_keep_more() -> None:
    judged = Judged.of([1.0, 2.0, 3.0, 4.0], [False, True, False, True], 0.5)
    assert [judged.cut(each).gain for each in (1.5, 3.5)] == [1, 1]
    assert best_cut(judged, [1.0, 2.0, 3.0, 4.0]).threshold == 1.5
    assert best_cut(Judged.of([1.0, 2.0], [True, True], 0.5), [1.0, 2.0]).threshold == 0.5


@pytest.mark.parametrize(
    ("verdicts", "words", "flagged"),
    [
        (["true_alarm"] * 3, "All 3 judged alarms are true: the threshold can stay", None),
        (["false_alarm"] * 3, "All 3 judged alarms are false", 0),
        (
            ["true_alarm", "true_alarm", "true_alarm", "false_alarm", "false_alarm"],
            "removes 2 of 2 false ones and loses 0 of 3 true",
            3,
        ),
        (["false_alarm", "true_alarm"], "No threshold removes more of the false alarms", None),
    ],
)
def test_what_verdicts_suggest(
    place: Workspace, scored: str, verdicts: list[str], words: str, flagged: int | None
) -> None:
    for number, verdict in enumerate(verdicts):
        judge(place, scored, number, verdict)
    found = load_flagged_rows(scored, place)
    suggested = propose_threshold(found)
    assert suggested is not None
    assert words in str(suggested.reason)
    now = found.count_flagged(found.threshold)
    assert found.count_flagged(suggested.cut.threshold) == (now if flagged is None else flagged)
    assert len(found.list_removed(suggested.cut.threshold)) == now - found.count_flagged(suggested.cut.threshold)


def test_nobody_is_sure(place: Workspace, scored: str) -> None:
    judge(place, scored, 0, "unsure")
    assert propose_threshold(load_flagged_rows(scored, place)) is None


def test_scores_of_records_are_not_believed(place: Workspace, scored: str) -> None:
    """Anyone with write access to the bucket could store a false score or row."""
    top = load_detection(scored, place).rows.iloc[0]
    said.submit_feedback(
        said.FeedbackInput(
            "anomalies",
            scored,
            said.serialise_row({"entity": top["entity"], "time": top["time"], "score": 1e9}),
            "false_alarm",
        ),
        workspace=place,
        actor=BY,
    )
    said.submit_feedback(
        said.FeedbackInput(
            "anomalies", scored, {"entity": "nowhere", "time": "1970-01-01T00:00:00", "score": 1e9}, "false_alarm"
        ),
        workspace=place,
        actor=BY,
    )
    assert load_flagged_rows(scored, place).judged.scores.tolist() == [top["score"]]


def test_an_accepted_threshold_is_a_new_run_whose_model_applies(place: Workspace, scored: str, sample: Dataset) -> None:
    before, small = load_detection(scored, place), sample.select(sample.entities[:2])
    threshold = float(before.anomalies["score"].iloc[2])
    made = accept(scored, threshold, place)
    after = load_detection(made, place)
    assert len(after.anomalies) == 2
    pd.testing.assert_series_equal(after.rows["score"], before.rows["score"])
    assert (after.threshold_run, after.threshold) == (scored, threshold)
    again, _ = apply_model(ApplySpec(made), small, workspace=place, actor=BY)
    assert (len(again.anomalies), again.threshold_run) == (2, scored)
    assert load_detection(scored, place).spec == before.spec
    assert load_detection(scored, place).threshold == before.threshold
    event = place.events.read()[1]
    assert (event.details.inputs["threshold_from"], event.details.inputs["source_run"]) == ("verdicts", scored)


def test_a_lower_threshold_finds_more(place: Workspace, scored: str) -> None:
    before = load_detection(scored, place)
    missed = len(before.anomalies) + 4
    judge(place, scored, missed, "true_alarm")
    suggested = propose_threshold(load_flagged_rows(scored, place))
    assert suggested is not None
    assert "True alarms lie below the threshold: this one flags 1" in str(suggested.reason)
    made = accept(scored, suggested.cut.threshold, place)
    assert len(load_detection(made, place).anomalies) >= missed + 1


def test_a_threshold_of_sequences(place: Workspace) -> None:
    from core.tasks.sequences.run import apply_model, load_sequences, train
    from core.tasks.sequences.spec import SequenceSpec, detectors
    from tests.test_sequences import several

    dataset = several(2)
    place.datasets.save(dataset)
    asked = SequenceSpec(detectors()["pca-residual"](), threshold="contamination", amount=0.1)
    before, run = train(asked, dataset, workspace=place, actor=BY)
    threshold = float(before.events["peak"].iloc[1])
    made = accept(run.id, threshold, place)
    after = load_sequences(made, place)
    assert len(after.events) == 1
    assert (after.method, after.promise) == ("verdicts", None)
    assert "chosen from verdicts on the run" in str(after.notes[0])
    np.testing.assert_array_equal(after.rows["score"], before.rows["score"])
    assert int(after.rows["anomaly"].sum()) == load_flagged_rows(run.id, place).count_flagged(threshold)
    again, _ = apply_model(ApplySpec(made), dataset, workspace=place, actor=BY)
    assert (again.threshold, again.method) == (threshold, "verdicts")


def test_what_has_no_threshold_is_told(place: Workspace, scored: str) -> None:
    with pytest.raises(NotFoundError):
        load_flagged_rows("f" * 32, place)
    with pytest.raises(InputError, match="no finite number"):
        accept(scored, float("nan"), place)
