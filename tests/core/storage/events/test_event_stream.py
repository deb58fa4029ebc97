"""Delivery of events to Elasticsearch: each event once and in order, despite outages, refusals and killed processes."""

import json
import logging
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.outbox import deliver
from core.runs.tracked_run import record_event
from core.settings import ROOT, Settings
from core.storage.events.cursor import BATCH_LINES, LogCursor
from core.storage.events.elasticsearch import EventStream
from core.storage.events.es_mapping import INDEX_MAPPING, STREAM_NAME, document_to_event, line_to_document
from core.storage.events.log import Details, EntityCount, Event, EventLog
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import find_free_port
from tests.support.command_server import get_command_server
from tests.support.elasticsearch_stub import Stub, run_stub
from tests.support.event_sender import deliver_all_events
from tests.support.servers import ServerProcess, make_elasticsearch_server

START = datetime(2026, 11, 1, tzinfo=UTC)
SENDER = "tests.support.event_sender"


def make_event(number: int = 0, **fields: Any) -> Event:
    values = {
        "event": f"action {number}",
        "status": "completed",
        "log_level": "INFO",
        "response_time": 0.5,
        "user": "ada",
    }
    return Event(**{"timestamp": START + timedelta(seconds=number), **values, **fields})


def append_events(folder: Path, count: int, first: int = 0) -> EventLog:
    """Append events to the log in one write, which is faster than one by one. Return the log."""
    log = EventLog(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events-2026-11.jsonl").open("a") as file:
        file.writelines(make_event(number).to_json_line() for number in range(first, first + count))
    return log


def read_event_names(stream: EventStream) -> list[str]:
    return [event.event for event in stream.read_events().events]


def read_documents(url: str) -> list[dict[str, Any]]:
    """Return all documents of the stream, read with the client of Elasticsearch."""
    from elasticsearch import Elasticsearch

    with Elasticsearch(url, request_timeout=20) as client:
        client.indices.refresh(index=STREAM_NAME)
        hits = client.search(index=STREAM_NAME, size=10_000, sort=[{"@timestamp": "asc"}])["hits"]["hits"]
    assert len({hit["_id"] for hit in hits}) == len(hits)
    return [hit["_source"] for hit in hits]


def delete_stream(url: str) -> None:
    from elasticsearch import Elasticsearch

    with Elasticsearch(url, request_timeout=20) as client:
        client.options(ignore_status=404).indices.delete(index=STREAM_NAME)


@pytest.fixture(scope="module")
def elasticsearch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = make_elasticsearch_server(tmp_path_factory.mktemp("elastic") / "server")
    yield server.start()
    server.kill()


@pytest.fixture
def server(elasticsearch_server: ServerProcess) -> ServerProcess:
    if elasticsearch_server.process is None:
        elasticsearch_server.start()
    delete_stream(elasticsearch_server.url)
    return elasticsearch_server


@pytest.fixture
def stub_server() -> Iterator[Stub]:
    with run_stub() as server_stub:
        yield server_stub


# ---- delivery and reading ------------------------------------------------------------------------------------------


def test_event_stream_delivers_once_and_in_order(server: ServerProcess, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 1200)
    stream = EventStream(log.folder, server.url)
    assert stream.count_pending() == 1200
    assert stream.deliver_pending() == 1200
    assert (stream.count_pending(), stream.count_rejected(), stream.last_error) == (0, 0, "")
    assert [doc["event"] for doc in read_documents(server.url)] == [f"action {number}" for number in range(1200)]
    assert stream.deliver_pending() == 0
    log.add(make_event(1200))
    assert (stream.count_pending(), stream.deliver_pending(), stream.count_pending()) == (1, 1, 0)


def test_kibana_panel_sums_the_anomalies_of_each_entity(server: ServerProcess, tmp_path: Path) -> None:
    """The panel's own query, as Kibana sends it, over three runs that found 1, 2 and 3 anomalies in one region."""
    from elasticsearch import Elasticsearch

    log = EventLog(tmp_path / "events")
    for number in (1, 2, 3):
        counts = [EntityCount(entity="nord", count=number), EntityCount(entity="sud", count=10)]
        log.add(make_event(number, details=Details(anomalies_by_entity=counts)))
    EventStream(log.folder, server.url).deliver_pending()
    read_documents(server.url)  # refreshes the index
    lines = (ROOT / "docs" / "kibana" / "vigie.ndjson").read_text(encoding="utf-8").splitlines()
    [panel] = [entry for entry in map(json.loads, lines) if entry["id"] == "vigie-entities"]
    spec = json.loads(json.loads(panel["attributes"]["visState"])["params"]["spec"])
    with Elasticsearch(server.url, request_timeout=20) as client:
        answer: Any = client.search(index=STREAM_NAME, **spec["data"]["url"]["body"]).body
    for name in spec["data"]["format"]["property"].split("."):
        answer = answer[name]
    assert {bucket["key"]: bucket["anomalies"]["value"] for bucket in answer} == {"sud": 30, "nord": 6}


def test_event_stream_round_trips_events(server: ServerProcess, tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    for number, fields in enumerate(
        [
            {"status": "failed", "log_level": "ERROR", "error_type": "ValueError", "error_message": 'é\n"rows"'},
            {
                "model_name": "IsolationForest",
                "model_version": "1",
                "run_id": "a" * 32,
                "emissions_kg": 1.25e-7,
                "details": Details(
                    anomalies_count=3,
                    anomalies_by_entity=[EntityCount(entity="nord", count=3)],
                    inputs={"a": {"b": [1]}},
                ),
            },
            {"user": None, "cpu_usage": 640.0, "memory_usage": 12.5, "timestamp": START + timedelta(microseconds=7)},
        ]
    ):
        log.add(make_event(number, **fields))
    stream = EventStream(log.folder, server.url)
    stream.deliver_pending()
    read_documents(server.url)  # refreshes the index
    reading = stream.read_events()
    assert sorted(reading.events, key=lambda event: event.event) == sorted(
        log.read_events(), key=lambda event: event.event
    )
    assert (reading.truncated, reading.skipped, reading.unknown_fields) == (False, 0, 0)


def test_event_stream_reads_pages_up_to_limit(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.events.elasticsearch.PAGE_SIZE", 7)
    log = EventLog(tmp_path / "events")
    for number in range(30):  # many share a timestamp: pages must not skip any
        log.add(make_event(number, timestamp=START + timedelta(milliseconds=number // 10)))
    stream = EventStream(log.folder, server.url)
    stream.deliver_pending()
    read_documents(server.url)
    assert sorted(read_event_names(stream)) == sorted(f"action {number}" for number in range(30))
    newest = stream.read_events(limit=10)
    assert newest.truncated
    assert {event.event for event in newest.events} == {f"action {number}" for number in range(20, 30)}
    assert not stream.read_events(limit=30).truncated
    assert len(stream.read_events(START + timedelta(milliseconds=1)).events) == 20


def test_event_stream_counts_foreign_documents(server: ServerProcess, tmp_path: Path) -> None:
    from elasticsearch import Elasticsearch

    log = append_events(tmp_path / "events", 1)
    stream = EventStream(log.folder, server.url)
    stream.deliver_pending()
    with Elasticsearch(server.url) as client:
        foreign = line_to_document(make_event(1).to_json_line().encode(), "x") | {
            "agent": "filebeat",
            "labels": {"a": 1},
        }
        client.create(index=STREAM_NAME, id="x", document=foreign)
        client.create(index=STREAM_NAME, id="y", document={"@timestamp": "2026-11-02T00:00:00Z", "message": "not ours"})
    read_documents(server.url)
    reading = stream.read_events()
    assert [event.event for event in reading.events] == ["action 0", "action 1"]
    assert (reading.skipped, reading.unknown_fields) == (1, 2)


def test_event_stream_is_empty_before_first_delivery(server: ServerProcess, tmp_path: Path) -> None:
    stream = EventStream(tmp_path / "events", server.url)
    assert stream.read_events().events == []
    assert (stream.count_pending(), stream.deliver_pending(), stream.count_rejected()) == (0, 0, 0)
    assert re.fullmatch(r"\d+\.\d+\.\d+", stream.check())


def test_event_stream_creates_index_template(server: ServerProcess, tmp_path: Path) -> None:
    from elasticsearch import Elasticsearch

    log = append_events(tmp_path / "events", 1)
    EventStream(log.folder, server.url).deliver_pending()
    with Elasticsearch(server.url) as client:
        template = client.indices.get_index_template(name=STREAM_NAME)["index_templates"][0]["index_template"]
        (index,) = client.indices.get_mapping(index=STREAM_NAME).values()
    assert "data_stream" in template
    assert index["mappings"]["properties"]["details"]["properties"]["inputs"]["type"] == "flattened"
    assert str(index["mappings"]["dynamic"]).lower() == "false"


def test_es_mapping_covers_every_event_field() -> None:
    mapped = set(INDEX_MAPPING["properties"]) | {
        f"details.{name}" for name in INDEX_MAPPING["properties"]["details"]["properties"]
    }
    field_names = {*Event.model_fields, *(f"details.{name}" for name in Details.model_fields)} - {"timestamp"}
    assert field_names <= mapped
    assert document_to_event(line_to_document(make_event().to_json_line().encode(), "x")) == (make_event(), 0)


# ---- outages and killed processes ----------------------------------------------------------------------------------


def test_event_stream_keeps_backlog_during_outage(tmp_path: Path) -> None:
    server = make_elasticsearch_server(tmp_path / "server")
    log = append_events(tmp_path / "events", 600)
    stream = EventStream(log.folder, server.url)
    assert stream.deliver_pending() == 0
    assert "onnection" in stream.last_error
    assert stream.count_pending() == 600
    with pytest.raises(ServiceUnavailableError, match="Elasticsearch does not answer"):
        stream.check()
    try:
        server.start()
        stream.reset()
        assert (stream.deliver_pending(), stream.count_pending(), stream.last_error) == (600, 0, "")
        time.sleep(1.5)  # the stand-in saves shortly after it answers; Elasticsearch saves before
        server.kill()
        append_events(log.folder, 100, first=600)
        assert stream.deliver_pending() == 0
        server.start()
        stream.reset()
        assert stream.deliver_pending() == 100
        assert [doc["event"] for doc in read_documents(server.url)] == [f"action {number}" for number in range(700)]
    finally:
        server.kill()


def test_event_stream_times_out_on_hanging_server(server: ServerProcess, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 10)
    stream = EventStream(log.folder, server.url)
    server.freeze()
    try:
        for call in (stream.check, stream.read_events):
            stream.reset()
            with pytest.raises(ServiceUnavailableError):
                call()
        assert stream.deliver_pending() == 0
        assert stream.count_pending() == 10
    finally:
        server.thaw()
    stream.reset()
    stream.deliver_pending()
    assert len(read_documents(server.url)) == 10, "an event that the hanging server accepted is stored once"


def test_event_stream_survives_killed_senders(server: ServerProcess, tmp_path: Path) -> None:
    """Two processes send the same folder. Both are killed repeatedly while new events are written."""
    log = append_events(tmp_path / "events", 2000)
    stream, delays = EventStream(log.folder, server.url), random.Random(1)
    for turn in range(6):
        append_events(log.folder, 100, first=2000 + 200 * turn)  # the senders before may have sent all others
        pending_count, deadline = stream.count_pending(), time.monotonic() + 30
        senders = [
            get_command_server().start(SENDER, str(log.folder), server.url, environment=os.environ) for _ in range(2)
        ]
        while stream.count_pending() == pending_count:
            assert time.monotonic() < deadline, "the senders do not send"
            time.sleep(0.005)
        time.sleep(delays.uniform(0, 0.05))
        append_events(log.folder, 100, first=2100 + 200 * turn)
        for process in senders:
            process.kill()
            process.wait(10)
    deliver_all_events(log.folder, server.url)
    assert [doc["event"] for doc in read_documents(server.url)] == [f"action {number}" for number in range(3200)]
    assert stream.count_rejected() == 0


def test_event_stream_delivers_from_one_process_only(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 10)
    with LogCursor(log.folder).lock() as is_locked:
        assert is_locked
        assert EventStream(log.folder, stub_server.url).deliver_pending() == 0
    assert not [path for path in stub_server.requests if "_bulk" in path]
    assert EventStream(log.folder, stub_server.url).deliver_pending() == 10


def test_event_stream_unwritten_cursor_makes_no_duplicates(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = append_events(tmp_path / "events", 5)
    with monkeypatch.context() as patch:
        patch.setattr(LogCursor, "commit", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            EventStream(log.folder, server.url).deliver_pending()
    assert len(read_documents(server.url)) == 5
    stream = EventStream(log.folder, server.url)
    assert (stream.count_pending(), stream.deliver_pending()) == (5, 5)
    assert len(read_documents(server.url)) == 5


# ---- refused requests and documents --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 500, 401, 403, 413])
def test_event_stream_retries_refused_request(stub_server: Stub, tmp_path: Path, status: int) -> None:
    log = append_events(tmp_path / "events", 3)
    stream = EventStream(log.folder, stub_server.url)
    stub_server.refusals = [200, status]
    assert (stream.deliver_pending(), stream.count_pending(), stream.count_rejected()) == (0, 3, 0)
    assert str(status) in stream.last_error
    before = len(stub_server.requests)
    assert stream.deliver_pending() == 0
    assert len(stub_server.requests) == before, "the circuit breaker is open"
    stream.reset()
    assert (stream.deliver_pending(), stream.count_pending(), stream.last_error) == (3, 0, "")


def test_event_stream_stops_at_throttled_document(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 10)
    stream = EventStream(log.folder, stub_server.url)
    lines = LogCursor(log.folder).next_batch()
    stub_server.status_by_id = {lines[4].id: 429}
    assert (stream.deliver_pending(), stream.count_pending()) == (4, 6)
    assert "429" in stream.last_error
    stub_server.status_by_id = {}
    stream.reset()
    assert (stream.deliver_pending(), stream.count_pending(), stream.count_rejected()) == (6, 0, 0)
    assert sorted(doc["event"] for doc in stub_server.documents.values()) == sorted(
        f"action {number}" for number in range(10)
    )


def test_event_stream_sets_rejected_document_aside(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 10)
    stream = EventStream(log.folder, stub_server.url)
    lines = LogCursor(log.folder).next_batch()
    stub_server.status_by_id = {lines[4].id: 400}
    assert (stream.deliver_pending(), stream.count_pending(), stream.count_rejected(), stream.last_error) == (
        9,
        0,
        1,
        "",
    )
    (note,) = map(json.loads, (log.folder / "refused.jsonl").read_text().splitlines())
    assert (note["id"], note["reason"]) == (lines[4].id, "trouble_400: as told")
    assert json.loads(note["line"])["event"] == "action 4"


def test_event_stream_records_reason_of_rejection(server: ServerProcess, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 2)
    with (log.folder / "events-2026-11.jsonl").open("a") as file:
        file.write(make_event(2).to_json_line().replace("0.5", '"fast"'))
    append_events(log.folder, 1, first=3)
    stream = EventStream(log.folder, server.url)
    assert (stream.deliver_pending(), stream.count_rejected()) == (3, 1)
    assert "document_parsing_exception" in (log.folder / "refused.jsonl").read_text()
    assert len(read_documents(server.url)) == 3


def test_event_stream_delivers_without_template_permission(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 3)
    stub_server.refusals = [403]
    assert EventStream(log.folder, stub_server.url).deliver_pending() == 3
    assert "require_data_stream=true" in stub_server.requests[-1]


def test_event_stream_reports_invalid_url(tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 1)
    stream = EventStream(log.folder, "localhost")
    assert stream.deliver_pending() == 0
    assert "scheme" in stream.last_error
    with pytest.raises(ServiceUnavailableError, match="scheme"):
        stream.check()


# ---- log files and cursor ------------------------------------------------------------------------------------------


def test_event_stream_waits_for_unfinished_line(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 2)
    path, line = log.folder / "events-2026-11.jsonl", make_event(2).to_json_line()
    stream = EventStream(log.folder, stub_server.url)
    with path.open("a") as file:
        file.write(line[:40])
    assert (stream.deliver_pending(), stream.count_pending()) == (2, 0)
    with path.open("a") as file:
        file.write(line[40:])
    assert (stream.count_pending(), stream.deliver_pending(), stream.count_rejected()) == (1, 1, 0)


def test_event_stream_rejects_truncated_line(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 1)
    with (log.folder / "events-2026-11.jsonl").open("a") as file:
        file.write(make_event(1).to_json_line()[:40])
    stream = EventStream(log.folder, stub_server.url)
    assert stream.deliver_pending() == 1
    log.add(make_event(2))
    assert (stream.deliver_pending(), stream.count_rejected(), stream.count_pending()) == (1, 1, 0)
    assert [doc["event"] for doc in stub_server.documents.values()] == ["action 0", "action 2"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "{",
        "[]",
        '{"events-2026-11.jsonl": 7}',
        '{"events-2026-11.jsonl": 99999999}',
        '{"events-2026-11.jsonl": -3}',
    ],
)
def test_event_stream_restarts_with_invalid_cursor(stub_server: Stub, tmp_path: Path, cursor: str) -> None:
    log = append_events(tmp_path / "events", 4)
    assert EventStream(log.folder, stub_server.url).deliver_pending() == 4
    (log.folder / "sent.json").write_text(cursor)
    assert EventStream(log.folder, stub_server.url).deliver_pending() == 4
    assert len(stub_server.documents) == 4


def test_log_cursor_limits_batch_size(stub_server: Stub, tmp_path: Path) -> None:
    log = append_events(tmp_path / "events", 3 * BATCH_LINES + 1)
    with (log.folder / "events-2026-10.jsonl").open("w") as file:
        file.write("x" * 3_000_000 + "\n")
        file.writelines(make_event(number, error_message="x" * 100_000).to_json_line() for number in range(50))
    max_batch_bytes = 0
    cursor = LogCursor(log.folder)
    while lines := cursor.next_batch():
        max_batch_bytes = max(max_batch_bytes, sum(len(line.text) for line in lines))
        cursor.commit(lines)
    assert max_batch_bytes < 1_200_000
    (log.folder / "sent.json").unlink()
    stream = EventStream(log.folder, stub_server.url)
    assert stream.deliver_pending() == 3 * BATCH_LINES + 51
    assert stub_server.max_batch_size == BATCH_LINES
    assert stream.count_rejected() == 1
    assert (log.folder / "refused.jsonl").stat().st_size < 10_000


def test_event_stream_accepts_lines_of_earlier_versions(stub_server: Stub, tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    log.folder.mkdir()
    old_fields = {
        name: value
        for name, value in json.loads(make_event().to_json_line()).items()
        if name not in ("user", "emissions_kg")
    }
    old_fields["details"].pop("anomalies_by_entity")
    (log.folder / "events-2026-11.jsonl").write_text(json.dumps(old_fields) + "\n")
    assert [event.user for event in log.read_events()] == [None]
    assert EventStream(log.folder, stub_server.url).deliver_pending() == 1
    assert document_to_event(next(iter(stub_server.documents.values())))[0] == log.read_events()[0]


# ---- settings, delivery and private data ---------------------------------------------------------------------------


def test_event_stream_is_created_from_settings(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        elastic_deployment_endpoint="https://es:9243",
        elastic_username="vigie",
        elastic_password="s3cret-pw",
    )
    stream = EventStream.from_settings(tmp_path, settings)
    assert stream is not None
    node = next(iter(stream._get_client().transport.node_pool.all()))
    assert node.config.verify_certs
    assert EventStream.from_settings(tmp_path, Settings(_env_file=None)) is None


def test_outbox_delivers_events(stub_server: Stub, tmp_path: Path) -> None:
    append_events(tmp_path / "events", 3)
    workspace = Workspace.in_folder(
        tmp_path,
        Tracking("sqlite://", None, tmp_path / "runs"),
        event_stream=EventStream(tmp_path / "events", stub_server.url),
    )
    assert deliver(workspace)["events"] == 3
    assert "events" not in deliver(Workspace.in_folder(tmp_path, workspace.tracking))


def test_recording_does_not_wait_for_elasticsearch(tmp_path: Path) -> None:
    offline_stream = EventStream(tmp_path / "events", f"http://127.0.0.1:{find_free_port()}")
    workspace = Workspace.in_folder(
        tmp_path, Tracking("sqlite://", None, tmp_path / "runs"), event_stream=offline_stream
    )
    with record_event("data_load", Actor("ada"), workspace):
        pass
    assert (offline_stream.count_pending(), offline_stream.last_error) == (1, ""), "no call was made"


def test_event_stream_sends_no_private_data(
    server: ServerProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        _env_file=None,
        vigie_data_dir=tmp_path,
        vigie_user_key="k" * 40,
        elastic_deployment_endpoint=server.url,
        elastic_username="vigie",
        elastic_password="elastic-hunter2",
    )
    stream = EventStream.from_settings(tmp_path / "events", settings)
    assert stream is not None
    workspace = Workspace.in_folder(
        tmp_path, Tracking("sqlite://", None, tmp_path / "runs"), settings=settings, event_stream=stream
    )
    private_details = {
        "password": "hunter2-a",
        "api_key": "hunter2-b",
        "comment": "Mrs Smith of 12 Elm Street",
        "latitude": 48.8566,
        "nested": {"coordinates": [2.3522, 48.8566], "Email": "ada@example.org", "deeper": {"token": "hunter2-c"}},
    }
    caplog.set_level(logging.DEBUG)
    with (
        pytest.raises(ValueError, match="no way in"),
        record_event("data_load", Actor("ada.lovelace@example.org"), workspace, **private_details),
    ):
        raise ValueError("no way in: postgresql://vigie:hunter2-e@db/vigie with elastic-hunter2")
    stream.deliver_pending()
    server.freeze()
    with pytest.raises(ServiceUnavailableError):
        stream.check()
    server.thaw()
    [sent] = read_documents(server.url)
    all_text = (
        json.dumps(sent)
        + "".join(path.read_text() for path in workspace.events.folder.glob("*.json*"))
        + caplog.text
        + stream.last_error
    )
    for private in ("hunter2", "Elm Street", "48.8566", "2.3522", "ada@example.org", "lovelace"):
        assert private not in all_text, private
    assert (sent["status"], sent["log_level"]) == ("failed", "ERROR")
    assert sent["error_message"].startswith("no way in: postgresql://")


def test_recording_redacts_private_names_in_lists(tmp_path: Path) -> None:
    workspace = Workspace.in_folder(tmp_path, Tracking("sqlite://", None, tmp_path / "runs"))
    with record_event("data_load", Actor("ada"), workspace, list=[{"secret": "hunter2"}]):
        pass
    assert "hunter2" not in next(workspace.events.folder.glob("*.jsonl")).read_text()


def test_event_stream_hides_credentials_in_errors(
    stub_server: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = append_events(tmp_path / "events", 1)
    stream = EventStream(log.folder, stub_server.url, "vigie", "wrong-hunter2")
    stub_server.refusals = [401]
    assert stream.deliver_pending() == 0
    assert "401" in caplog.text
    assert "hunter2" not in caplog.text + stream.last_error
    assert stream.count_pending() == 1


def test_event_stream_delivers_events_added_during_delivery(stub_server: Stub, tmp_path: Path) -> None:
    log, stop = EventLog(tmp_path / "events"), threading.Event()

    def write() -> None:
        for number in range(300):
            log.add(make_event(number))
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    stream = EventStream(log.folder, stub_server.url)
    while not stop.is_set():
        stream.deliver_pending()
    writer.join()
    stream.deliver_pending()
    assert [doc["event"] for doc in stub_server.documents.values()] == [f"action {number}" for number in range(300)]
