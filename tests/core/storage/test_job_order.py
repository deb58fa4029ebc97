"""The order of waiting jobs: users are served in turn, nobody starves, and the place that is shown comes true."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import Actor
from core.storage.job import Job, Queue, find_place
from core.storage.job_tables import JOBS, TURNS
from core.storage.jobs import JobStore
from tests.core.storage.test_job_store import expire_leases
from tests.support.commands import start_code
from tests.support.databases import wait_for_abandoned_calls

USERS = ("alice", "bob", "carol", "dan")
QUESTIONS = Queue("questions", frozenset({"ask"}))
TASKS = Queue("tasks", QUESTIONS.tasks, is_others=True)
Submissions = list[tuple[str, int]]
submissions = st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, 9)), min_size=1, max_size=10, unique=True)


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(tmp_path / "jobs", database_url)
    yield opened
    wait_for_abandoned_calls()
    opened.close()


def submit(store: JobStore, user: str, number: int = 0, task: str = "count") -> Job:
    """Submit a job later than those before it: the clock of SQLite counts milliseconds, and ids decide a tie."""
    time.sleep(0.002)
    return store.submit(task, {"number": number}, Actor(user, "tests"))


def delete_all(store: JobStore) -> None:
    store._database.write(lambda rows: [rows.execute(table.delete()) for table in (JOBS, TURNS)])


def serve_all(store: JobStore, worker_count: int) -> list[Job]:
    """Return the jobs in the order in which they start on workers whose jobs end in the order of their start."""
    running, started = deque[Job](), list[Job]()
    while True:
        job = store.claim("worker")
        if job is None and not running:
            return started
        if job is not None:
            started.append(job)
            running.append(job)
        if job is None or len(running) == worker_count:
            assert store.finish(running.popleft(), "completed")


def test_users_are_served_in_turn(store: JobStore) -> None:
    for number in range(3):
        submit(store, "alice", number)
    for user in ("bob", "carol"):
        submit(store, user)
    assert [job.user for job in serve_all(store, 1)] == ["alice", "bob", "carol", "alice", "alice"]


def test_user_without_running_job_goes_first(store: JobStore) -> None:
    """Bob has had the later turn, and Alice has a job on another worker."""
    submit(store, "alice", 1)
    assert store.claim("first") is not None
    submit(store, "bob", 1)
    ended = store.claim("second")
    assert ended is not None
    assert store.finish(ended, "completed")
    submit(store, "alice", 2)
    submit(store, "bob", 2)
    assert [job and job.user for job in (store.claim("second"), store.claim("third"))] == ["bob", "alice"]


def test_interrupted_job_goes_on_first(store: JobStore) -> None:
    for user in ("alice", "bob"):
        submit(store, user)
    job = store.claim("first")
    assert job is not None
    assert store.requeue(job)
    again = store.claim("second")
    assert again is not None
    assert again.id == job.id
    expire_leases(store)
    taken_over = store.claim("third")
    assert taken_over is not None
    assert (taken_over.id, taken_over.attempt) == (job.id, 2)


def test_same_request_again_gains_no_turn(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of the earlier job is deleted; the turn is not."""
    monkeypatch.setattr("core.storage.jobs.DOUBLE_CLICK_S", -1.0)
    for user in ("bob", "alice"):
        submit(store, user)
    serve_all(store, 1)
    for user in ("alice", "bob"):
        submit(store, user)
    store.delete_expired_rows()
    assert [job.user for job in serve_all(store, 1)] == ["bob", "alice"]


