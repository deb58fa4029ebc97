"""The JSON door of watches and incidents, on a real server: its tokens, its answers, and its published description."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from core.messages import Message
from core.settings import ROOT, Settings
from core.storage.watches.stores import WatchStores
from core.storage.watches.ticks import TickOutcome, TickRecord
from core.watches.incident import Incident, IncidentChange
from core.watches.source import FolderSource
from core.watches.watch import Watch
from core.workspace import Workspace
from pages.components import cache
from pages.watch.openapi import build_openapi
from pages.watch.routes import ROUTES
from pages.watch.token_check import MAX_ADDRESSES, MAX_WRONG_TOKENS, WINDOW_S, WrongTokens, has_token
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.http_client import Visitor

TOKEN, OTHER_TOKEN = "t0k3n-of-the-dashboard-9f2c5e7b1a4d", "t0k3n-of-the-tickets-+/=-6b3f8a2c9d1e"
ADDRESSES = ("/api/v1/incidents", "/api/v1/watches", "/api/v1/openapi.json", f"/api/v1/incidents/{'0' * 32}", "/api/x")
NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """Address of a server that knows two tokens, requires sign-in, and has watches and incidents."""
    store_incidents(folder)
    port = find_free_port()
    process = start_app(
        folder,
        port,
        VIGIE_REQUIRE_SIGN_IN="true",
        VIGIE_PRIVATE_RUNS="true",
        VIGIE_API_TOKENS=f"{TOKEN}, {OTHER_TOKEN}",
        VIGIE_TRUSTED_PROXIES="127.0.0.1",
    )
    yield f"http://127.0.0.1:{port}"
    kill_process_tree(process)


def ask(
    url: str, path: str, token: str = TOKEN, method: str = "GET", address: str = "", **headers: str
) -> tuple[HTTPResponse, Any]:
    """Send a request with a token; return the response and its JSON."""
    values = {"Authorization": f"Bearer {token}"} if token else {}
    response, body = Visitor(url, address=address).send(path, method, **(values | headers))
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.get("Set-Cookie") is None
    assert response.headers.get("Access-Control-Allow-Origin") is None
    return response, json.loads(body) if body else None


# ---- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.parametrize("path", ADDRESSES)
def test_door_answers_to_no_stranger(url: str, path: str) -> None:
    for number, (token, headers) in enumerate(
        [
            ("", {}),
            (TOKEN[:-1], {}),
            (f"{TOKEN}, {OTHER_TOKEN}", {}),
            ("", {"Authorization": TOKEN}),
            ("", {"Authorization": f"Basic {TOKEN}"}),
            ("", {"Authorization": "Bearer "}),
            ("", {"Cookie": f"token={TOKEN}; vigie_session={TOKEN}"}),
        ]
    ):
        response, body = ask(url, path, token, address=f"192.0.2.{number}", **headers)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert list(body) == ["error"]
        assert TOKEN not in body["error"]
    response, _ = ask(url, f"{path}?token={TOKEN}", "", address="192.0.2.8")
    assert response.status == 401


@pytest.mark.server
def test_door_opens_with_each_token(url: str) -> None:
    for token in (TOKEN, OTHER_TOKEN):
        response, body = ask(url, "/api/v1/watches", token)
        assert (response.status, list(body)) == (200, ["watches"])


@pytest.mark.server
def test_wrong_tokens_have_to_wait_and_the_right_one_has_not(url: str) -> None:
    address = "198.51.100.7"
    statuses = [ask(url, "/api/v1/watches", "x" * 40, address=address)[0].status for _ in range(MAX_WRONG_TOKENS + 5)]
    assert statuses == [401] * MAX_WRONG_TOKENS + [429] * 5
    refused, _ = ask(url, "/api/v1/incidents", "", address=address)
    assert refused.status == 429
    assert 0 < int(refused.headers["Retry-After"]) <= WINDOW_S
    assert ask(url, "/api/v1/watches", address=address)[0].status == 200
    assert ask(url, "/api/v1/watches", "x" * 40, address="198.51.100.8")[0].status == 401


@pytest.mark.server
def test_log_names_who_had_no_token_and_no_token(url: str, folder: Path) -> None:
    wrong = "wr0ng-token-of-somebody-4d1a9c7e2b5f"
    ask(url, "/api/v1/watches", wrong, address="203.0.113.5")
    ask(url, f"/api/v1/watches?token={TOKEN}", TOKEN)
    log = (folder / "app.log").read_text(encoding="utf-8")
    assert "203.0.113.5" in log
    assert not [token for token in (TOKEN, OTHER_TOKEN, wrong) if token in log]


@pytest.mark.server
@pytest.mark.parametrize("method", METHODS)
def test_door_only_reads(url: str, method: str) -> None:
    response, _ = ask(url, "/api/v1/incidents", method=method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.server
def test_page_of_another_site_is_refused_at_the_door(url: str) -> None:
    response, _ = Visitor(url).send("/api/v1/watches", Authorization=f"Bearer {TOKEN}", Origin="https://evil.example")
    assert response.status == 421


@pytest.mark.server
def test_door_without_tokens_is_closed(tmp_path: Path) -> None:
    port = find_free_port()
    process = start_app(tmp_path, port)
    try:
        for path in ADDRESSES:
            for token in ("", TOKEN):
                response, body = ask(f"http://127.0.0.1:{port}", path, token)
                assert (response.status, list(body)) == (404, ["error"])
    finally:
        kill_process_tree(process)


def test_door_tells_that_the_database_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = "pa55word-of-the-database-3310"
    database = f"postgresql://vigie:{password}@127.0.0.1:{find_free_port()}/vigie"
    settings = Settings(vigie_data_dir=tmp_path, vigie_api_tokens=SecretStr(TOKEN), database_url=SecretStr(database))
    workspace = Workspace.from_settings(settings)
    monkeypatch.setattr(cache, "get_workspace", lambda: workspace)
    program = TestClient(Starlette(routes=ROUTES), headers={"Authorization": f"Bearer {TOKEN}"})
    for path in ("/api/v1/watches", "/api/v1/incidents", f"/api/v1/incidents/{'0' * 32}"):
        answer = program.get(path)
        assert answer.status_code == 503
        assert "does not answer" in answer.json()["error"]
        assert password not in answer.text


def test_wrong_tokens_are_forgotten_in_time_and_in_number() -> None:
    now = 1000.0
    wrong_tokens = WrongTokens(lambda: now)
    assert [wrong_tokens.record("a") for _ in range(MAX_WRONG_TOKENS + 1)] == [0] * MAX_WRONG_TOKENS + [WINDOW_S]
    now += WINDOW_S - 1
    assert wrong_tokens.record("a") == 1
    now += 1
    assert wrong_tokens.record("a") == 0
    for number in range(MAX_ADDRESSES * 2):
        wrong_tokens.record(f"192.0.2.{number}")
    assert wrong_tokens.count_addresses() == MAX_ADDRESSES


@pytest.mark.parametrize("value", ["Bearer", "bearer", "BEARER"])
def test_scheme_of_token_is_written_in_any_case(value: str) -> None:
    assert has_token(Headers({"Authorization": f"{value} {TOKEN}"}), [OTHER_TOKEN, TOKEN])


def test_two_headers_with_tokens_are_none() -> None:
    pairs = [(b"authorization", f"Bearer {token}".encode()) for token in (TOKEN, OTHER_TOKEN)]
    assert not has_token(Headers(raw=pairs), [TOKEN, OTHER_TOKEN])
    assert not has_token(Headers(raw=[(b"authorization", b"Bearer \xff\xe9")]), [TOKEN])


# ---- answers --------------------------------------------------------------------------------------------------------


def make_incident(number: int, **fields: Any) -> Incident:
    """Return an incident of one hour; a larger number is a later one with a higher peak."""
    start = NOON + timedelta(hours=2 * number)
    times = {"start": start, "end": start + timedelta(hours=1), "peak_at": start}
    values = {"id": f"{number:032x}", "watch": "gas", "entity": "Köln <b>", "peak": float(number), **times, **fields}
    return Incident.model_validate(values)


INCIDENTS = [
    *(make_incident(number, severity=number % 3) for number in range(1, 8)),
    make_incident(8, state="resolved", resolved_at=NOON, verdict="true_alarm"),
    make_incident(9, measured=1.5, expected=3.0, low=None, column="MW", causes=("MW",), known_events=("Pfingsten",)),
]


def store_incidents(folder: Path) -> None:
    """Store two watches, of which one was asked once and has incidents."""
    with closing(WatchStores.open(folder / "watches")) as stores:
        for name in ("calls", "gas"):
            source = FolderSource(path="/srv/secret-of-the-path")
            watch = Watch(name=name, task="anomalies", model="gas@champion", source=source, schedule="1 hour")
            stores.watches.add_watch(watch, NOON)
        lease = stores.ticks.claim_tick("tests", NOON + timedelta(hours=1), "gas")
        assert lease is not None
        problem = Message("{file} was left out.", {"file": "wrong.csv"})
        record = TickRecord(lease.tick, "gas", NOON, NOON, NOON, rows_new=48, incidents_opened=9, problem=problem)
        changes = tuple(IncidentChange(kind="opened", incident=incident) for incident in INCIDENTS)
        assert stores.ticks.commit_tick(lease, TickOutcome(record, changes=changes), NOON + timedelta(hours=2))


def check_answer(name: str, answer: Any) -> None:
    """Check an answer against the schema `name` of the published description."""
    description = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(answer)


@pytest.mark.server
def test_door_lists_incidents_worst_first(url: str) -> None:
    response, answer = ask(url, "/api/v1/incidents")
    assert response.status == 200
    check_answer("IncidentsAnswer", answer)
    assert answer["next_offset"] is None
    assert [Incident.model_validate(incident) for incident in answer["incidents"]] == sorted(
        INCIDENTS, key=lambda incident: (not incident.is_open, -incident.severity, -incident.peak)
    )
    _, open_ones = ask(url, "/api/v1/incidents?open=true&watch=gas")
    assert open_ones["incidents"] == answer["incidents"][:-1]
    _, resolved = ask(url, "/api/v1/incidents?open=false")
    assert resolved["incidents"] == answer["incidents"][-1:]
    since = INCIDENTS[6].end.isoformat().replace("+00:00", "Z")
    _, recent = ask(url, f"/api/v1/incidents?since={since}")
    assert {incident["peak"] for incident in recent["incidents"]} == {7, 8, 9}
    _, none = ask(url, "/api/v1/incidents?watch=calls")
    assert none == {"incidents": [], "next_offset": None}


@pytest.mark.server
@pytest.mark.parametrize("limit", [1, 4, 9, 500])
def test_parts_of_the_list_are_the_list(url: str, limit: int) -> None:
    _, whole = ask(url, "/api/v1/incidents")
    offset, parts = 0, []
    while offset is not None:
        _, answer = ask(url, f"/api/v1/incidents?limit={limit}&offset={offset}")
        parts.append(answer["incidents"])
        offset = answer["next_offset"]
    assert [len(part) for part in parts[:-1]] == [limit] * (len(parts) - 1)
    assert parts[-1]
    assert [incident for part in parts for incident in part] == whole["incidents"]


@pytest.mark.server
def test_door_returns_one_incident(url: str) -> None:
    response, answer = ask(url, f"/api/v1/incidents/{INCIDENTS[8].id}")
    assert response.status == 200
    check_answer("Incident", answer)
    assert Incident.model_validate(answer) == INCIDENTS[8]


@pytest.mark.server
@pytest.mark.parametrize("incident_id", ["f" * 32, INCIDENTS[0].id[:12], "x", "%F0%9F%8E%89" * 50])
def test_door_does_not_know_another_incident(url: str, incident_id: str) -> None:
    response, answer = ask(url, f"/api/v1/incidents/{incident_id}")
    assert response.status == 404
    check_answer("RefusalAnswer", answer)
    assert "does not exist" in answer["error"]


@pytest.mark.server
def test_door_lists_watches_without_their_sources(url: str) -> None:
    response, answer = ask(url, "/api/v1/watches")
    assert response.status == 200
    check_answer("WatchesAnswer", answer)
    assert [watch["name"] for watch in answer["watches"]] == ["calls", "gas"]
    calls, gas = answer["watches"]
    assert (calls["last_tick"], gas["last_tick"]["rows_new"]) == (None, 48)
    assert gas["last_tick"]["problem"] == "wrong.csv was left out."
    assert gas["next_tick"] == "2026-03-28T14:00:00Z"
    assert "secret" not in json.dumps(answer)


@pytest.mark.server
@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("limit=1000000000000000000000", "limit = '1000000000000000000000' is not accepted"),
        ("limit=0", "greater than or equal to 1"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("offset=10001", "offset"),
        ("open=perhaps", "open = 'perhaps'"),
        ("since=2026-01-31", "since"),
        ("since=2026-01-31T13:00:00", "timezone"),
        ("since=2026-01-31T13:00:00+01:00", "since"),
        ("watch=Gas%00", "watch"),
        ("watch=" + "g" * 5000, "watch"),
        ("open=true&open=false", "The parameter open is given twice."),
        ("colour=red", "The parameter colour is unknown. Accepted: open, watch, since, limit, offset."),
    ],
)
def test_door_refuses_other_parameters(url: str, parameters: str, problem: str) -> None:
    response, answer = ask(url, f"/api/v1/incidents?{parameters}")
    assert response.status == 400
    assert problem in answer["error"]
    assert len(answer["error"]) < 400


@pytest.mark.server
def test_door_names_an_unknown_watch(url: str) -> None:
    response, answer = ask(url, "/api/v1/incidents?watch=nothing")
    assert response.status == 404
    assert "nothing" in answer["error"]


@pytest.mark.server
def test_head_has_no_body_and_other_addresses_have_no_answer(url: str) -> None:
    response, answer = ask(url, "/api/v1/watches", method="HEAD")
    assert (response.status, answer) == (200, None)
    for path in ("/api", "/api/", "/api/v2/watches", "/api/v1/watches/gas", "/api/v1/incidents/a/b"):
        assert ask(url, path)[0].status == 404


@pytest.mark.server
def test_door_publishes_its_description(url: str) -> None:
    _, answer = ask(url, "/api/v1/openapi.json")
    assert answer == json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))


# ---- the description ------------------------------------------------------------------------------------------------


def test_openapi_matches_published_file() -> None:
    published = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert published.rstrip("\n") == json.dumps(build_openapi(), indent=2)


def test_openapi_schemas_are_valid() -> None:
    schemas = build_openapi()["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references = set(_iter_references(build_openapi()))
    assert references == {f"#/components/schemas/{name}" for name in schemas}


def _iter_references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _iter_references(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from [item] if name == "$ref" else _iter_references(item)
