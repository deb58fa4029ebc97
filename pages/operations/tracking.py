"""Page of tracking: search, open and compare runs, with their accuracy and emissions."""

import hashlib
from datetime import date, datetime, time, timedelta
from functools import partial

import pandas as pd
import streamlit as st

from core.runs import comparison
from core.runs.comparison import MAX_COMPARED_RUNS, RunFilter, RunPage
from core.runs.figures import draw_accuracy_and_cost
from core.spec.task import get_metric, get_task, list_task_names
from pages.components import cache, url_state
from pages.components.i18n import _, format_value, get_date_format
from pages.components.results import runs as run_views
from pages.components.results.run_widgets import show_chart, show_downloads
from pages.components.task_links import get_task_label, link_first_steps

PAGE_RUNS = 100
STATUSES = ("completed", "failed", "interrupted", "running")
CHOSEN_PARAM, TOKEN_PARAM = "runs", "before"  # query parameters: the chosen runs, and the start of the list


def page() -> None:
    """Show the filters, the list of runs, and the chosen runs."""
    title, link = st.columns([4, 1], vertical_alignment="bottom")
    title.title(_("Tracking"))
    run_filter = _ask_filter()
    workspace = cache.get_workspace()
    url = comparison.get_experiment_url(run_filter.task, workspace)
    if url:
        link.link_button(_("Open MLflow"), url, icon=":material/open_in_new:", width="stretch")
    token = url_state.get_query_param(TOKEN_PARAM)
    runs, is_mlflow_silent = comparison.search_runs(workspace, run_filter, PAGE_RUNS, token)
    if is_mlflow_silent:
        st.warning(
            _("MLflow does not respond. The list contains only runs of this machine. No run is lost."),
            icon=":material/cloud_off:",
        )
    if runs.runs:
        _show_list(runs)
    else:
        _show_nothing(run_filter)
    _show_page_buttons(runs)
    _show_chosen()
    if runs.runs:
        _show_accuracy(runs, run_filter.task)
        show_downloads(
            lambda: comparison.runs_to_frame(runs.runs).drop(columns="waits"), "runs", _("These runs ({kind})")
        )


# ---- filter ---------------------------------------------------------------------------------------------------------


def _ask_filter() -> RunFilter:
    """Ask for the filters of the list, in one row; an empty field does not filter."""
    show_first_page = partial(url_state.set_query_param, TOKEN_PARAM, "")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="tracking-filters"):
        task = st.selectbox(
            _("Task"),
            ["", *list_task_names()],
            format_func=_format_task,
            key="tracking-task",
            on_change=show_first_page,
            width=125,
        )
        model = st.text_input(_("Model"), key="tracking-model", on_change=show_first_page, width=100)
        data = st.text_input(
            _("Data"),
            key="tracking-data",
            on_change=show_first_page,
            width=105,
            help=_("Part of a file name, or the first characters of the digest (8 or more)."),
        )
        user = st.text_input(_("User"), key="tracking-user", on_change=show_first_page, width=85)
        period = st.date_input(
            _("Period"), [], key="tracking-period", on_change=show_first_page, width=150, format=get_date_format()
        )
        status = st.selectbox(
            _("Status"),
            ["", *STATUSES],
            format_func=run_views.get_status_label,
            key="tracking-status",
            on_change=show_first_page,
            width=108,
        )
        text = st.text_input(
            _("Text"),
            key="tracking-text",
            on_change=show_first_page,
            width=88,
            help=_("Part of the name, id, error or a parameter value of a run."),
        )
    since, until = _to_milliseconds(tuple(period) if isinstance(period, tuple | list) else (period,))
    return RunFilter(task, model.strip(), user.strip(), data.strip(), status, since, until, text.strip())


def _format_task(name: str) -> str:
    return get_task_label(name) if name else _("All")


def _to_milliseconds(days: tuple[date, ...]) -> tuple[int, int]:
    """Return start of the first day and end of the last, in milliseconds (server's time zone); 0 if not set."""
    if not days:
        return 0, 0
    first, after = (datetime.combine(day, time()) for day in (days[0], days[-1] + timedelta(days=1)))
    return int(first.timestamp() * 1000), int(after.timestamp() * 1000) if len(days) > 1 else 0


def _show_nothing(run_filter: RunFilter) -> None:
    if run_filter == RunFilter() and not url_state.get_query_param(TOKEN_PARAM):
        st.info(_("There are no runs yet. Each analysis creates a run."), icon=":material/experiment:")
        link_first_steps()
    else:
        st.info(_("No run matches these filters."), icon=":material/filter_alt_off:")


# ---- list -----------------------------------------------------------------------------------------------------------


def _show_list(run_page: RunPage) -> None:
    """Show the list; the URL holds the chosen rows, so that a refresh and a colleague see the same."""
    run_ids = [item.record.id for item in run_page.runs]
    chosen_runs = _get_chosen_runs()
    # a new key for every list: its selection starts empty
    key = "runs-" + hashlib.sha256(" ".join(run_ids).encode()).hexdigest()[:12]
    st.caption(_("Select one run to open it, or 2 to {most} runs to compare them.").format(most=MAX_COMPARED_RUNS))
    st.dataframe(
        run_views.build_display_table(comparison.runs_to_frame(run_page.runs)),
        hide_index=True,
        width="stretch",
        key=key,
        selection_mode="multi-row",
        on_select=partial(_store_choice, key, run_ids),
        selection_default={"selection": {"rows": [run_ids.index(run) for run in chosen_runs if run in run_ids]}},
        column_config=run_views.build_column_config(),
        alt=_("Runs, newest first"),
        height=min(38 + 35 * len(run_ids), 440),
    )


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
    st.subheader(_("Accuracy and emissions"))
    if not task:
        st.caption(_("Select a task above to see the accuracy and the emissions of its runs."))
        return
    metric = get_task(task).accuracy
    points = comparison.build_cost_table(run_page.runs, task) if metric else pd.DataFrame()
    if not metric:
        st.caption(_("Runs of this task have no labels and therefore no accuracy metric."))
    elif points.empty:
        st.caption(_("None of the listed runs has the metric {metric}.").format(metric=metric))
    else:
        show_chart(
            draw_accuracy_and_cost(points, metric, _),
            "accuracy",
            _("Accuracy against emissions of each run"),
            has_time_axis=False,
        )
        lower_is_better = get_metric(metric, task).direction < 0
        template = _("Lower {metric} is better.") if lower_is_better else _("Higher {metric} is better.")
        st.caption(
            template.format(metric=metric)
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
