"""Common parts of the charts over time of a result: the chosen period, known events and notes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.dataset import DAY, Dataset
from core.data.known_events import EVENT_COLUMNS, build_event_table, describe_span, select_events
from core.data.time_ranges import DataSpan, TimeRange
from core.errors import DataError, NotFoundError
from core.figures.annotations import EVENT_STYLES, MAX_DRAWN_EVENTS, choose_drawn_events, draw_events
from core.operations.known_events import EventSource, add_notes, has_whole_days, load_calendar_events
from core.operations.notes import read_notes
from core.storage.notes import Note
from pages.components import cache, covariate_upload, notes, time_range
from pages.components.i18n import _, format_value, get_language, translate_message, translate_plain
from pages.components.results.run_widgets import show_chart

MAX_CACHED_TABLES = 32
MAX_SHOWN_NAMES = 3  # of entities, in the text of an event


@dataclass(frozen=True)
class Timeline:
    """Period and events of the charts of one result.

    events        known events of all entities, without the period
    entity_count  number of entities of the data; 0 without loaded data, where charts show neither period nor events
    period        chosen period; None for all
    """

    events: pd.DataFrame
    entity_count: int = 0
    period: TimeRange | None = None

    def show_chart(self, figure: go.Figure, key: str, alt: str, entity: str = "", has_focus: bool = False) -> None:
        """Show a figure with a time axis: events of `entity` ("" for all) behind its lines, the chosen period visible.

        A period that is drawn in the chart becomes the period of all charts. `has_focus` leaves the figure at the
        stretch that it shows, such as an alarm.
        """
        extent = _find_extent(figure)
        if not self.entity_count or extent is None:
            show_chart(figure, key, alt)
            return
        time_range.rerun_if_drawn()
        visible = self._choose_visible(figure, extent, has_focus)
        if visible != extent:
            figure.update_xaxes(range=list(visible))
        whole = (min(extent[0], visible[0]), max(extent[1], visible[1]))
        events = select_events(self.events, entity, whole)
        if len(events) > MAX_DRAWN_EVENTS:
            events = select_events(self.events, entity, visible)
        drawn = choose_drawn_events(events)
        texts = [self._describe_event(row) for row in drawn.to_dict("records")]
        inside = {"start": drawn["start"].clip(lower=whole[0]), "end": drawn["end"].clip(upper=whole[1])}
        draw_events(figure, drawn.assign(text=texts, **inside), _)
        alt = " ".join([f"{alt}.", _count_kinds(drawn)]).strip()
        if has_focus:
            show_chart(figure, key, alt)
        else:
            figure.update_layout(dragmode="select", selectdirection="h")
            show_chart(figure, key, alt, on_drag=lambda: time_range.take_drag(key))
        self._explain_chart(len(events) - len(drawn), extent, has_focus)

    def filter_rows(self, table: pd.DataFrame, end: str = "end") -> pd.DataFrame:
        """Return the rows of a list that touch the chosen period, from their column `start` to the column `end`."""
        if self.period is None:
            return table
        return table[(table[end] >= self.period.start) & (table["start"] < self.period.end)]

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """Start and end of the chosen period; None for all."""
        return None if self.period is None else self.period.span

    def select_rows(self, dataset: Dataset) -> Dataset:
        """Return the rows of the chosen period, so that a chart has their details; all rows where it has none."""
        if self.period is None:
            return dataset
        try:
            return dataset.filter_rows(start=self.period.start, end=self.period.end - DAY)
        except DataError:
            return dataset

    def select_times(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the lines of a table whose `time` is in the chosen period; all lines where none is."""
        if self.period is None:
            return table
        part = table[(table["time"] >= self.period.start) & (table["time"] < self.period.end)]
        return table if part.empty else part

    def _choose_visible(
        self, figure: go.Figure, extent: tuple[pd.Timestamp, pd.Timestamp], has_focus: bool
    ) -> tuple[pd.Timestamp, pd.Timestamp]:
        own = figure.layout.xaxis.range
        own_span = extent if own is None else (pd.Timestamp(own[0]), pd.Timestamp(own[1]))
        if has_focus or self.period is None or not _overlap(self.period.span, extent):
            return own_span
        return self.period.span

    def _describe_event(self, row: dict[str, object]) -> str:
        """Return an event in words: when, what, for whom."""
        parts = [translate_message(describe_span(row["start"], row["end"]))]  # type: ignore[arg-type]
        if row["label"] is not None:
            parts.append(translate_message(row["label"]))  # type: ignore[arg-type]
        entities = row["entities"]
        if entities and len(entities) < self.entity_count:  # type: ignore[arg-type]
            parts.append(self.describe_entities(entities))  # type: ignore[arg-type]
        return "\n".join(parts)

    def describe_entities(self, entities: Sequence[str]) -> str:
        """Return the entities of an event in words."""
        if not entities or len(entities) >= self.entity_count:
            return _("all entities")
        if len(entities) <= MAX_SHOWN_NAMES:
            return ", ".join(entities)
        return _("{count} of {all} entities").format(
            count=format_value(len(entities)), all=format_value(self.entity_count)
        )

    def _explain_chart(self, hidden_count: int, extent: tuple[pd.Timestamp, pd.Timestamp], has_focus: bool) -> None:
        sentences = []
        if hidden_count:
            sentences.append(
                _(
                    "{count} known events are not drawn: in a long period, only notes and events of five days or more "
                    "are. Choose a shorter period to see them all."
                ).format(count=format_value(hidden_count))
            )
        if self.period is not None and not has_focus and not _overlap(self.period.span, extent):
            sentences.append(_("This chart has nothing in the chosen period, so it shows its own."))
        if sentences:
            st.caption(" ".join(sentences))


