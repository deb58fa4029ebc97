"""Visitors of a running server without a browser: forms over HTTP, pages over Streamlit's websocket."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 60
PROCESS_COOKIE = "VIGIE_PROCESS"  # of deploy/haproxy.cfg
MAIN_AREA, SIDEBAR_AREA = 0, 1


@dataclass
class Screen:
    """Output of one script run: kinds of the page's elements, text of all elements, visible and hidden menu pages."""

    kinds: list[str] = field(default_factory=list)
    text: str = ""
    menu: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def find_widget(self, key: str) -> str:
        """Return the id of the widget with this key."""
        return re.findall(rf'id: "(\$\$ID-\w+-{key})"', self.text)[0]


@dataclass
class Visitor:
    """Visitor of the server `url`; an empty cookie means no session.

    `address` is the visitor's IP address for the header X-Forwarded-For, `source` the one from which they connect.
    `process` is the cookie of the proxy before several app processes.
    """

    url: str
    cookie: str = ""
    address: str = ""
    source: str = ""
    process: str = ""

    @property
    def cookie_header(self) -> str:
        """The header with the cookies of the visitor; "" without any."""
        cookies = {"vigie_session": self.cookie, PROCESS_COOKIE: self.process}
        return "; ".join(f"{name}={value}" for name, value in cookies.items() if value)

    @property
    def host(self) -> str:
        """Host and port of the server."""
        return urlsplit(self.url).netloc

    def send_form(
        self, path: str, form: dict[str, str] | bytes, method: str = "POST", **headers: str | None
    ) -> HTTPResponse:
        """Send a form as a browser does from a page of the site; omit headers that are None."""
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        form_headers = {"Origin": self.url, "Content_Type": "application/x-www-form-urlencoded"}
        return self.send(path, method, body, **(form_headers | headers))[0]

    def send(
        self, path: str, method: str = "GET", body: bytes | Iterator[bytes] | None = None, **headers: str | None
    ) -> tuple[HTTPResponse, bytes]:
        """Send a request with the cookies of the visitor; return the response and its body.

        Headers that are None are omitted, and _ in their names stands for -. A body in parts has no Content-Length.
        """
        request_headers: dict[str, str | None] = {"Cookie": self.cookie_header} if self.cookie_header else {}
        request_headers |= {"X-Forwarded-For": self.address} if self.address else {}
        request_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(
            self.host, timeout=TIMEOUT_S, source_address=(self.source, 0) if self.source else None
        )
        connection.request(
            method, path, body, {name: value for name, value in request_headers.items() if value is not None}
        )
        response = connection.getresponse()
        content = response.read()
        connection.close()
        self.process = find_cookie(response, PROCESS_COOKIE) or self.process
        return response, content

    def sign_in(self, name: str, password: str, next: str = "/", **headers: str | None) -> HTTPResponse:
        """Send the sign-in form and keep the cookie of the response, if it sets one."""
        response = self.send_form("/account/sign-in", {"user": name, "password": password, "next": next}, **headers)
        self.cookie = get_session_cookie(response) or self.cookie
        return response

    def open_page(self, page: str = "", query: str = "") -> Screen:
        """Open `page` in a new tab and return its output."""
        with self.open_tab() as connection:
            return load_page(connection, page, query)

    def open_tab(self, **headers: str) -> ClientConnection:
        """Open a browser tab: a separate websocket connection."""
        headers = {"Cookie": self.cookie_header} | headers if self.cookie_header else headers
        return connect(
            f"ws://{self.host}/_stcore/stream",
            subprotocols=["streamlit"],
            additional_headers=headers,
            max_size=None,
            compression=None,  # type: ignore[list-item]
            open_timeout=TIMEOUT_S,
        )


def load_page(tab: ClientConnection, page: str = "", query: str = "", request: BackMsg | None = None) -> Screen:
    """Load a page in the tab and return its output at the end of the script; `request` has values of widgets."""
    request = request or BackMsg()
    request.rerun_script.page_name = page
    request.rerun_script.query_string = query
    request.rerun_script.context_info.locale = "en-GB"
    tab.send(request.SerializeToString())
    screen = Screen()
    while True:
        message = ForwardMsg.FromString(tab.recv(TIMEOUT_S))  # type: ignore[arg-type]
        kind = message.WhichOneof("type")
        if kind == "script_finished":
            return screen
        if kind == "navigation":
            pages = message.navigation.app_pages
            screen.menu = [app_page.url_pathname for app_page in pages if not app_page.is_hidden]
            screen.hidden = [app_page.url_pathname for app_page in pages if app_page.is_hidden]
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            if element.html.body.startswith(("<script", "<style")):
                continue  # the page shows nothing of it
            screen.text += f"{element}\n"
            if message.metadata.delta_path[0] == MAIN_AREA:
                screen.kinds.append(str(element.WhichOneof("type")))


def receive_until(tab: ClientConnection, kind: str) -> list[ForwardMsg]:
    """Return the messages of the server to the first one of this kind."""
    messages = []
    while not messages or messages[-1].WhichOneof("type") != kind:
        messages.append(ForwardMsg.FromString(tab.recv(TIMEOUT_S)))  # type: ignore[arg-type]
    return messages


def get_session_cookie(response: HTTPResponse) -> str:
    """Return the session token that the response sets, "" if it sets none."""
    return find_cookie(response, "vigie_session")


def find_cookie(response: HTTPResponse, name: str) -> str:
    """Return the cookie that the response sets, "" if it sets none of this name."""
    cookies: SimpleCookie = SimpleCookie()
    for line in response.headers.get_all("Set-Cookie") or []:
        cookies.load(line)
    return cookies[name].value if name in cookies else ""
