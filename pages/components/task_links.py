"""Tasks on screen: their names, and the pages that show their results."""

from pathlib import Path

import streamlit as st

from core.spec.task import Task, find_task
from pages.components.i18n import _

ANALYSIS = Path(__file__).parents[1] / "analysis"


def task_label(name: str) -> str:
    """Return the name of a task for a person; `name` itself where no such task is known here."""
    task = find_task(name)
    return _(task.label) if task else name


def page_script(task: Task) -> Path:
    """Return the script of the page that shows the task's results."""
    return ANALYSIS / f"{task.page}.py"


def link_run(task: Task, run_id: str, dataset: str, label: str, icon: str = ":material/open_in_new:") -> None:
    """Show the way to the page with the result of a run; nothing where no page shows results of the task."""
    if not task.page:
        return
    address = {"run": run_id} | ({"dataset": dataset} if dataset else {})
    st.page_link(page_script(task), label=label, icon=icon, query_params=address)
