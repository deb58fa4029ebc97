"""Page of tracking: search, open and compare runs, with their accuracy and emissions."""

import hashlib
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.runs import comparison
from core.runs.comparison import MAX_COMPARED_RUNS, RunFilter, RunPage
from core.runs.figures import draw_accuracy_and_cost
from core.runs.run_names import untranslate_text
from core.runs.run_table import DEFAULT_COLUMNS, is_column, list_columns, runs_to_frame, sort_runs
from core.spec.task import get_metric, get_task, list_task_names
from pages.components import auth, cache, clock, mlflow_links, saved_views, url_state
from pages.components.choices import label_uniquely
from pages.components.i18n import _, format_value, get_date_format
from pages.components.page_state import (
    AddressField,
    make_choice_field,
    make_list_field,
    make_period_field,
    make_text_field,
)
from pages.components.results import run_list
from pages.components.results import runs as run_views
from pages.components.results.run_widgets import show_chart, show_downloads
from pages.components.run_name import SHORT_ID_LENGTH, format_run_name
from pages.components.task_links import get_task_label, link_first_steps

PAGE, PAGE_RUNS = "tracking", 100
STATUSES = ("completed", "failed", "interrupted", "running")
CHOSEN_PARAM, TOKEN_PARAM = "runs", "before"  # query parameters: the chosen runs, and the start of the list
FILTERS = {
    field.parameter: field
    for field in (
        make_choice_field("task", "tracking-task", list_task_names()),
        make_text_field("text", "tracking-text"),
        make_text_field("model", "tracking-model"),
        make_text_field("data", "tracking-data"),
        make_text_field("user", "tracking-user"),
        make_period_field("period", "tracking-period"),
        make_choice_field("status", "tracking-status", STATUSES),
    )
}
MORE_FILTERS = ("model", "data", "user")
COLUMNS = make_list_field("columns", "tracking-columns", is_column, DEFAULT_COLUMNS)
FIRST_SORT, ORDERS = "began", ("descending", "ascending")
SORT = AddressField(
    "sort",
    "tracking-sort",
    lambda column: column if is_column(column) else FIRST_SORT,
    lambda column: "" if column == FIRST_SORT else str(column or ""),
)
ORDER = make_choice_field("order", "tracking-order", ORDERS, ORDERS[0])
VIEW_FIELDS = (*FILTERS, COLUMNS.parameter, SORT.parameter, ORDER.parameter)


def page() -> None:
    """Show the filters, the list of runs, and the chosen runs."""
    header = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="tracking-header")
    header.title(_("Tracking"))
    run_filter = _ask_filter()
    workspace = cache.get_workspace()
    token = url_state.get_query_param(TOKEN_PARAM)
    runs, is_mlflow_silent = comparison.search_runs(workspace, run_filter, PAGE_RUNS, token)
    with header:
        saved_views.show(PAGE, VIEW_FIELDS)
        columns = _ask_columns(runs, run_filter.task)
        mlflow_links.show_link(run_filter.task)
    if auth.has_private_runs():
        st.caption(_("Runs are private: you see your own. Operators see those of all users."))
    if is_mlflow_silent:
        st.warning(
            _("MLflow does not respond. The list contains only runs of this machine. No run is lost."),
            icon=":material/cloud_off:",
        )
    if runs.runs:
        runs = _sort_runs(runs)
        _show_list(runs, columns, run_filter.task)
    else:
        _show_nothing(run_filter)
    _show_page_buttons(runs)
    _show_chosen()
    if runs.runs:
        _show_accuracy(runs, run_filter.task)
        show_downloads(
            lambda: runs_to_frame(runs.runs, columns).drop(columns="waits"), "runs", _("These runs ({kind})")
        )
        st.caption(_("Times in downloaded files are in UTC."))


# ---- filter ---------------------------------------------------------------------------------------------------------


