"""Uploads to a running server, as a browser sends them."""

import re
import uuid
from collections.abc import Iterator

from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import ClientConnection

from tests.support.http_client import Visitor, receive_until

TAIL = b"\r\n--x--\r\n"
BLOCK_BYTES = 1024 * 1024


def open_upload_page(tab: ClientConnection) -> str:
    """Open the page with the upload field; return the id of the session of the tab."""
    request = BackMsg()
    request.rerun_script.page_name = "data"
    tab.send(request.SerializeToString())
    messages = receive_until(tab, "script_finished")
    return next(message for message in messages if message.HasField("new_session")).new_session.initialize.session_id


def upload(visitor: Visitor, session: str, content: int | bytes, file_id: str = "", name: str = "a.csv") -> int:
    """Upload a file with this content, or of so many bytes; return the status of the answer."""
    size = content if isinstance(content, int) else len(content)
    head = build_head(name)
    body = iter_body(head, content) if isinstance(content, int) else head + content + TAIL
    headers = build_upload_headers(visitor) | {"Content_Length": str(len(head) + size + len(TAIL))}
    path = f"/_stcore/upload_file/{session}/{file_id or uuid.uuid4()}"
    return visitor.send(path, "PUT", body, **headers)[0].status


def build_upload_headers(visitor: Visitor) -> dict[str, str]:
    """Return the headers of an upload: the type of the form, the token that the server wants, and the cookies."""
    health, _content = visitor.send("/_stcore/health")
    token = re.findall(r"_streamlit_xsrf=([^;]+)", "".join(health.headers.get_all("Set-Cookie") or []))[0]
    return {
        "Content_Type": "multipart/form-data; boundary=x",
        "X_Xsrftoken": token,
        "Cookie": "; ".join(part for part in (visitor.cookie_header, f"_streamlit_xsrf={token}") if part),
    }


def build_head(name: str) -> bytes:
    """Return the form before the content of the file."""
    return (
        f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    ).encode()


def iter_body(head: bytes, size: int) -> Iterator[bytes]:
    """Yield the form of a file of `size` bytes in blocks."""
    yield head
    block = b"x" * BLOCK_BYTES
    for start in range(0, size, BLOCK_BYTES):
        yield block[: size - start]
    yield TAIL
