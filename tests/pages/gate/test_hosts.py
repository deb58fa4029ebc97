"""The names under which the server answers, and the sites whose requests it refuses, on a real server."""

import re
import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.gate.hosts import is_allowed_host, is_same_origin
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.http_client import Visitor

LISTEN_ADDRESSES = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "", "192.168.1.4")
PATHS = ("/", "/anomalies", "/_stcore/health", "/_stcore/host-config", "/media/x.png", "/account/sign-in", "/static/x")


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor of a server that listens on this machine only and requires no sign-in."""
    port = find_free_port()
    process = start_app(tmp_path_factory.mktemp("data"), port, VIGIE_ALLOWED_HOSTS="vigie.example.org, *.example.net")
    yield Visitor(f"http://127.0.0.1:{port}")
    kill_process_tree(process)


@pytest.mark.server
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "localhost.evil.example", "192.168.1.4", "0"])
def test_server_refuses_requests_for_other_names(laptop: Visitor, path: str, host: str) -> None:
    response, _content = laptop.send(path, Host=host.format(port=laptop.host.partition(":")[2]))
    assert response.status == 421


@pytest.mark.server
@pytest.mark.parametrize(
    "host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST.", "[::1]:80", "vigie.example.org", "a.b.example.net"]
)
def test_server_answers_to_its_own_names(laptop: Visitor, host: str) -> None:
    response, _content = laptop.send("/_stcore/health", Host=host.format(port=laptop.host.partition(":")[2]))
    assert response.status == 200


@pytest.mark.server
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_stream_refuses_pages_of_other_sites(laptop: Visitor, headers: dict[str, str]) -> None:
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    response, _content = laptop.send(
        "/_stcore/stream", **handshake, Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **headers
    )
    assert response.status == 421


@pytest.mark.server
def test_stream_accepts_pages_of_this_site(laptop: Visitor) -> None:
    with laptop.open_tab(Origin=laptop.url) as tab:
        assert tab.state.name == "OPEN"


@pytest.mark.parametrize("listen_address", LISTEN_ADDRESSES)
@given(name=st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z]{2,10}){1,3}", fullmatch=True), port=st.integers(1, 65_535))
def test_unknown_names_are_never_allowed(listen_address: str, name: str, port: int) -> None:
    assert not is_allowed_host(f"{name}:{port}", listen_address, ["vigie.example.org", "*.example.net"])
    assert is_allowed_host(f"{name}:{port}", listen_address, [name.upper()])
    assert is_allowed_host(f"a.{name}:{port}", listen_address, [f"*.{name}"])
    assert not is_allowed_host(f"a{name}", listen_address, [f"*.{name}"])


@pytest.mark.parametrize("listen_address", LISTEN_ADDRESSES)
@given(
    host=st.text(st.sampled_from(string.ascii_lowercase[:4] + string.digits[:3] + "@:/\\[]?#%. \t\x00é"), max_size=24)
)
def test_malformed_host_headers_are_refused(listen_address: str, host: str) -> None:
    is_address = re.fullmatch(r"(\d+\.){3}\d+\.?(:\d+)?|\[[\da-f:.]+\](:\d+)?", host)
    assert is_address or not is_allowed_host(host, listen_address, ["vigie.example.org"])


@pytest.mark.parametrize("address", ["10.1.2.3", "[2001:db8::7]:8501", "203.0.113.9:80"])
def test_ip_addresses_are_allowed_where_the_server_listens_on_all(address: str) -> None:
    assert [listens for listens in LISTEN_ADDRESSES if is_allowed_host(address, listens, [])] == ["0.0.0.0", "::", ""]


@given(origin=st.text(max_size=30), host=st.text(max_size=20))
def test_random_origins_are_not_this_site(origin: str, host: str) -> None:
    assert not is_same_origin(origin, f"vigie.{host}")
