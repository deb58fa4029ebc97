"""Uploads through the gate: written to disk and not to memory, whole or not at all, removed with their session."""

import http.client
import itertools
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.exceptions import FormParserError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from websockets.sync.client import ClientConnection

from pages.components.uploads import STORED_CONTENT
from pages.gate.upload_form import UploadForm
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.concurrency import wait_until
from tests.support.http_client import Visitor, load_page
from tests.support.uploads import build_head, build_upload_headers, open_upload_page, upload

MEGABYTE = 1024 * 1024
LARGE_BYTES, GROWTH_BYTES = 200 * MEGABYTE, 80 * MEGABYTE
TIMEOUT_S = 60
ROWS = ("time,load\n" + "".join(f"2024-01-{day:02},{day * 1.5}\n" for day in range(1, 29))).encode()


@dataclass
class App:
    """A running app, and where it keeps what arrives."""

    visitor: Visitor
    process: psutil.Process
    folder: Path

    def list_staged_files(self) -> list[Path]:
        return [path for path in (self.folder / "staged-uploads").glob("*/*/*/*") if path.is_file()]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder, port = tmp_path_factory.mktemp("data"), find_free_port()
    process = start_app(folder, port, "--server.disconnectedSessionTTL=1", VIGIE_MAX_UPLOAD_MB="300")
    yield App(Visitor(f"http://127.0.0.1:{port}"), psutil.Process(process.pid), folder)
    kill_process_tree(process)


def wait_for_steady_memory(process: psutil.Process) -> int:
    """Wait until a server has loaded its libraries in the background, and return its memory in bytes."""
    sizes: list[int] = []
    deadline = time.monotonic() + TIMEOUT_S
    while len(sizes) < 8 or max(sizes[-8:]) - min(sizes[-8:]) > MEGABYTE:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        sizes.append(process.memory_info().rss)
    return sizes[-1]


def show_upload(tab: ClientConnection, *files: tuple[str, str]) -> str:
    """Tell the page which files were uploaded, given as id and name, as a browser does; return what it shows."""
    widget_id = load_page(tab, "data").find_widget("uploads")
    state = FileUploaderState()
    for file_id, name in files:
        state.uploaded_file_info.add(file_id=file_id, name=name)
    request = BackMsg()
    widget = request.rerun_script.widget_states.widgets.add(id=widget_id)
    widget.file_uploader_state_value.CopyFrom(state)
    return load_page(tab, "data", request=request).text


@pytest.mark.server
@pytest.mark.parametrize(("name", "content"), [("a.csv", ROWS), ("../été/a b.csv", ROWS), ("nothing.csv", b"")])
def test_page_stores_what_was_uploaded(app: App, name: str, content: bytes) -> None:
    with app.visitor.open_tab() as tab:
        file_id = uuid.uuid4().hex
        assert upload(app.visitor, open_upload_page(tab), content, file_id, name) == 204
        text = show_upload(tab, (file_id, name))
    assert "exception" not in text
    stored = [path.read_bytes() for path in (app.folder / "uploads").glob("*/0")]
    assert content in stored
    assert STORED_CONTENT not in stored


@pytest.mark.server
def test_page_says_that_an_upload_was_removed(app: App) -> None:
    with app.visitor.open_tab() as tab:
        assert upload(app.visitor, open_upload_page(tab), b"1", "removed") == 204
        for path in app.list_staged_files():
            path.unlink()
        assert "no longer stored here" in show_upload(tab, ("removed", "a.csv"))


@pytest.mark.server
def test_aborted_upload_leaves_nothing_and_no_error(app: App) -> None:
    with app.visitor.open_tab() as tab:
        connection = start_upload(app.visitor, open_upload_page(tab), 2 * MEGABYTE)
        wait_until(lambda: bool(app.list_staged_files()))
        connection.close()
        wait_until(lambda: not app.list_staged_files())
    assert "Traceback" not in (app.folder / "app.log").read_text()


