"""Read and write the query parameters and what a browser session keeps.

This is the only module that touches st.query_params and st.session_state. The address carries the dataset's digest and
the run's id, so that a refresh, another browser and a colleague see the same; the session repeats the digest only to
bring it along to the next page.
"""

from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")

# ---- query parameters -----------------------------------------------------------------------------------------------


def get_query_param(name: str) -> str:
    """Return the query parameter `name`; "" where the address has none."""
    return st.query_params.get(name) or ""


def set_query_param(name: str, value: str) -> None:
    """Set the query parameter `name`, or remove it where `value` is ""."""
    if not value:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def query_params() -> dict[str, list[str]]:
    """Return all query parameters with all their values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


# ---- session state --------------------------------------------------------------------------------------------------


def get_state(name: str, default: Any = None) -> Any:
    """Return what this browser session keeps as `name`."""
    return st.session_state.get(name, default)


def set_state(name: str, value: object) -> None:
    """Keep `value` as `name` for as long as the browser session lasts."""
    st.session_state[name] = value


def get_or_set_state(name: str, default: T) -> T:
    """Return what this browser session keeps as `name`; keep `default` where it keeps nothing yet."""
    kept: T = st.session_state.setdefault(name, default)
    return kept


def clear_state() -> None:
    """Forget everything that this browser session keeps."""
    st.session_state.clear()


def set_widget_values(values: dict[str, object]) -> None:
    """Set widgets on the user's behalf; call it in the callback of a button."""
    for key, value in values.items():
        set_state(key, value)


# ---- the dataset and the run ----------------------------------------------------------------------------------------


def get_dataset_digest() -> str:
    """Return the digest in the address, else the one used last in this session; "" where there is none yet."""
    return get_query_param("dataset") or get_state("dataset") or ""


def set_dataset(digest: str) -> None:
    """Make `digest` the dataset of this session and of the address."""
    set_state("dataset", digest)
    set_query_param("dataset", digest)


def drop_dataset() -> None:
    """Remove the dataset from this session and from the address, and leave the other query parameters."""
    st.session_state.pop("dataset", None)
    set_query_param("dataset", "")


def clear_dataset() -> None:
    """Remove the dataset from this session, and every query parameter with it."""
    st.session_state.pop("dataset", None)
    st.query_params.clear()


def get_run_id() -> str:
    """Return the id of the run in the address; "" without one."""
    return get_query_param("run")


def set_run(run_id: str, digest: str) -> None:
    """Make `run_id` the run of the address, beside its dataset and the covariates that were there; drop the rest."""
    drivers = get_query_param("drivers")
    st.query_params.from_dict({"dataset": digest, "run": run_id} | ({"drivers": drivers} if drivers else {}))
    set_state("dataset", digest)
