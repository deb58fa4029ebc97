"""Link from a result to the form of a watch that asks its question again."""

import streamlit as st

from core.runs.result import Result
from core.spec.task import Task, load_entry_point
from pages.components.i18n import _
from pages.components.task_links import WATCH_SCRIPT


def link_watch(task: Task, result: Result, run_id: str) -> None:
    """Show the link for a result whose model can judge new rows; nothing for the others."""
    if not task.judge or type(result) is not load_entry_point(task.result):
        return
    st.page_link(
        WATCH_SCRIPT,
        label=_("Ask this again…"),
        icon=":material/notifications_active:",
        query_params={"view": "new", "run": run_id},
    )
