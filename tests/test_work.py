"""Slow work beside the page: progress, cancel, a refresh, errors, no worker, no queue."""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.actor import Actor
from core.workspace import Workspace
from pages.components import job_progress
from tests.conftest import answered, working
from tests.counting import read_steps, run_test_job
from tests.test_pages import click_button

PATIENCE = 20.0  # seconds
QUESTION: dict[str, object] = {}


def until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)


def screen() -> None:
    """A page with one button for each kind of work."""
    import streamlit as st

    from core.errors import VigieError
    from core.jobs import JobFailedError
    from pages.components import job_progress
    from tests.test_work import QUESTION

    ended = job_progress.take_finished_job()
    if ended is not None and ended.run_id:
        st.success(ended.run_id)
    for task in ("count", "refused", "broken"):
        if st.button(task, key=task, disabled=job_progress.is_job_running()):
            try:
                job_progress.submit_job(task, QUESTION)
            except VigieError as error:
                st.error(str(error))
    try:
        job_progress.show(ended)
    except (VigieError, JobFailedError) as error:
        st.error(f"{type(error).__name__}: {error}")


@pytest.fixture(autouse=True)
def at(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: place)
    QUESTION.clear()
    QUESTION.update(until=1000, log=str(place.datasets.folder.parent / "log"))
    yield place
    gc.unfreeze()


@pytest.fixture
def hands(at: Workspace) -> Iterator[None]:
    with working(at, run_test_job):
        yield


def page(**address: str) -> AppTest:
    app = AppTest.from_function(screen)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def buttons(app: AppTest) -> dict[str, bool]:
    """Name → can it be pressed?"""
    return {button.label: not button.disabled for button in app.button}


def bar(app: AppTest) -> str:
    """What the progress bar says."""
    return "".join(each.proto.text for each in app.get("progress"))


def seen(app: AppTest, words: str) -> AppTest:
    """Look until the bar says `words`."""
    until(lambda: words in bar(app.run()))
    return app


def taken(at: Workspace) -> list[int]:
    return [step for _, step in read_steps(Path(str(QUESTION["log"])))]


@pytest.mark.usefixtures("hands")
def test_the_page_shows_progress_and_curves_and_then_the_answer(at: Workspace) -> None:
    QUESTION["until"] = 60
    app = click_button(page(), "count")
    assert not app.exception
    assert not any(buttons(app)[task] for task in ("count", "refused", "broken"))
    seen(app, "counting · ")
    until(lambda: app.run().get("vega_lite_chart") or app.get("arrow_vega_lite_chart"))
    refreshed = page(work=app.query_params["work"])
    assert buttons(refreshed)["Cancel"]
    assert "counting" in bar(refreshed)
    app = answered(app)
    assert [box.value for box in app.success] == ["run-of-anonymous"]
    assert all(buttons(app).values())
    assert taken(at) == list(range(1, 61))


@pytest.mark.usefixtures("hands")
def test_a_second_tab_with_the_same_question_is_the_same_work(at: Workspace) -> None:
    QUESTION["until"] = 30
    one, other = page(), page()
    one, other = click_button(one, "count"), click_button(other, "count")
    assert one.query_params["work"] == other.query_params["work"]
    assert [box.value for app in (one, other) for box in answered(app).success] == ["run-of-anonymous"] * 2
    assert taken(at) == list(range(1, 31))


@pytest.mark.usefixtures("hands")
def test_cancel_says_so_and_opens_the_question_again() -> None:
    app = seen(click_button(page(), "count"), "counting")
    app = click_button(app, "cancel-work")
    app = answered(app)
    assert "Cancelled" in app.info[0].value
    assert buttons(app) == {"count": True, "refused": True, "broken": True}


@pytest.mark.usefixtures("hands")
def test_an_error_is_raised_on_the_page() -> None:
    app = answered(click_button(page(), "refused"))
    assert app.error[0].value == "DataError: a.csv has no dates."
    app = answered(click_button(page(), "broken"))
    assert app.error[0].value.startswith("JobFailedError: ZeroDivisionError in a job; the worker's log has it as ")


def test_without_a_worker_the_page_says_what_it_waits_for(at: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    app = click_button(page(), "count")
    assert "Starting" in bar(app)
    monkeypatch.setattr(job_progress, "STARTING_S", 0.0)
    assert "Waiting for a worker" in bar(app.run())
    with working(at, run_test_job):
        seen(app, "counting")
        other = jobs.submit("count", QUESTION, workspace=at, actor=Actor("bob", "tests"))
        assert "Waiting in the queue …" in bar(page(work=other.key))
        click_button(app, "cancel-work")
        jobs.cancel(other.key, at)
        answered(app)


def test_work_that_waits_is_cancelled_at_once() -> None:
    app = answered(click_button(click_button(page(), "count"), "cancel-work"), 2)
    assert "Cancelled" in app.info[0].value


def test_an_address_with_forgotten_work_says_so() -> None:
    app = page(work="0" * 24)
    assert not app.exception
    assert "no longer known" in app.info[0].value
    assert "work" not in app.query_params


def test_a_queue_that_does_not_answer_is_a_message_and_costs_no_time(at: Workspace) -> None:
    (at.datasets.folder.parent / "jobs").write_text("no folder")
    began = time.monotonic()
    app = page(work="0" * 24)
    assert not app.exception
    assert "does not answer" in app.warning[0].value
    assert app.query_params["work"], "the work may go on all the same"
    app = click_button(page(), "count")
    assert not app.exception
    assert "does not answer" in app.error[0].value
    assert time.monotonic() - began < 2


@pytest.mark.usefixtures("hands")
def test_what_is_loaded_is_left_out_of_the_collections_that_every_look_ends_with() -> None:
    gc.unfreeze()
    click_button(click_button(page(), "count"), "cancel-work")
    began = time.perf_counter()
    gc.collect()
    frozen = time.perf_counter() - began
    gc.unfreeze()
    began = time.perf_counter()
    gc.collect()
    assert frozen < 0.5 * (time.perf_counter() - began)
