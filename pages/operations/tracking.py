"""Tracking: every run on record, found again, opened, set beside others, and what its accuracy cost."""

import hashlib
from datetime import date, datetime, time, timedelta
from functools import partial

import pandas as pd
import streamlit as st

from core.runs import comparison
from core.runs.comparison import MOST, TASKS, RunFilter, RunPage
from core.runs.figures import accuracy_and_cost
from pages.components import session
from pages.components.i18n import _, date_format, shown
from pages.components.results import runs as show
from pages.components.results.run_widgets import chart, downloads

PAGE = 100
STATES = ("completed", "failed", "interrupted", "running")
CHOSEN, BEFORE = "runs", "before"  # in the address: the runs chosen, and where the list begins


def page() -> None:
    title, link = st.columns([4, 1], vertical_alignment="bottom")
    title.title(_("Tracking"))
    wanted = _filters()
    front = comparison.mlflow_front(wanted.task, session.here())
    if front:
        link.link_button(_("Open MLflow"), front, icon=":material/open_in_new:", width="stretch")
    found, silent = comparison.search(session.here(), wanted, PAGE, session.from_address(BEFORE))
    if silent:
        st.warning(
            _("MLflow does not answer. Listed are the runs that began on this machine; nothing is lost."),
            icon=":material/cloud_off:",
        )
    if not found.runs:
        _nothing(wanted)
    else:
        _table(found)
    _turning(found)
    _chosen()
    if found.runs:
        _accuracy(found, wanted.task)
        downloads(lambda: comparison.table(found.runs).drop(columns="waits"), "runs", _("These runs ({kind})"))


# ---- looked for -----------------------------------------------------------------------------------------------------


def _filters() -> RunFilter:
    """One row; what is empty does not count."""
    begin = partial(session.remember_in_address, BEFORE, "")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="tracking-filters"):
        task = st.selectbox(_("Task"), ["", *TASKS], format_func=_task, key="tracking-task", on_change=begin, width=125)
        model = st.text_input(_("Model"), key="tracking-model", on_change=begin, width=100)
        data = st.text_input(
            _("Data"),
            key="tracking-data",
            on_change=begin,
            width=105,
            help=_("Part of a file's name, or how the digest begins (8 digits or more)."),
        )
        user = st.text_input(_("User"), key="tracking-user", on_change=begin, width=85)
        period = st.date_input(_("Period"), (), key="tracking-period", on_change=begin, width=150, format=date_format())
        status = st.selectbox(
            _("Status"), ["", *STATES], format_func=show.state, key="tracking-status", on_change=begin, width=108
        )
        text = st.text_input(
            _("Text"),
            key="tracking-text",
            on_change=begin,
            width=88,
            help=_("In the run's name, id, error, or a parameter's value."),
        )
    since, until = _milliseconds(tuple(period) if isinstance(period, tuple | list) else (period,))
    return RunFilter(task, model.strip(), user.strip(), data.strip(), status, since, until, text.strip())


def _task(name: str) -> str:
    return _(TASKS[name].label) if name in TASKS else name or _("All")


def _milliseconds(days: tuple[date, ...]) -> tuple[int, int]:
    """From the first day to the end of the last, in the server's time zone; 0 where nothing was chosen."""
    if not days:
        return 0, 0
    first, after = (datetime.combine(day, time()) for day in (days[0], days[-1] + timedelta(days=1)))
    return int(first.timestamp() * 1000), int(after.timestamp() * 1000) if len(days) > 1 else 0


def _nothing(wanted: RunFilter) -> None:
    if wanted == RunFilter() and not session.from_address(BEFORE):
        st.info(_("No run is on record yet: every analysis makes one."), icon=":material/experiment:")
    else:
        st.info(_("No run fits these filters."), icon=":material/filter_alt_off:")


# ---- listed ---------------------------------------------------------------------------------------------------------


def _table(found: RunPage) -> None:
    """Rows are chosen by a click; the address keeps which, so that a refresh and a colleague see the same."""
    ids = [each.record.id for each in found.runs]
    chosen = _in_address()
    key = "runs-" + hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]  # another list begins with nothing chosen
    st.caption(_("Choose a run to open it, or two to {most} to compare them.").format(most=MOST))
    st.dataframe(
        show.readable(comparison.table(found.runs)),
        hide_index=True,
        width="stretch",
        key=key,
        selection_mode="multi-row",
        on_select=partial(_choose, key, ids),
        selection_default={"selection": {"rows": [ids.index(run) for run in chosen if run in ids]}},
        column_config=show.columns(),
        alt=_("Runs, the newest first"),
        height=min(38 + 35 * len(ids), 440),
    )


def _choose(key: str, ids: list[str]) -> None:
    """Runs of other pages of the list stay chosen."""
    rows = session.kept(key).selection.rows
    others = [run for run in _in_address() if run not in ids]
    session.remember_in_address(CHOSEN, ",".join([*others, *(ids[row] for row in rows if row < len(ids))]))


def _in_address() -> list[str]:
    return list(dict.fromkeys(filter(None, session.from_address(CHOSEN).split(","))))


def _turning(found: RunPage) -> None:
    """To older runs, and back."""
    with st.container(horizontal=True):
        if session.from_address(BEFORE):
            st.button(
                _("Newest runs"),
                icon=":material/first_page:",
                key="newest",
                on_click=session.remember_in_address,
                args=(BEFORE, ""),
            )
        if found.token:
            st.button(
                _("Older runs"),
                icon=":material/navigate_next:",
                key="older",
                on_click=session.remember_in_address,
                args=(BEFORE, found.token),
            )


# ---- opened ---------------------------------------------------------------------------------------------------------


def _chosen() -> None:
    chosen = _in_address()
    if len(chosen) == 1:
        show.opened(chosen[0])
    elif 1 < len(chosen) <= MOST:
        show.compared(chosen)
    elif chosen:
        st.info(
            _("{count} runs are chosen; at most {most} are compared.").format(count=shown(len(chosen)), most=MOST),
            icon=":material/compare:",
        )


def _accuracy(found: RunPage, task: str) -> None:
    """What accuracy cost, of the runs listed of one task."""
    st.subheader(_("Accuracy and emissions"))
    if not task:
        st.caption(_("Choose a task above to see what its accuracy cost."))
        return
    metric = TASKS[task].accuracy
    points = comparison.cost_of_accuracy(found.runs, task) if metric else pd.DataFrame()
    if not metric:
        st.caption(_("Runs of this task have no labels to be judged by, so no accuracy."))
    elif points.empty:
        st.caption(_("None of the runs listed has {metric}.").format(metric=metric))
    else:
        chart(
            accuracy_and_cost(points, metric, _), "accuracy", _("Accuracy against emissions of each run"), dated=False
        )
        better = _("Lower {metric} is better.") if comparison.direction(metric) < 0 else _("Higher {metric} is better.")
        st.caption(
            better.format(metric=metric)
            + " "
            + _(
                "★ no other run listed on the same data is as good for less CO₂, or better for as little. "
                "Runs that were asked different things (horizon, period, entities) are not rivals. Emissions "
                "are an estimate: without a power meter CodeCarbon takes a constant per processor core and "
                "memory module, and short runs tell little."
            )
        )


page()
