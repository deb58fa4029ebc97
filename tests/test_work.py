"""Slow work beside the page, with real threads: progress, cancel, a double click, errors, what is forgotten."""

import gc
import threading
import time
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import BadData
from core.progress import Progress
from pages.parts import session
from pages.parts.work import Work, Works

PATIENCE = 10.0  # seconds


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.01)


def ended(work: Work) -> Work:
    until(lambda: work.ended is not None)
    return work


class Patient:
    """Work that goes on until it is let go, telling its progress all the while."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.times = 0
        self.threads: set[int] = set()

    def __call__(self, progress: Progress) -> str:
        self.times += 1
        self.threads.add(threading.get_ident())
        while not self.go.wait(0.01):
            progress.tell(0.25, "counting")
        progress.tell(1.0)
        return "run-1"


def test_work_is_done_in_a_thread_of_its_own_and_tells_its_progress() -> None:
    works, patient = Works(), Patient()
    work = works.begin("a", patient)
    until(lambda: work.progress.share == 0.25)
    assert (work.progress.doing, work.ended, work.answer) == ("counting", None, "")
    patient.go.set()
    assert ended(work).answer == "run-1"
    assert work.progress.share == 1.0
    assert patient.threads != {threading.get_ident()}
    assert work.error is None


def test_a_double_click_is_one_piece_of_work() -> None:
    works, patient = Works(), Patient()
    clicks: list[Work] = []
    threads = [threading.Thread(target=lambda: clicks.append(works.begin("a", patient))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patient.go.set()
    assert len({id(ended(work)) for work in clicks}) == 1
    assert works.begin("a", patient) is clicks[0], "the second click may come just after the end"
    assert patient.times == 1


def test_the_same_question_asked_again_later_is_new_work(monkeypatch: pytest.MonkeyPatch) -> None:
    works = Works()
    first = ended(works.begin("a", lambda progress: "run-1"))
    monkeypatch.setattr(session, "DOUBLE_CLICK", 0.0)
    assert ended(works.begin("a", lambda progress: "run-2")).answer == "run-2"
    assert first.answer == "run-1"


def test_what_is_loaded_is_left_out_of_the_collections_that_every_look_ends_with() -> None:
    gc.unfreeze()
    ended(Works().begin("a", lambda progress: "run-1"))
    began = time.perf_counter()
    gc.collect()
    frozen = time.perf_counter() - began
    gc.unfreeze()
    began = time.perf_counter()
    gc.collect()
    assert frozen < 0.5 * (time.perf_counter() - began)


def test_two_questions_are_two_pieces_of_work() -> None:
    works, patient = Works(), Patient()
    one, two = works.begin("a", patient), works.begin("b", patient)
    patient.go.set()
    assert ended(one) is not ended(two)
    assert patient.times == 2


def test_work_that_is_cancelled_stops_and_can_be_begun_again() -> None:
    works, patient = Works(), Patient()
    work = works.begin("a", patient)
    until(lambda: work.progress.share > 0)
    work.cancel()
    assert ended(work).cancelled
    assert work.answer == ""
    patient.go.set()
    again = works.begin("a", patient)
    assert again is not work
    assert ended(again).answer == "run-1"


def test_an_error_comes_back_as_it_was_raised() -> None:
    def refused(progress: Progress) -> str:
        raise BadData("{file} has no dates.", file="a.csv")

    work = ended(Works().begin("a", refused))
    assert isinstance(work.error, BadData)
    assert not work.cancelled
    assert str(work.error) == "a.csv has no dates."


def test_work_that_has_ended_is_forgotten_and_work_that_goes_on_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    works, patient = Works(), Patient()
    ended(works.begin("a", lambda progress: "run-1"))
    going_on = works.begin("b", patient)
    monkeypatch.setattr("pages.parts.work.KEPT", 0.0)
    assert works.find("a") is None
    assert works.find("b") is going_on
    patient.go.set()
    ended(going_on)


# ---- on a page ------------------------------------------------------------------------------------------------------

SLOW: dict[str, Callable[[Progress], str]] = {}


def screen() -> None:
    """A page with one button."""
    import streamlit as st

    from pages.parts import work
    from tests.test_work import SLOW

    ended = work.ended()
    if ended is not None and ended.answer:
        st.success(ended.answer)
    if st.button("Ask", key="ask"):
        work.start("what?", "bob", SLOW["do"])
    work.show(ended)


def pressed(app: AppTest, key: str) -> AppTest:
    return next(button for button in app.button if button.key == key).click().run()


def test_the_page_shows_progress_and_then_the_answer() -> None:
    SLOW["do"] = patient = Patient()
    app = pressed(AppTest.from_function(screen).run(), "ask")
    assert not app.exception
    assert app.query_params["work"]
    until(lambda: patient.times == 1)
    app.run()
    assert [button.label for button in app.button] == ["Ask", "Cancel"]
    refreshed = AppTest.from_function(screen)
    refreshed.query_params["work"] = app.query_params["work"]
    assert [button.label for button in refreshed.run().button] == ["Ask", "Cancel"]
    patient.go.set()
    until(lambda: [box.value for box in app.run().success] == ["run-1"])
    assert "work" not in app.query_params
    assert patient.times == 1


def test_cancel_on_the_page_says_so_and_opens_the_question_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "DOUBLE_CLICK", 0.0)
    SLOW["do"] = patient = Patient()
    app = pressed(AppTest.from_function(screen).run(), "ask")
    until(lambda: patient.times == 1)
    pressed(app, "cancel-work")
    until(lambda: any("Cancelled" in str(box.value) for box in app.info) or not app.run())
    assert "work" not in app.query_params
    assert [button.label for button in app.button] == ["Ask"]


def test_an_address_with_forgotten_work_says_so() -> None:
    app = AppTest.from_function(screen)
    app.query_params["work"] = "0" * 24
    app.run()
    assert not app.exception
    assert "no longer known" in app.info[0].value
    assert "work" not in app.query_params
