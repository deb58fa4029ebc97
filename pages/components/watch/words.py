"""Incidents, severities and states of watches in words for the reader."""

from datetime import time
from typing import TYPE_CHECKING

from core.data.nameless import SERIES
from core.messages import N_, Message
from core.operations.watching.figures import SEVERITY_WORDS
from core.phrases import list_names, to_moment, to_span
from core.watches.incident import Incident
from core.watches.incident_sentences import Notice, clean_text, list_details
from pages.components.clock import format_time, to_data_time
from pages.components.i18n import _, localise_deviations
from pages.components.results.anomaly_list import SEVERITY_MARKS

if TYPE_CHECKING:
    from core.storage.watches.watch_store import WatchState

SEVERITY_LEVELS = (0, 1, 2, 3)
STATE_LABELS = {"open": (N_("open"), "●"), "acknowledged": (N_("acknowledged"), "◐"), "resolved": (N_("resolved"), "✓")}
KIND_LABELS = {"anomaly": N_("anomaly"), "lasting change": N_("lasting change"), "no data": N_("no data")}


def format_severity(level: int) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    return f"{SEVERITY_MARKS[level]} {_(SEVERITY_WORDS[level])}"


def format_state(incident: Incident) -> str:
    """Return the state of an incident as a mark and a word; an open one that is normal again is told so."""
    if incident.state == "open" and not incident.is_going_on:
        label, mark = N_("over, not resolved"), "○"
    else:
        label, mark = STATE_LABELS[incident.state]
    return f"{mark} {_(label)}"


def format_watch_state(state: "WatchState") -> str:
    """Return the state of a watch as a mark and a word."""
    if state.watch.is_paused:
        label, mark = N_("paused"), "‖"
    elif state.is_running:
        label, mark = N_("reading now"), "▶"
    else:
        label, mark = (N_("failing"), "✗") if state.failures else (N_("on"), "●")
    return f"{mark} {_(label)}"


def name_entity(incident: Incident) -> str:
    """Return the entity of an incident; the name of the watch for the whole watch, and for a series without a name."""
    return incident.watch if incident.entity in ("", SERIES) else incident.entity


def describe_incident(incident: Incident) -> Message:
    """Return an incident in one sentence, without its time."""
    return Message(
        "{entity} · {finding}", {"entity": clean_text(name_entity(incident)), "finding": describe_finding(incident)}
    )


def describe_finding(incident: Incident) -> Message:
    """Return what is wrong, without the entity."""
    if incident.kind == "no data":
        return Message(N_("no new rows"))
    if incident.is_withdrawn:
        return Message(N_("withdrawn, because the corrected values are normal"))
    if incident.column and incident.measured is not None:
        sentence = list_details(Notice("opened", incident.watch, incident), incident.zone or "UTC")[0]
    else:
        sentence = Message(N_("{count} abnormal row", "{count} abnormal rows"), {"count": incident.rows})
    if incident.kind == "lasting change":
        return Message(N_("{incident}; the level has changed"), {"incident": sentence})
    return sentence


def describe_facts(incident: Incident) -> list[Message]:
    """Return what else is known about an incident: when, its watch, its columns and its known events."""
    zone = incident.zone
    clock_of_data = zone or Message(N_("clock of the data"))
    facts = [Message("{period} ({zone})", {"period": _to_period(incident), "zone": clock_of_data})]
    if incident.kind != "no data":
        facts.append(
            Message(
                N_("{count} row above the threshold, watch {watch}", "{count} rows above the threshold, watch {watch}"),
                {"count": incident.rows, "watch": incident.watch},
            )
        )
    if incident.is_lasting_from is not None:
        moment = to_moment(to_data_time(incident.is_lasting_from, zone))
        facts.append(Message(N_("The level has changed since {moment}"), {"moment": moment}))
    if len(incident.causes) > 1:
        names = list_names(clean_text(localise_deviations(cause)) for cause in incident.causes)
        facts.append(Message(N_("Columns that deviate most: {names}"), {"names": names}))
    if incident.known_events:
        names = list_names(incident.event_messages)
        facts.append(Message(N_("Known events at this time: {names}"), {"names": names}))
    return facts


def _to_period(incident: Incident) -> object:
    """Return begin and end on the clock of the data; dates alone where the rows are days."""
    start, end = (to_data_time(instant, incident.zone) for instant in (incident.start, incident.end))
    if start.time() == end.time() == time():
        return to_span(start, end)
    if start == end:
        return format_time(start)
    last = f"{end:%H:%M}" if start.date() == end.date() else format_time(end)
    return f"{format_time(start)} – {last}"
