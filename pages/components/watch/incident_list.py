"""Open incidents, worst first: filters, list, and the chosen incident with what may be done about it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.errors import InputError, NotFoundError
from core.watches.incident import Incident
from pages.components import cache, clock, downloads, url_state
from pages.components.i18n import _, format_value, get_date_format, translate_message, translate_plain
from pages.components.page_state import AddressField, make_choice_field, make_list_field
from pages.components.ranked_list import FILTER_WIDTH_PX, Card, choose_entry
from pages.components.task_links import link_first_steps, link_recent_results
from pages.components.watch import incident_actions, incident_chart
from pages.components.watch.renewal import renew
from pages.components.watch.words import (
    KIND_LABELS,
    SEVERITY_LEVELS,
    describe_facts,
    describe_finding,
    describe_incident,
    format_severity,
    format_state,
    name_entity,
)

if TYPE_CHECKING:
    from core.storage.watches.watch_store import WatchState

MAX_SHOWN_INCIDENTS = 200
SIGNATURE_TTL_S = 5.0
ADDRESS = "incident"
STATES = {"open": True, "resolved": False, "all": None}
STATE = make_choice_field("state", "incident-state", STATES, "open")
SEVERITY = make_list_field(
    "severity", "incident-severity", lambda text: text in {str(level) for level in SEVERITY_LEVELS}
)


@dataclass(frozen=True)
class IncidentFilter:
    """Filters of the list: a watch, "" for all; open, resolved or all incidents; severities, () for all."""

    watch: str
    is_open: bool | None
    severities: tuple[int, ...]


def show(states: "Mapping[str, WatchState]") -> None:
    """Show the incidents of these watches, by name."""
    if not states:
        _introduce()
        return
    incident_filter = _ask_filter(list(states))
    incidents = _list_incidents(incident_filter, states)
    folder, names = str(cache.get_workspace().folder), tuple(states)
    renew("incidents", _compute_signature(incidents), lambda: _load_signature(incident_filter, names, folder))
    incidents = _add_chosen(incidents, states)
    if not incidents:
        _show_nothing(incident_filter, states)
        return
    shown = incidents[:MAX_SHOWN_INCIDENTS]
    if len(shown) < len(incidents):
        st.caption(_("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_INCIDENTS)))
    incident = _choose(shown)
    _show_incident(incident)
    downloads.show_csv_button(
        _("These incidents (CSV)"), lambda: build_export(incidents), "incidents.csv", "incidents-csv"
    )


def _introduce() -> None:
    st.info(
        _(
            "A watch asks the question of a result again by itself. Every hour, for example, it reads the new rows of "
            "a folder, and tells you what is abnormal. Open a result and choose “Ask this again”."
        ),
        icon=":material/notifications_active:",
    )
    link_recent_results()
    link_first_steps()


def _show_nothing(incident_filter: IncidentFilter, states: "Mapping[str, WatchState]") -> None:
    if incident_filter.severities or incident_filter.is_open is not True:
        st.info(_("No incident matches these filters."), icon=":material/filter_alt_off:")
        return
    ticks = [state.last_tick.ended for state in states.values() if state.last_tick is not None]
    text = _("No incident is open.")
    if ticks:
        last_tick = _("Last tick: {time}.").format(time=clock.format_instant(max(ticks)))
        text = f"{text} {last_tick}"
    st.success(text, icon=":material/check_circle:")


# ---- filters --------------------------------------------------------------------------------------------------------


def _ask_filter(names: Sequence[str]) -> IncidentFilter:
    watch = make_choice_field("watch", "incident-watch", names)
    for field in (watch, STATE, SEVERITY):
        field.load()
    labels = {"open": _("Unresolved"), "resolved": _("Resolved"), "all": _("All")}
    with st.container(horizontal=True, vertical_alignment="bottom", key="incident-filters"):
        state = st.segmented_control(
            _("State"),
            list(STATES),
            format_func=labels.__getitem__,
            required=True,
            key=STATE.key,
            on_change=_store,
            args=(STATE,),
        )
        name = st.selectbox(
            _("Watch"),
            ["", *names],
            format_func=lambda name: name or _("All"),
            key=watch.key,
            on_change=_store,
            args=(watch,),
            width=FILTER_WIDTH_PX,
        )
        levels = st.pills(
            _("Severity"),
            [str(level) for level in reversed(SEVERITY_LEVELS)],
            selection_mode="multi",
            format_func=lambda level: format_severity(int(level)),
            key=SEVERITY.key,
            on_change=_store,
            args=(SEVERITY,),
        )
    return IncidentFilter(str(name or ""), STATES[str(state)], tuple(sorted(map(int, levels))))


def _store(field: AddressField) -> None:
    """Write a filter to the address, and choose the first incident of the new list."""
    field.store()
    url_state.set_query_param(ADDRESS, "")


def _list_incidents(
    incident_filter: IncidentFilter, names: "Mapping[str, WatchState] | tuple[str, ...]"
) -> list[Incident]:
    """Return the incidents of the filter that belong to the watches of the reader."""
    incidents = cache.get_workspace().watches.incidents.list_incidents(
        watch=incident_filter.watch, is_open=incident_filter.is_open
    )
    return [
        incident
        for incident in incidents
        if incident.watch in names
        and not incident.merged_into
        and (not incident_filter.severities or incident.severity in incident_filter.severities)
    ]


def _add_chosen(incidents: list[Incident], states: "Mapping[str, WatchState]") -> list[Incident]:
    """Return the incidents with that of the address: a link of a message also opens one that is resolved by now."""
    chosen = url_state.get_query_param(ADDRESS)
    if not chosen or any(incident.id == chosen for incident in incidents):
        return incidents
    try:
        incident = cache.get_workspace().watches.incidents.load_incident(chosen)
        if incident.merged_into:
            incident = cache.get_workspace().watches.incidents.load_incident(incident.merged_into)
    except (NotFoundError, InputError):
        return incidents
    url_state.set_query_param(ADDRESS, incident.id)
    is_listed = incident.watch not in states or any(each.id == incident.id for each in incidents)
    return incidents if is_listed else [*incidents, incident]


# ---- what changes by itself -----------------------------------------------------------------------------------------


@st.cache_data(ttl=SIGNATURE_TTL_S, max_entries=32, show_spinner=False)
def _load_signature(incident_filter: IncidentFilter, names: tuple[str, ...], folder: str) -> str:
    """Return the signature of a list, read at most once in five seconds for all sessions."""
    return _compute_signature(_list_incidents(incident_filter, names))


def _compute_signature(incidents: Sequence[Incident]) -> str:
    text = "\n".join(f"{incident.id} {incident.changed_at.timestamp()}" for incident in incidents)
    return hashlib.sha256(text.encode()).hexdigest()


# ---- list -----------------------------------------------------------------------------------------------------------


def _choose(incidents: Sequence[Incident]) -> Incident:
    """Show the list, and return the chosen incident; it stays chosen when the list changes by itself."""
    by_number = dict(enumerate(incidents, 1))
    number = choose_entry(
        _build_table(by_number),
        _build_column_config(),
        lambda number: _build_card(by_number[number]),
        address=ADDRESS,
        label=_("Incidents, worst first"),
        details=("watch", "kind", "end", "column"),
        names=[incident.id for incident in incidents],
    )
    url_state.set_query_param(ADDRESS, by_number[number].id)
    return by_number[number]


def _build_table(incidents: Mapping[int, Incident]) -> pd.DataFrame:
    lines = [
        {
            "severity": format_severity(incident.severity),
            "words": translate_plain(describe_incident(incident)),
            "start": clock.to_data_time(incident.start, incident.zone),
            "end": clock.to_data_time(incident.end, incident.zone),
            "state": format_state(incident),
            "assignee": incident.assignee,
            "watch": incident.watch,
            "kind": _(KIND_LABELS[incident.kind]),
            "column": incident.column,
        }
        for incident in incidents.values()
    ]
    return pd.DataFrame(lines, index=pd.Index(list(incidents)))


def _build_column_config() -> dict[str, ColumnConfig]:
    text = st.column_config.TextColumn
    time_format = f"{get_date_format()} HH:mm"
    return {
        "severity": text(_("Severity"), width=84),
        "words": text(_("Incident"), width=420),
        "start": st.column_config.DatetimeColumn(_("Start"), format=time_format, width=125),
        "end": st.column_config.DatetimeColumn(_("End"), format=time_format, width=125),
        "state": text(_("State"), width=110),
        "assignee": text(_("Assigned to"), width=110),
        "watch": text(_("Watch")),
        "kind": text(_("Kind")),
        "column": text(_("Column")),
    }


def _build_card(incident: Incident) -> Card:
    title = f"{format_severity(incident.severity)} · {name_entity(incident)}"
    facts = [translate_plain(describe_finding(incident)), format_state(incident), incident.assignee]
    return Card(title, " · ".join(filter(None, facts)))


def build_export(incidents: Sequence[Incident]) -> pd.DataFrame:
    """Return one line per incident with all that is known about it, its times in UTC."""
    return pd.DataFrame([incident.model_dump(mode="json", exclude={"schema_version"}) for incident in incidents])


# ---- one incident ---------------------------------------------------------------------------------------------------


def _show_incident(incident: Incident) -> None:
    with st.container(border=True, key="incident"):
        st.header(f"{format_severity(incident.severity)} · {translate_message(describe_incident(incident))}")
        st.markdown("\n".join(f"- {translate_message(fact)}" for fact in describe_facts(incident)))
        incident_actions.show_history(incident)
        incident_actions.show(incident)
        incident_chart.show(incident)