def test_turns_of_users_without_jobs_are_deleted(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(store, "alice")
    serve_all(store, 1)
    store.delete_expired_rows()
    assert len(store._database.read(lambda rows: rows.execute(TURNS.select()).all())) == 1
    monkeypatch.setattr("core.storage.jobs.RETENTION_S", -1.0)
    store.delete_expired_rows()
    assert store._database.read(lambda rows: rows.execute(TURNS.select()).all()) == []


def test_questions_cost_no_turn_of_tasks(store: JobStore) -> None:
    submit(store, "alice")
    submit(store, "bob")
    submit(store, "alice", task="ask")
    question = store.claim("questions", queues=[QUESTIONS])
    assert question is not None
    assert question.task == "ask"
    task = store.claim("tasks", queues=[TASKS, QUESTIONS])
    assert task is not None
    assert (task.task, task.user) == ("count", "alice"), "neither the turn nor the running question counts"


def test_jobs_of_an_earlier_version_are_served(tmp_path: Path) -> None:
    """Its database has no table of turns, and keeps its jobs."""
    earlier = JobStore(tmp_path / "jobs")
    job = submit(earlier, "alice")
    earlier._database.write(lambda rows: TURNS.drop(rows.connection()))
    earlier.close()
    store = JobStore(tmp_path / "jobs")
    claimed = store.claim("worker")
    assert claimed is not None
    assert claimed.id == job.id
    store.close()


# ---- any number of users and workers --------------------------------------------------------------------------------


def check_turns(order: list[Job], submitted: list[Job]) -> None:
    """Check that nobody is served twice while somebody who waits has not been served since."""
    waiting = Counter(job.user for job in submitted)
    served_at = dict.fromkeys(waiting, -1)
    for turn, job in enumerate(order):
        others = [user for user, count in waiting.items() if count and user != job.user]
        assert all(served_at[job.user] < served_at[user] or served_at[job.user] == -1 for user in others)
        served_at[job.user] = turn
        waiting[job.user] -= 1


def test_every_order_of_requests_is_served_in_turn(store: JobStore) -> None:
    @settings(max_examples=15)
    @given(submissions, st.integers(1, 3))
    def serve_in_turn(requests: Submissions, worker_count: int) -> None:
        delete_all(store)
        submitted = [submit(store, user, number) for user, number in requests]
        expected = store.list_waiting()
        order = serve_all(store, worker_count)
        check_turns(order, submitted)
        assert [job.id for job in expected] == [job.id for job in order], "the places that were shown came true"
        assert {job.id for job in order} == {job.id for job in submitted}

    serve_in_turn()


def test_user_who_asks_again_and_again_starves_nobody(store: JobStore) -> None:
    """A user who always has waiting jobs is served every second time while another one waits."""
    number, order = 0, list[str]()
    for other in range(3):
        submit(store, "bob", other)
    while len(order) < 6:
        for _ in range(2):
            number += 1
            submit(store, "alice", number)
        job = store.claim("worker")
        assert job is not None
        order.append(job.user)
        assert store.finish(job, "completed")
    assert order == ["bob", "alice"] * 3


def test_place_counts_jobs_of_others(store: JobStore) -> None:
    jobs = [submit(store, "alice", 1), submit(store, "alice", 2), submit(store, "bob"), submit(store, "carol")]
    order = store.list_waiting()
    places = [find_place(job, order) for job in jobs]
    assert [place and (place.number, place.others) for place in places] == [(1, 0), (4, 2), (2, 1), (3, 2)]
    claimed = store.claim("worker")
    assert claimed is not None
    assert [job.id for job in store.list_running()] == [claimed.id]
    order = store.list_waiting()
    places = [find_place(job, order) for job in jobs]
    assert [place and (place.number, place.others) for place in places] == [None, (3, 2), (1, 0), (2, 1)]


# ---- processes ------------------------------------------------------------------------------------------------------

CLAIM_IN_TURN_SCRIPT = """
import sys, time
from pathlib import Path
from core.storage.jobs import JobStore

store = JobStore(Path(sys.argv[1]), sys.argv[2])
while not Path(sys.argv[1]).with_name("start").exists():
    time.sleep(0.001)
while (job := store.claim("worker")) is not None:
    print(job.lease_until, job.user, job.id)
store.close()
"""


def test_processes_share_the_turns(store: JobStore, database_url: str, tmp_path: Path) -> None:
    """Jobs that run until all are claimed: every user gets a worker before anybody gets a second one."""
    submitted = [submit(store, user, number) for user in USERS for number in range(6)]
    processes = [start_code(CLAIM_IN_TURN_SCRIPT, tmp_path / "jobs", database_url) for _ in range(3)]
    (tmp_path / "start").touch()
    lines = [line.split() for process in processes for line in process.complete().stdout.splitlines()]
    assert sorted(job_id for _time, _user, job_id in lines) == sorted(job.id for job in submitted)
    users = [user for _time, user, _id in sorted(lines, key=lambda line: float(line[0]))]
    rounds = [users[start : start + len(USERS)] for start in range(0, len(users), len(USERS))]
    assert [sorted(users_of_round) for users_of_round in rounds] == [sorted(USERS)] * 6
