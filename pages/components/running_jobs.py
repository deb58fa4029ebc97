"""Jobs of the user that wait or run, with links to their progress."""

from collections.abc import Iterable

import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.jobs import Job
from core.operations.queries import LOAD_PAGE
from core.operations.reading import find_files
from core.queries import find_query
from core.spec.task import find_task
from pages.components import auth, cache, url_state
from pages.components.i18n import _, format_percent, translate_message
from pages.components.names import shorten_name
from pages.components.task_links import get_page_script, get_task_label


def show() -> None:
    """Show a link to each unfinished job of the user."""
    _link_jobs(_list_unfinished())


def show_page_jobs(page: str) -> None:
    """Show a link to each unfinished job of a page; the newest one is opened after a refresh.

    A refresh begins a new session. So the job is opened by the first page of a task in the session, or by the page that
    loads data. The address must name neither a job nor a run.
    """
    unfinished = [job for job in _list_unfinished() if _get_page(job) == page]
    session_key = f"has-shown-{page if page == LOAD_PAGE else 'task'}"
    is_first_page = not url_state.get_state(session_key)
    url_state.set_state(session_key, True)
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
    return [job for job in unfinished if _get_page(job)]


def _get_page(job: Job) -> str:
    """Return the address of the page that shows the outcome of a job; "" where no list names it."""
    work = find_task(job.task) or find_query(job.task)
    return "" if work is None else work.page


def _link_jobs(unfinished: Iterable[Job]) -> None:
    with st.container():  # also without jobs, so that the elements below keep their places
        for job in unfinished:
            st.page_link(
                get_page_script(_get_page(job)),
                label=_describe_job(job),
                icon=":material/pending:",
                query_params={"work": job.key},
            )


def _describe_job(job: Job) -> str:
    query = find_query(job.task)
    parts = [get_task_label(job.task) if query is None else _(query.label), *_name_data(job)]
    if job.status == "waiting":
        parts.append(_("waiting in the queue"))
    else:
        parts.append(_("running, {share} done").format(share=format_percent(round(job.share, 2))))
    return " · ".join(parts)


def _name_data(job: Job) -> list[str]:
    """Return the names of the files that a job reads, or of its dataset; [] for a job on something else."""
    workspace = cache.get_workspace()
    names = [name for _path, name in find_files(str(job.arguments.get("files") or ""), workspace)]
    info = workspace.datasets.find_info(str(job.arguments.get("dataset") or ""))
    names = names or list(info.files if info else ())
    return [shorten_name(", ".join(names))] if names else []
