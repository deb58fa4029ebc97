"""Lists that change by themselves: the page is shown again when what it lists has changed."""

from collections.abc import Callable, Iterator

import streamlit as st

from core.errors import ServiceUnavailableError
from pages.components import url_state

POLL_INTERVAL_S = 10.0


def renew(place: str, signature: str, load_signature: Callable[[], str]) -> None:
    """Show the page again when `load_signature` returns another text than `signature`, that of what is shown.

    place           name of the list
    load_signature  is called every ten seconds; it may be cached for a shorter time
    """
    first_calls = iter((True,))
    st.fragment(_rerun_when_changed, run_every=POLL_INTERVAL_S)(place, signature, load_signature, first_calls)


def _rerun_when_changed(
    place: str, signature: str, load_signature: Callable[[], str], first_calls: Iterator[bool]
) -> None:
    """Rerun the page when its list has changed; not in the first call, which belongs to a run of the page.

    That run may be the answer to a click, which a rerun would lose.
    """
    if next(first_calls, False):
        return
    try:
        current = load_signature()
    except ServiceUnavailableError:  # the page tells it at its next run
        return
    key = f"{place}-renewed-for"
    if current != signature and url_state.get_state(key) != current:
        url_state.set_state(key, current)  # a signature that was cached before a change reruns the page only once
        st.rerun()