@pytest.mark.server
def test_session_that_ends_during_an_upload_leaves_nothing(app: App) -> None:
    with app.visitor.open_tab() as tab:
        connection = start_upload(app.visitor, open_upload_page(tab), 2 * MEGABYTE)
        wait_until(lambda: bool(app.list_staged_files()))
    wait_until(lambda: not app.list_staged_files())
    connection.send(b"x" * MEGABYTE)  # cut off, for the test
    connection.close()
    assert app.visitor.send("/_stcore/health")[0].status == 200


def start_upload(visitor: Visitor, session: str, size: int) -> http.client.HTTPConnection:
    """Send the first megabyte of a larger upload."""
    connection = http.client.HTTPConnection(visitor.host, timeout=TIMEOUT_S)
    connection.putrequest("PUT", f"/_stcore/upload_file/{session}/half")
    for name, value in build_upload_headers(visitor).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    connection.send(build_head("a.csv") + b"x" * MEGABYTE)
    return connection


@pytest.mark.server
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"1"),
        ("multipart/form-data", b"1"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", build_head("a.csv") + b"cut off"),
        ("multipart/form-data; boundary=x", (build_head("a.csv") + b"1\r\n") * 2 + b"--x--\r\n"),
    ],
)
def test_form_without_one_file_is_refused(app: App, content_type: str, body: bytes) -> None:
    with app.visitor.open_tab() as tab:
        session = open_upload_page(tab)
        headers = build_upload_headers(app.visitor) | {"Content_Type": content_type}
        assert app.visitor.send(f"/_stcore/upload_file/{session}/odd", "PUT", body, **headers)[0].status == 400
    assert not [path for path in app.list_staged_files() if path.name.startswith("odd")]


@pytest.mark.server
def test_large_upload_does_not_fill_the_memory(app: App) -> None:
    with app.visitor.open_tab() as tab:
        session = open_upload_page(tab)
        assert upload(app.visitor, session, MEGABYTE) == 204
        before = wait_for_steady_memory(app.process)
        assert upload(app.visitor, session, LARGE_BYTES) == 204
        assert app.process.memory_info().rss - before < GROWTH_BYTES
        assert sorted(path.stat().st_size for path in app.list_staged_files()) == [MEGABYTE, LARGE_BYTES]
        assert upload(app.visitor, session, 301 * MEGABYTE) == 413
    wait_until(lambda: not app.list_staged_files())


@pytest.mark.server
@pytest.mark.parametrize("file_id", ["a.b", "a%20b", "..", "x" * 65, "%C3%A9"])
def test_upload_under_an_odd_id_never_reaches_the_memory(app: App, file_id: str) -> None:
    with app.visitor.open_tab() as tab:
        assert upload(app.visitor, open_upload_page(tab), b"1", file_id) == 404


@pytest.mark.server
def test_upload_is_removed_by_its_browser_only(app: App) -> None:
    with app.visitor.open_tab() as tab:
        session = open_upload_page(tab)
        assert upload(app.visitor, session, b"1", "mine") == 204
        headers = build_upload_headers(app.visitor)
        path = f"/_stcore/upload_file/{session}/mine"
        assert app.visitor.send(path, "DELETE")[0].status == 403, "no XSRF token"
        assert [file.name for file in app.list_staged_files()].count("mine") == 1
        assert app.visitor.send(path, "DELETE", **headers)[0].status == 204
        assert [file.name for file in app.list_staged_files()].count("mine") == 0


@given(content=st.binary(max_size=300), cuts=st.sets(st.integers(1, 400)))
def test_upload_form_reads_any_content_in_any_chunks(content: bytes, cuts: set[int]) -> None:
    form_bytes, parts = build_head("né.csv") + content + b"\r\n--x--\r\n", bytearray()
    is_ambiguous = b"\r\n--x" in content
    form = UploadForm("multipart/form-data; boundary=x", parts.extend)
    edges = [0, *sorted(cut for cut in cuts if cut < len(form_bytes)), len(form_bytes)]
    try:
        for start, end in itertools.pairwise(edges):
            form.write(form_bytes[start:end])
        form.finish()
    except FormParserError:
        assert is_ambiguous
        return
    assert bytes(parts) == content or is_ambiguous
    assert form.build_short_form() == build_head("né.csv") + STORED_CONTENT + b"\r\n--x--\r\n" or is_ambiguous
