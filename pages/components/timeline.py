"""Common parts of the charts over time of a result: the chosen period, known events and notes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.dataset import DAY, Dataset
from core.data.known_events import EVENT_COLUMNS, build_event_table, describe_span, select_events
from core.data.time_ranges import DataSpan, TimeRange
from core.errors import DataError, NotFoundError
from core.figures.annotations import EVENT_STYLES, MAX_DRAWN_EVENTS, choose_drawn_events, draw_events
from core.figures.chart import Chart, finish_chart
from core.language import Language
from core.operations.known_events import EventSource, add_notes, has_whole_days, load_calendar_events
from core.operations.notes import read_notes
from core.runs.renderings import Drawing
from core.storage.notes import Note
from pages.components import cache, covariate_upload, notes, time_range
from pages.components.i18n import _, format_value, get_language, translate_message, translate_plain
from pages.components.results.run_widgets import show_chart, show_figure_table, show_finished_chart

MAX_CACHED_TABLES = 32
MAX_SHOWN_NAMES = 3  # of entities, in the text of an event


@dataclass(frozen=True)
class Timeline:
    """Period and events of the charts of one result.

    digest        digest of the data; "" without loaded data, where charts show neither period nor events
    entity_count  number of entities of the data
    source        what tells the events besides the data; None where nothing can tell them
    notes         notes of users
    period        chosen period; None for all
    """

    digest: str = ""
    entity_count: int = 0
    source: EventSource | None = None
    notes: tuple[Note, ...] = ()
    period: TimeRange | None = None

    @cached_property
    def events(self) -> pd.DataFrame:
        """Known events of all entities, without the period."""
        dataset = cache.load_dataset_by_digest(self.digest)
        events = (
            build_event_table([])
            if self.source is None
            else _cache_events(self.digest, self.source, get_language(), dataset)
        )
        return add_notes(events, self.notes, dataset)

    def show_chart(
        self, figure: go.Figure | Drawing, key: str, alt: str, entity: str = "", has_focus: bool = False
    ) -> None:
        """Show a figure with a time axis: events of `entity` ("" for all) behind its lines, the chosen period visible.

        A period that is drawn in the chart becomes the period of all charts. `has_focus` leaves the figure at the
        stretch that it shows, such as an alarm.
        """
        if not self.digest:
            show_chart(figure, key, alt)
            return
        time_range.rerun_if_drawn()
        chart = cache.finish_once(figure, finish_on_timeline, self, entity, has_focus, Language(get_language()))
        takes_period = chart.has_time and not has_focus
        show_finished_chart(chart, key, alt, on_drag=(lambda: time_range.take_drag(key)) if takes_period else None)
        show_figure_table(figure, key)
        if chart.caption:
            st.caption(chart.caption)

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

    def describe_entities(self, entities: Sequence[str]) -> str:
        """Return the entities of an event in words."""
        if not entities or len(entities) >= self.entity_count:
            return _("all entities")
        if len(entities) <= MAX_SHOWN_NAMES:
            return ", ".join(entities)
        return _("{count} of {all} entities").format(
            count=format_value(len(entities)), all=format_value(self.entity_count)
        )


# ---- charts ---------------------------------------------------------------------------------------------------------


def finish_on_timeline(
    figure: go.Figure, timeline: Timeline, entity: str, has_focus: bool, language: Language
) -> Chart:
    """Return a figure with the events and the period of a timeline as a chart, as `Timeline.show_chart` shows it."""
    extent = _find_extent(figure)
    if extent is None:
        return finish_chart(figure, language)
    visible = _choose_visible(figure, extent, None if has_focus else timeline.period)
    if visible != extent:
        figure.update_xaxes(range=list(visible))
    whole = (min(extent[0], visible[0]), max(extent[1], visible[1]))
    events = select_events(timeline.events, entity, whole)
    if len(events) > MAX_DRAWN_EVENTS:
        events = select_events(timeline.events, entity, visible)
    drawn = choose_drawn_events(events)
    texts = [_describe_event(row, timeline) for row in drawn.to_dict("records")]
    inside = {"start": drawn["start"].clip(lower=whole[0]), "end": drawn["end"].clip(upper=whole[1])}
    draw_events(figure, drawn.assign(text=texts, **inside), _)
    if not has_focus:
        figure.update_layout(dragmode="select", selectdirection="h")
    chart = finish_chart(figure, language)
    is_outside = timeline.period is not None and not has_focus and not _overlap(timeline.period.span, extent)
    return replace(
        chart,
        words=" ".join(filter(None, [_count_kinds(drawn), chart.words])),
        caption=_explain_chart(len(events) - len(drawn), is_outside),
        has_time=True,
    )


def _choose_visible(
    figure: go.Figure, extent: tuple[pd.Timestamp, pd.Timestamp], period: TimeRange | None
) -> tuple[pd.Timestamp, pd.Timestamp]:
    if period is not None and _overlap(period.span, extent):
        return period.span
    own = figure.layout.xaxis.range
    return extent if own is None else (pd.Timestamp(own[0]), pd.Timestamp(own[1]))


def _describe_event(row: dict[Hashable, Any], timeline: Timeline) -> str:
    """Return an event in words: when, what, for whom."""
    parts = [translate_plain(describe_span(row["start"], row["end"]))]
    if row["label"] is not None:
        parts.append(translate_plain(row["label"]))
    if row["entities"] and len(row["entities"]) < timeline.entity_count:
        parts.append(timeline.describe_entities(row["entities"]))
    return "\n".join(parts)


def _explain_chart(hidden_count: int, is_outside: bool) -> str:
    sentences = []
    if hidden_count:
        sentences.append(
            _(
                "{count} known events are not drawn: in a long period, only notes and events of five days or more "
                "are. Choose a shorter period to see them all."
            ).format(count=format_value(hidden_count))
        )
    if is_outside:
        sentences.append(_("This chart has nothing in the chosen period, so it shows its own."))
    return " ".join(sentences)


# ---- period ---------------------------------------------------------------------------------------------------------


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
        return Timeline()
    source = source or EventSource(covariate_upload.get_digest())
    chosen = time_range.ask_range(measure_span(dataset, source))
    if chosen is not None:
        _explain_period(chosen, filters_lists)
    known_source, problem = _find_source(whole, source)
    known_notes = read_notes(whole, cache.get_workspace())
    timeline = Timeline(whole.digest, len(whole.entities), known_source, tuple(known_notes), chosen)
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


def _find_source(dataset: Dataset, source: EventSource) -> tuple[EventSource | None, str]:
    """Return what can tell the events, None for nothing, and what is missing in words; "" where nothing is."""
    try:
        _cache_events(dataset.digest, source, get_language(), dataset)
    except NotFoundError as error:
        return replace(source, covariates=""), translate_message(error.message)
    except DataError as error:
        return None, translate_message(error.message)
    return source, ""


@st.cache_resource(max_entries=MAX_CACHED_TABLES, show_spinner=False)
def _cache_events(digest: str, source: EventSource, language: str, _dataset: Dataset) -> pd.DataFrame:
    return load_calendar_events(_dataset, cache.get_workspace(), source, language)


def _show_panel(timeline: Timeline, known_notes: list[Note], dataset: Dataset, problem: str) -> None:
    """Show the events of the period as a table, which is the text of what the charts draw, and the notes."""
    table = cache.tabulate_once(timeline.digest, tabulate_events, timeline)
    note_count = int(table["is_note"].sum())
    label = _("Known events ({events}) and notes ({notes})").format(
        events=format_value(len(table) - note_count), notes=format_value(note_count)
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
        if not table.empty:
            _show_table(table.drop(columns="is_note"))
        notes.show(dataset, known_notes, timeline.period)


def tabulate_events(timeline: Timeline) -> pd.DataFrame:
    """Return the events of the period in words, and whether each of them is a note."""
    events = select_events(timeline.events, "", timeline.span)
    records = events[EVENT_COLUMNS].to_dict("records")
    return pd.DataFrame(
        {
            "time": [translate_plain(describe_span(row["start"], row["end"])) for row in records],
            "kind": [_(EVENT_STYLES[row["kind"]].label) for row in records],
            "label": ["" if row["label"] is None else translate_plain(row["label"]) for row in records],
            "entities": [timeline.describe_entities(row["entities"]) for row in records],
            "is_note": events["kind"].to_numpy() == "note",
        }
    )


def _show_table(table: pd.DataFrame) -> None:
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
