"""Events of intervals, worst first: table, the selected one in words, its picture, verdict, downloads."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.tasks.intervals.result import Intervals
from core.tasks.intervals.views import list_peaks
from core.tasks.intervals.words import KIND_LABELS, describe_event, round_amount
from pages.components import downloads, feedback_form, url_state
from pages.components.i18n import _, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.ranked_list import Card, choose_entry
from pages.components.results import interval_series
from pages.components.results.interval_labels import (
    ask_severities,
    choose_time_format,
    format_amount,
    format_kind,
    format_severity,
    format_span,
    format_usual,
)
from pages.components.timeline import Timeline

MAX_SHOWN_EVENTS = 2000
ADDRESS = "event"
"""Name of the query parameter that holds the number of the chosen event."""


def show(result: Intervals, run: str, timeline: Timeline) -> None:
    """Show the events and the series of the selected one; the worst one is shown where none is selected."""
    if result.events.empty:
        st.info(_("No point of the judged period is outside its interval."), icon=":material/check:")
        interval_series.show(result, None, None, timeline)
        _show_downloads(result)
        return
    events = timeline.filter_rows(_filter_events(result))
    if events.empty:
        st.info(_("No event matches these filters and the period."))
        return
    selected = _select_event(result, events.head(MAX_SHOWN_EVENTS), run)
    event = events.iloc[selected or 0]
    _describe_event(result, event)
    has_focus = selected is not None or timeline.period is None
    interval_series.show(result, event, int(event["event"]) if has_focus else None, timeline)
    st.header(_("Verdict on this event"))
    feedback_form.ask_verdict(
        "intervals",
        run,
        {
            "entity": event["entity"],
            "measure": event["measure"],
            "time": event["start"],
            "end": event["end"],
            "score": event["score"],
        },
    )
    _show_downloads(result)


def _filter_events(result: Intervals) -> pd.DataFrame:
    events = list_peaks(result)
    with st.container(horizontal=True, vertical_alignment="bottom", key="event-filters"):
        severities = ask_severities(events["severity"], "interval-severity")
        kinds = st.pills(
            _("Kind"), list(KIND_LABELS), selection_mode="multi", format_func=format_kind, key="interval-kind"
        )
    if severities:
        events = events[events["severity"].isin(severities)]
    return events[events["kind"].isin(kinds)] if kinds else events


# ---- table ----------------------------------------------------------------------------------------------------------


def _select_event(result: Intervals, events: pd.DataFrame, run: str) -> int | None:
    """Show the list; return the place of the event that was chosen, None until one is."""
    st.caption(
        _(
            "{count} event. Select it: the chart zooms to it, and you can give a verdict.",
            "{count} events, worst first. Select one: the chart zooms to it, and you can give a verdict.",
            len(events),
        ).format(count=format_value(len(events)))
    )
    verdicts = feedback_form.list_verdicts(run, events.rename(columns={"start": "time"}))
    table = _build_table(events, verdicts, len(result.measures) > 1)
    number = choose_entry(
        table,
        _build_column_config(result),
        lambda number: _build_card(result, events.iloc[table.index.get_loc(number)], table.at[number, "verdict"]),
        address=ADDRESS,
        label=_("Events"),
        details=["end", *(["verdict"] if not any(verdicts) else [])],
    )
    return int(table.index.get_loc(number)) if url_state.get_query_param(ADDRESS) else None


def _build_card(result: Intervals, event: pd.Series, verdict: str) -> Card:
    title = [format_severity(event["severity"]), format_kind(event["kind"]), *([verdict] if verdict else [])]
    place = [str(event["entity"]), *([str(event["measure"])] if len(result.measures) > 1 else [])]
    text = _("{place}, {span}: {measured}, usual {usual}").format(
        place=" · ".join(place),
        span=format_span(event["start"], event["end"]),
        measured=format_amount(event["y"], result.data.unit if len(result.measures) == 1 else ""),
        usual=format_usual(event.to_dict()),
    )
    return Card(" · ".join(title), text)


def _build_table(events: pd.DataFrame, verdicts: list[str], has_measures: bool) -> pd.DataFrame:
    """Return the shown columns under the numbers of the events, from 1 on."""
    table = pd.DataFrame(
        {
            "severity": [format_severity(name) for name in events["severity"]],
            "entity": events["entity"].astype(str),
            "measure": events["measure"].astype(str),
            "start": events["start"],
            "y": events["y"].map(round_amount),
            "usual": [format_usual(event) for event in events.to_dict("records")],
            "rel_distance": events["rel_distance"] / 100,
            "kind": [format_kind(name) for name in events["kind"]],
            "verdict": verdicts,
            "end": events["end"],
        }
    ).set_axis(events["event"] + 1)
    return table if has_measures else table.drop(columns="measure")


def _build_column_config(result: Intervals) -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    time_format = choose_time_format(result)
    unit = f" ({result.data.unit})" if result.data.unit and len(result.measures) == 1 else ""
    return {
        "severity": text(_("Severity"), width=82),
        "entity": text(_("Entity"), width=120),
        "measure": text(_("Measure"), width=62),
        "start": st.column_config.DatetimeColumn(_("Start"), format=time_format, width=88),
        "end": st.column_config.DatetimeColumn(_("End"), format=time_format, width=88),
        "rel_distance": number(
            _("Outside by"),
            width=76,
            format="percent",
            step=0.01,
            help=_("Distance from the interval at the peak, in percent of the usual value. Empty where that is 0."),
        ),
        "kind": text(_("Kind"), width=80),
        "y": number(_("Measured") + unit, width=72, format="localized", help=_("At the peak of the event.")),
        "usual": text(
            _("Usual (interval)"), width=138, help=_("Median of the forecast and bounds of the interval at the peak.")
        ),
        "verdict": {**feedback_form.build_verdict_column(), "width": 76},
    }


# ---- one event ------------------------------------------------------------------------------------------------------


def _describe_event(result: Intervals, event: pd.Series) -> None:
    """Show the event in words, which a narrow screen shows whole."""
    unit = result.data.unit if len(result.measures) == 1 else ""
    measure = [escape_markdown(str(event["measure"]))] if len(result.measures) > 1 else []
    title = [
        format_severity(event["severity"]),
        escape_markdown(str(event["entity"])),
        *measure,
        format_kind(event["kind"]),
    ]
    sentences = map(translate_message, describe_event(event.to_dict(), unit))
    with st.container(border=True, key="interval-event"):
        st.markdown(f"**#{int(event['event']) + 1} · {' · '.join(title)}**")
        st.markdown(f"{format_span(event['start'], event['end'])}  \n{' '.join(sentences)}")


def _show_downloads(result: Intervals) -> None:
    st.header(_("Export the results"))
    with st.container(horizontal=True):
        downloads.show_table_buttons(result.to_frame, "events", _("Events ({kind})"))
        downloads.show_table_buttons(result.build_point_table, "points", _("Points ({kind})"))
