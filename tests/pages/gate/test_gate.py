"""The server's own endpoints stand behind the sign-in: a real server, its users and strangers."""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from core.accounts.service import Accounts
from core.data.dataset import Dataset
from core.storage.datasets import DatasetStore
from pages.gate.messages import replace_refused
from pages.gate.streams import MAX_MESSAGE_BYTES, MAX_VISITORS_PER_ADDRESS, SIGN_IN_WIDGETS, reduce_message
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.http_client import Screen, Visitor, load_page, receive_until
from tests.support.uploads import open_upload_page, upload

PASSWORD = "orage-violet-tambour-7"
MEGABYTE = 1024 * 1024
GUARDED_PATHS = (
    "/_stcore/upload_file/session/file",
    "/media/0123456789.csv",
    "/component/name/index.html",
    "/_stcore/bidi-components/name/index.js",
    "/_stcore/agent/interact",
    "/_stcore/script-health-check",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def accounts(folder: Path) -> Accounts:
    service = Accounts("", folder)
    for name, roles in (("ana", ["analyst"]), ("otto", ["operator"]), ("nora", [])):
        service.add_user(name, PASSWORD, roles)
    return service


@pytest.fixture(scope="module")
def url(folder: Path, accounts: Accounts) -> Iterator[str]:
    port = find_free_port()
    process = start_app(folder, port, VIGIE_REQUIRE_SIGN_IN="true", VIGIE_MAX_UPLOADS_PER_USER_MB="3")
    yield f"http://127.0.0.1:{port}"
    kill_process_tree(process)


@pytest.fixture(scope="module")
def digest(folder: Path, sample: Dataset) -> str:
    """The digest of a dataset that the server has."""
    return DatasetStore(folder / "datasets").save(sample)


@pytest.fixture
def sign_in(url: str) -> Callable[[str], Visitor]:
    """Sign a user in and return the visitor."""

    def sign_in_as(name: str) -> Visitor:
        visitor = Visitor(url)
        assert visitor.sign_in(name, PASSWORD).status == 303
        return visitor

    return sign_in_as


@pytest.fixture
def new_user(accounts: Accounts, sign_in: Callable[[str], Visitor]) -> tuple[str, Visitor]:
    """A signed-in user, for tests that change the account."""
    name = f"user{uuid.uuid4().hex[:8]}"
    accounts.add_user(name, PASSWORD, ["analyst"])
    return name, sign_in(name)


def ask_server(tab: ClientConnection, request: BackMsg) -> list[ForwardMsg]:
    """Send a message, then load the sign-in page, and return all messages that arrived until its end."""
    tab.send(request.SerializeToString())
    rerun = BackMsg()
    rerun.rerun_script.page_name = "data"
    tab.send(rerun.SerializeToString())
    return receive_until(tab, "script_finished")


# ---- endpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.parametrize("path", GUARDED_PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS"])
def test_endpoints_refuse_strangers(url: str, path: str, method: str) -> None:
    assert Visitor(url).send(path, method)[0].status == 401
    assert Visitor(url, cookie="made-up").send(path, method)[0].status == 401


@pytest.mark.server
@pytest.mark.parametrize("path", GUARDED_PATHS)
def test_endpoints_answer_to_users_with_a_role(sign_in: Callable[[str], Visitor], path: str) -> None:
    assert sign_in("nora").send(path)[0].status == 403
    assert sign_in("ana").send(path)[0].status not in (401, 403)


@pytest.mark.server
@pytest.mark.parametrize("name", ["", "ana", "otto"])
def test_metrics_are_closed(url: str, sign_in: Callable[[str], Visitor], name: str) -> None:
    visitor = sign_in(name) if name else Visitor(url)
    assert visitor.send("/_stcore/metrics")[0].status == 404
    assert visitor.send("/_stcore/health")[0].status == 200


@pytest.mark.server
def test_media_need_a_valid_session(new_user: tuple[str, Visitor], accounts: Accounts, digest: str) -> None:
    """A file that the server has is not handed out after the account was disabled, nor made anew over the open tab."""
    name, visitor = new_user
    with visitor.open_tab() as tab:
        session_id = open_upload_page(tab)
        file_id = re.findall(r'deferred_file_id: "(\w+)"', load_page(tab, "data", f"dataset={digest}").text)[0]
        request = build_file_request(session_id, file_id)
        path = ask_for_file(tab, request)
        assert visitor.send(path)[0].status == 200
        assert Visitor(visitor.url).send(path)[0].status == 401
        accounts.set_disabled(name, True)
        assert visitor.send(path)[0].status == 401
        assert not any(map(read_file_address, ask_server(tab, request)))


def build_file_request(session_id: str, file_id: str) -> BackMsg:
    """Return the message that a browser sends at a click on a deferred download."""
    request = BackMsg()
    request.backend_operation_request.request_id = "1"
    request.backend_operation_request.session_id = session_id
    request.backend_operation_request.deferred_file.file_id = file_id
    return request


def ask_for_file(tab: ClientConnection, request: BackMsg) -> str:
    """Ask for a deferred download and return the address of the file, "" if it was not made."""
    tab.send(request.SerializeToString())
    return read_file_address(receive_until(tab, "backend_operation_response")[-1])


def read_file_address(message: ForwardMsg) -> str:
    """Return the address of the file that a message offers, "" for none."""
    return message.backend_operation_response.deferred_file.url


# ---- uploads --------------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_strangers_cannot_upload(url: str) -> None:
    stranger = Visitor(url)
    with stranger.open_tab() as tab:
        assert upload(stranger, open_upload_page(tab), 10) == 401


@pytest.mark.server
def test_users_upload_into_their_own_tab_only(sign_in: Callable[[str], Visitor]) -> None:
    ana, otto = sign_in("ana"), sign_in("otto")
    with ana.open_tab() as tab:
        session_id = open_upload_page(tab)
        assert upload(ana, session_id, 10) == 204
        assert upload(otto, session_id, 10) == 403
        assert upload(ana, "made-up", 10) == 400


@pytest.mark.server
def test_uploads_are_limited_per_user(sign_in: Callable[[str], Visitor]) -> None:
    ana, otto = sign_in("ana"), sign_in("otto")
    with ana.open_tab() as tab, otto.open_tab() as other_tab:
        session_id = open_upload_page(tab)
        assert [upload(ana, session_id, MEGABYTE, file_id) for file_id in ("a", "b", "c")] == [204, 204, 413]
        assert upload(otto, open_upload_page(other_tab), 2 * MEGABYTE) == 204
        assert upload(ana, session_id, 5 * MEGABYTE) == 413


@pytest.mark.server
def test_uploads_are_limited_in_all(tmp_path: Path) -> None:
    """Where nobody signs in, the limit per user does not hold, and a removed upload makes room."""
    port = find_free_port()
    limits = {"VIGIE_MAX_UPLOADS_PER_USER_MB": "1", "VIGIE_MAX_UPLOADS_MB": "3"}
    process = start_app(tmp_path, port, "--server.disconnectedSessionTTL=1", **limits)
    visitor = Visitor(f"http://127.0.0.1:{port}")
    try:
        with visitor.open_tab() as tab:
            session_id = open_upload_page(tab)
            assert [upload(visitor, session_id, MEGABYTE, file_id) for file_id in ("a", "b", "c")] == [204, 204, 413]
            assert upload(visitor, session_id, 0, "a") == 204
            assert upload(visitor, session_id, MEGABYTE, "c") == 204
            assert visitor.send(f"/_stcore/upload_file/{session_id}/d", "PUT", iter([b"x"]))[0].status == 411
        wait_for_room(visitor, 2 * MEGABYTE)  # the tab is closed
    finally:
        kill_process_tree(process)


@pytest.mark.server
def test_uploads_are_removed_when_their_session_ends(new_user: tuple[str, Visitor], accounts: Accounts) -> None:
    name, visitor = new_user
    with visitor.open_tab() as tab:
        session_id = open_upload_page(tab)
        assert upload(visitor, session_id, 2 * MEGABYTE) == 204
        assert upload(visitor, session_id, MEGABYTE) == 413
        accounts.sign_out_everywhere(name)
        assert visitor.sign_in(name, PASSWORD).status == 303
        wait_for_room(visitor, 2 * MEGABYTE)


def wait_for_room(visitor: Visitor, size: int) -> None:
    """Wait until the server accepts an upload of this size."""
    deadline = time.monotonic() + 60
    with visitor.open_tab() as tab:
        session_id = open_upload_page(tab)
        while upload(visitor, session_id, size) != 204:
            assert time.monotonic() < deadline
            time.sleep(0.5)


# ---- tabs -----------------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_signed_out_tab_gets_no_download(new_user: tuple[str, Visitor], accounts: Accounts) -> None:
    """A deferred download is made for a user, and neither for one who was disabled nor for a stranger."""
    name, visitor = new_user
    with visitor.open_tab() as tab, Visitor(visitor.url).open_tab() as stranger:
        request = build_file_request(open_upload_page(tab), "made-up")
        assert ask_for_file(tab, request) == "", "the server answers that it has no such file"
        assert "backend_operation_response" not in list_kinds(ask_server(stranger, request))
        accounts.set_disabled(name, True)
        assert "backend_operation_response" not in list_kinds(ask_server(tab, request))


def list_kinds(messages: list[ForwardMsg]) -> set[str]:
    return {str(message.WhichOneof("type")) for message in messages}


@pytest.mark.server
def test_tab_without_rights_runs_no_callback(new_user: tuple[str, Visitor], accounts: Accounts) -> None:
    """The button that starts the guided walk does so in a callback, before the page asks for the user."""
    name, visitor = new_user
    with visitor.open_tab() as tab:
        button = re.findall(r'id: "(\$\$ID-\w+-guide-start)"', load_page(tab).text)[0]
        accounts.set_roles(name, [])
        assert "You have no role yet" in click(tab, button).text
        accounts.set_roles(name, ["analyst"])
        assert "guide-leave" not in load_page(tab).text
        assert "guide-leave" in click(tab, button).text


def click(tab: ClientConnection, widget_id: str) -> Screen:
    """Press a button of the home page and return the output of the page."""
    request = BackMsg()
    widget = request.rerun_script.widget_states.widgets.add(id=widget_id)
    widget.trigger_value = True
    return load_page(tab, request=request)


@pytest.mark.server
def test_stranger_switches_the_language_of_the_sign_in_page(url: str) -> None:
    with Visitor(url).open_tab() as tab:
        text = load_page(tab).text
        assert "Sign in to continue" in text
        widget_id = re.findall(r'id: "(\$\$ID-\w+-language)"', text)[0]
        request = BackMsg()
        request.rerun_script.widget_states.widgets.add(id=widget_id).string_array_value.data.append("Français")
        assert "Connectez-vous" in load_page(tab, request=request).text


@pytest.mark.server
def test_number_of_tabs_of_strangers_is_limited(url: str, sign_in: Callable[[str], Visitor]) -> None:
    stranger = Visitor(url)
    with ExitStack() as tabs:
        open_tabs(stranger, tabs, MAX_VISITORS_PER_ADDRESS - 2)  # tabs of other tests may be closing
        with pytest.raises(InvalidStatus) as refusal:
            open_tabs(stranger, tabs, 3)
        assert refusal.value.response.status_code == 503
        assert sign_in("ana").open_page().menu
    deadline = time.monotonic() + 20
    while not can_open_tab(stranger):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def open_tabs(visitor: Visitor, tabs: ExitStack, count: int) -> None:
    for _ in range(count):
        tabs.enter_context(visitor.open_tab())


def can_open_tab(visitor: Visitor) -> bool:
    try:
        with visitor.open_tab():
            return True
    except InvalidStatus:
        return False


@pytest.mark.server
def test_large_message_of_stranger_closes_the_tab(url: str) -> None:
    with Visitor(url).open_tab() as tab:
        request = BackMsg()
        request.rerun_script.query_string = "x" * MAX_MESSAGE_BYTES
        tab.send(request.SerializeToString())
        with pytest.raises(ConnectionClosed):
            drain(tab)


def drain(tab: ClientConnection) -> None:
    """Receive messages until the server closes the connection."""
    while True:
        tab.recv(30)


# ---- messages that no page needs ------------------------------------------------------------------------------------


@pytest.mark.server
def test_user_cannot_empty_the_caches(sign_in: Callable[[str], Visitor]) -> None:
    """Streamlit's message would empty the caches of all users and the state of the session."""
    with sign_in("ana").open_tab() as tab:
        button = re.findall(r'id: "(\$\$ID-\w+-guide-start)"', load_page(tab).text)[0]
        assert "guide-leave" in click(tab, button).text
        tab.send(BackMsg(clear_cache=True).SerializeToString())
        assert "guide-leave" in load_page(tab).text


@pytest.mark.server
@pytest.mark.parametrize("payload", ["install_skills", "dismiss_skills_nudge"])
def test_user_cannot_write_next_to_the_app(sign_in: Callable[[str], Visitor], payload: str) -> None:
    """The server answers such a request of a browser on the same machine, be it by a refusal of its own."""
    with sign_in("ana").open_tab() as tab:
        request = BackMsg()
        request.backend_operation_request.request_id = "1"
        request.backend_operation_request.session_id = open_upload_page(tab)
        getattr(request.backend_operation_request, payload).SetInParent()
        assert "backend_operation_response" not in list_kinds(ask_server(tab, request))


@pytest.mark.parametrize("kind", [field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields])
def test_messages_of_developers_are_refused(kind: str) -> None:
    request, message = BackMsg(), BackMsg.DESCRIPTOR.fields_by_name[kind].message_type
    getattr(request, kind).SetInParent() if message else setattr(request, kind, True)
    data = request.SerializeToString()
    replaced = replace_refused({"type": "websocket.receive", "bytes": data})["bytes"]
    is_harmless = kind in ("rerun_script", "stop_script", "file_urls_request", "app_heartbeat")
    assert replaced == (data if is_harmless else BackMsg(app_heartbeat=True).SerializeToString())


@given(data=st.binary(max_size=200))
def test_refusal_passes_a_message_or_sends_a_sign_of_life(data: bytes) -> None:
    replaced = replace_refused({"type": "websocket.receive", "bytes": data})["bytes"]
    assert replaced == data or BackMsg.FromString(replaced).WhichOneof("type") == "app_heartbeat"


def read_rerun(message: Message) -> ClientState:
    return BackMsg.FromString(message["bytes"]).rerun_script


def list_rights(message: Message) -> list[str]:
    """List what a message asks for besides the sign-in page."""
    rerun = read_rerun(message)
    keys = [widget.id.split("-", 2)[-1] for widget in rerun.widget_states.widgets]
    return [*filter(None, [rerun.fragment_id]), *(key for key in keys if key not in SIGN_IN_WIDGETS)]


@given(data=st.binary(max_size=200))
def test_reduced_messages_never_grow_rights(data: bytes) -> None:
    """Whatever a stranger sends, what is left is a rerun with the widgets of the sign-in page, or a sign of life."""
    reduced = reduce_message({"type": "websocket.receive", "bytes": data})
    assert reduced["bytes"] == data or BackMsg.FromString(reduced["bytes"]).app_heartbeat or not list_rights(reduced)


@given(
    keys=st.lists(st.one_of(st.sampled_from(sorted(SIGN_IN_WIDGETS)), st.from_regex(r"[a-z-]{1,12}", fullmatch=True))),
    fragment=st.text(max_size=5),
)
def test_reduced_rerun_keeps_the_widgets_of_the_sign_in_page(keys: list[str], fragment: str) -> None:
    request = BackMsg()
    request.rerun_script.fragment_id = fragment
    for key in keys:
        request.rerun_script.widget_states.widgets.add(id=f"$$ID-0a1b-{key}").trigger_value = True
    reduced = reduce_message({"type": "websocket.receive", "bytes": request.SerializeToString()})
    kept = [widget.id.removeprefix("$$ID-0a1b-") for widget in read_rerun(reduced).widget_states.widgets]
    assert kept == [key for key in keys if key in SIGN_IN_WIDGETS]
    assert not list_rights(reduced)
