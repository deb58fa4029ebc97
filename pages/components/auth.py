"""Tell who is signed in, by the session of the cookie or by the identity provider."""

import time
from dataclasses import dataclass

import streamlit as st

from core.accounts import User
from core.actor import Actor
from core.errors import AccessDeniedError, ServiceUnavailableError
from core.messages import N_
from core.runs.tracked_run import recorded
from pages.components import cache, url_state

SESSION_COOKIE = "vigie_session"
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
IDP_CACHE_TTL_S = 60.0  # how long an answer of the accounts about an external user is used
IDP_OUTAGE_TTL_S = 900.0  # how long it is used while the accounts do not answer
MAX_LOGGED_SIGN_INS = 10_000


@dataclass(frozen=True)
class SignedInUser:
    """Who is signed in. `csrf` is what their forms carry; "" where an identity provider authenticates them."""

    name: str
    roles: frozenset[str]
    csrf: str = ""


def sign_in_required() -> bool:
    """Return VIGIE_REQUIRE_SIGN_IN; without it, True wherever the app does not listen on this machine alone."""
    required = cache.get_workspace().settings.vigie_require_sign_in
    return st.get_option("server.address") not in LOOPBACK_HOSTS if required is None else required


def current_user() -> SignedInUser | None:
    """Return who is signed in, by the session of the cookie or else by the identity provider.

    Returns None where nobody is signed in or nobody has to be. The accounts are asked at every call, so that signing
    out, disabling and roles act at the next click. Raises ServiceUnavailableError where they do not answer and nothing
    is cached, and AccessDeniedError and OptionError for somebody whom the provider authenticates and the accounts turn
    away.
    """
    return (_local_user() or _external_user()) if sign_in_required() else None


def current_actor(page: str) -> Actor:
    """Return who acts on `page`: the signed-in user, else "anonymous".

    Raises AccessDeniedError where signing in is required and nobody is signed in.
    """
    user = current_user()
    if user is None and sign_in_required():
        raise AccessDeniedError(N_("You have been signed out. Reload the page to sign in again."))
    return Actor(user.name if user else "anonymous", f"Vigie page {page}")


def dataset_owner() -> str:
    """Return who owns the data loaded now: the signed-in user; "" where nobody signs in and data are everybody's."""
    user = current_user()
    return user.name if user else ""


def session_token() -> str:
    """Return the session's token from the browser's cookie; "" without one."""
    return st.context.cookies.get(SESSION_COOKIE) or ""


def external_identity() -> str:
    """Return what the identity provider calls the user; "" where it authenticates nobody.

    That is the e-mail address, unless the provider says that nobody verified it, else the subject.
    """
    claims = st.user.to_dict() if getattr(st.user, "is_logged_in", False) else {}
    email = claims.get("email") if claims.get("email_verified") is not False else None
    return str(email or claims.get("sub") or "")


def reset_for_user(name: str) -> None:
    """Forget what another user left in this browser session."""
    if url_state.get_state("user", name) != name:
        url_state.clear_state()
    url_state.set_state("user", name)


def _local_user() -> SignedInUser | None:
    session = cache.get_workspace().accounts.session(session_token()) if session_token() else None
    return SignedInUser(session.user.name, session.user.roles, session.csrf) if session else None


def _external_user() -> SignedInUser | None:
    """Return whom the identity provider authenticates, with the roles of our own accounts."""
    name = external_identity()
    if not name:
        return None
    fetched_at, user = url_state.get_state(f"external user {name}", (-IDP_OUTAGE_TTL_S, None))
    age_s = time.monotonic() - fetched_at
    if user is None or age_s > IDP_CACHE_TTL_S:
        try:
            user = _fetch_external(name)
            url_state.set_state(f"external user {name}", (time.monotonic(), user))
        except ServiceUnavailableError:
            if user is None or age_s > IDP_OUTAGE_TTL_S:
                raise
    return SignedInUser(user.name, user.roles) if user else None


def _fetch_external(name: str) -> User | None:
    """Return the account of an external user; None while there are no accounts.

    The first account is the administrator's, made with the setup token.
    """
    if cache.get_workspace().accounts.empty():
        return None
    user = cache.get_workspace().accounts.vouched_for(name, st.context.ip_address or "")
    _log_external_sign_in(user.name, str(st.user.to_dict().get("iat")))
    return user


@st.cache_resource(max_entries=MAX_LOGGED_SIGN_INS, show_spinner=False)
def _log_external_sign_in(name: str, signed_in_at: str) -> None:
    """Log one event for one sign-in at the provider, however many tabs and refreshes follow."""
    with recorded("sign_in", Actor(name, "Vigie sign-in"), cache.get_workspace(), provider=True):
        pass
