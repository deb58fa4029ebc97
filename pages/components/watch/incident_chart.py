"""Chart of an incident: the stored rows of its entity around it."""

from datetime import timedelta

import streamlit as st

from core.operations.watching.incident_figure import draw_incident
from core.watches.incident import Incident
from pages.components import cache
from pages.components.i18n import _
from pages.components.results.run_widgets import show_chart
from pages.components.watch.words import name_entity

MIN_MARGIN, MAX_MARGIN = timedelta(hours=12), timedelta(days=14)


def show(incident: Incident) -> None:
    """Show the column of an incident around it; nothing where its rows are not stored."""
    if incident.kind == "no data":
        return
    margin = min(max(2 * (incident.end - incident.start), MIN_MARGIN), MAX_MARGIN)
    rows = cache.get_workspace().watches.rows.load_past(
        incident.watch, [incident.entity], incident.start - margin, incident.end + margin
    )
    columns = [name for name in dict.fromkeys([incident.column, *incident.causes]) if name in rows]
    columns = columns or list(rows.columns[:1])
    if rows.empty or not columns:
        return
    column = columns[0]
    if len(columns) > 1:
        column = st.selectbox(_("Column"), columns, key=f"incident-column-{incident.id}", width=300)
    show_chart(
        draw_incident(rows.loc[incident.entity, column], incident, incident.zone, _),
        f"incident-{incident.id}",
        _("Measured values of {entity} around the incident").format(entity=name_entity(incident)),
    )
