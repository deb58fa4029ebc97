"""Addresses of the web that a watch may read: no way around the allowed hosts and networks."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.settings import Settings
from core.storage.sources.addresses import (
    check_host,
    hide_query,
    is_allowed_address,
    parse_address,
    parse_networks,
    resolve_host,
)

REFUSED_FORMS = [
    "ftp://a.org/x",
    "file:///etc/passwd",
    "http:///etc/passwd",
    "http://ann:hunter2@a.org/",
    "http://a.org@169.254.169.254/",
    "http://a.org:0/",
    "http://a.org:99999/",
    "http://a.org:port/",
    "http://[::1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1.5/",
    "http://1.2.3.4.5.6/",
    "http://a.org\\@127.0.0.1/",
    "http://a.org\t/",
    "http://a.org/x y",
    "http://a.org/\r\nHost: b.org",
    "http://a..org/",
    "http:// a.org/",
]
PRIVATE_ADDRESSES = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.7",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:7f00:1::1",
    "not an address",
]


def make_settings(hosts: str = "", networks: str = "") -> Settings:
    return Settings.model_construct(vigie_source_hosts=hosts, vigie_source_networks=networks)


@pytest.mark.parametrize("url", REFUSED_FORMS)
def test_unusual_address_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match="is not accepted") as raised:
        parse_address(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a.org", ("http", "a.org", 80, "/")),
        ("HTTPS://A.Org.:8443/load%20x.csv?day=1&q=é#part", ("https", "a.org", 8443, "/load%20x.csv?day=1&q=%C3%A9")),
        ("https://bücher.example/é", ("https", "xn--bcher-kva.example", 443, "/%C3%A9")),
        ("http://①②⑦.⓪.⓪.①/", ("http", "127.0.0.1", 80, "/")),
        ("http://[::FFFF:10.0.0.7]:81/", ("http", "::ffff:a00:7", 81, "/")),
    ],
)
def test_usual_address_is_taken_apart(url: str, parts: tuple[str, str, int, str]) -> None:
    address = parse_address(url)
    assert (address.scheme, address.host, address.port, address.target) == parts


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_private_address_is_refused(address: str) -> None:
    assert not is_allowed_address(address, [])


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_public_address_is_allowed(address: str) -> None:
    assert is_allowed_address(address, [])


def test_networks_of_settings_allow_private_addresses() -> None:
    networks = parse_networks(make_settings(networks="10.0.0.0/8, 127.0.0.1, fd12::/16"))
    allowed = ["10.1.2.3", "127.0.0.1", "fd12::7", "::ffff:10.1.2.3"]
    refused = ["127.0.0.2", "11.0.0.1.2", "192.168.0.1", "fd13::7", "::ffff:127.0.0.2", "169.254.169.254"]
    assert [address for address in [*allowed, *refused] if is_allowed_address(address, networks)] == allowed


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "10.0.0.0/99", "host"])
def test_invalid_network_is_told(networks: str) -> None:
    with pytest.raises(OptionError, match="VIGIE_SOURCE_NETWORKS is not valid"):
        parse_networks(make_settings(networks=networks))


@given(st.ip_addresses())
def test_allowed_address_is_global(address: object) -> None:
    """Whatever is allowed without a setting is an address that routers of the internet pass on."""
    if is_allowed_address(str(address), []):
        assert address.is_global  # type: ignore[attr-defined]
        assert not address.is_multicast  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("hosts", "host", "is_allowed"),
    [
        ("", "a.org", False),
        ("a.org, *.b.org", "a.org", True),
        ("A.ORG", "a.org", True),
        ("a.org, *.b.org", "x.y.b.org", True),
        ("a.org, *.b.org", "b.org", False),
        ("a.org, *.b.org", "xb.org", False),
        ("a.org", "evil-a.org", False),
        ("a.org", "a.org.evil.org", False),
        ("*", "a.org", False),
        ("[::1]", "::1", True),
    ],
)
def test_hosts_of_settings_decide(hosts: str, host: str, is_allowed: bool) -> None:
    if is_allowed:
        check_host(host, make_settings(hosts))
        return
    with pytest.raises(AccessDeniedError, match="VIGIE_SOURCE_HOSTS"):
        check_host(host, make_settings(hosts))


def test_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, 1, 6, "", (ip, 80)) for ip in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(AccessDeniedError, match=r"has the address 10\.0\.0\.7, which is not public"):
        resolve_host(parse_address("http://a.org/"), make_settings())


def test_host_without_address_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailableError, match=r"absent\.invalid' has no address"):
        resolve_host(parse_address("http://absent.invalid/"), make_settings())


@given(st.text(), st.from_regex(r"[a-z0-9é]{8}", fullmatch=True))
def test_query_and_password_are_hidden(path: str, secret: str) -> None:
    shown = hide_query(f"https://ann:{secret}@a.org/{path.replace(secret, '')}?key={secret}#{secret}")
    assert secret not in shown
    assert shown.startswith("https://a.org/")
