"""Check of the sign-in before the server's own endpoints for uploads, media files and components.

Without this check they answer to anybody who can reach the server, whatever the pages require.
"""

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import ServiceUnavailableError
from pages.components.auth import is_sign_in_required
from pages.gate import identity

OPEN_PATHS = ("/_stcore/health", "/_stcore/host-config")  # they tell nothing about users or data
CLOSED_PATH = "/_stcore/metrics"
GUARDED_FOLDERS = ("/_stcore/", "/media/", "/component/")
USER_KEY = "vigie.user"
"""Key of the scope of a request under which the endpoints behind this check find the name of the user."""


class SignInCheck:
    """Middleware that answers 401 or 403 at the guarded endpoints to a visitor who may not load data."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the name of the user, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = get_path(scope)
        if path == CLOSED_PATH:
            refusal: PlainTextResponse | None = PlainTextResponse("Not found.", 404)
        elif path in OPEN_PATHS or not path.startswith(GUARDED_FOLDERS) or not is_sign_in_required():
            refusal = None
        else:
            refusal = await _find_refusal(scope)
        await (refusal or self.app)(scope, receive, send)


def get_path(scope: Scope) -> str:
    """Return the path of a request below the base path of the server."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    path: str = scope["path"]
    return path.removeprefix(f"/{base}") if base else path


async def _find_refusal(scope: Scope) -> PlainTextResponse | None:
    """Return the answer to a visitor who may not load data; None for a user, whose name is added to the scope."""
    try:
        user = await identity.find_user(identity.read_cookies(scope))
    except ServiceUnavailableError:
        return PlainTextResponse("The account database does not respond.", 503)
    if user is None:
        return PlainTextResponse("Sign in first.", 401)
    if not user.roles:
        return PlainTextResponse("You have no role yet.", 403)
    scope[USER_KEY] = user.name
    return None
