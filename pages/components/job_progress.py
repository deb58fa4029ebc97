"""Slow work beside the page: a worker process does the job, the address carries its key, the page shows progress.

On a page (an analysis `core.analyses.<verb>` has `carry_out(arguments, *, at, by, progress)`; arguments are plain
JSON):

    ended = work.settled(dataset.digest)          # once, near the top: the job of the address, over without an answer
    if st.button(…, disabled=work.going_on()):
        work.start("forecast", {"dataset": dataset.digest, …})
    work.show(ended)                              # where progress, or why there is no answer, is to stand; may raise

One question of one user is one job, in every tab and after a refresh; a page never waits for it.
"""

import gc
import time
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.jobs.job import Job
from pages.components import auth, cache, url_state
from pages.components.i18n import _, percent, say, shown

EVERY = 0.5  # seconds between two looks
PATIENT = 3.0  # seconds after which a page says what it waits for
FORGOTTEN = Job("", "", {}, "", "", submitted=0.0, status="cancelled", ended=0.0)


def start(verb: str, arguments: dict[str, Any]) -> None:
    """Have `core.analyses.<verb>` answer `arguments` for whoever is here; the address then carries the job.

    Raises ServiceUnavailableError where the queue does not answer.
    """
    job = jobs.submit(verb, arguments, workspace=cache.get_workspace(), actor=auth.current_actor(verb))
    _set_aside()
    url_state.set_query_param("work", job.key)
    st.rerun()


def going_on() -> bool:
    """Does the address carry work?"""
    return bool(url_state.get_query_param("work"))


def ended() -> Job | None:
    """The work of the address, once it is over or no longer known; the address is rid of it then."""
    key = url_state.get_query_param("work")
    if not key:
        return None
    try:
        job = jobs.find(key, cache.get_workspace())
    except ServiceUnavailableError:  # `show` says so
        return None
    if job is not None and not job.over:
        return None
    url_state.set_query_param("work", "")
    return job or FORGOTTEN


def settled(dataset: str) -> Job | None:
    """Take the ended job as `ended` does, and make its run that of the address, beside its `dataset`."""
    job = ended()
    if job is not None and job.run_id:
        url_state.set_run(job.run_id, dataset)
        st.rerun()
    return job


def show(job: Job | None) -> None:
    """How far the work of the address has come, or why `job`, which is over, has no answer. Raises what it raised."""
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
        job.raise_error()


@st.fragment(run_every=EVERY)
def _watch(key: str) -> None:
    try:
        job = jobs.find(key, cache.get_workspace())
        if job is None or job.over:
            st.rerun()
        _progress(job, _doing(job))
    except ServiceUnavailableError as error:
        st.warning(say(error.text), icon=":material/cloud_off:")


def _progress(job: Job, doing: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="work"):
        st.progress(min(max(job.share, 0.0), 1.0), doing)
        st.button(
            _("Cancel"),
            key="cancel-work",
            icon=":material/cancel:",
            on_click=_cancel,
            args=(job.key,),
            disabled=job.stopping,
        )
    if job.curves:
        rows = [(_(name), step, value) for name, points in job.curves.items() for step, value in points]
        table = pd.DataFrame(rows, columns=[_("Curve"), "step", "value"])
        st.line_chart(table, x="step", y="value", color=_("Curve"), x_label="", y_label="", height=180)


def _doing(job: Job) -> str:
    """What goes on, in a few words."""
    if job.stopping:
        return _("Stopping …")
    if job.silent and job.status == "running":
        return _("Nothing was heard of the worker for {seconds} s; another one takes over …").format(
            seconds=shown(round(time.time() - job.heartbeat))
        )
    if job.status == "running":
        again = _("attempt {number}").format(number=job.attempt) + " · " if job.attempt > 1 else ""
        return f"{again}{_(job.doing) or _('Starting …')} · {percent(round(job.share, 2))}"
    if time.time() - job.submitted < PATIENT:
        return _("Starting …")
    return _("Waiting for its turn …") if jobs.workers(cache.get_workspace()) else _("Waiting for a worker …")


def _cancel(key: str) -> None:
    """In the callback of a button, where nobody else would say that the queue does not answer."""
    try:
        jobs.cancel(key, cache.get_workspace())
    except ServiceUnavailableError as error:
        st.toast(say(error.text), icon=":material/cloud_off:")


def _set_aside() -> None:
    """Leave everything that is loaded now out of later collections of garbage.

    Streamlit collects after every run of a script, which takes 0.4 s with all libraries loaded; a page that looks
    twice a second would keep the server from everything else.
    """
    gc.collect()
    gc.freeze()
