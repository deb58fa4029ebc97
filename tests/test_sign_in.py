"""Access to pages and the account routes, over HTTP and Streamlit's websocket, on a real server.

The tests cover pages/account (`sign_in`, `access_denied`, `user_badge`, `html_forms`, `routes`) and the setup token.
"""

import re
import time
from collections.abc import Callable, Iterator
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
from core.storage.events.log import Events
from core.storage.flash import FlashMessages
from pages.account.routes import same_site
from pages.components import auth
from pages.navigation import SECTIONS, PageSpec
from tests.conftest import free_port, stop
from tests.databases import opened, running_postgres
from tests.servers import Running
from tests.test_browser import started
from tests.visitors import Screen, Visitor, cookie, look

pytestmark = pytest.mark.server

PASSWORD = "orage-violet-tambour-7"
PEOPLE = {"ana": ["analyst"], "otto": ["operator"], "ada": ["administrator"], "both": ["analyst", "operator"]}
PLACES = [place for places in SECTIONS.values() for place in places]
ROUTES = ["/account/sign-in", "/account/sign-out", "/account/sign-out-everywhere", "/account/first"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def people(folder: Path) -> Accounts:
    """Accounts of the server: one user for each role, one with two roles, one without a role."""
    found = Accounts("", folder)
    for name, roles in (PEOPLE | {"nora": []}).items():
        found.add_user(name, PASSWORD, roles)
    return found


@pytest.fixture(scope="module")
def url(folder: Path, people: Accounts) -> Iterator[str]:
    port = free_port()
    process = started(folder, port, VIGIE_REQUIRE_SIGN_IN="true")
    yield f"http://127.0.0.1:{port}"
    stop(process)


@pytest.fixture(scope="module")
def visitors(url: str) -> dict[str, Visitor]:
    """Signed-in visitors by user name."""
    found = {name: Visitor(url) for name in (*PEOPLE, "nora")}
    for name, visitor in found.items():
        assert visitor.signs_in(name, PASSWORD).status == 303
    return found


@pytest.fixture
def somebody(people: Accounts, url: str) -> Visitor:
    """A visitor signed in as a new user, for tests that change the account."""
    name = f"user{time.monotonic_ns()}"
    people.add_user(name, PASSWORD, ["analyst"])
    visitor = Visitor(url)
    visitor.name = name  # type: ignore[attr-defined]
    visitor.signs_in(name, PASSWORD)
    return visitor


def is_the_form(screen: Screen) -> bool:
    """Tell whether the screen shows the sign-in page and nothing else."""
    only = set(screen.kinds) <= {"heading", "markdown", "html", "alert"} and len(screen.kinds) <= 4
    return only and "/account/sign-in" in screen.text and screen.menu == []


def is_refused(screen: Screen) -> bool:
    return screen.kinds == ["heading", "alert", "page_link"] and 'body: "No access"' in screen.text


# ---- access to pages by role ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.address)
def test_a_deep_link_by_role(visitors: dict[str, Visitor], place: PageSpec, name: str) -> None:
    screen = visitors[name].sees(place.address)
    reached = not set(PEOPLE[name]).isdisjoint(place.roles)
    assert is_refused(screen) is not reached, screen.text[-2000:]
    assert not is_the_form(screen)
    assert screen.kinds
    address = "" if place is PLACES[0] else place.address
    assert (address in screen.menu, address in screen.hidden) == (reached, not reached)


def test_every_role_is_somewhere_and_more_roles_reach_more() -> None:
    reached = [{place.address for place in PLACES if role in place.roles} for role in ROLES]
    assert reached[0] < reached[1] < reached[2] == {place.address for place in PLACES}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.address)
def test_nobody_sees_the_form_and_nothing_else(url: str, place: PageSpec) -> None:
    assert is_the_form(Visitor(url).sees(place.address))
    assert is_the_form(Visitor(url, cookie="made-up").sees(place.address))


@pytest.mark.parametrize("address", ["users", "load"])
def test_the_first_visitor_of_a_fresh_process(tmp_path: Path, address: str) -> None:
    """Streamlit must not serve a page before the gate has run once."""
    Accounts("", tmp_path).add_user("ana", PASSWORD, ["analyst"])
    port = free_port()
    process = started(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        assert is_the_form(Visitor(f"http://127.0.0.1:{port}").sees(address))
    finally:
        stop(process)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.address)
