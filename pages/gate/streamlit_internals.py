"""Everything that the gate uses of Streamlit and that is not public; a test holds each of them.

The format of messages (`BackMsg`) and the address of uploads belong to it, too; they are used where they are.
"""

from collections.abc import Mapping

from streamlit.runtime import Runtime
from streamlit.runtime.state.common import user_key_from_element_id
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

__all__ = ["UPLOAD_FOLDER", "USER_COOKIE_NAME", "user_key_from_element_id"]

UPLOAD_FOLDER = "/_stcore/upload_file/"


def find_tab_cookies(session: str) -> Mapping[str, str] | None:
    """Return the cookies with which a tab was opened; None for a tab that is not open."""
    client = Runtime.instance().get_client(session)
    context = client.client_context if client else None
    return None if context is None else context.cookies


def is_session_alive(session: str) -> bool:
    """Tell whether the session of a tab is open, or may be taken up again by its browser."""
    return Runtime.instance()._session_mgr.get_session_info(session) is not None


def remove_uploads(session: str) -> None:
    """Make Streamlit forget the uploads of a session."""
    Runtime.instance().uploaded_file_mgr.remove_session_files(session)


def read_user_claims(cookies: Mapping[str, str]) -> bytes | None:
    """Return what the identity provider said about a user, as JSON, from Streamlit's signed cookie; None without it."""
    return starlette_websocket._get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE_NAME)
