"""Calendar of the incidents of some months."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from core.operations.watching.figures import draw_incident_calendar
from pages.components import cache, clock
from pages.components.i18n import _, format_value
from pages.components.page_state import make_choice_field
from pages.components.results.run_widgets import show_chart

if TYPE_CHECKING:
    from core.storage.watches.watch_store import WatchState

PERIOD_DAYS = {"month": 31, "quarter": 92, "year": 366, "all": 0}
PERIOD = make_choice_field("months", "calendar-period", PERIOD_DAYS, "quarter")
MAX_INCIDENTS = 5000


def show(states: "Mapping[str, WatchState]") -> None:
    """Show the incidents of the last weeks or months by entity and day, open and resolved ones."""
    PERIOD.load()
    watch = make_choice_field("watch", "calendar-watch", states)
    watch.load()
    labels = {"month": _("1 month"), "quarter": _("3 months"), "year": _("1 year"), "all": _("All")}
    with st.container(horizontal=True, vertical_alignment="bottom", key="calendar-filters"):
        period = st.segmented_control(
            _("Period"),
            list(PERIOD_DAYS),
            format_func=labels.__getitem__,
            required=True,
            key=PERIOD.key,
            on_change=PERIOD.store,
        )
        name = st.selectbox(
            _("Watch"),
            ["", *states],
            format_func=lambda name: name or _("All"),
            key=watch.key,
            on_change=watch.store,
            width=220,
        )
    now = datetime.now(UTC)
    days = PERIOD_DAYS[str(period)]
    start = now - timedelta(days=days) if days else None
    listed = cache.get_workspace().watches.incidents.list_incidents(
        watch=str(name or ""), since=start, until=now, limit=MAX_INCIDENTS
    )
    incidents = [incident for incident in listed if incident.watch in states and not incident.merged_into]
    if len(listed) == MAX_INCIDENTS:
        st.caption(_("Only the worst {count} incidents are drawn.").format(count=format_value(MAX_INCIDENTS)))
    if not incidents:
        st.info(_("There is no incident in this period."), icon=":material/event_available:")
        return
    first = start or min(incident.start for incident in incidents)
    last = now if days else max(incident.end for incident in incidents)
    show_chart(
        draw_incident_calendar(incidents, first, last, clock.get_zone_name(), _),
        "incident-calendar",
        _("Incidents of each entity by day or week, with their largest severity"),
    )
    clock.show_zone()
