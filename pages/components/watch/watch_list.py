"""Watches: the list with their last and next tick, and the chosen one with its figures and its buttons."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.errors import OptionError
from core.operations.watching.incident_figure import draw_ticks
from core.operations.watching.tick import run_watch_now
from core.operations.watching.watch_figures import measure_watch
from core.operations.watching.watches import list_watches, pause_watch, remove_watch
from core.storage.sources import describe_source
from core.watches.schedule import parse_schedule
from core.watches.watch import Watch
from pages.components import cache, clock, url_state
from pages.components.i18n import _, format_percent, format_value, translate_message, translate_plain
from pages.components.markdown import escape_markdown, format_code
from pages.components.ranked_list import Card, choose_entry
from pages.components.results.run_widgets import show_chart
from pages.components.run_name import name_run
from pages.components.task_links import get_task_label
from pages.components.watch import watch_form
from pages.components.watch.changes import get_actor, make_change
from pages.components.watch.renewal import renew
from pages.components.watch.words import format_severity, format_watch_state

if TYPE_CHECKING:
    from core.storage.watches.ticks import TickRecord
    from core.storage.watches.watch_store import WatchState

ADDRESS = "name"
SIGNATURE_TTL_S = 5.0
DAY, MONTH_DAYS = timedelta(days=1), 30
MAX_TICKS = 1440  # of the last day, one a minute


def show(states: "Mapping[str, WatchState]") -> None:
    """Show the watches, by name, and the chosen one."""
    if not states:
        st.info(_("There is no watch yet."), icon=":material/notifications_active:")
        return
    folder = str(cache.get_workspace().folder)
    renew("watches", _compute_signature(states.values()), lambda: _load_signature(tuple(states), folder))
    by_number = dict(enumerate(states.values(), 1))
    number = choose_entry(
        _build_table(by_number),
        _build_column_config(),
        lambda number: _build_card(by_number[number]),
        address=ADDRESS,
        label=_("Watches"),
        details=("task", "schedule"),
        names=list(states),
    )
    st.caption(clock.describe_zone())
    _show_watch(by_number[number])


@st.cache_data(ttl=SIGNATURE_TTL_S, max_entries=32, show_spinner=False)
def _load_signature(names: tuple[str, ...], folder: str) -> str:
    """Return the signature of the watches of a reader, read at most once in five seconds for all sessions."""
    return _compute_signature(state for state in list_watches(cache.get_workspace()) if state.watch.name in names)


def _compute_signature(states: "Iterable[WatchState]") -> str:
    """Return what changes with a tick: its end, and the one that is running or next."""
    return "\n".join(
        f"{state.watch.name} {state.next_tick} {state.is_running} {state.last_tick and state.last_tick.id}"
        for state in states
    )


# ---- list -----------------------------------------------------------------------------------------------------------


def _build_table(states: "Mapping[int, WatchState]") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "state": format_watch_state(state),
                "name": state.watch.name,
                "last": None if state.last_tick is None else clock.to_browser_time(state.last_tick.ended),
                "rows": None if state.last_tick is None else state.last_tick.rows_new,
                "alarms": None if state.last_tick is None else state.last_tick.alarms,
                "next": None if state.next_tick is None else clock.to_browser_time(state.next_tick),
                "problem": _describe_problem(state),
                "task": get_task_label(state.watch.task),
                "schedule": _describe_schedule(state.watch),
            }
            for state in states.values()
        ],
        index=pd.Index(list(states)),
    )


def _build_column_config() -> dict[str, ColumnConfig]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "state": text(_("State"), width=110),
        "name": text(_("Name"), width=150),
        "last": clock.build_time_column(_("Last tick")),
        "rows": number(_("New rows"), format="localized", width=120),
        "alarms": number(_("Alarms"), format="localized", width=90),
        "next": clock.build_time_column(_("Next tick")),
        "problem": text(_("Problem"), width=300),
        "task": text(_("Task")),
        "schedule": text(_("Schedule")),
    }


def _build_card(state: "WatchState") -> Card:
    facts = [format_watch_state(state)]
    if state.last_tick is not None:
        facts.append(_("last tick {time}").format(time=clock.format_instant(state.last_tick.ended)))
    if state.next_tick is not None:
        facts.append(_("next tick {time}").format(time=clock.format_instant(state.next_tick)))
    return Card(state.watch.name, " · ".join([*facts, *filter(None, [_describe_problem(state)])]))


def _describe_problem(state: "WatchState") -> str:
    problem = None if state.last_tick is None else state.last_tick.problem
    return "" if problem is None else translate_plain(problem)


def _describe_schedule(watch: Watch) -> str:
    """Return the schedule in words; the text itself where this version does not know its form."""
    try:
        return translate_plain(parse_schedule(watch.schedule, watch.zone).describe())
    except OptionError:
        return watch.schedule


# ---- one watch ------------------------------------------------------------------------------------------------------


def _show_watch(state: "WatchState") -> None:
    watch = state.watch
    with st.container(border=True, key="watch"):
        st.header(escape_markdown(watch.name))
        st.markdown("\n".join(f"- {fact}" for fact in _describe_watch(state)))
        if state.last_tick is not None and state.last_tick.problem is not None:
            st.error(translate_message(state.last_tick.problem), icon=":material/error:")
        _show_figures(state)
        _show_buttons(state)
        change = st.expander(
            _("Change the watch"), icon=":material/edit:", key=f"watch-change-{watch.name}", on_change="rerun"
        )
        if change.open:
            with change:
                watch_form.show_change(watch)
        _show_ticks(state)


def _describe_watch(state: "WatchState") -> list[str]:
    watch = state.watch
    facts = [
        _("{task} with the model {model}").format(task=get_task_label(watch.task), model=_name_model(watch.model)),
        _("Source: {source}").format(source=escape_markdown(describe_source(watch.source))),
        _("Asked {schedule}").format(schedule=escape_markdown(_describe_schedule(watch))),
    ]
    if watch.recipients:
        facts.append(
            _("Told: {recipients}, from the severity {severity} on").format(
                recipients=escape_markdown(", ".join(watch.recipients)), severity=format_severity(watch.min_severity)
            )
        )
    else:
        facts.append(_("Nobody is told: its incidents are listed here only."))
    if state.last_row_at is not None:
        facts.append(_("Last row received {time}").format(time=clock.format_instant(state.last_row_at)))
    if watch.refit:
        facts.append(_("Trained again: {schedule}").format(schedule=escape_markdown(watch.refit)))
    if watch.owner:
        facts.append(_("Started by {user}").format(user=escape_markdown(watch.owner)))
    return facts


def _name_model(model: str) -> str:
    """Return the name of a run, or NAME@ALIAS of a registered model."""
    return format_code(model) if "@" in model else escape_markdown(name_run(model))


def _show_figures(state: "WatchState") -> None:
    """Show the alarms of the last 30 days against those that the threshold allows, the precision, and the drift."""
    figures = measure_watch(state.watch.name, cache.get_workspace(), datetime.now(UTC) - MONTH_DAYS * DAY)
    if figures.exceeds_target:
        st.warning(
            _(
                "More rows are flagged than the target false-alarm rate allows. They are abnormal, or the data have "
                "changed since the training."
            ),
            icon=":material/trending_up:",
        )
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Rows in 30 days"), format_value(figures.rows), border=True)
        st.metric(
            _("Alarms in 30 days"),
            format_value(figures.alarms),
            border=True,
            delta=_("{count} expected").format(count=format_value(round(figures.expected_alarms, 1)))
            if figures.expected_alarms is not None
            else None,
            delta_color="off",
            delta_arrow="off",
            help=_("Expected: false alarms that the threshold allows among so many normal rows."),
        )
        st.metric(_("Incidents in 30 days"), format_value(figures.incidents), border=True)
        if figures.precision.reviewed_count:
            low, high = figures.precision.interval
            st.metric(
                _("Precision"),
                format_percent(round(figures.precision.share, 4)),
                border=True,
                delta=_("{low} to {high}").format(
                    low=format_percent(round(low, 4)), high=format_percent(round(high, 4))
                ),
                delta_color="off",
                delta_arrow="off",
                help=_("Share of true alarms among the incidents with a verdict, with its 95 % interval."),
            )
        if state.last_tick is not None and state.last_tick.drift is not None:
            st.metric(
                _("Drift (PSI)"),
                format_value(round(state.last_tick.drift, 3)),
                border=True,
                delta=state.last_tick.drift_column or None,
                delta_color="off",
                delta_arrow="off",
                help=_("Largest difference between the new rows and the training rows, and its column."),
            )


def _show_buttons(state: "WatchState") -> None:
    watch, workspace, actor = state.watch, cache.get_workspace(), get_actor()
    name = escape_markdown(watch.name)
    with st.container(horizontal=True, key="watch-actions"):
        if st.button(_("Run now"), icon=":material/play_arrow:", key="watch-run", disabled=state.is_running):
            with st.spinner(_("Reading new rows …")):
                make_change(
                    f"run {watch.name}",
                    lambda: run_watch_now(watch.name, workspace, actor),
                    _("The watch {name} has read its source.").format(name=name),
                )
        label, icon = (_("Resume"), "play_circle") if watch.is_paused else (_("Pause"), "pause_circle")
        if st.button(label, icon=f":material/{icon}:", key="watch-pause"):
            make_change(
                f"pause {watch.name} {not watch.is_paused}",
                lambda: pause_watch(watch.name, not watch.is_paused, workspace, actor),
                _("The watch {name} goes on.").format(name=name)
                if watch.is_paused
                else _("The watch {name} is paused.").format(name=name),
            )
        with st.popover(_("Remove"), icon=":material/delete:", key=f"watch-remove-{watch.name}"):
            st.markdown(
                _("The watch {name} is deleted with its ticks, incidents and stored rows. Its runs stay.").format(
                    name=name
                )
            )
            if st.button(_("Remove the watch"), type="primary", icon=":material/delete:", key="watch-remove"):
                make_change(
                    f"remove {watch.name}",
                    lambda: remove_watch(watch.name, workspace, actor),
                    _("The watch {name} is removed.").format(name=name),
                    lambda: url_state.set_query_param(ADDRESS, ""),
                )


# ---- ticks ----------------------------------------------------------------------------------------------------------


def _show_ticks(state: "WatchState") -> None:
    """Show the ticks of the last day as a figure, and the newest ones as a table."""
    records = cache.get_workspace().watches.ticks.list_ticks(state.watch.name, limit=MAX_TICKS)
    if not records:
        st.caption(_("The watch has not been asked yet."))
        return
    now = datetime.now(UTC)
    recent = [record for record in records if record.ended >= now - DAY]
    if recent:
        times = [pd.Timestamp(clock.to_browser_time(record.ended)) for record in recent]
        start, end = (pd.Timestamp(clock.to_browser_time(instant)) for instant in (now - DAY, now))
        show_chart(
            draw_ticks(recent, times, (start, end), _), "watch-ticks", _("New rows of the ticks of the last day")
        )
    with st.expander(_("Ticks"), icon=":material/history:", key="watch-tick-list"):
        _show_tick_table(records)


def _show_tick_table(records: "list[TickRecord]") -> None:
    number = st.column_config.NumberColumn
    table = pd.DataFrame(
        {
            "ended": [clock.to_browser_time(record.ended) for record in records],
            "seconds": [round((record.ended - record.started).total_seconds(), 2) for record in records],
            "new": [record.rows_new for record in records],
            "corrected": [record.rows_corrected for record in records],
            "known": [record.rows_known for record in records],
            "late": [record.rows_late for record in records],
            "left_out": [record.rows_left_out for record in records],
            "alarms": [record.alarms for record in records],
            "problem": ["" if record.problem is None else translate_plain(record.problem) for record in records],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="watch-tick-rows",
        alt=_("Ticks"),
        column_config={
            "ended": clock.build_time_column(_("End"), has_seconds=True),
            "seconds": number(_("Seconds"), format="localized"),
            "new": number(_("New rows"), format="localized"),
            "corrected": number(_("Corrected rows"), format="localized"),
            "known": number(_("Known rows"), format="localized", help=_("Rows that were judged before.")),
            "late": number(_("Late rows"), format="localized", help=_("Too old to be judged or corrected.")),
            "left_out": number(_("Left out"), format="localized", help=_("Rows that the model cannot judge.")),
            "alarms": number(_("Alarms"), format="localized"),
            "problem": st.column_config.TextColumn(_("Problem"), width=300),
        },
    )
