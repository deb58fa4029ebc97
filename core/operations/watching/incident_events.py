"""Known events beside incidents: public holidays, clock changes, and what the covariates of a watch tell."""

import logging
from collections.abc import Sequence
from itertools import islice

import numpy as np
import pandas as pd

from core.data.covariates.countries import check_calendar
from core.data.covariates.matching import parse_places
from core.data.dataset import DAY, Dataset, make_index
from core.data.time_zones import to_local_times
from core.errors import VigieError
from core.messages import N_, Message
from core.operations.known_events import EventSource, has_whole_days, load_calendar_events
from core.watches.incident import Incident, IncidentChange
from core.watches.watch import Watch
from core.workspace import Workspace

MAX_EVENTS = 5  # of one incident
WEATHER_DAYS = 400 * DAY  # before an incident, by which cold is judged

KnownEvent = tuple[pd.Timestamp, pd.Timestamp, frozenset[str], str]
"""Start, end (exclusive), entities (none for all) and text."""

logger = logging.getLogger(__name__)


def check_event_choices(watch: Watch, workspace: Workspace) -> None:
    """Make sure that the covariates, the calendar and the places of a watch can be used.

    Raises NotFoundError for covariates that are not stored here, OptionError for an unknown calendar, and for a place
    of another form than "ENTITY=PLACE".
    """
    check_calendar(watch.calendar)
    parse_places(watch.places)
    if watch.covariates:
        workspace.covariates.load(watch.covariates)


def add_known_events(
    watch: Watch, changes: Sequence[IncidentChange], template: Dataset, workspace: Workspace
) -> tuple[IncidentChange, ...]:
    """Return the changes with the known events during their incidents; those of missing data stay as they are.

    `template` is that of the judge. What cannot be had, such as covariates that are no longer stored, is left out.
    """
    concerned = [change.incident for change in changes if change.incident.kind != "no data" and change.incident.is_open]
    if not concerned:
        return tuple(changes)
    try:
        spans = {incident.id: _find_local_span(incident, template) for incident in concerned}
        source = EventSource(watch.covariates, watch.calendar, watch.places)
        events = load_calendar_events(_build_days(concerned, spans, template, watch), workspace, source)
    except VigieError as error:
        logger.warning("known events of the watch %s are left out: %s", watch.name, error)
        return tuple(changes)
    known = [
        (row.start, row.end, frozenset(row.entities), _describe_event(row.kind, row.label).dump())
        for row in events.itertuples()
    ]
    names = {incident.id: _select_texts(known, incident.entity, *spans[incident.id]) for incident in concerned}
    return tuple(_set_known_events(change, names) for change in changes)


def _set_known_events(change: IncidentChange, names: dict[str, tuple[str, ...]]) -> IncidentChange:
    if change.incident.id not in names:
        return change
    incident = change.incident.model_copy(update={"known_events": names[change.incident.id]})
    return change.model_copy(update={"incident": incident})


def _select_texts(events: Sequence[KnownEvent], entity: str, start: pd.Timestamp, end: pd.Timestamp) -> tuple[str, ...]:
    """Return the texts of the events of an entity that overlap with an incident."""
    texts = (
        text
        for first, last, entities, text in events
        if first <= end and last > start and (not entities or entity in entities)
    )
    return tuple(islice(dict.fromkeys(texts), MAX_EVENTS))


def _find_local_span(incident: Incident, template: Dataset) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return start and end on the clock of the data; in data of whole days, of the last day."""
    instants = pd.to_datetime([incident.start, incident.end], utc=True).tz_localize(None)
    has_one_offset = template.zone and "/+" not in template.zone and "/-" not in template.zone
    start, end = to_local_times(instants, template.zone)[0] if has_one_offset else instants
    return start, end + (DAY - pd.Timedelta(1) if has_whole_days(template) else pd.Timedelta(0))


def _build_days(
    incidents: Sequence[Incident], spans: dict[str, tuple[pd.Timestamp, pd.Timestamp]], template: Dataset, watch: Watch
) -> Dataset:
    """Return rows without values for the entities of incidents, from the first day to the last."""
    first = min(start for start, _ in spans.values()) - (WEATHER_DAYS if watch.covariates else DAY)
    last = max(end for _, end in spans.values())
    entities = sorted({incident.entity for incident in incidents})
    index = make_index(np.repeat(entities, 2), pd.DatetimeIndex([first.normalize(), last.normalize()] * len(entities)))
    frame = pd.DataFrame(np.nan, index=index, columns=template.columns)
    return template.replace(frame=frame, covariates=None, context=None, labels=None, fold=None)


def _describe_event(kind: str, label: Message | None) -> Message:
    from core.figures.annotations import EVENT_STYLES  # loads Plotly, which a tick without events does not need

    name = Message(EVENT_STYLES[kind].label)
    return name if label is None else Message(N_("{kind}: {label}"), {"kind": name, "label": label})
