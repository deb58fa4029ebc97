"""The job store on SQLite and PostgreSQL: requests, claims, leases, cancel, workers, outages."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import make_url

from core.actor import Actor
from core.errors import OptionError, ServiceUnavailableError
from core.storage import jobs as store_module
from core.storage.job import Job, Queue, WorkerHeartbeat
from core.storage.job_tables import JOBS, WORKERS
from core.storage.jobs import JobStore
from tests.conftest import assert_no_hang, find_free_port
from tests.support.commands import start_code
from tests.support.databases import wait_for_abandoned_calls
from tests.support.servers import ServerProcess

ALICE, BOB = Actor("alice", "tests"), Actor("bob", "tests")

OpenStore = Callable[[], JobStore]


@pytest.fixture
def open_store(database_url: str, tmp_path: Path) -> Iterator[OpenStore]:
    """Function that opens the same store again, as another process does."""
    opened: list[JobStore] = []

    def open_another(folder: Path = tmp_path / "jobs") -> JobStore:
        opened.append(JobStore(folder, database_url))
        return opened[-1]

    yield open_another
    wait_for_abandoned_calls()
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> JobStore:
    return open_store()


def load_job(store: JobStore, job: Job) -> Job:
    loaded = store.load(job.key)
    assert loaded is not None
    return loaded


def load_row(store: JobStore, job: Job) -> Job:
    """Load a job without the time of reading, for comparison."""
    return replace(load_job(store, job), read_at=0.0)


def claim_job(store: JobStore, worker: str = "worker") -> Job:
    job = store.claim(worker)
    assert job is not None
    return job


def expire_leases(store: JobStore) -> None:
    """Let all leases expire."""
    store._database.write(lambda rows: rows.execute(JOBS.update().values(lease_until=1.0)))


def run_concurrently(stores: list[JobStore], work: Callable[[JobStore], object]) -> None:
    """Call `work` for all stores at the same time, each in its own thread."""
    barrier = threading.Barrier(len(stores))

    def start_work(store: JobStore) -> None:
        barrier.wait()
        work(store)

    threads = [threading.Thread(target=start_work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- submit ---------------------------------------------------------------------------------------------------------


def test_job_store_same_request_is_one_job(open_store: OpenStore) -> None:
    submitted: list[Job] = []
    run_concurrently(
        [open_store() for _ in range(6)], lambda store: submitted.append(store.submit("count", {"until": 3}, BOB))
    )
    assert len({job.id for job in submitted}) == 1
    assert {(job.status, job.attempt, job.claims) for job in submitted} == {("waiting", 1, 0)}
    assert submitted[0].arguments == {"until": 3}


def test_job_store_returns_job_that_just_ended(store: JobStore) -> None:
    store.submit("count", {}, BOB)
    store.finish(claim_job(store), "completed", run_id="run")
    again = store.submit("count", {}, BOB)
    assert (again.status, again.run_id, again.share) == ("completed", "run", 1.0)


def test_job_store_later_request_starts_new_job(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "DOUBLE_CLICK_S", -1.0)
    stores = [open_store() for _ in range(6)]
    first = stores[0].submit("count", {}, BOB)
    stores[0].finish(claim_job(stores[0]), "completed", run_id="run")
    again: list[Job] = []
    run_concurrently(stores, lambda store: again.append(store.submit("count", {}, BOB)))
    assert len({job.id for job in again}) == 1
    assert (again[0].key, again[0].status, again[0].run_id) == (first.key, "waiting", "")
    assert again[0].id != first.id


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_job_store_returns_job_of_other_tab(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "DOUBLE_CLICK_S", -1.0)
    first_store, second_store = open_store(), open_store()
    first_store.submit("count", {}, BOB)
    first_store.finish(claim_job(first_store), "completed", run_id="run")
    may_restart, submitted = store_module._may_restart, []

    def submit_between(job: Job) -> bool:
        if not submitted:
            submitted.append(None)
            submitted.append(second_store.submit("count", {}, BOB))
        return may_restart(job)

    monkeypatch.setattr(store_module, "_may_restart", submit_between)
    assert first_store.submit("count", {}, BOB).id == submitted[1].id


def test_job_store_keeps_jobs_of_users_apart(store: JobStore) -> None:
    assert store.submit("count", {}, BOB).key != store.submit("count", {}, ALICE).key


@pytest.mark.parametrize("value", [float("nan"), "\x00", "é 数 𝛼", 10**30, [], None])
def test_job_store_round_trips_arguments_and_curves(store: JobStore, value: object) -> None:
    store.submit("count", {"value": value}, BOB)
    job = claim_job(store)
    assert repr(job.arguments) == repr({"value": value})
    store.heartbeat(job, curves={"loss": [(1.0, float("inf"))]})
    assert load_job(store, job).curves == {"loss": [[1.0, float("inf")]]}


# ---- claim ----------------------------------------------------------------------------------------------------------


def test_job_store_claims_oldest_job(store: JobStore) -> None:
    submitted = [store.submit("count", {"number": number}, BOB) for number in range(3)]
    assert [claim_job(store).id for _ in submitted] == [job.id for job in submitted]
    assert store.claim("worker") is None


def test_job_store_serves_queues_in_their_order(store: JobStore) -> None:
    for task in ("train", "ask", "train"):
        store.submit(task, {"number": len(task)}, BOB)
    questions = Queue("questions", frozenset({"ask", "read"}))
    others = Queue("others", questions.tasks, is_others=True)
    claimed = store.claim("w", queues=[questions])
    assert claimed is not None
    assert claimed.task == "ask"
    assert store.claim("w", queues=[questions]) is None
    expire_leases(store)
    stale = store.claim("v", queues=[questions, others])
    assert stale is not None
    assert (stale.id, stale.attempt) == (claimed.id, 2)
    last = [store.claim("w", queues=[questions, others]) for _ in range(2)]
    assert [job and job.task for job in last] == ["train", None], "the two equal jobs are one"


def test_job_store_concurrent_claims_are_disjoint(open_store: OpenStore) -> None:
    stores, claimed = [open_store() for _ in range(6)], []
    submitted = [stores[0].submit("count", {"number": number}, BOB) for number in range(40)]

    def work(store: JobStore) -> None:
        while (job := store.claim("worker")) is not None:
            claimed.append(job.id)
            assert store.finish(job, "completed", run_id="run")

    run_concurrently(stores, work)
    assert sorted(claimed) == sorted(job.id for job in submitted)


def test_job_store_sees_writes_of_others_without_a_query(open_store: OpenStore, database_url: str) -> None:
    first_store, second_store = open_store(), open_store()
    assert first_store.claim("worker") is None
    before = first_store.read_change_stamp()
    assert first_store.read_change_stamp() == before
    second_store.submit("count", {}, BOB)
    after = first_store.read_change_stamp()
    assert (after == before) == bool(database_url)
    assert (before is None) == bool(database_url), "only PostgreSQL has to be asked"


CLAIM_ALL_SCRIPT = """
import sys, time
from pathlib import Path
from core.storage.jobs import JobStore