def test_somebody_without_a_role_is_told_so(visitors: dict[str, Visitor], place: PageSpec) -> None:
    screen = visitors["nora"].sees(place.address)
    assert screen.kinds == ["heading", "alert", "html"]
    assert "An administrator has to give you a role" in screen.text
    assert "nora" in screen.text
    assert screen.menu == []


def test_where_nobody_has_to_sign_in(tmp_path: Path) -> None:
    """On a laptop every page except those of accounts is open, and no account route answers."""
    port = free_port()
    process = started(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="")
    try:
        visitor = Visitor(f"http://127.0.0.1:{port}")
        pages = visitor.sees()
        assert pages.menu == ["", *(place.address for place in PLACES[1:] if not place.needs_an_account)]
        assert pages.hidden == []
        assert {visitor.sends(route, {}).status for route in ROUTES} == {404}
        assert not (tmp_path / "accounts.db").exists()
        assert "token" not in (tmp_path / "app.log").read_text()
    finally:
        stop(process)


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
def test_whether_people_have_to_sign_in(
    monkeypatch: pytest.MonkeyPatch, said: str, address: str | None, required: bool
) -> None:
    monkeypatch.setenv("VIGIE_REQUIRE_SIGN_IN", said)
    before = config.get_option("server.address")
    config.set_option("server.address", address)
    monkeypatch.setattr(auth.cache, "get_workspace", lambda: SimpleNamespace(settings=Settings(_env_file=None)))
    try:
        assert auth.sign_in_required() is required
    finally:
        config.set_option("server.address", before)


# ---- changes that act at the next rerun -----------------------------------------------------------------------------


def test_signing_out_acts_in_every_tab(somebody: Visitor) -> None:
    with somebody.arrives() as tab:
        assert not is_the_form(look(tab))
        assert somebody.sends("/account/sign-out", {"csrf": csrf(somebody)}).status == 303
        assert is_the_form(look(tab))


def test_signing_out_everywhere_acts_in_another_browser(somebody: Visitor) -> None:
    other = Visitor(somebody.url)
    other.signs_in(somebody.name, PASSWORD)  # type: ignore[attr-defined]
    with other.arrives() as tab:
        assert not is_the_form(look(tab, "account"))
        answer = somebody.sends("/account/sign-out-everywhere", {"csrf": csrf(somebody)})
        assert answer.status == 303
        assert 'vigie_session=""' in answer.headers["Set-Cookie"]
        assert is_the_form(look(tab, "account"))
    assert is_the_form(somebody.sees())


def test_a_role_that_is_given_or_taken_acts_at_once(somebody: Visitor, people: Accounts) -> None:
    name = somebody.name  # type: ignore[attr-defined]
    with somebody.arrives() as tab:
        assert is_refused(look(tab, "health"))
        people.set_roles(name, ["operator"])
        assert not is_refused(look(tab, "health"))
        people.set_roles(name, [])
        assert "has to give you a role" in look(tab, "health").text
        people.set_disabled(name, True)
        assert is_the_form(look(tab, "health"))


def csrf(visitor: Visitor) -> str:
    """Return the CSRF token of the form in the sidebar."""
    found = re.search(r'name=\\"csrf\\" value=\\"(\w+)\\"', visitor.sees().text)
    assert found
    return found[1]


# ---- account routes -------------------------------------------------------------------------------------------------


