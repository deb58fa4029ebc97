"""Choice of the period that charts and lists show: chips, years and seasons, or two days. The address holds it."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from core.data.time_ranges import DataSpan, TimeRange, format_range
from pages.components import url_state
from pages.components.i18n import _, format_value, get_date_format, translate_plain

PERIOD = "period"  # query parameter, and value of the session that carries it to the next page
CHIP_KEY, NAMED_KEY, DAYS_KEY, SHOWN_KEY = "period-chip", "period-named", "period-days", "period-shown"
DRAWN_KEY = "period-drawn"  # True from the drawing of a period until the widgets show it
ALL, OWN = "", "own"
SHORTEST_DRAG = pd.Timedelta(minutes=1)


def ask_range(span: DataSpan) -> TimeRange | None:
    """Show the choice; return the chosen range, None for all."""
    url_state.set_state(DRAWN_KEY, False)
    code = _read_code(span)
    chosen = span.find_range(code)
    days, others = span.list_last_days(), span.list_calendar_ranges()
    newest_year = next(part for part in others if part.code.isdigit())
    chips = {ALL: _("All"), **{part.code: _name(part) for part in (*days, newest_year)}, OWN: _("Custom")}
    named = {part.code: _name(part) for part in others if part.code != newest_year.code}
    _set_widgets(chosen, span, list(chips), list(named))
    with st.container(horizontal=True, vertical_alignment="bottom", key="time-range"):
        st.pills(
            _("Period"), list(chips), format_func=chips.__getitem__, key=CHIP_KEY, on_change=_take_chip, args=(span,)
        )
        if named:
            st.selectbox(
                _("Year or season"),
                list(named),
                index=None,
                format_func=named.__getitem__,
                placeholder=_("Choose"),
                key=NAMED_KEY,
                on_change=_take_named,
                width=190,
            )
        if chosen is not None and chosen.label is None:
            st.date_input(
                _("First and last day"),
                min_value=span.first.date(),
                max_value=span.until.date(),
                format=get_date_format(),
                key=DAYS_KEY,
                on_change=_take_days,
                width=230,
            )
    if code and chosen is None:
        st.caption(_("The chosen period lies outside these data, so all of them are shown."))
    return chosen


def take_drag(key: str) -> None:
    """Choose the period that was drawn in the chart `key`; called when the selection of the chart changes."""
    state = url_state.get_state(key)
    boxes = [] if state is None else state.selection.box
    if not boxes:
        return
    ends = pd.to_datetime(pd.Series([str(end) for end in boxes[0]["x"]]), format="ISO8601", errors="coerce")
    start, end = ends.min(), ends.max()
    if ends.notna().all() and end - start >= SHORTEST_DRAG:
        set_code(format_range(start.floor("min"), end))
        url_state.set_state(DRAWN_KEY, True)


def rerun_if_drawn() -> None:
    """Run the page again if a period was drawn and the widgets do not show it.

    A chart in a fragment reruns the fragment alone, without the widgets and the other charts.
    """
    if url_state.get_state(DRAWN_KEY, False):
        st.rerun()


def set_code(code: str) -> None:
    """Set the period of the address and of the session; "" for all."""
    url_state.set_state(PERIOD, code)
    url_state.set_query_param(PERIOD, code)


def describe_range(chosen: TimeRange) -> str:
    """Return the first and the last moment of a range in words."""
    end = chosen.end
    if chosen.start == chosen.start.normalize() and end == end.normalize():
        end -= timedelta(days=1)
    return _("{start} to {end}").format(
        start=format_value(chosen.start.to_pydatetime()), end=format_value(end.to_pydatetime())
    )


def _read_code(span: DataSpan) -> str:
    """Return the period of the address, else that of the session if the data have it."""
    code = url_state.get_query_param(PERIOD)
    if not code and span.find_range(carried := url_state.get_state(PERIOD, "")):
        url_state.set_query_param(PERIOD, carried)
        return str(carried)
    url_state.set_state(PERIOD, code)
    return code


def _name(part: TimeRange) -> str:
    return part.code if part.label is None else translate_plain(part.label)


def _set_widgets(chosen: TimeRange | None, span: DataSpan, chips: list[str], named: list[str]) -> None:
    """Show the period of the address in the widgets, whenever it is another one or the page has just opened."""
    code = ALL if chosen is None else chosen.code
    shown = (code, *chips, *named)
    if url_state.get_state(SHOWN_KEY) == shown and url_state.has_state(CHIP_KEY):
        return
    is_own = chosen is not None and chosen.label is None
    url_state.set_state(SHOWN_KEY, shown)
    url_state.set_state(CHIP_KEY, OWN if is_own else code if code in chips else None)
    url_state.set_state(NAMED_KEY, code if code in named else None)
    if chosen is not None and is_own:
        first = max(chosen.start, span.first).date()
        last = min(chosen.end - pd.Timedelta(1), span.until).date()
        url_state.set_state(DAYS_KEY, (first, max(first, last)))


def _take_chip(span: DataSpan) -> None:
    code = url_state.get_state(CHIP_KEY)
    if code != OWN:
        set_code(code or ALL)
        return
    chosen = span.find_range(url_state.get_query_param(PERIOD))
    start, end = (span.first, span.last) if chosen is None else chosen.span
    set_code(format_range(max(start, span.first).normalize(), min(end, span.until).ceil("D")))


def _take_named() -> None:
    set_code(url_state.get_state(NAMED_KEY) or ALL)


def _take_days() -> None:
    days = url_state.get_state(DAYS_KEY)
    if len(days) == 2:
        set_code(format_range(pd.Timestamp(days[0]), pd.Timestamp(days[1]) + pd.Timedelta(days=1)))