store = JobStore(Path(sys.argv[1]), sys.argv[2])
while not Path(sys.argv[1]).with_name("start").exists():
    time.sleep(0.001)
while True:
    job = store.claim("worker")
    if job is None:
        break
    print(job.id, job.attempt)
    assert store.heartbeat(job, share=0.5) == "continue"
    assert store.finish(job, "completed", run_id="run")
store.close()
"""


def test_job_store_processes_run_each_job_once(open_store: OpenStore, database_url: str, tmp_path: Path) -> None:
    processes = [start_code(CLAIM_ALL_SCRIPT, tmp_path / "jobs", database_url) for _ in range(3)]
    store = open_store()
    submitted = [store.submit("count", {"number": number}, BOB) for number in range(60)]
    (tmp_path / "start").touch()
    ended = [process.complete() for process in processes]
    assert [(process.returncode, process.stderr) for process in ended] == [(0, "")] * 3
    assert sorted("".join(process.stdout for process in ended).splitlines()) == sorted(
        f"{job.id} 1" for job in submitted
    )


def test_job_store_concurrent_starts_create_tables_once(open_store: OpenStore) -> None:
    workers: list[object] = []
    run_concurrently([open_store() for _ in range(6)], lambda store: workers.append(store.list_workers()))
    assert workers == [[]] * 6


def test_job_store_folders_share_database_but_no_job(open_store: OpenStore, tmp_path: Path) -> None:
    first_store, second_store = open_store(tmp_path / "one"), open_store(tmp_path / "other")
    job = first_store.submit("count", {}, BOB)
    first_store.record_worker(WorkerHeartbeat("worker", "host", 1, False))
    assert (second_store.load(job.key), second_store.claim("worker"), second_store.list_workers()) == (None, None, [])
    assert second_store.submit("count", {}, BOB).id != job.id
    second_store.cancel(job.key)
    assert load_job(first_store, job).status == "waiting"


# ---- leases ---------------------------------------------------------------------------------------------------------


def test_job_store_lease_expires(open_store: OpenStore) -> None:
    first_store, second_store = open_store(), open_store()
    first_store.lease_s = 0.3
    first_store.submit("count", {}, BOB)
    first = claim_job(first_store, "first")
    assert (first.attempt, first.claims, second_store.claim("second")) == (1, 1, None)
    deadline = time.monotonic() + 10
    while (second := second_store.claim("second")) is None:
        assert time.monotonic() < deadline
    assert (second.id, second.attempt, second.claims, second.worker) == (first.id, 2, 2, "second")
    assert second.read_at - first.read_at > 0.3


def test_job_store_lost_lease_changes_nothing(open_store: OpenStore) -> None:
    first_store, second_store = open_store(), open_store()
    first_store.submit("count", {}, BOB)
    first = claim_job(first_store)
    expire_leases(first_store)
    assert load_job(first_store, first).is_stale
    second = claim_job(second_store)
    before = load_row(first_store, first)
    assert first_store.heartbeat(first, share=0.9) == "lost"
    assert not first_store.requeue(first)
    assert not first_store.finish(first, "completed", run_id="first")
    assert load_row(first_store, first) == before
    assert second_store.finish(second, "completed", run_id="second")
    assert load_job(first_store, first).run_id == "second"
    assert second_store.heartbeat(second) == "lost"


def test_job_store_heartbeat_extends_lease(open_store: OpenStore) -> None:
    first_store, second_store = open_store(), open_store()
    first_store.submit("count", {}, BOB)
    job = claim_job(first_store)
    expire_leases(first_store)
    assert first_store.heartbeat(job, share=0.5, stage="counting", curves={"loss": [(1, 2)]}) == "continue"
    assert second_store.claim("second") is None
    extended = load_job(second_store, job)
    assert (extended.share, extended.stage, extended.curves, extended.is_stale) == (
        0.5,
        "counting",
        {"loss": [[1, 2]]},
        False,
    )


def test_job_store_claim_can_skip_stale_jobs(store: JobStore) -> None:
    store.submit("count", {}, BOB)
    claim_job(store)
    expire_leases(store)
    assert store.claim("second", take_over=False) is None
    assert claim_job(store, "second").attempt == 2


def test_job_store_requeue_costs_no_attempt(store: JobStore) -> None:
    store.submit("count", {}, BOB)
    job = claim_job(store)
    store.heartbeat(job, share=0.5)
    assert store.requeue(job)
    requeued = load_job(store, job)
    assert (requeued.status, requeued.attempt, requeued.claims, requeued.share, requeued.worker) == (
        "waiting",
        1,
        1,
        0.0,
        "",
    )
    again = claim_job(store)
    assert (again.attempt, again.claims) == (1, 2)


# ---- cancel and checkpoints -----------------------------------------------------------------------------------------

JOB_STATES: dict[str, tuple[Callable[[JobStore], object], str]] = {
    "waiting": (lambda store: None, "cancelled"),
    "requeued": (lambda store: store.requeue(claim_job(store)), "cancelled"),
    "running": (claim_job, "running"),
    "stale": (lambda store: (claim_job(store), expire_leases(store)), "cancelled"),
    "completed": (lambda store: store.finish(claim_job(store), "completed", run_id="run"), "completed"),
    "failed": (lambda store: store.finish(claim_job(store), "failed", error={"kind": ""}), "failed"),
    "cancelled": (lambda store: store.cancel(store.submit("count", {}, BOB).key), "cancelled"),
}


@pytest.mark.parametrize("state", JOB_STATES)
def test_job_store_cancels_jobs(store: JobStore, state: str) -> None:
    reach, expected = JOB_STATES[state]
    job = store.submit("count", {}, BOB)
    store.checkpoint_folder(job).mkdir(parents=True)
    reach(store)
    before = load_row(store, job)
    store.cancel(job.key)
    after = load_job(store, job)
    assert after.status == expected
    if before.is_finished:
        assert load_row(store, job) == before
    else:
        assert after.cancel_requested
        assert after.is_finished == (expected == "cancelled")
    assert store.checkpoint_folder(job).exists() == (expected in ("running", "failed"))
    assert store.claim("other") is None


def test_job_store_cancel_of_unknown_job_is_ignored(store: JobStore) -> None:
    store.cancel("0" * 24)
    assert store.load("0" * 24) is None


def test_job_store_heartbeat_reports_cancel(store: JobStore) -> None:
    key = store.submit("count", {}, BOB).key
    job = claim_job(store)
    store.cancel(key)
    assert store.heartbeat(job) == "cancel"
    assert store.finish(job, "cancelled")
    again = store.submit("count", {}, BOB)
    assert (again.status, again.cancel_requested) == ("waiting", False), (
        "a cancelled request can be submitted again at once"
    )
    assert store.heartbeat(job) == "lost"


def test_job_store_cancel_survives_dead_worker(store: JobStore) -> None:
    key = store.submit("count", {}, BOB).key
    job = claim_job(store)
    store.cancel(key)
    assert store.requeue(job)
    assert claim_job(store).cancel_requested


def test_job_store_deletes_expired_rows(store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, waiting = store.submit("count", {}, BOB), store.submit("count", {}, ALICE)
    store.finish(claim_job(store), "failed", error={"kind": ""})
    for job in (failed, waiting):
        store.checkpoint_folder(job).mkdir()
    store.record_worker(WorkerHeartbeat("worker", "host", 1, False))
    store.delete_expired_rows()
    assert load_job(store, failed).error == {"kind": ""}
    assert store.checkpoint_folder(failed).exists(), "a restart after the error continues from the checkpoint"
    monkeypatch.setattr(store_module, "RETENTION_S", -1.0)
    store.delete_expired_rows()
    assert store.load(failed.key) is None
    assert [store.checkpoint_folder(job).exists() for job in (failed, waiting)] == [False, True]
    assert load_job(store, waiting).status == "waiting"
    assert store._database.read(lambda rows: rows.execute(WORKERS.select()).all()) == []


def test_job_store_invalid_key_deletes_no_folder(store: JobStore, tmp_path: Path) -> None:
    job = store.submit("count", {}, BOB)
    values = {"key": "../..", "ended": 1.0, "status": "failed"}
    store._database.write(lambda rows: rows.execute(JOBS.update().where(JOBS.c.id == job.id).values(values)))
    store.delete_expired_rows()
    assert tmp_path.is_dir()


# ---- random sequences of calls --------------------------------------------------------------------------------------


@dataclass
class ExpectedRow:
    """Expected row of one request."""

    status: str = "waiting"
    attempt: int = 1
    claims: int = 0
    stale: bool = False
    cancel_requested: bool = False
    holder: Job | None = None
    lost: list[Job] = field(default_factory=list)  # claims that have lost their lease


class JobStoreMachine(RuleBasedStateMachine):
    """Comparison of the store with a simple model: two requests, any number of workers, calls in any order."""

    store: JobStore

    def __init__(self) -> None:
        super().__init__()
        self.store._database.write(lambda rows: rows.execute(JOBS.delete()))
        self.rows: dict[str, ExpectedRow] = {}

    def _list_holders(self) -> list[Job]:
        return [row.holder for row in self.rows.values() if row.holder is not None]

    @rule(actor=st.sampled_from([ALICE, BOB]))
    def submit(self, actor: Actor) -> None:
        job = self.store.submit("count", {}, actor)
        row = self.rows.get(job.key)
        if row is None or row.status in ("completed", "failed", "cancelled"):
            self.rows[job.key] = ExpectedRow(lost=[] if row is None else row.lost)

    @rule(take_over=st.booleans())
    def claim(self, take_over: bool) -> None:
        job = self.store.claim("worker", take_over)
        free = [row for row in self.rows.values() if row.status == "waiting" or (row.stale and take_over)]
        assert (job is None) == (not free)
        if job is not None:
            row = self.rows[job.key]
            assert row in free
            if row.holder is not None:
                row.lost.append(row.holder)
            row.attempt, row.claims = row.attempt + row.stale, row.claims + 1
            row.status, row.stale, row.holder = "running", False, job
            assert job.cancel_requested == row.cancel_requested

    @rule()
    def expire(self) -> None:
        expire_leases(self.store)
        for row in self.rows.values():
            row.stale = row.status == "running"

    @precondition(lambda self: self._list_holders())
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self._list_holders()))
        row = self.rows[job.key]
        assert self.store.heartbeat(job, share=0.5) == ("cancel" if row.cancel_requested else "continue")
        row.stale = False

    @precondition(lambda self: self._list_holders())
    @rule(data=st.data(), status=st.sampled_from(["completed", "failed", "cancelled", "waiting"]))
    def release(self, data: st.DataObject, status: str) -> None:
        job = data.draw(st.sampled_from(self._list_holders()))
        row = self.rows[job.key]
        assert self.store.requeue(job) if status == "waiting" else self.store.finish(job, status)  # type: ignore[arg-type]
        row.status, row.stale, row.holder = status, False, None
        row.lost.append(job)

    @rule(actor=st.sampled_from([ALICE, BOB]))
    def cancel(self, actor: Actor) -> None:
        key = replace(Job("", "count", {}, actor.user, "")).key
        self.store.cancel(key)
        row = self.rows.get(key)
        if row is not None and (row.status == "waiting" or row.stale):
            if row.holder is not None:
                row.lost.append(row.holder)
            row.status, row.stale, row.holder, row.cancel_requested = "cancelled", False, None, True
        elif row is not None and row.status == "running":
            row.cancel_requested = True

    @precondition(lambda self: any(row.lost for row in self.rows.values()))
    @rule(data=st.data())
    def use_lost_claim(self, data: st.DataObject) -> None:
        lost_job = data.draw(st.sampled_from([job for row in self.rows.values() for job in row.lost]))
        assert self.store.heartbeat(lost_job, share=0.9) == "lost"
        assert not self.store.requeue(lost_job)
        assert not self.store.finish(lost_job, "completed", run_id="late")

    @invariant()
    def rows_match_model(self) -> None:
        for key, expected in self.rows.items():
            job = self.store.load(key)
            assert job is not None
            assert (job.status, job.attempt, job.claims, job.is_stale, job.cancel_requested) == (
                expected.status,
                expected.attempt,
                expected.claims,
                expected.stale,
                expected.cancel_requested,
            )
            assert job.is_finished == (expected.status in ("completed", "failed", "cancelled"))
            assert job.run_id == ""


def test_job_store_holds_invariants_for_any_order_of_calls(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "DOUBLE_CLICK_S", -1.0)
    machine = type("AnyOrderHere", (JobStoreMachine,), {"store": store})
    run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=25))


# ---- workers --------------------------------------------------------------------------------------------------------


def test_job_store_lists_unfinished_jobs_of_user(store: JobStore) -> None:
    finished = store.submit("count", {"number": 1}, BOB)
    assert store.finish(claim_job(store), "completed")
    running = store.submit("count", {"number": 2}, BOB)
    claim_job(store)
    waiting = store.submit("count", {"number": 3}, BOB)
    store.submit("count", {"number": 4}, ALICE)
    assert [job.key for job in store.list_unfinished("bob")] == [waiting.key, running.key]
    assert store.list_unfinished("carol") == []
    assert load_job(store, finished).is_finished


def test_job_store_lists_living_workers(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first_worker, second_worker = WorkerHeartbeat("one", "host", 1, True), WorkerHeartbeat("other", "host", 2, False)
    for worker in (first_worker, second_worker, first_worker):
        store.record_worker(worker)
    assert sorted(store.list_workers(), key=lambda worker: worker.pid) == [first_worker, second_worker]
    store.delete_worker("one")
    assert store.list_workers() == [second_worker]
    monkeypatch.setattr(store_module, "WORKER_TIMEOUT_S", -1.0)
    assert store.list_workers() == []


# ---- outages of the database ----------------------------------------------------------------------------------------

PUBLIC_CALLS: dict[str, Callable[[JobStore], object]] = {
    "submit": lambda store: store.submit("count", {}, BOB),
    "load": lambda store: store.load("0" * 24),
    "cancel": lambda store: store.cancel("0" * 24),
    "claim": lambda store: store.claim("worker"),
    "heartbeat": lambda store: store.heartbeat(Job("", "", {}, "", "")),
    "requeue": lambda store: store.requeue(Job("", "", {}, "", "")),
    "finish": lambda store: store.finish(Job("", "", {}, "", ""), "completed"),
    "delete_expired_rows": lambda store: store.delete_expired_rows(),
    "record_worker": lambda store: store.record_worker(WorkerHeartbeat("", "", 1, False)),
    "delete_worker": lambda store: store.delete_worker(""),
    "list_workers": lambda store: store.list_workers(),
    "list_unfinished": lambda store: store.list_unfinished("bob"),
    "list_running": lambda store: store.list_running(),
    "list_waiting": lambda store: store.list_waiting(),
}


def get_outage_message(work: Callable[[], object]) -> str:
    """Call `work` during an outage, and return the error message. Fails if the call waits for an answer."""
    message = r"The job queue does not answer \("
    with assert_no_hang(), pytest.raises(ServiceUnavailableError, match=message) as raised:
        work()
    return str(raised.value)


def test_job_store_fault_tests_cover_every_public_call() -> None:
    public = {name for name in vars(JobStore) if not name.startswith("_")}
    assert public - {"reset", "close", "checkpoint_folder", "read_change_stamp", "load_driver"} == set(PUBLIC_CALLS)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("outage", ["killed", "frozen"])
def test_job_store_recovers_from_outage(postgres_server: ServerProcess, store: JobStore, outage: str) -> None:
    job = store.submit("count", {}, BOB)
    (postgres_server.kill if outage == "killed" else postgres_server.freeze)()
    try:
        get_outage_message(lambda: store.load(job.key))
        for call in PUBLIC_CALLS.values():
            if outage == "killed":
                store.reset()
            get_outage_message(lambda: call(store))  # noqa: B023 called immediately
    finally:
        postgres_server.start() if outage == "killed" else postgres_server.thaw()
    wait_for_abandoned_calls()
    store.reset()
    assert claim_job(store).id == job.id


@pytest.mark.parametrize("user", ["vigie", "nobody"])
def test_job_store_hides_password(postgres_server: ServerProcess, tmp_path: Path, user: str) -> None:
    wrong = make_url(postgres_server.url).set(username=user, password="hunter2").render_as_string(hide_password=False)
    store = JobStore(tmp_path, wrong)
    message = get_outage_message(store.list_workers)
    assert "password authentication failed" in message
    assert "hunter2" not in message + repr(vars(store))


def test_job_store_reports_dead_address(tmp_path: Path) -> None:
    store = JobStore(tmp_path, f"postgresql://vigie:hunter2@127.0.0.1:{find_free_port()}/jobs")
    for call in PUBLIC_CALLS.values():
        assert "hunter2" not in get_outage_message(lambda: call(store))  # noqa: B023 called immediately


def test_job_store_rejects_other_database_urls(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="DATABASE_URL is not valid") as raised:
        JobStore(tmp_path, "redis://:hunter2@127.0.0.1:1/0")
    assert "hunter2" not in str(raised.value)


def test_job_store_reports_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file")
    store = JobStore(tmp_path / "jobs")
    for call in PUBLIC_CALLS.values():
        get_outage_message(lambda: call(store))  # noqa: B023 called immediately


def test_job_store_replaces_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(b"no database " * 1000)
    assert JobStore(tmp_path).list_workers() == []
    assert len(list(tmp_path.glob("jobs.db.moved-*"))) == 1


def test_job_store_reports_locked_file(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    job = store.submit("count", {}, BOB)
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    connection.execute("begin exclusive")
    assert load_job(store, job).status == "waiting", "readers do not wait for the lock"
    assert "locked" in get_outage_message(lambda: store.cancel(job.key))
    get_outage_message(lambda: store.load(job.key))
    connection.execute("rollback")
    connection.close()
    store.reset()
    store.cancel(job.key)
    assert load_job(store, job).status == "cancelled"
