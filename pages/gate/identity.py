"""The user who sends a request, from its cookies; pages ask `pages.components.auth` instead."""

import json
from collections.abc import Mapping

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.types import Scope

from pages.components import auth, cache
from pages.components.auth import SESSION_COOKIE, SignedInUser
from pages.gate.streamlit_internals import USER_COOKIE_NAME, read_user_claims

SIGN_IN_COOKIES = (SESSION_COOKIE, USER_COOKIE_NAME)


def read_cookies(scope: Scope) -> dict[str, str]:
    """Return the cookies of a request."""
    return dict(HTTPConnection(scope).cookies)


def is_same_sign_in(cookies: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether two requests carry the same sign-in."""
    return all(cookies.get(name) == other.get(name) for name in SIGN_IN_COOKIES)


async def find_user(cookies: Mapping[str, str]) -> SignedInUser | None:
    """Return the user of these cookies, read from the accounts anew; None for nobody, and for a disabled account.

    Raises ServiceUnavailableError if the accounts do not answer and no answer is cached.
    """
    if not any(cookies.get(name) for name in SIGN_IN_COOKIES):
        return None
    return await to_thread.run_sync(_find_user, cookies)


def _find_user(cookies: Mapping[str, str]) -> SignedInUser | None:
    return auth.find_local_user(cookies.get(SESSION_COOKIE, "")) or _find_external_user(cookies)


def _find_external_user(cookies: Mapping[str, str]) -> SignedInUser | None:
    """Return the account of the user whom the identity provider authenticated, from Streamlit's signed cookie."""
    claims = read_user_claims(cookies)
    identity = _read_claims(claims) if claims else ""
    user = cache.get_workspace().accounts.find_user(identity) if identity else None
    return None if user is None or user.disabled else SignedInUser(user.name, user.roles)


def _read_claims(text: bytes) -> str:
    claims = json.loads(text)
    return auth.read_identity(claims) if claims.get("is_logged_in") else ""
