"""Queries: the registry, answers that are computed once, keys, damaged answers, and jobs that answer."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import jobs, queries
from core.actor import Actor
from core.errors import NotFoundError, OptionError
from core.jobs.worker import Worker
from core.progress import Progress
from core.runs.result import Result
from core.spec.codec import encode
from core.spec.spec import Spec
from core.spec.task import list_task_names, load_entry_point, register_task
from core.storage import answers
from core.storage.answers import AnswerStore
from core.workspace import Workspace
from tests.conftest import run_worker
from tests.support.toy_query import COUNTING_TASK, Count, CountSpec, read_counted_steps

ALICE, BOB = Actor("alice", "tests"), Actor("bob", "tests")
NAME = "count_numbers"


@pytest.fixture(autouse=True)
def counting_task() -> Iterator[None]:
    with register_task(COUNTING_TASK):
        yield


@pytest.fixture
def spec(tmp_path: Path) -> CountSpec:
    return CountSpec(log=str(tmp_path / "log"))


def answer(spec: CountSpec, workspace: Workspace, actor: Actor = ALICE) -> Count:
    queries.answer_question(NAME, spec, workspace=workspace, actor=actor, progress=Progress())
    count: Count | None = queries.load_answer(NAME, spec, workspace)
    assert count is not None
    return count


def test_queries_have_own_names_and_existing_parts() -> None:
    names = [query.name for query in queries.list_queries()]
    assert len(set(names)) == len(names)
    assert not set(names) & set(list_task_names())
    for query in queries.list_queries():
        assert issubclass(load_entry_point(query.spec), Spec)
        assert callable(load_entry_point(query.run))
        answer_class = load_entry_point(query.answer) if query.answer else Result
        assert callable(answer_class.save)
        assert callable(answer_class.load)


def test_question_is_answered_once_for_all_users(spec: CountSpec, workspace: Workspace) -> None:
    first, second = answer(spec, workspace), answer(spec, workspace, BOB)
    assert first.user == second.user == "alice"
    assert first.spec == spec
    pd.testing.assert_frame_equal(first.numbers, pd.DataFrame({"number": [1, 2, 3]}))
    assert read_counted_steps(spec) == ["alice 1", "alice 2", "alice 3"]


def test_question_is_found_by_its_key(spec: CountSpec, workspace: Workspace) -> None:
    key = queries.save_question(NAME, spec, workspace)
    assert queries.load_question(NAME, key, workspace) == spec
    assert queries.load_question("what_if", key, workspace) is None
    assert queries.load_answer(NAME, spec, workspace) is None, "a question alone has no answer"


@given(key=st.text(max_size=40) | st.sampled_from(["..", "../datasets", "0" * 32, "."]))
def test_question_of_unknown_key_is_none(key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = AnswerStore(tmp_path_factory.getbasetemp() / "answers")
    (store.folder.parent / "question.json").write_text('{"query": "count_numbers", "spec": {}}')
    assert store.load_question(key) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"query": "count_numbers"}', '{"query": "count_numbers", "spec": {"no": 1}}']
)
def test_damaged_question_is_unknown(text: str, spec: CountSpec, workspace: Workspace) -> None:
    key = queries.save_question(NAME, spec, workspace)
    (workspace.answers.folder / key / answers.QUESTION_FILE).write_text(text)
    assert queries.load_question(NAME, key, workspace) is None


def test_changed_question_does_not_pass_as_that_of_its_key(spec: CountSpec, workspace: Workspace) -> None:
    key = queries.save_question(NAME, spec, workspace)
    path = workspace.answers.folder / key / answers.QUESTION_FILE
    path.write_text(path.read_text().replace('"until": 3', '"until": 4'))
    assert queries.load_question(NAME, key, workspace) is None


def test_damaged_answer_is_computed_again(spec: CountSpec, workspace: Workspace) -> None:
    answer(spec, workspace)
    key = queries.compute_answer_key(NAME, spec)
    for path in (workspace.answers.folder / key / answers.ANSWER_FOLDER).iterdir():
        path.write_bytes(path.read_bytes()[:10])
        assert queries.load_answer(NAME, spec, workspace) is None
        assert answer(spec, workspace).numbers["number"].tolist() == [1, 2, 3]


def test_other_version_asks_again(spec: CountSpec, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(spec, workspace)
    monkeypatch.setattr("core.queries.__version__", "0.0")
    assert queries.load_answer(NAME, spec, workspace) is None


def test_failed_answer_leaves_nothing(workspace: Workspace, spec: CountSpec) -> None:
    class Unwritable:
        def save(self, folder: Path) -> None:
            (folder / "half").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        workspace.answers.save_answer("ab", Unwritable().save)
    assert workspace.answers.find_answer("ab") is None
    assert not list(workspace.answers.folder.rglob("half"))


def test_answer_at_once_needs_no_room(
    spec: CountSpec, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.answers.folder.write_text("no folder")
    count = queries.answer_at_once(NAME, spec, workspace=workspace, actor=ALICE)
    assert count.numbers["number"].tolist() == [1, 2, 3]
    assert "was not kept" in caplog.text
    workspace.answers.folder.unlink()
    kept = queries.answer_at_once(NAME, spec, workspace=workspace, actor=ALICE)
    assert queries.answer_at_once(NAME, spec, workspace=workspace, actor=BOB).user == kept.user == "alice"


def test_unknown_query_and_impossible_question_are_refused(spec: CountSpec, workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        queries.answer_question("nothing", spec, workspace=workspace, actor=BOB, progress=Progress())
    with pytest.raises(OptionError, match="until"):
        queries.answer_question(NAME, CountSpec(-1), workspace=workspace, actor=BOB, progress=Progress())


def test_store_keeps_answers_within_age_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = AnswerStore(tmp_path / "answers")
    monkeypatch.setattr(answers, "MAX_TOTAL_BYTES", 250)

    def keep(key: str, age_s: float) -> None:
        store.save_answer(key, lambda folder: (folder / "x").write_bytes(bytes(100)))
        os.utime(store.folder / key, (time.time() - age_s,) * 2)

    keep("a0", answers.MAX_AGE_S + 60)
    keep("a1", 50)
    keep("a2", 40)
    keep("a3", 30)
    assert [store.find_answer(f"a{number}") is not None for number in range(4)] == [False, True, True, True]
    keep("a4", 0)
    keep("a5", 0)
    assert len(list(store.folder.iterdir())) == 3, "the newest answers, and the one that was just written"
    assert store.find_answer("a5") is not None


def test_worker_of_questions_leaves_runs_to_others(spec: CountSpec, workspace: Workspace) -> None:
    training = jobs.submit("anomalies", {}, workspace=workspace, actor=BOB)
    question = jobs.submit(NAME, encode(spec), workspace=workspace, actor=BOB)
    shutdown = threading.Event()
    Worker(workspace, queries.run_job, shutdown, queues=queries.get_queues()[1:]).run_once()
    found = [jobs.find(job.key, workspace) for job in (training, question)]
    assert [job and job.status for job in found] == ["waiting", "completed"]


def test_worker_answers_question_of_job(spec: CountSpec, workspace: Workspace) -> None:
    job = jobs.submit(NAME, encode(spec), workspace=workspace, actor=BOB)
    equal_job = jobs.find_equal(NAME, encode(spec), workspace=workspace, actor=BOB)
    assert equal_job is not None
    assert equal_job.id == job.id
    assert jobs.find_equal(NAME, encode(spec), workspace=workspace, actor=ALICE) is None
    with run_worker(workspace):
        deadline = time.monotonic() + 20
        while (found := jobs.find(job.key, workspace)) is not None and not found.is_finished:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert found is not None
    assert (found.status, found.run_id) == ("completed", queries.compute_answer_key(NAME, spec))
    assert queries.load_answer(NAME, spec, workspace).user == "bob"  # type: ignore[union-attr]