def _ask_filter() -> RunFilter:
    """Ask for the filters of the list; an empty field does not filter."""
    for field in FILTERS.values():
        field.load()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="tracking-filters"):
        text = st.text_input(
            _("Name or text"),
            **_watch("text"),
            width=195,
            help=_("Part of the name, id, error or a parameter value of a run."),
        )
        task = st.selectbox(_("Task"), ["", *list_task_names()], format_func=_format_task, **_watch("task"), width=150)
        period = st.date_input(_("Period"), **_watch("period"), width=240, format=get_date_format())
        status = st.selectbox(
            _("Status"), ["", *STATUSES], format_func=run_list.get_status_label, **_watch("status"), width=120
        )
        model, data, user = _ask_more_filters()
    since_ms, until_ms = _to_milliseconds(tuple(period) if isinstance(period, tuple | list) else (period,))
    return RunFilter(
        task,
        model.strip(),
        user.strip(),
        data.strip(),
        status,
        since_ms,
        until_ms,
        text.strip(),
        untranslate_text(text.strip(), _),
    )


def _ask_more_filters() -> tuple[str, str, str]:
    """Ask for parts of the names of models, data and users; the label tells how many are filled in."""
    count = sum(bool(url_state.get_query_param(name)) for name in MORE_FILTERS)
    label = _("More filters ({count})").format(count=format_value(count)) if count else _("More filters")
    with st.popover(label, icon=":material/filter_list:", key="tracking-more-filters"):
        model = st.text_input(_("Model"), **_watch("model"))
        data = st.text_input(
            _("Data"),
            **_watch("data"),
            help=_("Part of a file name, or the first characters of the digest (8 or more)."),
        )
        user = st.text_input(_("User"), **_watch("user"))
    return model, data, user


def _watch(parameter: str) -> dict[str, Any]:
    """Return the key of the widget of a filter, and its callback: the address changes, and the first page is shown."""

    def store() -> None:
        FILTERS[parameter].store()
        url_state.set_query_param(TOKEN_PARAM, "")

    return {"key": FILTERS[parameter].key, "on_change": store}


def _format_task(name: str) -> str:
    return get_task_label(name) if name else _("All")


def _to_milliseconds(days: tuple[date, ...]) -> tuple[int, int]:
    """Return the start of the first day and the end of the last, in milliseconds since 1970; 0 if not set."""
    if not days:
        return 0, 0
    return clock.to_epoch_ms(days[0]), clock.to_epoch_ms(days[-1], days_later=1) if len(days) > 1 else 0


def _ask_columns(run_page: RunPage, task: str) -> list[str]:
    """Ask for the columns and the order of the list. Columns of the address stay, also where no run fills them."""
    for field in (COLUMNS, SORT, ORDER):
        field.load()
    chosen_columns = url_state.get_state(COLUMNS.key)
    options = list(dict.fromkeys([*chosen_columns, *list_columns(run_page.runs)]))
    with st.popover(_("Columns and order"), icon=":material/view_column:", key="tracking-column-choice"):
        columns = st.multiselect(
            _("Columns, in this order"),
            options,
            format_func=partial(run_list.get_column_option, task=task),
            key=COLUMNS.key,
            on_change=COLUMNS.store,
            placeholder=_("The usual columns"),
        )
        st.button(
            _("The usual columns"),
            icon=":material/restart_alt:",
            key="tracking-columns-reset",
            on_click=url_state.set_query_param,
            args=(COLUMNS.parameter, ""),
            disabled=tuple(columns) == DEFAULT_COLUMNS,
        )
        _ask_order(options, task, has_more=bool(run_page.token or url_state.get_query_param(TOKEN_PARAM)))
    return columns


def _ask_order(columns: list[str], task: str, *, has_more: bool) -> None:
    """Ask for the column that the list is sorted by, and for the direction."""
    sort = url_state.get_state(SORT.key)
    st.selectbox(
        _("Sort by"),
        list(dict.fromkeys([*columns, sort])),
        format_func=partial(run_list.get_column_option, task=task),
        key=SORT.key,
        on_change=SORT.store,
    )
    labels = {"descending": _("Descending"), "ascending": _("Ascending")}
    st.segmented_control(
        _("Direction"),
        ORDERS,
        format_func=labels.__getitem__,
        key=ORDER.key,
        on_change=ORDER.store,
        required=True,
        label_visibility="collapsed",
    )
    if has_more:
        st.caption(_("Only the runs of this part of the list are sorted."))