def test_the_cookie_is_kept_from_scripts_and_other_sites(url: str) -> None:
    plain, by_proxy = (
        Visitor(url).signs_in("ana", PASSWORD),
        Visitor(url).signs_in("ana", PASSWORD, X_Forwarded_Proto="https"),
    )
    flags = {part.strip() for part in plain.headers["Set-Cookie"].split(";")[1:]}
    assert flags >= {"HttpOnly", "SameSite=lax", "Path=/"}
    assert "Secure" not in flags
    assert "Secure" in by_proxy.headers["Set-Cookie"]
    assert 0 < int(re.findall(r"Max-Age=(\d+)", plain.headers["Set-Cookie"])[0]) <= 30 * 86_400
    assert plain.headers["Cache-Control"] == "no-store"
    assert cookie(plain) != cookie(by_proxy)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("origin", "referer"),
    [
        (None, None),
        ("null", None),
        ("https://evil.example", None),
        ("http://127.0.0.1:1", None),
        ("http://127.0.0.1", None),
        (None, "https://evil.example/form"),
        ("nonsense", None),
        ("http://[", None),
        ("ftp://{host}", None),
        ("http://{host}.evil.example", None),
        ("http://evil.example@127.0.0.1", None),
        ("https://evil.example", "http://{host}/"),
    ],
)
def test_a_form_of_another_site_is_refused(
    visitors: dict[str, Visitor], route: str, origin: str | None, referer: str | None
) -> None:
    visitor = visitors["ana"]
    said = {
        name: value and value.format(host=visitor.host) for name, value in (("Origin", origin), ("Referer", referer))
    }
    form = {"user": "ana", "password": PASSWORD, "csrf": csrf(visitor) if origin == "null" else ""}
    answer = visitor.sends(route, form, **said)
    assert answer.status == 403
    assert not answer.headers["Set-Cookie"]


def test_a_referer_of_the_site_is_enough(url: str) -> None:
    answer = Visitor(url).signs_in("ana", PASSWORD, Origin=None, Referer=f"{url}/anomalies")
    assert cookie(answer)


@pytest.mark.parametrize("route", ROUTES[1:3])
@pytest.mark.parametrize("said", ["", "0" * 64, "é"])
def test_the_forms_of_a_session_carry_its_secret(visitors: dict[str, Visitor], route: str, said: str) -> None:
    assert visitors["ana"].sends(route, {"csrf": said}).status == 403
    assert visitors["ana"].sends(route, {"csrf": csrf(visitors["otto"])}).status == 403
    assert not is_the_form(visitors["ana"].sees())


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(visitors: dict[str, Visitor], route: str, method: str) -> None:
    assert visitors["ana"].sends(route, {"user": "ana", "password": PASSWORD}, method).status == 405


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", None])
def test_other_kinds_of_body_are_refused(url: str, route: str, kind: str | None) -> None:
    assert Visitor(url).sends(route, b'{"user": "ana"}', Content_Type=kind).status == 415


@pytest.mark.parametrize("route", ROUTES)
def test_a_large_body_is_refused(url: str, route: str) -> None:
    assert Visitor(url).sends(route, b"user=" + b"x" * 9_000).status == 413


def test_a_large_body_that_says_nothing_of_its_length_is_refused(url: str) -> None:
    """The body is sent in chunks without Content-Length; the answer arrives before its end."""
    import socket

    host, port = Visitor(url).host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        head = (
            f"POST /account/sign-in HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\nContent-Type: "
            f"application/x-www-form-urlencoded\r\n"
        )
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(12):
            line.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


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
def test_nobody_is_sent_elsewhere(url: str, target: str) -> None:
    answer = Visitor(url).signs_in("ana", PASSWORD, next=target)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert answer.headers.get_all("Set-Cookie") == [answer.headers["Set-Cookie"]]


@pytest.mark.parametrize(
    "target", ["/", "/anomalies", "/anomalies?dataset=abc&run=1", "/forecast?entity=%C3%89t%C3%A9"]
)
def test_the_page_asked_for_comes_after_the_form(url: str, target: str) -> None:
    assert Visitor(url).signs_in("ana", PASSWORD, next=f"{target}").headers["Location"] == target
    failed = Visitor(url).signs_in("ana", "wrong", next=target).headers["Location"]
    assert failed.startswith(target)
    assert Visitor(url).signs_in("ana", PASSWORD, next=failed).headers["Location"] == target, (
        "the refusal is removed from the address"
    )
    assert same_site(target) == target


def test_the_form_brings_along_the_page_with_its_query(url: str) -> None:
    text = Visitor(url).sees("anomalies", query='dataset=a"><script>alert(1)</script>&sign-in=refused').text
    [form] = re.findall(r"<form .*?</form>", text)
    assert 'name=\\"next\\" value=\\"/anomalies?dataset=a%22%3E%3Cscript' in form
    assert "<script" not in form
    assert "sign-in=refused" not in form


