"""Labels of tasks, the scripts of pages that others link to, and links to results."""

from pathlib import Path

import streamlit as st

from core.operations.queries import LOAD_PAGE
from core.spec.task import Task, find_task, get_task
from pages.components.i18n import _

WATCH_PAGE = "watch"  # address of the page of watches
PAGES_FOLDER = Path(__file__).parents[1]
ANALYSIS_FOLDER = PAGES_FOLDER / "analysis"
HOME_SCRIPT = PAGES_FOLDER / "home" / "home.py"
LOAD_SCRIPT = PAGES_FOLDER / "data" / "load.py"
TRACKING_SCRIPT = PAGES_FOLDER / "operations" / "tracking.py"
WATCH_SCRIPT = PAGES_FOLDER / "operations" / "watch.py"


def get_task_label(name: str) -> str:
    """Return the translated label of a task; `name` itself for an unknown task."""
    task = find_task(name)
    return _(task.label) if task else name


def get_page_script(page: str) -> Path:
    """Return the script of the page with this address: that of a task, of loading data, or of watches."""
    scripts = {LOAD_PAGE: LOAD_SCRIPT, WATCH_PAGE: WATCH_SCRIPT}
    return scripts.get(page, ANALYSIS_FOLDER / f"{page}.py")


def link_first_steps() -> None:
    """Show the links to the page that loads files, and to the samples of the home page."""
    with st.container(horizontal=True):
        st.page_link(LOAD_SCRIPT, label=_("Load data"), icon=":material/upload_file:")
        st.page_link(HOME_SCRIPT, label=_("Open a sample"), icon=":material/science:")


def show_missing_dates(dataset: str, *alternatives: str) -> None:
    """Say that the data have no dates, which the page needs; link to loading and to tasks that do without them."""
    st.info(
        _(
            "These data have no dates, and this analysis needs them. If the files have a column of dates, load them "
            "again and set its role. Or use an analysis that works without dates:"
        ),
        icon=":material/event_busy:",
    )
    with st.container(horizontal=True):
        st.page_link(LOAD_SCRIPT, label=_("Load data"), icon=":material/upload_file:")
        for task in map(get_task, alternatives):
            label = _("Open {page}").format(page=_(task.label))
            st.page_link(
                get_page_script(task.page),
                label=label,
                icon=f":material/{task.icon}:",
                query_params={"dataset": dataset},
            )


def link_recent_results() -> None:
    """Show the link to the recent results on the home page."""
    st.page_link(HOME_SCRIPT, label=_("Open a recent result"), icon=":material/history:")


def link_run(task: Task, run_id: str, dataset: str, label: str, icon: str = ":material/open_in_new:") -> None:
    """Show a link to the result of a run; nothing if the task has no page."""
    if not task.page:
        return
    query = {"run": run_id} | ({"dataset": dataset} if dataset else {})
    st.page_link(get_page_script(task.page), label=label, icon=icon, query_params=query)
