"""What a browser session remembers: the only user of st.session_state and of the address.

The address carries the dataset's digest and the run's id, so that a refresh, another browser and a colleague see the
same; the session repeats them only to bring them along to the next page.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import FunctionType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.accounts import User
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import AccessDeniedError, NotFoundError, ServiceUnavailableError
from core.messages import N_
from core.runs.stored_runs import load_run
from core.runs.tracked_run import recorded
from core.workspace import Workspace, get_workspace

T = TypeVar("T")

COOKIE = "vigie_session"
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
VOUCHED_FOR, REMEMBERED = 60.0, 900.0  # seconds: how long a provider's word is taken, and while the accounts are away
KEPT_DATASETS = 4
DOUBLE_CLICK = 3.0  # seconds


# ---- address and session --------------------------------------------------------------------------------------------


def from_address(name: str) -> str:
    """What the address says of `name`; "" where it says nothing."""
    return st.query_params.get(name) or ""


def remember_in_address(name: str, value: str) -> None:
    """Let the address say `value` of `name`; "" takes it away."""
    if not value:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def address() -> dict[str, list[str]]:
    """All that the address says after the page."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def kept(name: str, default: Any = None) -> Any:
    """What this session keeps as `name`."""
    return st.session_state.get(name, default)


def keep(name: str, value: object) -> None:
    """Keep `value` as `name` for as long as the session lasts."""
    st.session_state[name] = value


# ---- who, and on what -----------------------------------------------------------------------------------------------


def here() -> Workspace:
    return get_workspace()


@dataclass(frozen=True)
class Person:
    """Who is signed in. `csrf` is what their forms carry; "" where an identity provider vouches for them."""

    name: str
    roles: frozenset[str]
    csrf: str = ""


def sign_in_required() -> bool:
    """As VIGIE_REQUIRE_SIGN_IN says; without it, wherever the app does not listen on this machine alone."""
    said = here().settings.vigie_require_sign_in
    return st.get_option("server.address") not in THIS_MACHINE if said is None else said


def person() -> Person | None:
    """Who is signed in, by the session of the cookie or else by the identity provider; None where nobody is or has to.

    Asked of the accounts at every call, so that signing out, disabling and roles act at the next click. Raises
    ServiceUnavailableError where they do not answer and nobody remembers, and AccessDeniedError and OptionError
    for somebody whom the provider
    vouches for and the accounts turn away.
    """
    return (_by_password() or _vouched_for()) if sign_in_required() else None


def me(page: str) -> Actor:
    """Who acts: the signed-in person, else nobody in particular. Raises AccessDeniedError where they have to be
    signed in.
    """
    found = person()
    if found is None and sign_in_required():
        raise AccessDeniedError(N_("You have been signed out. Reload the page to sign in again."))
    return Actor(found.name if found else "anonymous", f"Vigie page {page}")


def owner() -> str:
    """Whose the data are that are loaded now: the signed-in person's; "" where nobody signs in, and all are
    everybody's.
    """
    found = person()
    return found.name if found else ""


def token() -> str:
    """The session's token, as the browser's cookie has it; "" without one."""
    return st.context.cookies.get(COOKIE) or ""


def identity() -> str:
    """What the identity provider calls the person: the address, unless it says that nobody verified it, else the
    subject.
    """
    claims = st.user.to_dict() if getattr(st.user, "is_logged_in", False) else {}
    email = claims.get("email") if claims.get("email_verified") is not False else None
    return str(email or claims.get("sub") or "")


def begin_as(name: str) -> None:
    """What another person left in this browser session is forgotten."""
    if kept("person", name) != name:
        st.session_state.clear()
    keep("person", name)


def _by_password() -> Person | None:
    found = here().accounts.session(token()) if token() else None
    return Person(found.user.name, found.user.roles, found.csrf) if found else None


def _vouched_for() -> Person | None:
    """Whom the identity provider vouches for, with the roles of our own accounts."""
    name = identity()
    if not name:
        return None
    when, user = kept(f"vouched {name}", (-REMEMBERED, None))
    age = time.monotonic() - when
    if user is None or age > VOUCHED_FOR:
        try:
            user = _asked_about(name)
            keep(f"vouched {name}", (time.monotonic(), user))
        except ServiceUnavailableError:
            if user is None or age > REMEMBERED:
                raise
    return Person(user.name, user.roles) if user else None


