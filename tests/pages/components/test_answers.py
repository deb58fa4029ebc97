"""Questions of a page: progress, answer, refresh, a second user, replaced and failed questions."""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import jobs
from core.spec.codec import encode
from core.spec.task import register_task
from core.workspace import Workspace
from tests.conftest import run_worker
from tests.support.app_pages import click_button, read_page_text
from tests.support.toy_query import COUNTING_TASK, UNLUCKY, CountSpec, read_counted_steps

TIMEOUT_S = 20.0
NAME, LOG = "count_numbers", {"path": ""}


def draw_question() -> None:
    """Draw a page that asks to count up to a number, at once or by a job."""
    import streamlit as st

    from core.errors import VigieError
    from core.jobs import JobFailedError
    from pages.components import answers
    from tests.pages.components.test_answers import LOG, NAME
    from tests.support.toy_query import CountSpec

    spec = CountSpec(int(st.number_input("until", 0, 1000, 3, key="until")), LOG["path"])
    is_short = st.checkbox("short", key="short")
    try:
        count = answers.ask(NAME, spec, place="counting", is_short=is_short)
    except (VigieError, JobFailedError) as error:
        st.error(f"{type(error).__name__}: {error}")
        return
    st.caption("no answer" if count is None else f"counted to {count.numbers['number'].max()}")


@pytest.fixture(autouse=True)
def page_workspace(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: workspace)
    st.cache_resource.clear()
    LOG["path"] = str(tmp_path / "log")
    with register_task(COUNTING_TASK):
        yield workspace
    st.cache_resource.clear()
    gc.unfreeze()


@pytest.fixture
def job_worker(page_workspace: Workspace) -> Iterator[None]:
    with run_worker(page_workspace):
        yield


def open_question(until: int = 3) -> AppTest:
    return set_number(AppTest.from_function(draw_question, default_timeout=60).run(), until)


def set_number(app: AppTest, until: int) -> AppTest:
    return app.number_input[0].set_value(until).run()


def wait_for(app: AppTest, condition: Callable[[], object]) -> AppTest:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, read_page_text(app)
        time.sleep(0.05)
        app.run()
    return app


def wait_for_text(app: AppTest, text: str) -> AppTest:
    return wait_for(app, lambda: text in read_page_text(app))


def count_specs(*numbers: int) -> list[CountSpec]:
    return [CountSpec(number, LOG["path"]) for number in numbers]


@pytest.mark.usefixtures("job_worker")
def test_answer_follows_progress_and_survives_refresh() -> None:
    app = open_question(30)
    assert "no answer" in read_page_text(app)
    assert app.get("progress")
    refreshed = open_question(30)
    assert refreshed.get("progress"), "the refresh shows the same work"
    wait_for_text(refreshed, "counted to 30")
    assert "counted to 30" in read_page_text(app.run())
    assert not app.get("progress")
    assert [line for line in read_counted_steps(*count_specs(30)) if line.endswith(" 30")] == ["anonymous 30"]


@pytest.mark.usefixtures("job_worker")
def test_new_question_cancels_last_one_of_its_place(page_workspace: Workspace) -> None:
    app = wait_for(open_question(900), lambda: len(read_counted_steps(*count_specs(900))) > 2)
    wait_for_text(set_number(app, 4), "counted to 4")
    [slow] = count_specs(900)
    actor_name = "anonymous"
    job = page_workspace.jobs.load(jobs.Job("", NAME, encode(slow), actor_name, "").key)
    assert job is not None
    assert job.status == "cancelled"
    app = set_number(app, 900)
    assert app.get("progress"), "nobody cancelled it, so that it begins again when it is asked again"
    assert not [button for button in app.button if button.label == "Compute again"]
    click_button(app, f"cancel-{NAME}-work")


@pytest.mark.usefixtures("job_worker")
def test_cancelled_question_waits_for_a_click() -> None:
    app = wait_for(open_question(900), lambda: len(read_counted_steps(*count_specs(900))) > 2)
    app = click_button(app, f"cancel-{NAME}-work")
    app = wait_for_text(app, "is cancelled")
    assert not app.run().get("progress")
    assert not open_question(900).get("progress"), "a refresh does not start it either"
    app = click_button(app, f"{NAME}-again")
    assert app.get("progress")
    click_button(app, f"cancel-{NAME}-work")


@pytest.mark.usefixtures("job_worker")
def test_failed_question_tells_why_and_starts_again_on_click(page_workspace: Workspace) -> None:
    app = wait_for_text(open_question(0), "a.csv has no dates.")
    [event] = [job for job in [page_workspace.jobs.load(_find_key(0))] if job is not None]
    app.run()
    assert page_workspace.jobs.load(_find_key(0)).id == event.id, "a rerun starts nothing"  # type: ignore[union-attr]
    app = set_number(app, UNLUCKY)
    app = wait_for(app, lambda: app.error)
    assert "JobFailedError: ZeroDivisionError" in app.error[0].value
    assert [button.label for button in app.button] == ["Compute again"]


def _find_key(until: int) -> str:
    return jobs.Job("", NAME, encode(CountSpec(until, LOG["path"])), "anonymous", "").key


def test_short_question_is_answered_at_once(page_workspace: Workspace) -> None:
    app = AppTest.from_function(draw_question, default_timeout=60)
    app.session_state["short"] = True
    assert "counted to 3" in read_page_text(app.run())
    assert page_workspace.jobs.list_unfinished("anonymous") == []
    assert "DataError: a.csv has no dates." in read_page_text(set_number(app, 0))


def test_question_without_queue_says_so(page_workspace: Workspace) -> None:
    (page_workspace.folder / "jobs").write_text("no folder")
    app = AppTest.from_function(draw_question, default_timeout=60).run()
    assert not app.exception
    assert "does not answer" in read_page_text(app)
