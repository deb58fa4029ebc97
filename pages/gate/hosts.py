"""Check of the name under which a browser reaches the server, and of the site that sent it.

A page of another site can give its own name the address of this server (DNS rebinding). Its scripts would then read
the answers as those of their own site. Such a request names the other site in its headers and is refused here.
"""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pages.components import cache

HOST_PATTERN = re.compile(r"(?P<name>\[[\da-f:.]+\]|[^\s:@/?#\[\]]+)(:\d{1,5})?", re.IGNORECASE)
DEFAULT_PORT = {"http": 80, "https": 443}
OPAQUE_ORIGIN = "null"  # sent by browsers that hide the site; each route decides about it
REFUSAL = (
    "This name or site is not allowed. VIGIE_ALLOWED_HOSTS lists the names under which the app is reached; a proxy "
    "must pass the header Host unchanged."
)


class HostCheck:
    """Middleware that answers 421 to requests for another name, and to those that pages of another site send."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan" or _is_acceptable(Headers(scope=scope)):
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(REFUSAL, 421)(scope, receive, send)


def _is_acceptable(headers: Headers) -> bool:
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    return (
        len(hosts) == 1
        and is_allowed_host(hosts[0], st.get_option("server.address") or "", _list_names())
        and all(origin == OPAQUE_ORIGIN or is_same_origin(origin, hosts[0]) for origin in origins)
    )


def _list_names() -> list[str]:
    setting = cache.get_workspace().settings.vigie_allowed_hosts
    return [name.strip() for name in setting.split(",") if name.strip()]


def is_allowed_host(host: str, listen_address: str, names: list[str]) -> bool:
    """Tell whether a server that listens on `listen_address` ("" for all addresses) answers to the header `host`.

    `names` lists further names; "*.example.org" stands for all names below example.org. A server that listens on
    all addresses answers to every IP address, because nobody can make a page of another site have one.

    Example:
        >>> is_allowed_host("localhost:8501", "127.0.0.1", []), is_allowed_host("evil.example", "127.0.0.1", [])
        (True, False)
        >>> is_allowed_host("192.0.2.7", "0.0.0.0", []), is_allowed_host("vigie.example.org", "", ["*.example.org"])
        (True, True)
    """
    match = HOST_PATTERN.fullmatch(host)
    if match is None:
        return False
    name, address = _normalise_name(match["name"]), _normalise_name(listen_address)
    if any(_matches(name, _normalise_name(pattern)) for pattern in (*names, "localhost", address)):
        return True
    ip, listen_ip = _parse_ip(name), _parse_ip(address)
    if address and (listen_ip is None or not listen_ip.is_unspecified):
        return ip is not None and ip.is_loopback
    return ip is not None or name == _normalise_name(socket.gethostname())


def is_same_origin(origin: str, host: str) -> bool:
    """Tell whether the site or address `origin` of a request is that of its header `host`.

    Example:
        >>> is_same_origin("https://vigie.example.org", "vigie.example.org:443"), is_same_origin("null", "null")
        (True, False)
    """
    try:
        sender, target = urlsplit(origin), urlsplit(f"//{host}")
        default_port = DEFAULT_PORT.get(sender.scheme)
        return bool(sender.hostname and default_port) and (sender.hostname, sender.port or default_port) == (
            target.hostname,
            target.port or default_port,
        )
    except ValueError:
        return False


def _normalise_name(name: str) -> str:
    return name.strip().lower().rstrip(".").strip("[]")


def _matches(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else bool(pattern) and name == pattern


def _parse_ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
