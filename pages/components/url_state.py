"""Query parameters of the URL and state of the browser session.

This is the only module that uses st.query_params and st.session_state. The URL holds the digest of the dataset and
the id of the run: a refresh, another browser and a colleague see the same page. The session repeats the digest to
carry it to the next page.
"""

from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")

INPUT_PARAMS = ("covariates", "images", "pictures", "section", "from", "period")
"""Query parameters that stay when a run is set."""

# ---- query parameters -----------------------------------------------------------------------------------------------


def get_query_param(name: str) -> str:
    """Return the query parameter `name`; "" if the URL does not have it."""
    return st.query_params.get(name) or ""


def set_query_param(name: str, value: str) -> None:
    """Set the query parameter `name`, or remove it where `value` is ""."""
    if not value:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def get_query_params() -> dict[str, list[str]]:
    """Return all query parameters with all their values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


# ---- session state --------------------------------------------------------------------------------------------------


def get_state(name: str, default: Any = None) -> Any:
    """Return the value `name` of the browser session, or `default`."""
    return st.session_state.get(name, default)


def has_state(name: str) -> bool:
    """Tell whether the browser session has a value `name`."""
    return name in st.session_state


def set_state(name: str, value: object) -> None:
    """Store `value` as `name` until the browser session ends."""
    st.session_state[name] = value


def get_or_set_state(name: str, default: T) -> T:
    """Return the value `name` of the browser session; store `default` first if there is none."""
    value: T = st.session_state.setdefault(name, default)
    return value


def clear_state() -> None:
    """Delete all values of the browser session."""
    st.session_state.clear()


def set_widget_values(values: dict[str, object]) -> None:
    """Set the values of widgets; to be called in the callback of a button."""
    for key, value in values.items():
        set_state(key, value)


# ---- dataset and run ------------------------------------------------------------------------------------------------


def get_dataset_digest() -> str:
    """Return the digest of the URL, else the last digest of the session, else ""."""
    return get_query_param("dataset") or get_state("dataset") or ""


def set_dataset(digest: str) -> None:
    """Set `digest` as the dataset of the session and of the URL."""
    set_state("dataset", digest)
    set_query_param("dataset", digest)


def open_dataset(digest: str) -> None:
    """Set `digest` as the dataset of the session and of the URL, and leave the run of the URL."""
    set_dataset(digest)
    set_query_param("run", "")


def drop_dataset() -> None:
    """Remove the dataset from the session and from the URL; keep the other query parameters."""
    st.session_state.pop("dataset", None)
    set_query_param("dataset", "")


def clear_dataset() -> None:
    """Remove the dataset from the session, and all query parameters from the URL."""
    st.session_state.pop("dataset", None)
    st.query_params.clear()


def get_run_id() -> str:
    """Return the id of the run in the URL; "" without one."""
    return get_query_param("run")


def set_run(run_id: str, digest: str) -> None:
    """Set the run of the URL, with its dataset; keep the other inputs of the page and drop the other parameters.

    A run without a dataset, "", leaves that of the session alone.
    """
    inputs = {name: value for name in INPUT_PARAMS if (value := get_query_param(name))}
    st.query_params.from_dict(({"dataset": digest} if digest else {}) | {"run": run_id} | inputs)
    if digest:
        set_state("dataset", digest)