def _sort_runs(run_page: RunPage) -> RunPage:
    """Return the runs of the page in the chosen order; they come newest first."""
    column, order = url_state.get_state(SORT.key), url_state.get_state(ORDER.key)
    if (column, order) == (FIRST_SORT, ORDERS[0]):
        return run_page
    return replace(run_page, runs=tuple(sort_runs(run_page.runs, column, is_ascending=order != ORDERS[0], translate=_)))


def _show_nothing(run_filter: RunFilter) -> None:
    if run_filter == RunFilter() and not url_state.get_query_param(TOKEN_PARAM):
        st.info(_("There are no runs yet. Each analysis creates a run."), icon=":material/experiment:")
        link_first_steps()
    else:
        st.info(_("No run matches these filters."), icon=":material/filter_alt_off:")


# ---- list -----------------------------------------------------------------------------------------------------------


def _show_list(run_page: RunPage, columns: list[str], task: str) -> None:
    """Show the list; the URL holds the chosen rows, so that a refresh and a colleague see the same.

    The style sheet shows the table or, on a narrow screen, the cards.
    """
    table = runs_to_frame(run_page.runs, columns)
    with st.container(key="runs-wide"):
        _show_table(run_page, table, columns, task)
    with st.container(key="runs-narrow"):
        clock.show_zone()
        _show_cards(run_page, table, columns, task)


def _show_table(run_page: RunPage, table: pd.DataFrame, columns: list[str], task: str) -> None:
    run_ids = [item.record.id for item in run_page.runs]
    chosen_runs = _get_chosen_runs()
    # a new key for every list: its selection starts empty
    key = "runs-" + hashlib.sha256(" ".join([*run_ids, *columns]).encode()).hexdigest()[:12]
    hint = _("Select one run to open it, or 2 to {most} runs to compare them.").format(most=MAX_COMPARED_RUNS)
    st.caption(f"{hint} {clock.describe_zone()}")
    display_table = run_list.build_display_table(table, columns)
    st.dataframe(
        display_table,
        hide_index=True,
        width="stretch",
        key=key,
        selection_mode="multi-row",
        on_select=partial(_store_choice, key, run_ids),
        selection_default={"selection": {"rows": [run_ids.index(run) for run in chosen_runs if run in run_ids]}},
        column_config=run_list.build_column_config(display_table, task),
        placeholder=run_list.NO_VALUE,
        alt=_("Runs"),
        height=min(38 + 35 * len(run_ids), 440),
    )


def _show_cards(run_page: RunPage, table: pd.DataFrame, columns: list[str], task: str) -> None:
    titles = run_list.build_card_titles(run_page.runs)
    chosen_runs = _get_chosen_runs()
    url_state.set_state("run-card", chosen_runs[0] if chosen_runs and chosen_runs[0] in titles else None)
    st.radio(
        _("Runs"),
        list(titles),
        format_func=label_uniquely(list(titles), titles.__getitem__),
        captions=run_list.build_card_facts(run_page.runs, table, columns, task),
        key="run-card",
        on_change=_store_card,
    )
    if chosen_runs:
        _ask_compared_runs(run_page, chosen_runs)


def _ask_compared_runs(run_page: RunPage, chosen_runs: list[str]) -> None:
    """Ask for the runs to compare with the one whose card is chosen."""
    names = {item.record.id: format_run_name(item.record) for item in run_page.runs}
    url_state.set_state("compared-cards", chosen_runs[1:])
    others = [run for run in dict.fromkeys([*names, *chosen_runs]) if run != chosen_runs[0]]
    st.multiselect(
        _("Compare with"),
        others,
        format_func=label_uniquely(others, lambda run: names.get(run, run[:SHORT_ID_LENGTH])),
        key="compared-cards",
        max_selections=max(MAX_COMPARED_RUNS, len(chosen_runs)) - 1,
        placeholder=_("Other runs of the list"),
        on_change=_store_card,
    )