def test_a_session_from_before_is_not_taken_over(url: str) -> None:
    """A session token placed in the browser by somebody else is neither used nor left valid."""
    planted = Visitor(url)
    planted.signs_in("ana", PASSWORD)
    victim = Visitor(url, cookie=planted.cookie)
    victim.signs_in("otto", PASSWORD)
    assert victim.cookie != planted.cookie
    assert is_the_form(planted.sees())
    made_up = Visitor(url, cookie="chosen-by-somebody-else")
    assert cookie(made_up.signs_in("ana", PASSWORD)) not in ("", "chosen-by-somebody-else")


# ---- refused sign-ins -----------------------------------------------------------------------------------------------


def refusal(visitor: Visitor, name: str, password: str = "wrong") -> tuple[str, str]:
    """Try to sign in. Return the reason in the address and the message on the page."""
    answer = visitor.signs_in(name, password, next="/forecast")
    assert not answer.headers["Set-Cookie"]
    address = urlsplit(answer.headers["Location"])
    screen = visitor.sees("forecast", query=address.query)
    assert is_the_form(screen), screen.kinds
    [said] = re.findall(r'alert {\s*body: "(.*?)"', screen.text)
    return parse_qs(address.query)["sign-in"][0], said


def test_nobody_learns_who_has_an_account(url: str, people: Accounts) -> None:
    people.add_user("gone", PASSWORD, ["analyst"])
    people.set_disabled("gone", True)
    told = {
        refusal(Visitor(url), name, password)
        for name, password in (("otto", "wrong"), ("nobody-here", "wrong"), ("gone", PASSWORD))
    }
    assert len(told) == 1
    assert told.pop()[0] == "refused"


def test_too_many_attempts_are_told_alike(url: str, people: Accounts) -> None:
    people.add_user("patient", PASSWORD, ["analyst"])
    told = []
    for name in ("patient", "nobody-patient"):
        for _ in range(30):
            word, said = refusal(Visitor(url, address="203.0.113.7"), name)
            if word == "locked":
                break
        told.append((word, said))
    assert told[0] == told[1]
    assert told[0][0] == "locked"
    assert re.search(r"\d+ min", told[0][1])


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
def test_names_are_names(url: str, name: str) -> None:
    visitor = Visitor(url)
    answer = visitor.signs_in(name, PASSWORD)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/?sign-in=")
    assert not name or name[:20] not in answer.headers["Location"]
    assert is_the_form(visitor.sees("", query=urlsplit(answer.headers["Location"]).query))


def test_a_link_cannot_put_words_into_our_mouth(url: str) -> None:
    screen = Visitor(url).sees("", query="sign-in=<b>Call+555</b>&note=Call+555")
    assert "Call" not in re.sub(r"<form .*?</form>", "", screen.text)
    assert FlashMessages().get("Call 555") is None


def test_signing_in_and_out_is_on_the_event_log(url: str, folder: Path) -> None:
    before = len(Events(folder / "events").read())
    visitor = Visitor(url)
    visitor.signs_in("ana", "typed-by-mistake-1")
    visitor.signs_in("typed-name-of-nobody", "typed-by-mistake-2")
    visitor.signs_in("ana", PASSWORD)
    visitor.sends("/account/sign-out", {"csrf": csrf(visitor)})
    events = Events(folder / "events").read()[before:]
    assert [(event.event, event.status, event.user) for event in events] == [
        ("sign_in", "failed", "ana"),
        ("sign_in", "failed", "anonymous"),
        ("sign_in", "completed", "ana"),
        ("sign_out", "completed", "ana"),
    ]
    written = "".join(path.read_text() for path in [*(folder / "events").iterdir(), folder / "app.log"])
    for secret in (PASSWORD, "typed-by-mistake", "typed-name-of-nobody", visitor.cookie):
        assert secret not in written


