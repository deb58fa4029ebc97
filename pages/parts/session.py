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

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.errors import NotOnRecord
from core.run import Actor, Workplace, workplace

T = TypeVar("T")

KEPT_DATASETS = 4
DOUBLE_CLICK = 3.0  # seconds


def here() -> Workplace:
    return workplace()


def me(page: str) -> Actor:
    """Who acts: the signed-in person, else nobody in particular."""
    user = getattr(st.user, "email", None) if getattr(st.user, "is_logged_in", False) else None
    return Actor(str(user or "anonymous"), f"Vigie page {page}")


def dataset() -> Dataset | None:
    """The dataset of the address, or the one used last in this session; None where there is none yet."""
    digest = st.query_params.get("dataset") or st.session_state.get("dataset")
    if not digest:
        return None
    try:
        found = _dataset(digest)
    except NotOnRecord:
        st.session_state.pop("dataset", None)
        st.query_params.pop("dataset", None)
        raise
    remember_dataset(digest)
    return found


def remember_dataset(digest: str) -> None:
    """Make `digest` the dataset of this session and of the address."""
    st.session_state["dataset"] = digest
    if st.query_params.get("dataset") != digest:
        st.query_params["dataset"] = digest


def forget_dataset() -> None:
    st.session_state.pop("dataset", None)
    st.query_params.clear()


@st.cache_resource(max_entries=KEPT_DATASETS, show_spinner=False)
def _dataset(digest: str) -> Dataset:
    """Read once per server: datasets are frozen and shared by all sessions."""
    return here().datasets.load(digest)


def run_id() -> str | None:
    """The run of the address."""
    return st.query_params.get("run")


def remember_run(identity: str, digest: str) -> None:
    st.query_params.from_dict({"dataset": digest, "run": identity})
    st.session_state["dataset"] = digest


BY_NAME = {FunctionType: lambda function: function.__qualname__}


@st.cache_resource(max_entries=64, ttl=60, show_spinner=False, hash_funcs=BY_NAME)
def cached(answer: Callable[[str, Workplace], T], run: str) -> T:
    """What `answer` says of a run; asked again after a minute, because a run that waits may have been delivered."""
    return answer(run, workplace())


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
        st.session_state[key] = value


def answered_once(question: str, answer: Callable[[], Any]) -> Any:
    """`answer()`, but the second click of a double click gets what the first one got.

    Streamlit runs the second click's script beside the first one's, and stops the first at its next word to Streamlit,
    the session's state included: what both share is taken from there before the answer, and written to after it.
    """
    if "answers" not in st.session_state:
        st.session_state["answers"] = Answers()
    answers: Answers = st.session_state["answers"]
    with answers.lock:
        if answers.question != question or time.monotonic() - answers.when > DOUBLE_CLICK:
            answers.found = answer()
            answers.question, answers.when = question, time.monotonic()
        return answers.found


def timestamp(day: object) -> pd.Timestamp | None:
    return None if day is None else pd.Timestamp(day)  # type: ignore[arg-type]


def moment(milliseconds: int) -> datetime:
    """When something happened, in the server's time zone."""
    return datetime.fromtimestamp(milliseconds / 1000)