def _asked_about(name: str) -> User | None:
    """The account of somebody vouched for; None while there are none: the first is the administrator with the token."""
    if here().accounts.empty():
        return None
    user = here().accounts.vouched_for(name, st.context.ip_address or "")
    _came(user.name, str(st.user.to_dict().get("iat")))
    return user


@st.cache_resource(max_entries=10_000, show_spinner=False)
def _came(name: str, signed_in_at: str) -> None:
    """One event for one sign-in at the provider, however many tabs and refreshes follow."""
    with recorded("sign_in", Actor(name, "Vigie sign-in"), here(), provider=True):
        pass


def dataset() -> Dataset | None:
    """The dataset of the address, or the one used last in this session; None where there is none yet."""
    digest = from_address("dataset") or kept("dataset")
    if not digest:
        return None
    try:
        found = _dataset(digest)
    except NotFoundError:
        st.session_state.pop("dataset", None)
        remember_in_address("dataset", "")
        raise
    remember_dataset(digest)
    return found


def remember_dataset(digest: str) -> None:
    """Make `digest` the dataset of this session and of the address."""
    keep("dataset", digest)
    remember_in_address("dataset", digest)


def forget_dataset() -> None:
    st.session_state.pop("dataset", None)
    st.query_params.clear()


@st.cache_resource(max_entries=KEPT_DATASETS, show_spinner=False)
def _dataset(digest: str) -> Dataset:
    """Read once per server: datasets are frozen and shared by all sessions."""
    return here().datasets.load(digest)


# ---- results --------------------------------------------------------------------------------------------------------


def run_id() -> str:
    """The run of the address; "" without one."""
    return from_address("run")


def remember_run(identity: str, digest: str) -> None:
    """Make `identity` the run of the address, beside its dataset and the drivers that were there; the rest goes."""
    drivers = from_address("drivers")
    st.query_params.from_dict({"dataset": digest, "run": identity} | ({"drivers": drivers} if drivers else {}))
    keep("dataset", digest)


def result(task: str, reader: Callable[[str, Workspace], T]) -> T | None:
    """What `reader` finds in the run of the address.

    None without a run, and for a run of another task, which the address brings along from another page. Raises
    NotFoundError for a run that is not there, and as `reader`.
    """
    run = run_id()
    if not run or cached(load_run, run).record.experiment != task:
        return None
    return cached(reader, run)


BY_NAME = {FunctionType: lambda function: function.__qualname__}


@st.cache_resource(max_entries=64, ttl=60, show_spinner=False, hash_funcs=BY_NAME)
def cached(answer: Callable[[str, Workspace], T], run: str) -> T:
    """What `answer` says of a run; asked again after a minute, because a run that waits may have been delivered."""
    return answer(run, get_workspace())


@dataclass
class Answers:
    """The question answered last in a session."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    question: str = ""
    found: Any = None
    when: float = 0.0


def set_widgets(values: dict[str, object]) -> None:
    """Choose for the person, in the callback of a button."""
    for key, value in values.items():
        keep(key, value)


def answered_once(question: str, answer: Callable[[], Any]) -> Any:
    """`answer()`, but the second click of a double click gets what the first one got.

    Streamlit runs the second click's script beside the first one's, and stops the first at its next word to Streamlit,
    the session's state included: what both share is taken from there before the answer, and written to after it.
    """
    answers: Answers = st.session_state.setdefault("answers", Answers())
    with answers.lock:
        if answers.question != question or time.monotonic() - answers.when > DOUBLE_CLICK:
            answers.found = answer()
            answers.question, answers.when = question, time.monotonic()
        return answers.found


def timestamp(day: object) -> pd.Timestamp | None:
    return None if day is None else pd.Timestamp(day)  # type: ignore[arg-type]


def local(time: datetime) -> datetime:
    """`time` on the clock of the browser, without its zone; in UTC where the browser does not say."""
    try:
        zone = ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        zone = ZoneInfo("UTC")
    return time.astimezone(zone).replace(tzinfo=None)


def moment(milliseconds: int) -> datetime:
    """When something happened, in the server's time zone."""
    return datetime.fromtimestamp(milliseconds / 1000)
