"""What the gate uses of Streamlit is still where it was; the tests against a server show that it does its work."""

import inspect

from streamlit.elements.lib.utils import compute_and_register_element_id
from streamlit.elements.widgets import file_uploader
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.runtime import SessionClient
from streamlit.runtime.session_manager import SessionManager
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileManager, UploadedFileRec
from streamlit.web.server.starlette import starlette_routes
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from pages.gate import streamlit_internals


def test_streamlit_serves_uploads_at_the_address_of_the_gate() -> None:
    assert f"/{starlette_routes.BASE_ROUTE_UPLOAD_FILE}/" == streamlit_internals.UPLOAD_FOLDER
    [info] = MemoryUploadedFileManager(f"/{starlette_routes.BASE_ROUTE_UPLOAD_FILE}").get_upload_urls("tab", ["a"])
    assert info.upload_url == f"{streamlit_internals.UPLOAD_FOLDER}tab/{info.file_id}"


def test_streamlit_checks_an_upload_before_it_asks_for_the_form() -> None:
    source = inspect.getsource(starlette_routes.create_upload_routes)
    checks = [source.index(text) for text in ("_check_xsrf(request)\n", "is_active_session(", "request.stream()")]
    assert checks == sorted(checks)


def test_streamlit_keeps_sessions_and_uploads_where_the_gate_looks() -> None:
    assert "_session_mgr" in inspect.getsource(Runtime.__init__)
    for owner, names in (
        (Runtime, ("get_client", "uploaded_file_mgr")),
        (SessionManager, ("get_session_info",)),
        (SessionClient, ("client_context",)),
        (UploadedFileManager, ("remove_session_files",)),
    ):
        assert set(names) <= set(dir(owner))
    assert "file_id" in inspect.signature(UploadedFileRec).parameters
    assert "self.file_id = record.file_id" in inspect.getsource(UploadedFile.__init__)
    assert "get_files" in inspect.getsource(file_uploader._get_upload_files)


def test_streamlit_reads_signed_cookies_and_keys_as_the_gate_does() -> None:
    assert streamlit_internals.read_user_claims({USER_COOKIE_NAME: "forged"}) is None
    assert streamlit_internals.read_user_claims({}) is None
    element_id = compute_and_register_element_id("button", user_key="go", key_as_main_identity=False, dg=None)
    assert streamlit_internals.user_key_from_element_id(element_id) == "go"
