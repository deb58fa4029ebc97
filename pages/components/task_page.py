"""Page of a task: data, form, progress of the job, result.

Pages differ only in special widgets of the form and in the rendering of the result.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.runs.result import Result
from core.runs.stored_runs import load_task_result
from core.spec.codec import encode
from core.spec.spec import DataSpec, Spec
from core.spec.task import Mode, Task, get_task
from pages.components import cache, chart_script, job_progress, running_jobs, selection_form, url_state
from pages.components.i18n import _
from pages.components.spec_form import Widget, ask_spec
from pages.components.watch import ask_again

Render = Callable[[Any, Dataset | None, str], None]


def open_page(name: str) -> tuple[Task, Dataset | None]:
    """Show the title and the data; return the task and the dataset, None if no data are loaded.

    A run of the task that made a dataset, such as an import, opens it. A task or a result that needs no data asks for
    none.
    """
    task = get_task(name)
    st.title(_(task.label))
    chart_script.show()
    running_jobs.show_page_jobs(task.page)
    _open_dataset_of_job()
    result = cache.load_result(task.name, load_task_result)
    if result is not None and result.made_dataset:
        url_state.set_dataset(result.made_dataset)
    elif result is not None and isinstance(result.spec, DataSpec) and not url_state.get_query_param("dataset"):
        _open_dataset_of_result(result.spec.dataset)
    dataset = cache.load_dataset()
    if dataset is not None:
        selection_form.show_dataset(dataset)
    elif (result is None or isinstance(result.spec, DataSpec)) and any(mode.needs_data for mode in task.form_modes):
        selection_form.show_no_data()
    return task, dataset


def _open_dataset_of_job() -> None:
    """Open the dataset of the job of the URL, where the URL names none."""
    job = None if url_state.get_query_param("dataset") else job_progress.find_running_job()
    digest = "" if job is None else str(job.arguments.get("dataset") or "")
    if digest:
        url_state.set_dataset(digest)


def _open_dataset_of_result(digest: str) -> None:
    """Open the dataset of the result of the URL, where it is still stored."""
    with suppress(NotFoundError):
        url_state.set_dataset(cache.load_dataset_by_digest(digest).digest)


def find_running_spec(task: Task) -> Spec | None:
    """Return the spec of the job of the URL; None without one, or for a job of another task."""
    job = job_progress.find_running_job()
    return task.decode_spec(job.arguments) if job is not None and job.task == task.name else None


def ask_and_show(
    task: Task,
    dataset: Dataset | None,
    render: Render,
    *,
    mode: Mode | None = None,
    kind: type[Result] = Result,
    widgets: Mapping[str, Widget] | None = None,
    describe_model: Callable[[Any], str] = lambda record: str(record.tags.get("model_name", "")),
    before_fields: Callable[[], None] = lambda: None,
    after_button: Callable[[Spec], None] = lambda spec: None,
    actions: Callable[[Spec | None], None] = lambda spec: None,
    prepare: Callable[[Spec], Spec | None] = lambda spec: spec,
    cancelled: str = "",
) -> None:
    """Show the form, submit the job, and show the result of the run in the URL.

    Below a result or a running job the form is closed. A closed form is not drawn: its widgets keep their values
    (`persist_state`), and opening it takes one rerun of the page.

    render          renders (result, rows of the result or None if other data are loaded, run id)
    mode            asked for without a choice; None for the modes with a label
    kind            class of the results that are shown; others belong to another section of the page
    widgets         name of a field → widget that asks for it
    describe_model  describes the settings of a saved model in a few words
    before, after   content above the fields, and below the button for the current spec
    actions         more buttons next to the first one; called with the current spec, None without one
    prepare         called on a click with the spec of the form, returns the one to submit; None to submit nothing
    cancelled       what a cancelled job leaves behind; "" for nothing
    """
    loaded = cache.load_result(task.name, load_task_result)
    result = loaded if isinstance(loaded, kind) else None
    digest = "" if dataset is None else dataset.digest
    finished_job = job_progress.open_finished_run(digest)
    running = job_progress.is_job_running()
    form = st.expander(
        _("Analysis settings"),
        expanded=result is None and not running,
        icon=":material/tune:",
        key=f"{task.name}-settings-{url_state.get_run_id()}-{url_state.get_query_param('work')}",  # each begins anew
        on_change="rerun",
    )
    if form.open:
        with form:
            before_fields()
            spec = ask_spec(task, dataset, widgets or {}, describe_model, mode)
            with st.container(horizontal=True):
                clicked = st.button(
                    _((mode.action if mode else "") or task.action),
                    type="primary",
                    icon=f":material/{task.icon}:",
                    key=f"{task.name}-ask",
                    disabled=spec is None or running,
                )
                actions(spec)
            if spec is not None:
                prepared = prepare(spec) if clicked else None
                if prepared is not None:
                    submit_spec(task, prepared)
                after_button(spec)
    job_progress.show(finished_job, cancelled, dataset=digest)
    if result is not None and not job_progress.is_job_running():
        ask_again.link_watch(task, result, url_state.get_run_id())
        _show_result(result, dataset, render)


def submit_spec(task: Task, spec: Spec) -> None:
    """Submit a job that runs `spec`: one click, one job, one run. Raises OptionError for an invalid spec."""
    spec.check()
    job_progress.submit_job(task.name, encode(spec))


def _show_result(result: Result, dataset: Dataset | None, render: Render) -> None:
    """Show the result with its rows, or without them if other data are loaded."""
    spec: Any = result.spec
    if not isinstance(spec, DataSpec) or (dataset is not None and result.made_dataset == dataset.digest):
        render(result, None, url_state.get_run_id())
    elif dataset is not None and spec.dataset == dataset.digest:
        render(result, result.select(dataset), url_state.get_run_id())
    else:
        st.warning(
            _(
                "This result belongs to other data than the loaded data. The parts of the result that "
                "need the data are not shown."
            )
        )
        render(result, None, url_state.get_run_id())
