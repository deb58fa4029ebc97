"""Delivery of events to Elasticsearch: each event once and in order, despite outages, refusals and killed processes."""

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
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
from core.runs.tracked_run import recorded
from core.settings import ROOT, Settings
from core.storage.events.cursor import BATCH_LINES, LogCursor
from core.storage.events.elasticsearch import EventStream
from core.storage.events.es_mapping import MAPPING, STREAM, document, event_of
from core.storage.events.log import Details, EntityCount, Event, Events
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import free_port
from tests.elastic_stub import Stub, stub
from tests.servers import Running, elasticsearch

START = datetime(2026, 11, 1, tzinfo=UTC)
SHIP = """
import sys
from pathlib import Path
from core.storage.events.elasticsearch import EventStream
stream = EventStream(Path(sys.argv[1]), sys.argv[2])
while stream.pending_count():
    stream.reset()
    stream.deliver_pending()
"""


def event(number: int = 0, **given: Any) -> Event:
    values = {
        "event": f"action {number}",
        "status": "completed",
        "log_level": "INFO",
        "response_time": 0.5,
        "user": "ada",
    }
    return Event(**{"timestamp": START + timedelta(seconds=number), **values, **given})


def written(folder: Path, count: int, first: int = 0) -> Events:
    """Append events to the log in one write, which is faster than one by one. Return the log."""
    log = Events(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events-2026-11.jsonl").open("a") as file:
        file.writelines(event(number).line() for number in range(first, first + count))
    return log


def names(stream: EventStream) -> list[str]:
    return [each.event for each in stream.read().events]


def stored(url: str) -> list[dict[str, Any]]:
    """Return all documents of the stream, read with the client of Elasticsearch."""
    from elasticsearch import Elasticsearch

    with Elasticsearch(url, request_timeout=20) as client:
        client.indices.refresh(index=STREAM)
        hits = client.search(index=STREAM, size=10_000, sort=[{"@timestamp": "asc"}])["hits"]["hits"]
    assert len({hit["_id"] for hit in hits}) == len(hits)
    return [hit["_source"] for hit in hits]


def emptied(url: str) -> None:
    from elasticsearch import Elasticsearch

    with Elasticsearch(url, request_timeout=20) as client:
        client.options(ignore_status=404).indices.delete(index=STREAM)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    server = elasticsearch(tmp_path_factory.mktemp("elastic") / "server")
    yield server.start()
    server.kill()


@pytest.fixture
def server(started: Running) -> Running:
    if started.process is None:
        started.start()
    emptied(started.url)
    return started


@pytest.fixture
def faulty() -> Iterator[Stub]:
    with stub() as found:
        yield found


# ---- delivery and reading ------------------------------------------------------------------------------------------


def test_events_arrive_once_and_in_order(server: Running, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 1200)
    stream = EventStream(log.folder, server.url)
    assert stream.pending_count() == 1200
    assert stream.deliver_pending() == 1200
    assert (stream.pending_count(), stream.rejected_count(), stream.last_error) == (0, 0, "")
    assert [each["event"] for each in stored(server.url)] == [f"action {number}" for number in range(1200)]
    assert stream.deliver_pending() == 0
    log.add(event(1200))
    assert (stream.pending_count(), stream.deliver_pending(), stream.pending_count()) == (1, 1, 0)


def test_what_is_read_back_is_what_was_written(server: Running, tmp_path: Path) -> None:
    log = Events(tmp_path / "events")
    for number, given in enumerate(
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
        log.add(event(number, **given))
    stream = EventStream(log.folder, server.url)
    stream.deliver_pending()
    stored(server.url)  # refreshes the index
    reading = stream.read()
    assert sorted(reading.events, key=lambda each: each.event) == sorted(log.read(), key=lambda each: each.event)
    assert (reading.truncated, reading.skipped, reading.unknown_fields) == (False, 0, 0)


def test_reading_pages_and_is_capped(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.events.elasticsearch.PAGE", 7)
    log = Events(tmp_path / "events")
    for number in range(30):  # many share a timestamp: pages must not skip any
        log.add(event(number, timestamp=START + timedelta(milliseconds=number // 10)))
    stream = EventStream(log.folder, server.url)
    stream.deliver_pending()
    stored(server.url)
    assert sorted(names(stream)) == sorted(f"action {number}" for number in range(30))
    newest = stream.read(limit=10)
    assert newest.truncated
    assert {each.event for each in newest.events} == {f"action {number}" for number in range(20, 30)}
    assert not stream.read(limit=30).truncated
    assert len(stream.read(START + timedelta(milliseconds=1)).events) == 20


def test_documents_of_others_are_read_or_counted(server: Running, tmp_path: Path) -> None:
    from elasticsearch import Elasticsearch

    log = written(tmp_path / "events", 1)
    stream = EventStream(log.folder, server.url)
    stream.deliver_pending()
    with Elasticsearch(server.url) as client:
        foreign = document(event(1).line().encode(), "x") | {"agent": "filebeat", "labels": {"a": 1}}
        client.create(index=STREAM, id="x", document=foreign)
        client.create(index=STREAM, id="y", document={"@timestamp": "2026-11-02T00:00:00Z", "message": "not ours"})
    stored(server.url)
    reading = stream.read()
    assert [each.event for each in reading.events] == ["action 0", "action 1"]
    assert (reading.skipped, reading.unknown_fields) == (1, 2)


def test_nothing_sent_yet_is_nothing_read(server: Running, tmp_path: Path) -> None:
    stream = EventStream(tmp_path / "events", server.url)
    assert stream.read().events == []
    assert (stream.pending_count(), stream.deliver_pending(), stream.rejected_count()) == (0, 0, 0)
    assert re.fullmatch(r"\d+\.\d+\.\d+", stream.check())


def test_the_index_knows_the_fields(server: Running, tmp_path: Path) -> None:
    from elasticsearch import Elasticsearch

    log = written(tmp_path / "events", 1)
    EventStream(log.folder, server.url).deliver_pending()
    with Elasticsearch(server.url) as client:
        template = client.indices.get_index_template(name=STREAM)["index_templates"][0]["index_template"]
        (made,) = client.indices.get_mapping(index=STREAM).values()
    assert "data_stream" in template
    assert made["mappings"]["properties"]["details"]["properties"]["inputs"]["type"] == "flattened"
    assert str(made["mappings"]["dynamic"]).lower() == "false"


def test_every_field_of_an_event_is_mapped() -> None:
    mapped = set(MAPPING["properties"]) | {f"details.{name}" for name in MAPPING["properties"]["details"]["properties"]}
    wanted = {*Event.model_fields, *(f"details.{name}" for name in Details.model_fields)} - {"timestamp"}
    assert wanted <= mapped
    assert event_of(document(event().line().encode(), "x")) == (event(), 0)


# ---- outages and killed processes ----------------------------------------------------------------------------------


def test_a_backlog_outlives_a_server_that_is_away(tmp_path: Path) -> None:
    server = elasticsearch(tmp_path / "server")
    log = written(tmp_path / "events", 600)
    stream = EventStream(log.folder, server.url)
    assert stream.deliver_pending() == 0
    assert "onnection" in stream.last_error
    assert stream.pending_count() == 600
    with pytest.raises(ServiceUnavailableError, match="Elasticsearch does not answer"):
        stream.check()
    try:
        server.start()
        stream.reset()
        assert (stream.deliver_pending(), stream.pending_count(), stream.last_error) == (600, 0, "")
        time.sleep(1.5)  # the stand-in saves shortly after it answers; Elasticsearch saves before
        server.kill()
        written(log.folder, 100, first=600)
        assert stream.deliver_pending() == 0
        server.start()
        stream.reset()
        assert stream.deliver_pending() == 100
        assert [each["event"] for each in stored(server.url)] == [f"action {number}" for number in range(700)]
    finally:
        server.kill()


def test_a_server_that_hangs_costs_little(server: Running, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 10)
    stream = EventStream(log.folder, server.url)
    server.freeze()
    try:
        for ask in (stream.check, stream.read):
            stream.reset()
            began = time.monotonic()
            with pytest.raises(ServiceUnavailableError):
                ask()
            assert time.monotonic() - began < 2
        began = time.monotonic()
        assert stream.deliver_pending() == 0
        assert time.monotonic() - began < 8
        assert stream.pending_count() == 10
    finally:
        server.thaw()
    stream.reset()
    stream.deliver_pending()
    assert len(stored(server.url)) == 10, "an event that the hanging server accepted is stored once"


def test_killed_at_any_moment_nothing_is_lost_or_doubled(server: Running, tmp_path: Path) -> None:
    """Two processes send the same folder. Both are killed repeatedly while new events are written."""
    log = written(tmp_path / "events", 2000)
    chance = random.Random(1)
    stray = chance.uniform
    for turn in range(6):
        pair = [
            subprocess.Popen(
                [sys.executable, "-c", SHIP, str(log.folder), server.url], cwd=ROOT, stderr=subprocess.DEVNULL
            )
            for _ in range(2)
        ]
        time.sleep(stray(0.3, 1.2))
        written(log.folder, 200, first=2000 + 200 * turn)
        for process in pair:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
    stream = EventStream(log.folder, server.url)
    while stream.pending_count():
        stream.reset()
        stream.deliver_pending()
    assert [each["event"] for each in stored(server.url)] == [f"action {number}" for number in range(3200)]
    assert stream.rejected_count() == 0


def test_two_at_once_do_not_both_ship(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 10)
    with LogCursor(log.folder).lock() as first:
        assert first
        assert EventStream(log.folder, faulty.url).deliver_pending() == 0
    assert not [path for path in faulty.requests if "_bulk" in path]
    assert EventStream(log.folder, faulty.url).deliver_pending() == 10


def test_a_cursor_that_could_not_be_written_repeats_and_doubles_nothing(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = written(tmp_path / "events", 5)
    with monkeypatch.context() as patch:
        patch.setattr(LogCursor, "commit", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            EventStream(log.folder, server.url).deliver_pending()
    assert len(stored(server.url)) == 5
    stream = EventStream(log.folder, server.url)
    assert (stream.pending_count(), stream.deliver_pending()) == (5, 5)
    assert len(stored(server.url)) == 5


# ---- refused requests and documents --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 500, 401, 403, 413])
def test_a_request_refused_as_a_whole_waits(faulty: Stub, tmp_path: Path, status: int) -> None:
    log = written(tmp_path / "events", 3)
    stream = EventStream(log.folder, faulty.url)
    faulty.refusals = [200, status]
    assert (stream.deliver_pending(), stream.pending_count(), stream.rejected_count()) == (0, 3, 0)
    assert str(status) in stream.last_error
    before = len(faulty.requests)
    assert stream.deliver_pending() == 0
    assert len(faulty.requests) == before, "the circuit breaker is open"
    stream.reset()
    assert (stream.deliver_pending(), stream.pending_count(), stream.last_error) == (3, 0, "")


def test_one_document_too_many_holds_the_rest_back(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 10)
    stream = EventStream(log.folder, faulty.url)
    lines = LogCursor(log.folder).next_batch()
    faulty.trouble = {lines[4].id: 429}
    assert (stream.deliver_pending(), stream.pending_count()) == (4, 6)
    assert "429" in stream.last_error
    faulty.trouble = {}
    stream.reset()
    assert (stream.deliver_pending(), stream.pending_count(), stream.rejected_count()) == (6, 0, 0)
    assert sorted(each["event"] for each in faulty.documents.values()) == sorted(
        f"action {number}" for number in range(10)
    )


def test_a_document_refused_for_good_is_put_aside(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 10)
    stream = EventStream(log.folder, faulty.url)
    lines = LogCursor(log.folder).next_batch()
    faulty.trouble = {lines[4].id: 400}
    assert (stream.deliver_pending(), stream.pending_count(), stream.rejected_count(), stream.last_error) == (
        9,
        0,
        1,
        "",
    )
    (note,) = map(json.loads, (log.folder / "refused.jsonl").read_text().splitlines())
    assert (note["id"], note["reason"]) == (lines[4].id, "trouble_400: as told")
    assert json.loads(note["line"])["event"] == "action 4"


def test_a_real_refusal_says_why(server: Running, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 2)
    with (log.folder / "events-2026-11.jsonl").open("a") as file:
        file.write(event(2).line().replace("0.5", '"fast"'))
    written(log.folder, 1, first=3)
    stream = EventStream(log.folder, server.url)
    assert (stream.deliver_pending(), stream.rejected_count()) == (3, 1)
    assert "document_parsing_exception" in (log.folder / "refused.jsonl").read_text()
    assert len(stored(server.url)) == 3


def test_a_user_who_may_not_make_the_template_still_ships_to_the_stream(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 3)
    faulty.refusals = [403]
    assert EventStream(log.folder, faulty.url).deliver_pending() == 3
    assert "require_data_stream=true" in faulty.requests[-1]


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    log = written(tmp_path / "events", 1)
    stream = EventStream(log.folder, "localhost")
    assert stream.deliver_pending() == 0
    assert "scheme" in stream.last_error
    with pytest.raises(ServiceUnavailableError, match="scheme"):
        stream.check()


# ---- log files and cursor ------------------------------------------------------------------------------------------


def test_a_line_that_is_being_written_is_waited_for(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 2)
    path, line = log.folder / "events-2026-11.jsonl", event(2).line()
    stream = EventStream(log.folder, faulty.url)
    with path.open("a") as file:
        file.write(line[:40])
    assert (stream.deliver_pending(), stream.pending_count()) == (2, 0)
    with path.open("a") as file:
        file.write(line[40:])
    assert (stream.pending_count(), stream.deliver_pending(), stream.rejected_count()) == (1, 1, 0)


def test_a_line_cut_off_for_good_is_refused_and_the_rest_goes_on(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 1)
    with (log.folder / "events-2026-11.jsonl").open("a") as file:
        file.write(event(1).line()[:40])
    stream = EventStream(log.folder, faulty.url)
    assert stream.deliver_pending() == 1
    log.add(event(2))
    assert (stream.deliver_pending(), stream.rejected_count(), stream.pending_count()) == (1, 1, 0)
    assert [each["event"] for each in faulty.documents.values()] == ["action 0", "action 2"]


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
def test_a_cursor_that_does_not_fit_starts_again(faulty: Stub, tmp_path: Path, cursor: str) -> None:
    log = written(tmp_path / "events", 4)
    assert EventStream(log.folder, faulty.url).deliver_pending() == 4
    (log.folder / "sent.json").write_text(cursor)
    assert EventStream(log.folder, faulty.url).deliver_pending() == 4
    assert len(faulty.documents) == 4


def test_batches_are_small_whatever_the_backlog(faulty: Stub, tmp_path: Path) -> None:
    log = written(tmp_path / "events", 3 * BATCH_LINES + 1)
    with (log.folder / "events-2026-10.jsonl").open("w") as file:
        file.write("x" * 3_000_000 + "\n")
        file.writelines(event(number, error_message="x" * 100_000).line() for number in range(50))
    largest = 0
    cursor = LogCursor(log.folder)
    while lines := cursor.next_batch():
        largest = max(largest, sum(len(line.text) for line in lines))
        cursor.commit(lines)
    assert largest < 1_200_000
    (log.folder / "sent.json").unlink()
    stream = EventStream(log.folder, faulty.url)
    assert stream.deliver_pending() == 3 * BATCH_LINES + 51
    assert faulty.largest == BATCH_LINES
    assert stream.rejected_count() == 1
    assert (log.folder / "refused.jsonl").stat().st_size < 10_000


def test_lines_of_earlier_versions_are_sent_and_read(faulty: Stub, tmp_path: Path) -> None:
    log = Events(tmp_path / "events")
    log.folder.mkdir()
    old = {name: value for name, value in json.loads(event().line()).items() if name not in ("user", "emissions_kg")}
    old["details"].pop("anomalies_by_entity")
    (log.folder / "events-2026-11.jsonl").write_text(json.dumps(old) + "\n")
    assert [each.user for each in log.read()] == [None]
    assert EventStream(log.folder, faulty.url).deliver_pending() == 1
    assert event_of(next(iter(faulty.documents.values())))[0] == log.read()[0]


# ---- settings, delivery and private data ---------------------------------------------------------------------------


def test_settings_make_the_stream(tmp_path: Path) -> None:
    given = Settings(
        _env_file=None,
        elastic_deployment_endpoint="https://es:9243",
        elastic_username="vigie",
        elastic_password="s3cret-pw",
    )
    stream = EventStream.from_settings(tmp_path, given)
    assert stream is not None
    node = next(iter(stream._client().transport.node_pool.all()))
    assert node.config.verify_certs
    assert EventStream.from_settings(tmp_path, Settings(_env_file=None)) is None


def test_delivery_ships(faulty: Stub, tmp_path: Path) -> None:
    written(tmp_path / "events", 3)
    at = Workspace.in_folder(
        tmp_path,
        Tracking("sqlite://", None, tmp_path / "runs"),
        event_stream=EventStream(tmp_path / "events", faulty.url),
    )
    assert deliver(at)["events"] == 3
    assert "events" not in deliver(Workspace.in_folder(tmp_path, at.tracking))


def test_recording_never_waits_for_elasticsearch(tmp_path: Path) -> None:
    dead = EventStream(tmp_path / "events", f"http://127.0.0.1:{free_port()}")
    at = Workspace.in_folder(tmp_path, Tracking("sqlite://", None, tmp_path / "runs"), event_stream=dead)
    began = time.monotonic()
    with recorded("data_load", Actor("ada"), at):
        pass
    assert time.monotonic() - began < 0.5
    assert dead.pending_count() == 1


def test_no_secret_no_place_no_private_text_is_sent_or_logged(
    server: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = Settings(
        _env_file=None,
        vigie_data_dir=tmp_path,
        vigie_user_key="k" * 40,
        elastic_deployment_endpoint=server.url,
        elastic_username="vigie",
        elastic_password="elastic-hunter2",
    )
    stream = EventStream.from_settings(tmp_path / "events", given)
    assert stream is not None
    at = Workspace.in_folder(
        tmp_path, Tracking("sqlite://", None, tmp_path / "runs"), settings=given, event_stream=stream
    )
    hostile = {
        "password": "hunter2-a",
        "api_key": "hunter2-b",
        "comment": "Mrs Smith of 12 Elm Street",
        "latitude": 48.8566,
        "nested": {"coordinates": [2.3522, 48.8566], "Email": "ada@example.org", "deeper": {"token": "hunter2-c"}},
    }
    caplog.set_level(logging.DEBUG)
    with (
        pytest.raises(ValueError, match="no way in"),
        recorded("data_load", Actor("ada.lovelace@example.org"), at, **hostile),
    ):
        raise ValueError("no way in: postgresql://vigie:hunter2-e@db/vigie with elastic-hunter2")
    stream.deliver_pending()
    server.freeze()
    with pytest.raises(ServiceUnavailableError):
        stream.check()
    server.thaw()
    [sent] = stored(server.url)
    everything = (
        json.dumps(sent)
        + "".join(path.read_text() for path in at.events.folder.glob("*.json*"))
        + caplog.text
        + stream.last_error
    )
    for private in ("hunter2", "Elm Street", "48.8566", "2.3522", "ada@example.org", "lovelace"):
        assert private not in everything, private
    assert (sent["status"], sent["log_level"]) == ("failed", "ERROR")
    assert sent["error_message"].startswith("no way in: postgresql://")


def test_private_names_in_lists_are_removed(tmp_path: Path) -> None:
    at = Workspace.in_folder(tmp_path, Tracking("sqlite://", None, tmp_path / "runs"))
    with recorded("data_load", Actor("ada"), at, list=[{"secret": "hunter2"}]):
        pass
    assert "hunter2" not in next(at.events.folder.glob("*.jsonl")).read_text()


def test_wrong_credentials_are_told_without_them(
    faulty: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = written(tmp_path / "events", 1)
    stream = EventStream(log.folder, faulty.url, "vigie", "wrong-hunter2")
    faulty.refusals = [401]
    assert stream.deliver_pending() == 0
    assert "401" in caplog.text
    assert "hunter2" not in caplog.text + stream.last_error
    assert stream.pending_count() == 1


def test_events_written_while_shipping_are_not_skipped(faulty: Stub, tmp_path: Path) -> None:
    log, stop = Events(tmp_path / "events"), threading.Event()

    def write() -> None:
        for number in range(300):
            log.add(event(number))
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    stream = EventStream(log.folder, faulty.url)
    while not stop.is_set():
        stream.deliver_pending()
    writer.join()
    stream.deliver_pending()
    assert [each["event"] for each in faulty.documents.values()] == [f"action {number}" for number in range(300)]