def _store_card() -> None:
    """Store the run of the chosen card and the runs to compare with it in the URL."""
    first_run = url_state.get_state("run-card") or next(iter(_get_chosen_runs()), "")
    runs = [first_run, *(url_state.get_state("compared-cards") or [])]
    url_state.set_query_param(CHOSEN_PARAM, ",".join(dict.fromkeys(filter(None, runs))))


def _store_choice(key: str, run_ids: list[str]) -> None:
    """Store the chosen rows in the URL; chosen runs of other list pages stay chosen."""
    rows = url_state.get_state(key).selection.rows
    others = [run for run in _get_chosen_runs() if run not in run_ids]
    chosen_runs = [*others, *(run_ids[row] for row in rows if row < len(run_ids))]
    url_state.set_query_param(CHOSEN_PARAM, ",".join(chosen_runs))


def _get_chosen_runs() -> list[str]:
    return list(dict.fromkeys(filter(None, url_state.get_query_param(CHOSEN_PARAM).split(","))))


def _show_page_buttons(run_page: RunPage) -> None:
    """Show the buttons to older and to the newest runs."""
    with st.container(horizontal=True):
        if url_state.get_query_param(TOKEN_PARAM):
            st.button(
                _("Newest runs"),
                icon=":material/first_page:",
                key="newest",
                on_click=url_state.set_query_param,
                args=(TOKEN_PARAM, ""),
            )
        if run_page.token:
            st.button(
                _("Older runs"),
                icon=":material/navigate_next:",
                key="older",
                on_click=url_state.set_query_param,
                args=(TOKEN_PARAM, run_page.token),
            )


# ---- chosen runs ----------------------------------------------------------------------------------------------------


def _show_chosen() -> None:
    chosen_runs = _get_chosen_runs()
    if len(chosen_runs) == 1:
        run_views.show_run(chosen_runs[0])
    elif 1 < len(chosen_runs) <= MAX_COMPARED_RUNS:
        run_views.show_comparison(chosen_runs)
    elif chosen_runs:
        st.info(
            _("Selected runs: {count}. At most {most} runs can be compared.").format(
                count=format_value(len(chosen_runs)), most=MAX_COMPARED_RUNS
            ),
            icon=":material/compare:",
        )


def _show_accuracy(run_page: RunPage, task: str) -> None:
    """Show accuracy against emissions of the listed runs of one task."""
    st.header(_("Accuracy and emissions"))
    if not task:
        st.caption(_("Select a task above to see the accuracy and the emissions of its runs."))
        return
    accuracy = get_task(task).accuracy
    metric = get_metric(accuracy, task)
    points = comparison.build_cost_table(run_page.runs, task) if accuracy else pd.DataFrame()
    if not accuracy:
        st.caption(_("Runs of this task have no labels and therefore no accuracy metric."))
    elif points.empty:
        st.caption(_("None of the listed runs has the metric {metric}.").format(metric=_(metric.label)))
    else:
        show_chart(
            draw_accuracy_and_cost(points, _(metric.label), _), "accuracy", _("Accuracy and emissions of each run")
        )
        template = _("Lower {metric} is better.") if metric.direction < 0 else _("Higher {metric} is better.")
        st.caption(
            template.format(metric=_(metric.label))
            + " "
            + _(
                "★: no other listed run on the same data is as accurate with less CO₂, or more "
                "accurate with the same CO₂. Runs with different settings (horizon, period, "
                "entities) are not compared. Emissions are an estimate: without a power meter, "
                "CodeCarbon uses a constant per processor core and memory module. The values "
                "of short runs are imprecise."
            )
        )


page()
