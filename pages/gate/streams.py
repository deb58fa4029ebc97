"""Check of the sign-in at every message of a browser.

A tab keeps its websocket open after the end of its session. Callbacks, fragments and deferred downloads run before the
pages ask who the user is, or without asking. The check therefore stands before them: a tab without a signed-in user
can only run the sign-in page.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from core.errors import ServiceUnavailableError
from pages.components.auth import is_sign_in_required
from pages.gate import identity
from pages.gate.streamlit_internals import user_key_from_element_id

SIGN_IN_WIDGETS = frozenset({"language", "csv-format", "try-again", "sign-in-provider", "sign-out"})
"""Keys of the widgets that the sign-in page and its replacements show."""
MAX_MESSAGE_BYTES = 64 * 1024  # bytes; of a visitor who is not signed in
MAX_VISITORS, MAX_VISITORS_PER_ADDRESS = 256, 64  # open tabs without a signed-in user
TOO_LARGE = 1009  # code of the websocket protocol


class StreamCheck:
    """Middleware that reduces the messages of a tab to those of the sign-in page unless its user is signed in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._visitors: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the messages of a tab on, or refuse the tab if too many visitors have not signed in."""
        if scope["type"] != "websocket" or not is_sign_in_required():
            await self.app(scope, receive, send)
            return
        cookies = identity.read_cookies(scope)

        async def receive_message() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive" or await _is_user(cookies):
                return message
            return reduce_message(message)

        if await _is_user(cookies):
            await self.app(scope, receive_message, send)
            return
        with self._count_visitor((scope.get("client") or ("",))[0]) as is_accepted:
            refusal = PlainTextResponse("Too many visitors are not signed in. Try again later.", 503)
            await (self.app if is_accepted else refusal)(scope, receive_message, send)

    @contextmanager
    def _count_visitor(self, address: str) -> Iterator[bool]:
        """Count a tab without a signed-in user while it is open; yield False if there are too many."""
        is_accepted = self._visitors.total() < MAX_VISITORS and self._visitors[address] < MAX_VISITORS_PER_ADDRESS
        self._visitors[address] += is_accepted
        try:
            yield is_accepted
        finally:
            self._visitors[address] -= is_accepted
            self._visitors += Counter()  # without the addresses that have no tab any more


def reduce_message(message: Message) -> Message:
    """Return a message of a tab without what only users may do.

    What stays is a rerun of the whole page with the widgets of the sign-in page. Any other message becomes a sign of
    life; a large one ends the connection.
    """
    data: bytes | None = message.get("bytes")
    if data is None:
        return message  # a text, which the server refuses
    if len(data) > MAX_MESSAGE_BYTES:
        return {"type": "websocket.disconnect", "code": TOO_LARGE}
    request = BackMsg()
    try:
        request.ParseFromString(data)
    except DecodeError:
        return message  # the server ends the connection
    if request.WhichOneof("type") == "rerun_script":
        widgets = request.rerun_script.widget_states.widgets
        kept = [widget for widget in widgets if user_key_from_element_id(widget.id) in SIGN_IN_WIDGETS]
        request.rerun_script.ClearField("widget_states")
        request.rerun_script.ClearField("fragment_id")
        request.rerun_script.widget_states.widgets.extend(kept)
    else:
        request = BackMsg(app_heartbeat=True)
    return {**message, "bytes": request.SerializeToString()}


async def _is_user(cookies: dict[str, str]) -> bool:
    try:
        user = await identity.find_user(cookies)
    except ServiceUnavailableError:
        return False
    return user is not None and bool(user.roles)
