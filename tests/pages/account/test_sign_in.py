"""Access to pages and the account routes, over HTTP and Streamlit's websocket, on a real server.

The tests cover pages/account (`sign_in`, `access_denied`, `user_badge`, `html_forms`, `routes`) and the setup token.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit import config

from core.accounts import ROLES
from core.accounts.service import Accounts
from core.accounts.setup_token import MAX_ATTEMPTS, SetupToken
from core.errors import AccessDeniedError
from core.settings import Settings
from core.storage.events.log import EventLog
from pages.account.routes import sanitise_target
from pages.components import auth
from pages.navigation import SECTIONS, PageSpec
from tests.conftest import assert_no_hang, find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.databases import open_accounts, start_postgres
from tests.support.http_client import Screen, Visitor, get_session_cookie, load_page
from tests.support.servers import ServerProcess
from tests.support.setup_token import read_setup_token

pytestmark = pytest.mark.server

PASSWORD = "orage-violet-tambour-7"
ROLES_BY_USER = {"ana": ["analyst"], "otto": ["operator"], "ada": ["administrator"], "both": ["analyst", "operator"]}
PAGES = [page for section in SECTIONS.values() for page in section]
COOKIES = ["vigie_session", "vigie_device"]
ROUTES = ["/account/sign-in", "/account/sign-out", "/account/sign-out-everywhere", "/account/first"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server_accounts(folder: Path) -> Accounts:
    """Accounts of the server: one user for each role, one with two roles, one without a role."""
    service = Accounts("", folder)
    for name, roles in (ROLES_BY_USER | {"nora": []}).items():
        service.add_user(name, PASSWORD, roles)
    return service


@pytest.fixture(scope="module")
def url(folder: Path, server_accounts: Accounts) -> Iterator[str]:
    port = find_free_port()
    process = start_app(folder, port, VIGIE_REQUIRE_SIGN_IN="true", VIGIE_TRUSTED_PROXIES="127.0.0.1")
    yield f"http://127.0.0.1:{port}"
    kill_process_tree(process)


@pytest.fixture(scope="module")
def visitors(url: str) -> dict[str, Visitor]:
    """Signed-in visitors by user name."""
    signed_in = {name: Visitor(url) for name in (*ROLES_BY_USER, "nora")}
    for name, visitor in signed_in.items():
        assert visitor.sign_in(name, PASSWORD).status == 303
    return signed_in


@pytest.fixture
def new_visitor(server_accounts: Accounts, url: str) -> Visitor:
    """A visitor signed in as a new user, for tests that change the account."""
    name = f"user{time.monotonic_ns()}"
    server_accounts.add_user(name, PASSWORD, ["analyst"])
    visitor = Visitor(url)
    visitor.name = name  # type: ignore[attr-defined]
    visitor.sign_in(name, PASSWORD)
    return visitor


def is_sign_in_page(screen: Screen) -> bool:
    """Tell whether the screen shows the sign-in page and nothing else."""
    has_no_other_elements = set(screen.kinds) <= {"heading", "markdown", "html", "alert"} and len(screen.kinds) <= 4
    return has_no_other_elements and "/account/sign-in" in screen.text and screen.menu == []


def is_access_denied(screen: Screen) -> bool:
    return screen.kinds == ["heading", "alert", "page_link"] and 'body: "No access"' in screen.text


# ---- access to pages by role ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ana", "otto", "ada"])
@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.address)
def test_page_access_follows_roles(visitors: dict[str, Visitor], place: PageSpec, name: str) -> None:
    screen = visitors[name].open_page(place.address)
    is_allowed = not set(ROLES_BY_USER[name]).isdisjoint(place.roles)
    assert is_access_denied(screen) is not is_allowed, screen.text[-2000:]
    assert not is_sign_in_page(screen)
    assert screen.kinds
    address = "" if place is PAGES[0] else place.address
    assert (address in screen.menu, address in screen.hidden) == (is_allowed, not is_allowed)


def test_user_with_two_roles_opens_the_pages_of_both(visitors: dict[str, Visitor]) -> None:
    denied = [
        address for address in ("data", "health", "users") if is_access_denied(visitors["both"].open_page(address))
    ]
    assert denied == ["users"]


def test_page_roles_are_monotonic() -> None:
    addresses = [{page.address for page in PAGES if role in page.roles} for role in ROLES]
    assert addresses[0] < addresses[1] < addresses[2] == {page.address for page in PAGES}


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.address)
def test_anonymous_visitor_sees_only_sign_in(url: str, place: PageSpec) -> None:
    assert is_sign_in_page(Visitor(url).open_page(place.address))
    assert is_sign_in_page(Visitor(url, cookie="made-up").open_page(place.address))


@pytest.mark.parametrize("address", ["users", "load"])
def test_fresh_process_protects_first_page(tmp_path: Path, address: str) -> None:
    """Streamlit must not serve a page before the gate has run once."""
    Accounts("", tmp_path).add_user("ana", PASSWORD, ["analyst"])
    port = find_free_port()
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        assert is_sign_in_page(Visitor(f"http://127.0.0.1:{port}").open_page(address))
    finally:
        kill_process_tree(process)


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.address)
def test_user_without_role_sees_notice(visitors: dict[str, Visitor], place: PageSpec) -> None:
    screen = visitors["nora"].open_page(place.address)
    assert screen.kinds == ["heading", "alert", "html"]
    assert "Ask an administrator for one" in screen.text
    assert "nora" in screen.text
    assert screen.menu == []


def test_server_without_sign_in_opens_all_pages(tmp_path: Path) -> None:
    """On a laptop every page except those of accounts is open, and no account route answers."""
    port = find_free_port()
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="")
    try:
        visitor = Visitor(f"http://127.0.0.1:{port}")
        pages = visitor.open_page()
        assert pages.menu == ["", *(page.address for page in PAGES[1:] if not page.is_account_page)]
        assert pages.hidden == []
        assert {visitor.send_form(route, {}).status for route in ROUTES} == {404}
        assert not (tmp_path / "accounts.db").exists()
        assert "token" not in (tmp_path / "app.log").read_text()
    finally:
        kill_process_tree(process)


@pytest.mark.parametrize(
    ("said", "address", "required"),
    [
        ("", "127.0.0.1", False),
        ("", "localhost", False),
        ("", "::1", False),
        ("", "0.0.0.0", True),
        ("", None, True),
        ("", "192.168.1.4", True),
        ("true", "127.0.0.1", True),
        ("false", "0.0.0.0", False),
    ],
)
def test_sign_in_required_by_setting_and_address(
    monkeypatch: pytest.MonkeyPatch, said: str, address: str | None, required: bool
) -> None:
    monkeypatch.setenv("VIGIE_REQUIRE_SIGN_IN", said)
    before = config.get_option("server.address")
    config.set_option("server.address", address)
    monkeypatch.setattr(auth.cache, "get_workspace", lambda: SimpleNamespace(settings=Settings(_env_file=None)))
    try:
        assert auth.is_sign_in_required() is required
    finally:
        config.set_option("server.address", before)


# ---- changes that act at the next rerun -----------------------------------------------------------------------------


def test_sign_out_acts_in_every_tab(new_visitor: Visitor) -> None:
    with new_visitor.open_tab() as tab:
        assert not is_sign_in_page(load_page(tab))
        assert new_visitor.send_form("/account/sign-out", {"csrf": read_csrf_token(new_visitor)}).status == 303
        assert is_sign_in_page(load_page(tab))


def test_sign_out_everywhere_acts_in_other_browser(new_visitor: Visitor) -> None:
    other_visitor = Visitor(new_visitor.url)
    other_visitor.sign_in(new_visitor.name, PASSWORD)  # type: ignore[attr-defined]
    with other_visitor.open_tab() as tab:
        assert not is_sign_in_page(load_page(tab, "account"))
        answer = new_visitor.send_form("/account/sign-out-everywhere", {"csrf": read_csrf_token(new_visitor)})
        assert answer.status == 303
        assert 'vigie_session=""' in answer.headers["Set-Cookie"]
        assert is_sign_in_page(load_page(tab, "account"))
    assert is_sign_in_page(new_visitor.open_page())


def test_role_change_acts_at_next_rerun(new_visitor: Visitor, server_accounts: Accounts) -> None:
    name = new_visitor.name  # type: ignore[attr-defined]
    with new_visitor.open_tab() as tab:
        assert is_access_denied(load_page(tab, "health"))
        server_accounts.set_roles(name, ["operator"])
        assert not is_access_denied(load_page(tab, "health"))
        server_accounts.set_roles(name, [])
        assert "You have no role yet" in load_page(tab, "health").text
        server_accounts.set_disabled(name, True)
        assert is_sign_in_page(load_page(tab, "health"))


def read_csrf_token(visitor: Visitor) -> str:
    """Return the CSRF token of the form in the sidebar."""
    match = re.search(r'name=\\"csrf\\" value=\\"(\w+)\\"', visitor.open_page().text)
    assert match
    return match[1]


# ---- account routes -------------------------------------------------------------------------------------------------


def test_session_cookie_has_security_flags(url: str) -> None:
    http_answer, https_answer = (
        Visitor(url).sign_in("ana", PASSWORD),
        Visitor(url).sign_in("ana", PASSWORD, X_Forwarded_Proto="https"),
    )
    flags = {part.strip() for part in http_answer.headers["Set-Cookie"].split(";")[1:]}
    assert flags >= {"HttpOnly", "SameSite=lax", "Path=/"}
    assert "Secure" not in flags
    assert "Secure" in https_answer.headers["Set-Cookie"]
    assert 0 < int(re.findall(r"Max-Age=(\d+)", http_answer.headers["Set-Cookie"])[0]) <= 30 * 86_400
    assert http_answer.headers["Cache-Control"] == "no-store"
    assert get_session_cookie(http_answer) != get_session_cookie(https_answer)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("origin", "referer", "status"),
    [
        (None, None, 403),
        ("null", None, 403),
        ("https://evil.example", None, 421),
        ("http://127.0.0.1:1", None, 421),
        ("http://127.0.0.1", None, 421),
        (None, "https://evil.example/form", 403),
        ("nonsense", None, 421),
        ("http://[", None, 421),
        ("ftp://{host}", None, 421),
        ("http://{host}.evil.example", None, 421),
        ("http://evil.example@127.0.0.1", None, 421),
        ("https://evil.example", "http://{host}/", 421),
    ],
)
def test_account_route_refuses_cross_site_form(
    visitors: dict[str, Visitor], route: str, origin: str | None, referer: str | None, status: int
) -> None:
    visitor = visitors["ana"]
    headers = {
        name: value and value.format(host=visitor.host) for name, value in (("Origin", origin), ("Referer", referer))
    }
    form = {"user": "ana", "password": PASSWORD, "csrf": read_csrf_token(visitor) if origin == "null" else ""}
    answer = visitor.send_form(route, form, **headers)
    assert answer.status == status
    assert not answer.headers["Set-Cookie"]


def test_sign_in_accepts_same_site_referer(url: str) -> None:
    answer = Visitor(url).sign_in("ana", PASSWORD, Origin=None, Referer=f"{url}/anomalies")
    assert get_session_cookie(answer)


@pytest.mark.parametrize("route", ROUTES[1:3])
@pytest.mark.parametrize("said", ["", "0" * 64, "é"])
def test_account_route_requires_csrf_token(visitors: dict[str, Visitor], route: str, said: str) -> None:
    assert visitors["ana"].send_form(route, {"csrf": said}).status == 403
    assert visitors["ana"].send_form(route, {"csrf": read_csrf_token(visitors["otto"])}).status == 403
    assert not is_sign_in_page(visitors["ana"].open_page())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_account_route_refuses_other_methods(visitors: dict[str, Visitor], route: str, method: str) -> None:
    assert visitors["ana"].send_form(route, {"user": "ana", "password": PASSWORD}, method).status == 405


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", None])
def test_account_route_refuses_other_content_types(url: str, route: str, kind: str | None) -> None:
    assert Visitor(url).send_form(route, b'{"user": "ana"}', Content_Type=kind).status == 415


@pytest.mark.parametrize("route", ROUTES)
def test_account_route_refuses_large_body(url: str, route: str) -> None:
    assert Visitor(url).send_form(route, b"user=" + b"x" * 9_000).status == 413


def test_account_route_refuses_large_chunked_body(url: str) -> None:
    """The body is sent in chunks without Content-Length; the answer arrives before its end."""
    import socket

    host, port = Visitor(url).host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = (
            f"POST /account/sign-in HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\nContent-Type: "
            f"application/x-www-form-urlencoded\r\n"
        )
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(12):
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "evil.example",
        "",
        "/" + "x" * 3_000,
        "/é",
        "/\x00",
    ],
)
def test_sign_in_refuses_external_redirect(url: str, target: str) -> None:
    answer = Visitor(url).sign_in("ana", PASSWORD, next=target)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert [line.partition("=")[0] for line in answer.headers.get_all("Set-Cookie") or []] == COOKIES


@pytest.mark.parametrize(
    "target", ["/", "/anomalies", "/anomalies?dataset=abc&run=1", "/forecast?entity=%C3%89t%C3%A9"]
)
def test_sign_in_returns_to_requested_page(url: str, target: str) -> None:
    assert Visitor(url).sign_in("ana", PASSWORD, next=f"{target}").headers["Location"] == target
    failed = Visitor(url).sign_in("ana", "wrong", next=target).headers["Location"]
    assert failed.startswith(target)
    assert Visitor(url).sign_in("ana", PASSWORD, next=failed).headers["Location"] == target, (
        "the refusal is removed from the address"
    )
    assert sanitise_target(target) == target


def test_sign_in_form_keeps_page_and_query(url: str) -> None:
    text = Visitor(url).open_page("anomalies", query='dataset=a"><script>alert(1)</script>&sign-in=refused').text
    [form] = re.findall(r"<form .*?</form>", text)
    assert 'name=\\"next\\" value=\\"/anomalies?dataset=a%22%3E%3Cscript' in form
    assert "<script" not in form
    assert "sign-in=refused" not in form


def test_sign_in_prevents_session_fixation(url: str) -> None:
    """A session token placed in the browser by somebody else is neither used nor left valid."""
    attacker = Visitor(url)
    attacker.sign_in("ana", PASSWORD)
    victim = Visitor(url, cookie=attacker.cookie)
    victim.sign_in("otto", PASSWORD)
    assert victim.cookie != attacker.cookie
    assert is_sign_in_page(attacker.open_page())
    forged = Visitor(url, cookie="chosen-by-somebody-else")
    assert get_session_cookie(forged.sign_in("ana", PASSWORD)) not in ("", "chosen-by-somebody-else")


# ---- refused sign-ins -----------------------------------------------------------------------------------------------


def attempt_sign_in(visitor: Visitor, name: str, password: str = "wrong") -> tuple[str, str]:
    """Try to sign in. Return the reason in the address and the message on the page."""
    answer = visitor.sign_in(name, password, next="/forecast")
    assert not answer.headers["Set-Cookie"]
    address = urlsplit(answer.headers["Location"])
    screen = visitor.open_page("forecast", query=address.query)
    assert is_sign_in_page(screen), screen.kinds
    [message] = re.findall(r'alert {\s*body: "(.*?)"', screen.text)
    return parse_qs(address.query)["sign-in"][0], message


def test_sign_in_refusal_hides_existing_accounts(url: str, server_accounts: Accounts) -> None:
    server_accounts.add_user("gone", PASSWORD, ["analyst"])
    server_accounts.set_disabled("gone", True)
    refusals = {
        attempt_sign_in(Visitor(url), name, password)
        for name, password in (("otto", "wrong"), ("nobody-here", "wrong"), ("gone", PASSWORD))
    }
    assert len(refusals) == 1
    assert refusals.pop()[0] == "refused"


def test_sign_in_remembers_the_device(url: str, server_accounts: Accounts) -> None:
    """A colleague at the same address uses up its attempts; the device of the user signs in all the same."""
    name = f"user{time.monotonic_ns()}"
    server_accounts.add_user(name, PASSWORD, ["analyst"])
    device = Visitor(url, address="203.0.113.8").sign_in(name, PASSWORD).headers.get_all("Set-Cookie")
    assert device is not None
    token, _separator, flags = device[1].removeprefix("vigie_device=").partition("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/account"} <= set(flags.split("; "))
    stranger = Visitor(url, address="203.0.113.8")
    while "sign-in=locked" not in stranger.sign_in(name, "wrong").headers["Location"]:
        pass
    assert not get_session_cookie(stranger.sign_in(name, PASSWORD))
    assert get_session_cookie(stranger.sign_in(name, PASSWORD, Cookie=f"vigie_device={token}"))


def test_address_of_a_visitor_comes_from_configured_proxies_only(
    url: str, server_accounts: Accounts, tmp_path: Path
) -> None:
    """Without the setting, a header of a visitor does not change the address, not even on the same machine."""
    Visitor(url, address="198.51.100.1, 198.51.100.2").sign_in("ana", PASSWORD)
    assert server_accounts.list_sign_ins("ana", 1)[0].address == "198.51.100.2"
    accounts, port = Accounts("", tmp_path), find_free_port()
    accounts.add_user("ana", PASSWORD, ["analyst"])
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        Visitor(f"http://127.0.0.1:{port}", address="198.51.100.1").sign_in("ana", PASSWORD)
    finally:
        kill_process_tree(process)
    assert accounts.list_sign_ins("ana", 1)[0].address == "127.0.0.1"


def test_sign_in_rate_limit_hides_existing_accounts(url: str, server_accounts: Accounts) -> None:
    server_accounts.add_user("patient", PASSWORD, ["analyst"])
    refusals = []
    for name in ("patient", "nobody-patient"):
        for _ in range(30):
            reason, message = attempt_sign_in(Visitor(url, address="203.0.113.7"), name)
            if reason == "locked":
                break
        refusals.append((reason, message))
    assert refusals[0] == refusals[1]
    assert refusals[0][0] == "locked"
    assert re.search(r"\d+ min", refusals[0][1])


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>",
        "../../etc/passwd",
        "ana'--",
        "' OR 1=1 --",
        "\x00",
        "a" * 5_000,
        "=cmd|' /C calc'!A0",
        "é\u202e",
        "",
    ],
)
def test_sign_in_rejects_script_in_username(url: str, name: str) -> None:
    visitor = Visitor(url)
    answer = visitor.sign_in(name, PASSWORD)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/?sign-in=")
    assert not name or name[:20] not in answer.headers["Location"]
    assert is_sign_in_page(visitor.open_page("", query=urlsplit(answer.headers["Location"]).query))


def test_query_cannot_inject_message_text(url: str) -> None:
    screen = Visitor(url).open_page("", query="sign-in=<b>Call+555</b>&note=Call+555")
    assert "Call" not in re.sub(r"<form .*?</form>", "", screen.text)


def test_sign_in_and_out_are_logged(url: str, folder: Path) -> None:
    before = len(EventLog(folder / "events").read_events())
    visitor = Visitor(url)
    visitor.sign_in("ana", "typed-by-mistake-1")
    visitor.sign_in("typed-name-of-nobody", "typed-by-mistake-2")
    visitor.sign_in("ana", PASSWORD)
    visitor.send_form("/account/sign-out", {"csrf": read_csrf_token(visitor)})
    events = EventLog(folder / "events").read_events()[before:]
    assert [(event.event, event.status, event.user) for event in events] == [
        ("sign_in", "failed", "ana"),
        ("sign_in", "failed", "anonymous"),
        ("sign_in", "completed", "ana"),
        ("sign_out", "completed", "ana"),
    ]
    log_text = "".join(path.read_text() for path in [*(folder / "events").iterdir(), folder / "app.log"])
    for secret in (PASSWORD, "typed-by-mistake", "typed-name-of-nobody", visitor.cookie):
        assert secret not in log_text


# ---- first administrator --------------------------------------------------------------------------------------------


@pytest.fixture
def first_visitor(tmp_path: Path) -> Iterator[Visitor]:
    """A visitor of a server without accounts."""
    port = find_free_port()
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    yield Visitor(f"http://127.0.0.1:{port}")
    kill_process_tree(process)


def test_setup_token_creates_first_administrator(first_visitor: Visitor, tmp_path: Path) -> None:
    token = read_setup_token(tmp_path)
    screen = first_visitor.open_page("users")
    assert "/account/first" in screen.text
    assert "python -m core users add" in screen.text
    assert token not in screen.text
    for form, reason in (
        ({"token": "wrong"}, "Vigie prints the valid token when it starts"),
        ({"token": ""}, "Vigie prints the valid token when it starts"),
        ({"again": "another-one-1234"}, "The two passwords do not match"),
        ({"password": "password1234", "again": "password1234"}, "easy to guess"),
        ({"user": "<b>"}, "not accepted"),
    ):
        assert reason in _submit_setup_form(first_visitor, token, form)
        assert Accounts("", tmp_path).is_empty()
    assert _submit_setup_form(first_visitor, token, {}) == ""
    assert not is_access_denied(first_visitor.open_page("users"))
    assert [user.roles for user in Accounts("", tmp_path).list_users()] == [{"administrator"}]
    assert "Vigie prints the valid token when it starts" in _submit_setup_form(
        Visitor(first_visitor.url), token, {"user": "mallory"}
    )
    assert is_sign_in_page(Visitor(first_visitor.url).open_page())


def _submit_setup_form(visitor: Visitor, token: str, form: dict[str, str]) -> str:
    """Submit the setup form. Return the text of the page, or "" if the visitor is signed in."""
    default_form = {"token": token, "user": "ada", "password": PASSWORD, "again": PASSWORD, "next": "/users"}
    answer = visitor.send_form("/account/first", default_form | form)
    visitor.cookie = get_session_cookie(answer)
    assert answer.status == 303
    address = urlsplit(answer.headers["Location"])
    assert address.path == "/users"
    return "" if not address.query else visitor.open_page("users", query=address.query).text


def test_setup_token_is_one_for_all_processes_and_limits_attempts(tmp_path: Path) -> None:
    processes = [SetupToken(tmp_path / "a.json") for _ in range(2)]
    for setup_token in processes:
        setup_token.check(processes[0].token)
    for number in range(MAX_ATTEMPTS):
        with pytest.raises(AccessDeniedError, match="Vigie prints the valid token when it starts"):
            processes[number % 2].check("wrong")
    for setup_token in processes:
        with pytest.raises(AccessDeniedError, match="Too many wrong tokens"):
            setup_token.check(setup_token.token)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_used_setup_token_is_no_token(is_damaged: bool, tmp_path: Path) -> None:
    processes = [SetupToken(tmp_path / "a.json") for _ in range(2)]
    token = processes[0].token
    processes[0].invalidate()
    if is_damaged:
        (tmp_path / "a.json").write_text("{")
    for text in ("", token):
        with pytest.raises(AccessDeniedError, match="Vigie prints the valid token when it starts"):
            processes[1].check(text)


# ---- database outage ------------------------------------------------------------------------------------------------


@pytest.fixture
def database() -> Iterator[ServerProcess]:
    with start_postgres() as server:
        yield server


def test_database_outage_keeps_signed_in_users_working(database: ServerProcess, tmp_path: Path) -> None:
    port = find_free_port()
    with open_accounts(database.url, tmp_path) as accounts:
        accounts.add_user("ana", PASSWORD, ["analyst"])
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true", DATABASE_URL=database.url)
    try:
        _check_pages_during_outage(Visitor(f"http://127.0.0.1:{port}"), database)
    finally:
        kill_process_tree(process)


def _check_pages_during_outage(ana: Visitor, database: ServerProcess) -> None:
    ana.sign_in("ana", PASSWORD)
    with ana.open_tab() as tab:
        for page in ("anomalies", "", "health"):
            load_page(tab, page)
        for interrupt, restore in (
            (ServerProcess.kill, ServerProcess.start),
            (ServerProcess.freeze, ServerProcess.thaw),
        ):
            interrupt(database)
            for page in ("anomalies", "", "health"):
                with assert_no_hang():
                    screen = load_page(tab, page)
                assert is_access_denied(screen) is (page == "health")
            new = Visitor(ana.url)
            screen = new.open_page("anomalies")
            assert screen.kinds == ["heading", "alert", "button"]  # the reason is hidden from anonymous visitors
            assert "The account database does not respond" in screen.text
            assert "/account/sign-in" not in screen.text
            assert "sign-in=unreachable" in new.sign_in("ana", PASSWORD).headers["Location"]
            restore(database)
            deadline = time.monotonic() + 20  # the circuit breaker stays open for five seconds
            while not is_sign_in_page(new.open_page("anomalies")):
                assert time.monotonic() < deadline
                time.sleep(0.5)
            assert new.sign_in("ana", PASSWORD).headers["Location"] == "/"
