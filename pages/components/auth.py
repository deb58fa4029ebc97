"""The signed-in user, from the session cookie or from the identity provider."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.accounts import User
from core.actor import NOBODY, Actor, Viewer
from core.errors import AccessDeniedError, ServiceUnavailableError
from core.messages import N_
from core.runs.tracked_run import record_event
from pages.components import cache, url_state

SESSION_COOKIE = "vigie_session"
OPERATOR_ROLES = ("operator", "administrator")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
IDP_CACHE_TTL_S = 60.0  # seconds; lifetime of a cached account of an external user
IDP_OUTAGE_TTL_S = 900.0  # seconds; lifetime while the accounts do not answer
MAX_LOGGED_SIGN_INS = 10_000


@dataclass(frozen=True)
class SignedInUser:
    """A signed-in user.

    `csrf` is the token that their forms carry; "" for a user whom the identity provider authenticates.
    """

    name: str
    roles: frozenset[str]
    csrf: str = ""


def is_sign_in_required() -> bool:
    """Tell whether sign-in is required.

    The setting VIGIE_REQUIRE_SIGN_IN decides. Without it, sign-in is required unless the app listens on a loopback
    address.
    """
    setting = cache.get_workspace().settings.vigie_require_sign_in
    return st.get_option("server.address") not in LOOPBACK_HOSTS if setting is None else setting


def current_user() -> SignedInUser | None:
    """Return the signed-in user, from the session cookie or from the identity provider.

    Returns None without a signed-in user, and where sign-in is not required. The accounts are queried at every call, so
    sign-out, disabled accounts and role changes take effect at the next click.

    Raises ServiceUnavailableError if the accounts do not answer and no answer is cached. Raises AccessDeniedError or
    OptionError for a user whom the provider authenticates and the accounts reject.
    """
    return (find_local_user(session_token()) or _load_external_user()) if is_sign_in_required() else None


def current_actor(page: str) -> Actor:
    """Return the user who acts on `page`, or "anonymous" where sign-in is not required.

    Raises AccessDeniedError if sign-in is required and no user is signed in.
    """
    user = current_user()
    if user is None and is_sign_in_required():
        raise AccessDeniedError(N_("You have been signed out. Reload the page to sign in again."))
    return Actor(user.name if user else "anonymous", f"Vigie page {page}")


def dataset_owner() -> str:
    """Return the owner of a dataset loaded now: the signed-in user, or "" for a dataset shared by all."""
    user = current_user()
    return user.name if user else ""


def manages_all_runs() -> bool:
    """Tell whether the user may change the runs of others: an operator, or anybody where nobody signs in."""
    if not is_sign_in_required():
        return True
    user = current_user()
    return user is not None and not user.roles.isdisjoint(OPERATOR_ROLES)


def session_token() -> str:
    """Return the session token of the browser's cookie; "" without one."""
    return st.context.cookies.get(SESSION_COOKIE) or ""


def find_local_user(token: str) -> SignedInUser | None:
    """Return the user of a session token; None for "" and for a session that is unknown or has ended.

    Raises ServiceUnavailableError as `current_user` does.
    """
    session = cache.get_workspace().accounts.find_session(token) if token else None
    return SignedInUser(session.user.name, session.user.roles, session.csrf) if session else None


def external_identity() -> str:
    """Return the name of the user at the identity provider; "" for a user who is not signed in there."""
    return read_identity(st.user.to_dict()) if getattr(st.user, "is_logged_in", False) else ""


def read_identity(claims: Mapping[str, object]) -> str:
    """Return the name of a user from the claims of the identity provider; "" without one.

    The name is the e-mail address, unless the provider marks it as not verified; otherwise it is the subject.
    """
    email = claims.get("email") if claims.get("email_verified") is not False else None
    return str(email or claims.get("sub") or "")


def set_viewer(user: SignedInUser | None) -> None:
    """Set whose runs this session reads from now on, where runs are private."""
    if user is None:
        viewer = NOBODY if is_sign_in_required() else None
    else:
        viewer = Viewer(user.name, sees_all=not user.roles.isdisjoint(OPERATOR_ROLES))
    url_state.set_state(cache.VIEWER_KEY, viewer)


def has_private_runs() -> bool:
    """Tell whether users read their own runs only, except operators."""
    return cache.get_workspace().settings.vigie_private_runs and is_sign_in_required()


def reset_for_user(name: str) -> None:
    """Clear the session state of the browser if it belongs to another user."""
    if url_state.get_state("user", name) != name:
        url_state.clear_state()
    url_state.set_state("user", name)


def _load_external_user() -> SignedInUser | None:
    """Return the user whom the identity provider authenticates, with the roles of the Vigie account."""
    name = external_identity()
    if not name:
        return None
    fetched_at, user = url_state.get_state(f"external user {name}", (-IDP_OUTAGE_TTL_S, None))
    age_s = time.monotonic() - fetched_at
    if user is None or age_s > IDP_CACHE_TTL_S:
        try:
            user = _fetch_external_user(name)
            url_state.set_state(f"external user {name}", (time.monotonic(), user))
        except ServiceUnavailableError:
            if user is None or age_s > IDP_OUTAGE_TTL_S:
                raise
    return SignedInUser(user.name, user.roles) if user else None


def _fetch_external_user(name: str) -> User | None:
    """Return the account of an external user; None as long as there are no accounts.

    The first account is that of the administrator, created with the setup token.
    """
    if cache.get_workspace().accounts.is_empty():
        return None
    user = cache.get_workspace().accounts.sign_in_external(name, st.context.ip_address or "")
    _log_external_sign_in(user.name, str(st.user.to_dict().get("iat")))
    return user


@st.cache_resource(max_entries=MAX_LOGGED_SIGN_INS, show_spinner=False)
def _log_external_sign_in(name: str, signed_in_at: str) -> None:
    """Log one event per sign-in at the provider, for any number of tabs and refreshes."""
    with record_event("sign_in", Actor(name, "Vigie sign-in"), cache.get_workspace(), provider=True):
        pass