def open_timeline(
    dataset: Dataset | None, source: EventSource | None = None, *, filters_lists: bool = True
) -> Timeline:
    """Ask for the period, and show the known events and the form for notes; return what the charts need.

    dataset        rows of the result; None where they are not loaded, then nothing is asked
    source         what tells the events; None for the covariates of the session
    filters_lists  False where the lists of the page show everything
    """
    whole = cache.load_dataset()
    if dataset is None or whole is None or not dataset.has_dates:
        return Timeline(build_event_table([]))
    source = source or EventSource(covariate_upload.get_digest())
    chosen = time_range.ask_range(measure_span(dataset, source))
    if chosen is not None:
        _explain_period(chosen, filters_lists)
    calendar_events, problem = _load_events(whole, source)
    known_notes = read_notes(whole, cache.get_workspace())
    timeline = Timeline(add_notes(calendar_events, known_notes, whole), len(whole.entities), chosen)
    _show_panel(timeline, known_notes, whole, problem)
    return timeline


def measure_span(dataset: Dataset, source: EventSource) -> DataSpan:
    """Return the time that the rows of a result and its charts cover."""
    times = pd.DatetimeIndex(dataset.time)
    step = DAY if dataset.step is None or has_whole_days(dataset) else dataset.step
    first, last = times.min(), times.max() + step
    return DataSpan(first, last, last if pd.isna(source.until) else max(last, source.until + step), dataset.zone)


def _explain_period(chosen: TimeRange, filters_lists: bool) -> None:
    template = (
        _(
            "Charts over time and the lists of events and alarms show {period}. "
            "All other figures count the whole result."
        )
        if filters_lists
        else _("Charts over time show {period}. Lists and all other figures count the whole result.")
    )
    st.caption(template.format(period=time_range.describe_range(chosen)))


# ---- events ---------------------------------------------------------------------------------------------------------


def _load_events(dataset: Dataset, source: EventSource) -> tuple[pd.DataFrame, str]:
    """Return the events without notes, and what is missing in words; "" for nothing."""
    try:
        return _cache_events(dataset.digest, source, get_language(), dataset), ""
    except NotFoundError as error:
        events = _cache_events(dataset.digest, replace(source, covariates=""), get_language(), dataset)
        return events, translate_message(error.message)
    except DataError as error:
        return build_event_table([]), translate_message(error.message)


@st.cache_resource(max_entries=MAX_CACHED_TABLES, show_spinner=False)
def _cache_events(digest: str, source: EventSource, language: str, _dataset: Dataset) -> pd.DataFrame:
    return load_calendar_events(_dataset, cache.get_workspace(), source, language)


def _show_panel(timeline: Timeline, known_notes: list[Note], dataset: Dataset, problem: str) -> None:
    """Show the events of the period as a table, which is the text of what the charts draw, and the notes."""
    events = select_events(timeline.events, "", timeline.span)
    label = _("Known events ({events}) and notes ({notes})").format(
        events=format_value(int((events["kind"] != "note").sum())),
        notes=format_value(int((events["kind"] == "note").sum())),
    )
    with st.expander(label, icon=":material/event_note:", key="known-events"):
        if problem:
            st.warning(problem, icon=":material/warning:")
        st.caption(
            _(
                "Drag across a chart to choose a period. Public holidays, school breaks, strikes, cold spells and "
                "clock changes are drawn where the data, their calendar or the covariates tell them."
            )
        )
        if not events.empty:
            _show_table(timeline, events)
        notes.show(dataset, known_notes, timeline.period)


def _show_table(timeline: Timeline, events: pd.DataFrame) -> None:
    records = events[EVENT_COLUMNS].to_dict("records")
    table = pd.DataFrame(
        {
            "time": [translate_plain(describe_span(row["start"], row["end"])) for row in records],
            "kind": [_(style.label) for style in events["kind"].map(EVENT_STYLES)],
            "label": ["" if row["label"] is None else translate_plain(row["label"]) for row in records],
            "entities": [timeline.describe_entities(row["entities"]) for row in records],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height="content" if len(table) <= 6 else 250,
        key="known-event-rows",
        alt=_("Known events and notes"),
        column_config={
            "time": st.column_config.TextColumn(_("Time")),
            "kind": st.column_config.TextColumn(_("Kind")),
            "label": st.column_config.TextColumn(_("What is known"), width="large"),
            "entities": st.column_config.TextColumn(_("Entities")),
        },
    )


def _count_kinds(events: pd.DataFrame) -> str:
    """Return how many events of each kind a chart has, for readers who do not see it."""
    counts = [
        f"{_(style.label)} {count}"
        for kind, style in EVENT_STYLES.items()
        if (count := int((events["kind"] == kind).sum()))
    ]
    return _("Known events: {counts}.").format(counts=", ".join(counts)) if counts else ""


# ---- span of a figure -----------------------------------------------------------------------------------------------


def _find_extent(figure: go.Figure) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Return the first and last time of the lines of a figure; None without times."""
    ends = []
    for trace in figure.data:
        times = pd.DatetimeIndex(pd.to_datetime(np.asarray(trace.x if trace.x is not None else []), errors="coerce"))
        if pd.notna(times.min()):
            ends += [times.min(), times.max()]
    return (min(ends), max(ends)) if ends else None


def _overlap(first: tuple[pd.Timestamp, pd.Timestamp], second: tuple[pd.Timestamp, pd.Timestamp]) -> bool:
    return first[0] < second[1] and second[0] < first[1]