# ---- first administrator --------------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Visitor]:
    """A visitor of a server without accounts."""
    port = free_port()
    process = started(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    yield Visitor(f"http://127.0.0.1:{port}")
    stop(process)


def printed_token(folder: Path, seconds: float = 20) -> str:
    """Return the setup token that the server printed."""
    until = time.monotonic() + seconds
    while not (found := re.findall(r"first administrator:\s+(\S+)", (folder / "app.log").read_text())):
        assert time.monotonic() < until
        time.sleep(0.1)
    [token] = found
    return str(token)


def test_the_first_administrator(empty: Visitor, tmp_path: Path) -> None:
    token = printed_token(tmp_path)
    screen = empty.sees("users")
    assert "/account/first" in screen.text
    assert "python -m core users add" in screen.text
    assert token not in screen.text
    for form, reason in (
        ({"token": "wrong"}, "not the token"),
        ({"token": ""}, "not the token"),
        ({"again": "another-one-1234"}, "not the same"),
        ({"password": "password1234", "again": "password1234"}, "easy to guess"),
        ({"user": "<b>"}, "not accepted"),
    ):
        assert reason in _first(empty, token, form)
        assert Accounts("", tmp_path).empty()
    assert _first(empty, token, {}) == ""
    assert not is_refused(empty.sees("users"))
    assert [user.roles for user in Accounts("", tmp_path).users()] == [{"administrator"}]
    assert "not the token" in _first(Visitor(empty.url), token, {"user": "mallory"})
    assert is_the_form(Visitor(empty.url).sees())


def _first(visitor: Visitor, token: str, form: dict[str, str]) -> str:
    """Submit the setup form. Return the text of the page, or "" if the visitor is signed in."""
    usual = {"token": token, "user": "ada", "password": PASSWORD, "again": PASSWORD, "next": "/users"}
    answer = visitor.sends("/account/first", usual | form)
    visitor.cookie = cookie(answer)
    assert answer.status == 303
    address = urlsplit(answer.headers["Location"])
    assert address.path == "/users"
    return "" if not address.query else visitor.sees("users", query=address.query).text


def test_tokens_are_not_tried_forever() -> None:
    found = SetupToken()
    found.check(found.token)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(AccessDeniedError, match="not the token"):
            found.check("wrong")
    with pytest.raises(AccessDeniedError, match="Too many wrong tokens"):
        found.check(found.token)
    other = SetupToken()
    other.use_up()
    with pytest.raises(AccessDeniedError, match="not the token"):
        other.check("")


# ---- database outage ------------------------------------------------------------------------------------------------


@pytest.fixture
def database() -> Iterator[Running]:
    with running_postgres() as server:
        yield server


def test_a_killed_database_stops_nobody_who_works(database: Running, tmp_path: Path) -> None:
    port = free_port()
    with opened(database.url, tmp_path) as accounts:
        accounts.add_user("ana", PASSWORD, ["analyst"])
    process = started(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true", DATABASE_URL=database.url)
    try:
        _works_without_database(Visitor(f"http://127.0.0.1:{port}"), database)
    finally:
        stop(process)


def _works_without_database(ana: Visitor, database: Running) -> None:
    ana.signs_in("ana", PASSWORD)
    with ana.arrives() as tab:
        usual = max(seconds(lambda: look(tab, page)) for page in ("anomalies", "", "health"))  # noqa: B023 called at once
        for away, back in ((Running.kill, Running.start), (Running.freeze, Running.thaw)):
            away(database)
            for page in ("anomalies", "", "health"):
                screens: list[Screen] = []
                assert seconds(lambda: screens.append(look(tab, page))) < 2 + usual + 0.5  # noqa: B023 called at once
                assert is_refused(screens[0]) is (page == "health")
            new = Visitor(ana.url)
            screen = new.sees("anomalies")
            assert screen.kinds == ["heading", "alert", "button"]  # the reason is hidden from anonymous visitors
            assert "cannot be reached" in screen.text
            assert "/account/sign-in" not in screen.text
            assert "sign-in=unreachable" in new.signs_in("ana", PASSWORD).headers["Location"]
            back(database)
            until = time.monotonic() + 20  # the circuit breaker stays open for five seconds
            while not is_the_form(new.sees("anomalies")):
                assert time.monotonic() < until
                time.sleep(0.5)
            assert new.signs_in("ana", PASSWORD).headers["Location"] == "/"


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
