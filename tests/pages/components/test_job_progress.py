"""Job progress on a page: progress bar, cancel, refresh, errors, no worker, no job store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.actor import Actor
from core.workspace import Workspace
from pages.components import job_progress
from tests.conftest import assert_no_hang, run_worker, wait_for_job
from tests.support.app_pages import click_button
from tests.support.concurrency import wait_until
from tests.support.counting_job import read_steps, run_test_job

TIMEOUT_S = 20.0  # seconds
JOB_ARGUMENTS: dict[str, object] = {}


def draw_page() -> None:
    """Draw a page with one button for each kind of job."""
    import streamlit as st

    from core.errors import VigieError
    from core.jobs import JobFailedError
    from pages.components import job_progress
    from tests.pages.components.test_job_progress import JOB_ARGUMENTS

    finished_job = job_progress.take_finished_job()
    if finished_job is not None and finished_job.run_id:
        st.success(finished_job.run_id)
    for task in ("count", "refused", "broken"):
        if st.button(task, key=task, disabled=job_progress.is_job_running()):
            try:
                job_progress.submit_job(task, JOB_ARGUMENTS)
            except VigieError as error:
                st.error(str(error))
    try:
        job_progress.show(finished_job)
    except (VigieError, JobFailedError) as error:
        st.error(f"{type(error).__name__}: {error}")


def draw_progress() -> None:
    """Draw only the progress of the job in the address, on a page that opens its run."""
    from pages.components import job_progress

    job_progress.show(None, dataset="d")


@pytest.fixture(autouse=True)
def page_workspace(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: workspace)
    JOB_ARGUMENTS.clear()
    JOB_ARGUMENTS.update(until=1000, log=str(workspace.datasets.folder.parent / "log"))
    return workspace


@pytest.fixture
def job_worker(page_workspace: Workspace) -> Iterator[None]:
    with run_worker(page_workspace, run_test_job):
        yield


def open_job_page(**query: str) -> AppTest:
    app = AppTest.from_function(draw_page, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def list_button_states(app: AppTest) -> dict[str, bool]:
    """Return for each button, by its label, whether it can be pressed."""
    return {button.label: not button.disabled for button in app.button}


def read_progress_text(app: AppTest) -> str:
    """Return the text of the progress bar."""
    return "".join(element.proto.text for element in app.get("progress"))


def wait_for_progress(app: AppTest, text: str) -> AppTest:
    """Rerun the page until its progress bar shows `text`."""
    wait_until(lambda: text in read_progress_text(app.run()))
    return app


def list_steps(workspace: Workspace) -> list[int]:
    return [step for _, step in read_steps(Path(str(JOB_ARGUMENTS["log"])))]


@pytest.mark.usefixtures("job_worker")
def test_job_progress_shows_bar_curves_and_result(page_workspace: Workspace) -> None:
    JOB_ARGUMENTS["until"] = 60
    app = click_button(open_job_page(), "count")
    assert not app.exception
    assert not any(list_button_states(app)[task] for task in ("count", "refused", "broken"))
    wait_for_progress(app, "counting · ")
    wait_until(lambda: app.run().get("vega_lite_chart") or app.get("arrow_vega_lite_chart"))
    refreshed = open_job_page(work=app.query_params["work"])
    assert list_button_states(refreshed)["Cancel"]
    assert "counting" in read_progress_text(refreshed)
    app = wait_for_job(app)
    assert [box.value for box in app.success] == ["run-of-anonymous"]
    assert all(list_button_states(app).values())
    assert list_steps(page_workspace) == list(range(1, 61))


@pytest.mark.usefixtures("job_worker")
def test_job_progress_second_tab_shares_job(page_workspace: Workspace) -> None:
    JOB_ARGUMENTS["until"] = 30
    first_tab, second_tab = open_job_page(), open_job_page()
    first_tab, second_tab = click_button(first_tab, "count"), click_button(second_tab, "count")
    assert first_tab.query_params["work"] == second_tab.query_params["work"]
    assert [box.value for app in (first_tab, second_tab) for box in wait_for_job(app).success] == [
        "run-of-anonymous"
    ] * 2
    assert list_steps(page_workspace) == list(range(1, 31))


@pytest.mark.usefixtures("job_worker")
def test_job_progress_cancel_enables_buttons_again() -> None:
    app = wait_for_progress(click_button(open_job_page(), "count"), "counting")
    app = click_button(app, "cancel-work")
    app = wait_for_job(app)
    assert "is cancelled" in app.info[0].value
    assert list_button_states(app) == {"count": True, "refused": True, "broken": True}


@pytest.mark.usefixtures("job_worker")
def test_job_progress_shows_error() -> None:
    app = wait_for_job(click_button(open_job_page(), "refused"))
    assert app.error[0].value == "DataError: a.csv has no dates."
    app = wait_for_job(click_button(open_job_page(), "broken"))
    assert app.error[0].value.startswith(
        "JobFailedError: ZeroDivisionError in a job. The log of the worker has the details under the number "
    )


def test_job_progress_without_worker_states_reason(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    app = click_button(open_job_page(), "count")
    assert "Starting" in read_progress_text(app)
    monkeypatch.setattr(job_progress, "STARTING_S", 0.0)
    assert "No worker process is running" in read_progress_text(app.run())
    with run_worker(page_workspace, run_test_job):
        wait_for_progress(app, "counting")
        bob, carol = (
            jobs.submit("count", JOB_ARGUMENTS, workspace=page_workspace, actor=Actor(user, "tests"))
            for user in ("bob", "carol")
        )
        assert read_progress_text(open_job_page(work=bob.key)) == "Place 1 in the queue"
        other_page = open_job_page(work=carol.key)
        assert read_progress_text(other_page) == "Place 2 in the queue · 1 job of other people goes first"
        jobs.cancel(bob.key, page_workspace)
        assert read_progress_text(other_page.run()) == "Place 1 in the queue", "it moves"
        click_button(app, "cancel-work")
        jobs.cancel(carol.key, page_workspace)
        wait_for_job(app)


def test_job_progress_cancels_waiting_job() -> None:
    app = wait_for_job(click_button(click_button(open_job_page(), "count"), "cancel-work"))
    assert "is cancelled" in app.info[0].value


@pytest.mark.usefixtures("job_worker")
def test_job_progress_opens_run_when_it_notices_the_end(page_workspace: Workspace) -> None:
    JOB_ARGUMENTS["until"] = 1
    job = jobs.submit("count", JOB_ARGUMENTS, workspace=page_workspace, actor=Actor("bob", "tests"))
    wait_until(lambda: (jobs.find(job.key, page_workspace) or job).is_finished)
    app = AppTest.from_function(draw_progress, default_timeout=60)
    app.query_params["work"] = job.key
    app.run()
    assert not app.exception
    found = {name: app.query_params[name] for name in app.query_params}
    assert found == {"dataset": "d", "run": "run-of-bob"}, "the page then runs for the result, not once more before it"


def test_job_progress_reports_unknown_job() -> None:
    app = open_job_page(work="0" * 24)
    assert not app.exception
    assert "not known any more" in app.info[0].value
    assert "work" not in app.query_params


def test_job_progress_reports_unavailable_store_quickly(page_workspace: Workspace) -> None:
    (page_workspace.datasets.folder.parent / "jobs").write_text("no folder")
    with assert_no_hang():
        app = open_job_page(work="0" * 24)
    assert not app.exception
    assert "does not answer" in app.warning[0].value
    assert app.query_params["work"], "the job may still be running"
    with assert_no_hang():
        app = click_button(open_job_page(), "count")
    assert not app.exception
    assert "does not answer" in app.error[0].value
