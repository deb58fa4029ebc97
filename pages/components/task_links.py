"""Labels of tasks, and links to the pages with their results."""

from pathlib import Path

import streamlit as st

from core.spec.task import Task, find_task
from pages.components.i18n import _

ANALYSIS_FOLDER = Path(__file__).parents[1] / "analysis"


def get_task_label(name: str) -> str:
    """Return the translated label of a task; `name` itself for an unknown task."""
    task = find_task(name)
    return _(task.label) if task else name


def get_page_script(task: Task) -> Path:
    """Return the script of the page with the results of the task."""
    return ANALYSIS_FOLDER / f"{task.page}.py"


def link_run(task: Task, run_id: str, dataset: str, label: str, icon: str = ":material/open_in_new:") -> None:
    """Show a link to the result of a run; nothing if the task has no page."""
    if not task.page:
        return
    query = {"run": run_id} | ({"dataset": dataset} if dataset else {})
    st.page_link(get_page_script(task), label=label, icon=icon, query_params=query)
