"""Slow work as a job that a worker process does: the address carries its key, the page shows how far it is.

On a page (arguments are plain JSON):

    ended = job_progress.settled(dataset.digest)  # once, near the top: the job of the address, ended without a run
    if st.button(…, disabled=job_progress.going_on()):
        job_progress.start("forecast", {"dataset": dataset.digest, …})
    job_progress.show(ended)                      # where progress, or why there is no answer, is to stand; may raise

One question of one user is one job, in every tab and after a refresh; a page never waits for it.
"""

import gc
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.jobs import Job
from pages.components import auth, cache, url_state
from pages.components.i18n import _, percent, say

POLL_INTERVAL_S = 0.5
STARTING_S = 3.0  # then a page says what it waits for
FORGOTTEN = Job("", "", {}, "", "", status="cancelled", ended=0.0)


def start(task: str, arguments: dict[str, Any]) -> None:
    """Have a worker answer `arguments` for whoever is here; the address then carries the job.

    Raises ServiceUnavailableError where the queue does not answer.
    """
    job = jobs.submit(task, arguments, workspace=cache.get_workspace(), actor=auth.current_actor(task))
    _freeze_loaded_objects()
    url_state.set_query_param("work", job.key)
    st.rerun()


def going_on() -> bool:
    """Does the address carry work?"""
    return bool(url_state.get_query_param("work"))


def ended() -> Job | None:
    """The job of the address, once it has ended or is no longer known; the address is rid of it then."""
    key = url_state.get_query_param("work")
    if not key:
        return None
    try:
        job = jobs.find(key, cache.get_workspace())
    except ServiceUnavailableError:  # `show` says so
        return None
    if job is not None and not job.is_finished:
        return None
    url_state.set_query_param("work", "")
    return job or FORGOTTEN


def settled(dataset: str) -> Job | None:
    """Take the ended job as `ended` does, and make its run that of the address, with its `dataset`."""
    job = ended()
    if job is not None and job.run_id:
        url_state.set_run(job.run_id, dataset)
        st.rerun()
    return job


def show(job: Job | None) -> None:
    """Show how far the job of the address is, or why `job`, which has ended, has no answer. Raises what it raised."""
    if job is None:
        if going_on():
            _watch(url_state.get_query_param("work"))
    elif job is FORGOTTEN:
        st.info(
            _("This work is no longer known here; what it was to answer can be asked again."), icon=":material/cancel:"
        )
    elif job.status == "cancelled":
        st.info(_("Cancelled: nothing was kept, and the question is open again."), icon=":material/cancel:")
    else:
        jobs.raise_error(job)


@st.fragment(run_every=POLL_INTERVAL_S)
def _watch(key: str) -> None:
    try:
        job = jobs.find(key, cache.get_workspace())
        if job is None or job.is_finished:
            st.rerun()
        _progress(job, _stage(job))
    except ServiceUnavailableError as error:
        st.warning(say(error.text), icon=":material/cloud_off:")


def _progress(job: Job, stage: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="work"):
        st.progress(min(max(job.share, 0.0), 1.0), stage)
        st.button(
            _("Cancel"),
            key="cancel-work",
            icon=":material/cancel:",
            on_click=_cancel,
            args=(job.key,),
            disabled=job.cancel_requested,
        )
    if job.curves:
        rows = [(_(name), step, value) for name, points in job.curves.items() for step, value in points]
        table = pd.DataFrame(rows, columns=[_("Curve"), "step", "value"])
        st.line_chart(table, x="step", y="value", color=_("Curve"), x_label="", y_label="", height=180)


def _stage(job: Job) -> str:
    """Say in a few words what goes on."""
    if job.cancel_requested:
        return _("Stopping …")
    if job.is_stale:
        return _("The worker has fallen silent; another one takes over …")
    if job.status == "running":
        again = _("attempt {number}").format(number=job.attempt) + " · " if job.attempt > 1 else ""
        return f"{again}{_(job.stage) or _('Starting …')} · {percent(round(job.share, 2))}"
    if job.read_at - job.submitted < STARTING_S:
        return _("Starting …")
    return _("Waiting for its turn …") if jobs.list_workers(cache.get_workspace()) else _("Waiting for a worker …")


def _cancel(key: str) -> None:
    """Cancel in the callback of a button, where nobody else would say that the queue does not answer."""
    try:
        jobs.cancel(key, cache.get_workspace())
    except ServiceUnavailableError as error:
        st.toast(say(error.text), icon=":material/cloud_off:")


def _freeze_loaded_objects() -> None:
    """Leave everything that is loaded now out of later collections of garbage.

    Streamlit collects after every run of a script, which takes 0.4 s with all libraries loaded; a page that looks
    twice a second would keep the server from everything else.
    """
    gc.collect()
    gc.freeze()
