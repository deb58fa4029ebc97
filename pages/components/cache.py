"""Cached workspace, datasets, results and their figures, shared by all sessions of a server."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import workspace as core_workspace
from core.actor import NOBODY, Viewer
from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.runs import renderings
from core.runs.renderings import Drawing
from core.runs.stored_runs import load_run
from core.workspace import Workspace
from pages.components import url_state
from pages.components.i18n import get_language

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from core.figures.chart import Chart

T = TypeVar("T")

MAX_CACHED_DATASETS = 4
MAX_CACHED_RESULTS = 64
RESULT_TTL_S = 60
DOUBLE_CLICK_S = 3.0
HASH_FUNCTION_BY_NAME: dict[str | type[Any], Callable[[Any], Any]] = {
    FunctionType: lambda function: function.__qualname__,
    Viewer: repr,
}
VIEWER_KEY = "viewer"
"""Key of the state of a session; None where nobody signs in, so that every run may be read."""


def get_workspace() -> Workspace:
    """Return the workspace of all pages; tests replace this function.

    Where runs are private, it reads the runs of the user whom `auth.set_viewer` has named in this session. Outside the
    session of a browser it reads none.
    """
    workspace = core_workspace.get_workspace()
    if not workspace.settings.vigie_private_runs:
        return workspace
    viewer = url_state.get_state(VIEWER_KEY, NOBODY) if get_script_run_ctx(suppress_warning=True) else NOBODY
    return workspace if viewer is None else workspace.restrict_to(viewer)


# ---- dataset and results --------------------------------------------------------------------------------------------


def load_dataset() -> Dataset | None:
    """Load the dataset of the URL, else the last dataset of the session; return None without one.

    Raises NotFoundError for a dataset that is not stored, and removes it from the URL.
    """
    digest = url_state.get_dataset_digest()
    if not digest:
        return None
    try:
        dataset = load_dataset_by_digest(digest)
    except NotFoundError:
        url_state.drop_dataset()
        raise
    url_state.set_dataset(digest)
    return dataset


@st.cache_resource(max_entries=MAX_CACHED_DATASETS, show_spinner=False)
def load_dataset_by_digest(digest: str) -> Dataset:
    """Load a dataset once per server; a frozen dataset can be shared by all sessions."""
    return get_workspace().datasets.load(digest)


def load_result(task: str, reader: Callable[[str, Workspace], T]) -> T | None:
    """Load the result of the run in the URL with `reader`.

    Returns None without a run, and for a run of another task that came with the URL of another page. Raises
    NotFoundError for an unknown run, and the errors of `reader`.
    """
    run_id = url_state.get_run_id()
    if not run_id or cache_by_run(load_run, run_id).record.experiment != task:
        return None
    return cache_by_run(reader, run_id)


def cache_by_run(reader: Callable[[str, Workspace], T], run_id: str) -> T:
    """Return the value that `reader` reads from a run. All sessions that may read the run share it.

    The value is read again after a minute, because a pending run may be delivered in between.
    """
    workspace = get_workspace()
    return _cache_for_viewer(reader, run_id, workspace.viewer, workspace.run_changes.read())


def clear_runs() -> None:
    """Make all processes read runs again; where the disk is full, this one at once and others within a minute."""
    _cache_for_viewer.clear()
    with suppress(OSError):
        get_workspace().run_changes.mark()


@st.cache_resource(
    max_entries=MAX_CACHED_RESULTS, ttl=RESULT_TTL_S, show_spinner=False, hash_funcs=HASH_FUNCTION_BY_NAME
)
def _cache_for_viewer(reader: Callable[[str, Workspace], T], run_id: str, viewer: Viewer | None, last_change: int) -> T:
    return reader(run_id, get_workspace())


# ---- charts and tables of results ----------------------------------------------------------------------------------


def finish_once(figure: "go.Figure | Drawing", finish: "Callable[..., Chart]", *arguments: Any) -> "Chart":
    """Return the chart `finish(figure, *arguments)`; that of a drawing is made once for all readers of its language.

    Everything that the chart shows is among the arguments, or is the subject of the drawing.
    """
    if not isinstance(figure, Drawing):
        return finish(figure, *arguments)
    return renderings.finish_once(get_workspace().renderings, get_language(), figure, finish, arguments)


def tabulate_once(subject: str, build: Callable[..., pd.DataFrame], *arguments: Any) -> pd.DataFrame:
    """Return the table `build(*arguments)` of a run's result or a dataset, built once as `finish_once` does."""
    return renderings.tabulate_once(get_workspace().renderings, subject, get_language(), build, arguments)


# ---- double clicks --------------------------------------------------------------------------------------------------


@dataclass
class LastSubmission:
    """The last submission of a session, and its result."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    action: str = ""
    result: Any = None
    time_s: float = 0.0


def submit_once(action: str, submit: Callable[[], T]) -> T:
    """Return the result of `submit()`; the second click of a double click gets the result of the first.

    Streamlit runs the script of the second click in parallel with that of the first. It stops the first script at its
    next call of Streamlit, which includes access to the session state. Therefore the shared record is read from the
    session state before the call, and is written to after it.
    """
    last = url_state.get_or_set_state("last-submission", LastSubmission())
    with last.lock:
        if last.action != action or time.monotonic() - last.time_s > DOUBLE_CLICK_S:
            last.result = submit()
            last.action, last.time_s = action, time.monotonic()
        result: T = last.result
        return result
