"""Refusal of messages of a browser that no page of the app needs.

Streamlit also has messages for developers: one empties the caches of all users, another writes files next to the app.
Messages that later versions add are refused until they are listed here.
"""

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

ACCEPTED_MESSAGES = frozenset({"rerun_script", "stop_script", "file_urls_request", "app_heartbeat"})
ACCEPTED_OPERATIONS = frozenset({"deferred_file", "dataframe_chunk"})
"""Payloads of the message `backend_operation_request`."""


class MessageCheck:
    """Middleware that turns every message that is not accepted into a sign of life."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the accepted messages of a tab on."""

        async def receive_message() -> Message:
            return replace_refused(await receive())

        await self.app(scope, receive_message if scope["type"] == "websocket" else receive, send)


def replace_refused(message: Message) -> Message:
    """Return an accepted message unchanged, and a sign of life in place of any other."""
    data: bytes | None = message.get("bytes")
    if data is None:
        return message  # no data, or a text, which the server refuses
    request = BackMsg()
    try:
        request.ParseFromString(data)
    except DecodeError:
        return message  # the server ends the connection
    if _is_accepted(request):
        return message
    return {**message, "bytes": BackMsg(app_heartbeat=True).SerializeToString()}


def _is_accepted(request: BackMsg) -> bool:
    kind = request.WhichOneof("type")
    if kind == "backend_operation_request":
        return request.backend_operation_request.WhichOneof("payload") in ACCEPTED_OPERATIONS
    return kind in ACCEPTED_MESSAGES
