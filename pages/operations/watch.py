"""Page of watches: what is open now, the calendar, the watches, a new one, replay, whom to tell."""

from collections.abc import Callable

import streamlit as st

from core.operations.queries import REPLAY_WATCH
from core.operations.watching.watches import list_watches
from core.watches.watch import Watch
from pages.components import auth, cache, job_progress, url_state
from pages.components.address_tabs import show_tabs
from pages.components.i18n import _
from pages.components.watch import calendar, changes, incident_list, recipient_list, replay, watch_form, watch_list

VIEW_PARAM = "view"


def page() -> None:
    """Show the view of the address; the form of a new watch where the address names a result to ask again."""
    st.title(_("Watch"))
    changes.show_receipt()
    _open_job()
    states = {state.watch.name: state for state in list_watches(cache.get_workspace()) if _may_see(state.watch)}
    views: dict[str, tuple[str, Callable[[], None]]] = {
        "open": (_("Incidents"), lambda: incident_list.show(states)),
        "calendar": (_("Calendar"), lambda: calendar.show(states)),
        "watches": (_("Watches"), lambda: watch_list.show(states)),
        "new": (_("New watch"), watch_form.show_new),
        "replay": (_("Replay"), lambda: replay.show(states)),
    }
    if auth.manages_all_runs():
        views["recipients"] = (_("Recipients"), lambda: recipient_list.show(list(states)))
    show_tabs(VIEW_PARAM, "watch-view", views)


def _open_job() -> None:
    """Open the view of the job in the address, to which the home page links: a replay, or the training of a watch."""
    job = job_progress.find_running_job()
    if url_state.get_query_param("work"):
        url_state.set_query_param("work", "")
        url_state.set_query_param(VIEW_PARAM, "replay" if job is None or job.task == REPLAY_WATCH else "watches")


def _may_see(watch: Watch) -> bool:
    """Tell whether the reader may see a watch: its owner and operators where runs are private, else everybody."""
    if not auth.has_private_runs() or auth.manages_all_runs():
        return True
    user = auth.current_user()
    return user is not None and user.name == watch.owner


page()
