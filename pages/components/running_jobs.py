"""Jobs of the user that wait or run, with links to their progress."""

from collections.abc import Iterable

import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.jobs import Job
from core.spec.task import find_task, get_task
from pages.components import auth, cache, url_state
from pages.components.i18n import _, format_percent, translate_message
from pages.components.names import shorten_name
from pages.components.task_links import get_page_script, get_task_label

SESSION_KEY = "has-shown-task"


def show() -> None:
    """Show a link to each unfinished job of the user."""
    _link_jobs(_list_unfinished())


def show_page_jobs(page: str) -> None:
    """Show a link to each unfinished job of the page of a task; the newest one is opened after a refresh.

    A refresh begins a new session, so the job is opened by the first page of a task in the session, where the address
    names neither a job nor a run.
    """
    unfinished = [job for job in _list_unfinished() if get_task(job.task).page == page]
    is_first_page = not url_state.get_state(SESSION_KEY)
    url_state.set_state(SESSION_KEY, True)
    if is_first_page and not url_state.get_query_param("work") and not url_state.get_run_id():
        digest = url_state.get_query_param("dataset")
        key = next((job.key for job in unfinished if digest in ("", str(job.arguments.get("dataset") or ""))), "")
        url_state.set_query_param("work", key)
    _link_jobs(job for job in unfinished if job.key != url_state.get_query_param("work"))


def _list_unfinished() -> list[Job]:
    """Return the unfinished jobs of tasks with a page; show why there are none where the queue does not answer."""
    try:
        unfinished = jobs.list_unfinished(auth.current_actor("home").user, cache.get_workspace())
    except ServiceUnavailableError as error:
        st.caption(translate_message(error.message))
        return []
    return [job for job in unfinished if (task := find_task(job.task)) is not None and task.page]


def _link_jobs(unfinished: Iterable[Job]) -> None:
    with st.container():  # also without jobs, so that the elements below keep their places
        for job in unfinished:
            script, query = get_page_script(get_task(job.task)), {"work": job.key}
            st.page_link(script, label=_describe_job(job), icon=":material/pending:", query_params=query)


def _describe_job(job: Job) -> str:
    parts = [get_task_label(job.task), *_name_data(job)]
    if job.status == "waiting":
        parts.append(_("waiting in the queue"))
    else:
        parts.append(_("running, {share} done").format(share=format_percent(round(job.share, 2))))
    return " · ".join(parts)


def _name_data(job: Job) -> list[str]:
    """Return the name of the dataset that a job works on; [] for a job on something else."""
    info = cache.get_workspace().datasets.find_info(str(job.arguments.get("dataset") or ""))
    return [shorten_name(", ".join(info.files))] if info else []
