"""Questions of a page, answered by a worker: the page shows the progress, then the answer.

The answer is kept for all sessions, so a refresh, a second click or a colleague gets the same one. Asking again while a
worker computes it leads to the same job. Of the questions of one place of a page only the last one goes on.
"""

from typing import Any

import streamlit as st

from core import jobs, queries
from core.errors import ServiceUnavailableError, VigieError
from core.jobs import Job
from core.spec.codec import encode
from core.spec.spec import Spec
from pages.components import auth, cache, job_progress, url_state
from pages.components.i18n import _, translate_message

MAX_CACHED_ANSWERS = 16
LAST_JOBS_STATE, REPLACED_JOBS_STATE = "last-questions", "replaced-questions"


def ask(name: str, spec: Spec, *, place: str = "", is_short: bool = False) -> Any | None:
    """Return the answer of the query `name` to `spec`; None while there is none, with the progress in its place.

    place     part of the page that asks one question at a time; a new question there cancels the job of the last one
    is_short  True where the work takes less than two seconds: it is then done at once

    Raises OptionError for a value that is not accepted, and the errors of a query that is answered at once.
    """
    spec.check()
    answer = find_answer(name, spec)
    if answer is None and is_short:
        with st.spinner(_("Computing …")):
            answer = _answer_at_once(name, queries.compute_answer_key(name, spec), spec)
    if answer is None:
        try:
            _show_job(name, spec, place)
        except ServiceUnavailableError as error:
            st.warning(translate_message(error.message), icon=":material/cloud_off:")
    return answer


def find_answer(name: str, spec: Spec) -> Any | None:
    """Return the stored answer to `spec`; None without one."""
    key = queries.compute_answer_key(name, spec)
    answer = _load_answer(name, key, spec)
    if answer is None:
        _load_answer.clear(name, key, spec)
    return answer


@st.cache_resource(max_entries=MAX_CACHED_ANSWERS, show_spinner=False)
def _load_answer(name: str, key: str, _spec: Spec) -> Any | None:
    return queries.load_answer(name, _spec, cache.get_workspace())


@st.cache_resource(max_entries=MAX_CACHED_ANSWERS, show_spinner=False)
def _answer_at_once(name: str, key: str, _spec: Spec) -> Any:
    return queries.answer_at_once(name, _spec, workspace=cache.get_workspace(), actor=auth.current_actor(name))


# ---- jobs -----------------------------------------------------------------------------------------------------------


def _show_job(name: str, spec: Spec, place: str) -> None:
    """Show the job that computes an answer, or why it ended without one. A question without a job gets one."""
    job = jobs.find_equal(name, encode(spec), workspace=cache.get_workspace(), actor=auth.current_actor(name))
    replaced_jobs: set[str] = url_state.get_or_set_state(REPLACED_JOBS_STATE, set())
    if job is None or job.key in replaced_jobs:
        job = _submit_job(name, spec)
        replaced_jobs.discard(job.key)
    if place:
        _cancel_last_job(place, job.key)
    if job.is_finished:
        _explain_end(job, name, spec)
    else:
        job_progress.poll_job(job.key, f"{name}-work")


def _submit_job(name: str, spec: Spec) -> Job:
    workspace = cache.get_workspace()
    queries.save_question(name, spec, workspace)
    return jobs.submit(name, encode(spec), workspace=workspace, actor=auth.current_actor(name))


def _cancel_last_job(place: str, key: str) -> None:
    """Cancel the unfinished job of the last question of a place, and remember that no person cancelled it."""
    last_jobs: dict[str, str] = url_state.get_or_set_state(LAST_JOBS_STATE, {})
    last_key = last_jobs.get(place, key)
    last_jobs[place] = key
    last_job = jobs.find(last_key, cache.get_workspace()) if last_key != key else None
    if last_job is not None and not last_job.is_finished:
        jobs.cancel(last_key, cache.get_workspace())
        replaced_jobs: set[str] = url_state.get_or_set_state(REPLACED_JOBS_STATE, set())
        replaced_jobs.add(last_key)


def _explain_end(job: Job, name: str, spec: Spec) -> None:
    """Show why a job left no answer, with a button that starts it again. Raises an unexpected error of the job."""
    st.button(
        _("Compute again"), key=f"{name}-again", icon=":material/refresh:", on_click=_submit_again, args=(name, spec)
    )
    if job.error is None:
        st.info(_("The job is cancelled. No result was saved."), icon=":material/cancel:")
        return
    try:
        jobs.raise_error(job)
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")


def _submit_again(name: str, spec: Spec) -> None:
    """Submit a question again; the callback of a button has to show the error of the queue itself."""
    try:
        _submit_job(name, spec)
    except ServiceUnavailableError as error:
        st.toast(translate_message(error.message), icon=":material/cloud_off:")
