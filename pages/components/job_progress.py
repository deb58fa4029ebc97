"""Slow work as a job of a worker process: the URL holds the key of the job, the page shows the progress.

A page calls `open_finished_run` once near the top, with the digest of its dataset. It calls `submit_job` with plain
JSON arguments when a button is clicked, and disables the button while `is_job_running` is true. It calls `show` with
the result of `open_finished_run` at the place of the progress bar; this may raise the error of the job.

Equal arguments of the same user are one job, in all tabs and after a refresh. A page never waits for a job.
"""

from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.jobs import Job
from core.messages import Message
from core.operations.queries import LOAD_PAGE
from core.queries import find_query, get_queues
from pages.components import auth, cache, url_state
from pages.components.i18n import _, format_percent, format_value, translate_message

POLL_INTERVAL_S = 0.5
FIRST_POLL_INTERVAL_S = 0.1  # of a job younger than `YOUNG_S`, so that a quick answer is shown at once
STARTING_S = 3.0  # afterwards the page shows the reason of a wait
YOUNG_S = 10.0  # most analyses take less: their page does not rerun before they end
UNKNOWN_JOB = Job("", "", {}, "", "", status="cancelled", ended=0.0)


def submit_job(task: str, arguments: dict[str, Any]) -> None:
    """Submit a job for the current user, store its key in the URL, and rerun the page.

    Raises ServiceUnavailableError if the job queue does not answer.
    """
    job = jobs.submit(task, arguments, workspace=cache.get_workspace(), actor=auth.current_actor(task))
    url_state.set_query_param("work", job.key)
    st.rerun()


def is_job_running() -> bool:
    """Tell whether the URL holds the key of a job."""
    return bool(url_state.get_query_param("work"))


def find_running_job() -> Job | None:
    """Return the job of the URL until it is taken as finished; None without one, or if the queue does not answer."""
    return find_job(url_state.get_query_param("work"))


def find_job(key: str) -> Job | None:
    """Return the job with this key; None without one, or if the queue does not answer."""
    try:
        return jobs.find(key, cache.get_workspace()) if key else None
    except ServiceUnavailableError:  # `show` shows the error
        return None


def take_finished_job() -> Job | None:
    """Return the job of the URL and remove it from there, if it has finished or is no longer known; else None."""
    key = url_state.get_query_param("work")
    if not key:
        return None
    try:
        job = jobs.find(key, cache.get_workspace())
    except ServiceUnavailableError:  # `show` shows the error
        return None
    if job is not None and not job.is_finished:
        return None
    url_state.set_query_param("work", "")
    return job or UNKNOWN_JOB


def open_finished_run(dataset: str) -> Job | None:
    """Take the finished job as `take_finished_job` does, and set its run as the run of the URL, with its `dataset`.

    A job that made a dataset without a run opens the dataset.
    """
    job = take_finished_job()
    if job is not None and job.run_id:
        query = find_query(job.task)
        if query is None:
            url_state.set_run(job.run_id, dataset)
        elif query.page == LOAD_PAGE:
            url_state.open_dataset(job.run_id)
        st.rerun()
    return job


def show(job: Job | None, cancelled: str = "", *, dataset: str | None = None) -> None:
    """Show the progress of the job of the URL, or why the finished `job` has no result.

    cancelled  what a cancelled job leaves behind, where that is more than nothing
    dataset    as in `open_finished_run`, by a page that opens the run of the job; it then runs once for the result

    Raises the error of a failed job.
    """
    if job is None:
        if is_job_running():
            poll_job(url_state.get_query_param("work"), dataset=dataset)
    elif job is UNKNOWN_JOB:
        st.info(_("This job is not known any more. Start it again."), icon=":material/cancel:")
    elif job.status == "cancelled":
        st.info(cancelled or _("The job is cancelled. No result was saved."), icon=":material/cancel:")
    else:
        jobs.raise_error(job)


def poll_job(key: str, widget_key: str = "work", *, dataset: str | None = None) -> None:
    """Show the progress of a job, and rerun the page when it has ended.

    widget_key  unique on the page
    dataset     opens the run of the job of the URL as `show` does; None leaves that to the page

    A young job is asked for often. The page reruns once when it is young no longer, and then asks less often.
    """
    is_young = _is_younger(find_job(key), YOUNG_S)
    interval_s = FIRST_POLL_INTERVAL_S if is_young else POLL_INTERVAL_S
    st.fragment(_poll_job, run_every=interval_s)(key, widget_key, is_young, dataset)


def _poll_job(key: str, widget_key: str, was_young: bool, dataset: str | None) -> None:
    try:
        job = jobs.find(key, cache.get_workspace())
        if dataset is not None and job is not None and job.run_id:
            open_finished_run(dataset)
        if job is None or job.is_finished or (was_young and not _is_younger(job, YOUNG_S)):
            st.rerun()
        _show_progress(job, _describe_stage(job), widget_key)
    except ServiceUnavailableError as error:
        st.warning(translate_message(error.message), icon=":material/cloud_off:")


def _is_younger(job: Job | None, age_s: float) -> bool:
    return job is not None and job.read_at - job.submitted < age_s


def _show_progress(job: Job, stage: str, widget_key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=widget_key):
        st.progress(min(max(job.share, 0.0), 1.0), stage)
        st.button(
            _("Cancel"),
            key=f"cancel-{widget_key}",
            icon=":material/cancel:",
            on_click=_cancel_job,
            args=(job.key,),
            disabled=job.cancel_requested,
        )
    if job.curves:
        rows = [(_(name), step, value) for name, points in job.curves.items() for step, value in points]
        table = pd.DataFrame(rows, columns=[_("Curve"), "step", "value"])
        alt = _("Training losses by step")
        with st.container(key=f"curves-{widget_key}"):  # styles.css hides its toolbar, which covers the button above
            st.line_chart(table, x="step", y="value", color=_("Curve"), x_label="", y_label="", height=180, alt=alt)


def _describe_stage(job: Job) -> str:
    """Describe the current stage of a job in a few words."""
    if job.cancel_requested:
        return _("Stopping …")
    if job.is_stale:
        return _("The worker process does not respond. Another one takes over …")
    if job.status == "running":
        stage = translate_message(Message.load(job.stage)) if job.stage else ""
        attempt = _("attempt {number}").format(number=job.attempt) + " · " if job.attempt > 1 else ""
        return f"{attempt}{stage or _('Starting …')} · {format_percent(round(job.share, 2))}"
    if _is_younger(job, STARTING_S):
        return _("Starting …")
    return _describe_wait(job)


def _describe_wait(job: Job) -> str:
    """Describe why a job waits: its place in the queue, or that nothing serves the queue."""
    workspace = cache.get_workspace()
    if not jobs.list_workers(workspace):
        return _("No worker process is running. The job waits until one starts.")
    place = jobs.find_place_in_queue(job, get_queues(), workspace)
    if place is None:
        return _("Starting …")
    words = _("Place {place} in the queue").format(place=format_value(place.number))
    if not place.others:
        return words
    others = _("{count} job of other people goes first", "{count} jobs of other people go first", place.others)
    return f"{words} · {others.format(count=format_value(place.others))}"


def _cancel_job(key: str) -> None:
    """Cancel a job; the callback of a button has to show the error of the queue itself."""
    try:
        jobs.cancel(key, cache.get_workspace())
    except ServiceUnavailableError as error:
        st.toast(translate_message(error.message), icon=":material/cloud_off:")
