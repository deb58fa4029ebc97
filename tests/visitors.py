"""Visitors of a running server without a browser: forms over HTTP, pages over Streamlit's websocket."""

from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

SECONDS = 60
MAIN, SIDEBAR = 0, 1


@dataclass
class Screen:
    """Output of one script run: kinds of the page's elements, text of all elements, visible and hidden menu pages."""

    kinds: list[str] = field(default_factory=list)
    text: str = ""
    menu: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


@dataclass
class Visitor:
    """Visitor of the server `url`; an empty cookie means no session.

    `address` is the visitor's IP address for the header X-Forwarded-For.
    """

    url: str
    cookie: str = ""
    address: str = ""

    @property
    def host(self) -> str:
        """Host and port of the server."""
        return urlsplit(self.url).netloc

    def sends(
        self, path: str, form: dict[str, str] | bytes, method: str = "POST", **headers: str | None
    ) -> HTTPResponse:
        """Send a form as a browser does from a page of the site; omit headers that are None."""
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        said = {"Origin": self.url, "Content-Type": "application/x-www-form-urlencoded"}
        said |= {"Cookie": f"vigie_session={self.cookie}"} if self.cookie else {}
        said |= {"X-Forwarded-For": self.address} if self.address else {}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[dict-item]
        connection = HTTPConnection(self.host, timeout=SECONDS)
        connection.request(method, path, body, {name: value for name, value in said.items() if value is not None})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def signs_in(self, name: str, password: str, next: str = "/", **headers: str | None) -> HTTPResponse:
        """Send the sign-in form and keep the cookie of the response, if it sets one."""
        answer = self.sends("/account/sign-in", {"user": name, "password": password, "next": next}, **headers)
        self.cookie = cookie(answer) or self.cookie
        return answer

    def sees(self, page: str = "", query: str = "") -> Screen:
        """Open `page` in a new tab and return its output."""
        with self.arrives() as connection:
            return look(connection, page, query)

    def arrives(self) -> ClientConnection:
        """Open a browser tab: a separate websocket connection."""
        said = {"Cookie": f"vigie_session={self.cookie}"} if self.cookie else {}
        return connect(
            f"ws://{self.host}/_stcore/stream",
            subprotocols=["streamlit"],
            additional_headers=said,
            max_size=None,
            compression=None,  # type: ignore[list-item]
            open_timeout=SECONDS,
        )


def look(tab: ClientConnection, page: str = "", query: str = "") -> Screen:
    """Load a page in the tab and return its output at the end of the script."""
    asked = BackMsg()
    asked.rerun_script.page_name = page
    asked.rerun_script.query_string = query
    asked.rerun_script.context_info.locale = "en-GB"
    tab.send(asked.SerializeToString())
    screen = Screen()
    while True:
        message = ForwardMsg.FromString(tab.recv(SECONDS))  # type: ignore[arg-type]
        kind = message.WhichOneof("type")
        if kind == "script_finished":
            return screen
        if kind == "navigation":
            pages = message.navigation.app_pages
            screen.menu = [each.url_pathname for each in pages if not each.is_hidden]
            screen.hidden = [each.url_pathname for each in pages if each.is_hidden]
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            screen.text += f"{message.delta.new_element}\n"
            if message.metadata.delta_path[0] == MAIN:
                screen.kinds.append(str(message.delta.new_element.WhichOneof("type")))


def cookie(answer: HTTPResponse) -> str:
    """Return the session token that the response sets, "" if it sets none."""
    found: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_all("Set-Cookie") or []:
        found.load(line)
    return found["vigie_session"].value if "vigie_session" in found else ""
