"""The job store: one row per job, in SQLite or PostgreSQL. A worker holds a job by a lease, which it extends.

Each change of a job is one conditional UPDATE. Exactly one of several workers gets a job, and a worker that has lost
a job cannot change it any more. Which job is next is told in `core.storage.job_order`.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, CursorResult, RowMapping, and_, case, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.messages import N_
from core.storage.database import Database, parse_url
from core.storage.database_clock import now
from core.storage.folder_id import load_folder_id
from core.storage.job import ALL_JOBS, Curves, Job, Queue, Signal, Status, WorkerHeartbeat, compute_job_key
from core.storage.job_order import (
    delete_turns_without_jobs,
    is_in_queue,
    is_stale,
    is_waiting,
    predict_order,
    read_turns,
    record_turn,
    select_next,
)
from core.storage.job_tables import JOBS, SCHEMA, WORKERS
from core.storage.raw_uploads import RAW_FOLDER, RawUploads

T = TypeVar("T")
LEASE_S = 15.0  # a library may hold the GIL for some seconds, which delays heartbeats
WORKER_TIMEOUT_S = 10.0  # a worker without a heartbeat for this time is not listed
DOUBLE_CLICK_S = 3.0  # within this time after its end, an equal submission returns the same job
RETENTION_S = 24 * 3600.0  # retention of finished jobs

JOB_COLUMNS = [*(column for column in JOBS.c if column.name not in ("workspace", "key")), now().label("read_at")]


class JobStore:
    """The jobs and workers of one data folder.

    folder   the folder of the SQLite file and of the checkpoints of jobs
    url      the database that several data folders may share; "" for the file `folder`/jobs.db
    lease_s  seconds without a heartbeat after which other workers may take over a job

    Every method raises ServiceUnavailableError in less than 2 s if the database does not answer.
    """

    def __init__(self, folder: Path, url: str = "", lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        self.uploads = RawUploads(folder / RAW_FOLDER)
        self._database = Database(parse_url(url, folder / "jobs.db"), SCHEMA, "jobs")
        self._folder_id = ""

    def load_driver(self) -> None:
        """Import the driver of the database."""
        self._database.load_driver()

    def reset(self) -> None:
        """Close the circuit breaker, so the next call reaches the database."""
        self._database.breaker.reset()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._database.close()

    def checkpoint_folder(self, job: Job) -> Path:
        """Return the folder for the checkpoints of a job."""
        return self.folder / job.key

    # ---- for clients --------------------------------------------------------------------------------------------

    def submit(self, task: str, arguments: dict[str, Any], actor: Actor) -> Job:
        """Return the job for `arguments`: an equal job that is waiting, running or just finished, or a new one."""
        key = compute_job_key(actor.user, task, arguments)

        def submit_once(session: Session) -> Job:
            job = self._load_job(session, key)
            if job is not None and not _may_restart(job):
                return job
            if job is not None:
                session.execute(JOBS.delete().where(JOBS.c.id == job.id))
            new_job = Job(uuid4().hex, task, arguments, actor.user, actor.application)
            row = new_job.to_row() | {"workspace": self._get_workspace_id(), "submitted": now()}
            inserted = session.execute(JOBS.insert().values(row).returning(*JOB_COLUMNS))
            return Job(**inserted.mappings().one())

        try:
            return self._write_database(submit_once)
        except IntegrityError:  # another process has inserted the same job
            return self._write_database(submit_once)

    def load(self, key: str) -> Job | None:
        """Return the current state of the job with this key, or None if there is no such job."""
        return self._read_database(lambda session: self._load_job(session, key))

    def list_unfinished(self, user: str) -> list[Job]:
        """Return the waiting and running jobs of `user`, newest first."""
        order = JOBS.c.submitted.desc(), JOBS.c.id
        return self._read_database(lambda session: self._list_unfinished(session, JOBS.c.user == user, order))

    def list_running(self) -> list[Job]:
        """Return the running jobs of all users, oldest first."""
        order, is_running = (JOBS.c.submitted, JOBS.c.id), JOBS.c.status == "running"
        return self._read_database(lambda session: self._list_unfinished(session, is_running, order))

    def list_waiting(self, queue: Queue = ALL_JOBS) -> list[Job]:
        """Return the waiting jobs of all users in the order in which they will start, as far as it is known now."""

        def list_once(session: Session) -> list[Job]:
            unfinished = self._list_unfinished(session, is_in_queue(queue))
            turns = read_turns(session, queue, self._get_workspace_id())
            running = [job for job in unfinished if job.status == "running" and not job.is_stale]
            running.sort(key=lambda job: (turns.get(job.user, 0), job.submitted, job.id))
            return predict_order([job for job in unfinished if job.status == "waiting"], running, turns)

        return self._read_database(list_once)

    def cancel(self, key: str) -> None:
        """Cancel a waiting or stale job at once; request the worker of a running job to stop."""

        def cancel_once(session: Session) -> None:
            is_open = and_(self._has_key(key), JOBS.c.ended.is_(None))
            values = {"status": "cancelled", "cancel_requested": True, "ended": now()}
            statement = (
                JOBS.update().where(is_open, or_(is_waiting(), is_stale())).values(values).returning(*JOB_COLUMNS)
            )
            job = _first_job(session, statement)
            if job is not None:
                self._delete_checkpoints(job)
                self.uploads.discard(job.arguments)
            else:
                session.execute(JOBS.update().where(is_open).values(cancel_requested=True))

        self._write_database(cancel_once)

    # ---- for workers --------------------------------------------------------------------------------------------

    def claim(self, worker: str, take_over: bool = True, queues: Sequence[Queue] = (ALL_JOBS,)) -> Job | None:
        """Lease the next waiting or stale job to `worker` and return it, or None if there is no such job.

        take_over   False ignores stale jobs, whose worker seems dead
        queues      a job of a later queue is taken if those before have none
        """
        is_free = or_(is_waiting(), is_stale()) if take_over else is_waiting()
        queue = self._find_queue(queues, is_free)
        if queue is None:
            return None  # without a write transaction that would block other writers
        start_values = {"status": "running", "worker": worker, "share": 0.0, "stage": "", "curves": {}}
        claim_values = {
            "claims": JOBS.c.claims + 1,
            "attempt": case((is_stale(), JOBS.c.attempt + 1), else_=JOBS.c.attempt),
            "lease_until": now() + self.lease_s,
        }

        def claim_once(session: Session) -> Job | None:
            workspace = self._get_workspace_id()
            is_next = JOBS.c.id == select_next(queue, workspace, is_free).scalar_subquery()
            statement = JOBS.update().where(is_next, is_free).values(**start_values, **claim_values)
            job = _first_job(session, statement.returning(*JOB_COLUMNS))
            if job is not None and job.claims == 1:
                record_turn(session, queue, workspace, job.user)
            return job

        return self._write_database(claim_once, serialize=True)  # each claim has to see the turn of the one before

    def read_change_stamp(self) -> tuple[int, ...] | None:
        """Return numbers that differ after a write of any process; None where only a query can tell."""
        return self._database.read_change_stamp()

    def heartbeat(self, job: Job, **progress: float | str | Curves) -> Signal:
        """Extend the lease and store the progress of the job (`share`, `stage`, `curves`)."""
        values = {"lease_until": now() + self.lease_s, **progress}
        statement = JOBS.update().where(_has_lease(job)).values(values).returning(JOBS.c.cancel_requested)
        cancel_requested = self._write_database(lambda session: session.scalar(statement))
        return "lost" if cancel_requested is None else "cancel" if cancel_requested else "continue"

    def requeue(self, job: Job) -> bool:
        """Return a job to the queue without counting an attempt; return False if the lease was lost before."""
        values = {"status": "waiting", "worker": "", "lease_until": 0.0, "share": 0.0, "stage": "", "curves": {}}
        return (
            self._write_database(
                lambda session: _count_changes(session, JOBS.update().where(_has_lease(job)).values(values))
            )
            == 1
        )

    def finish(self, job: Job, status: Status, *, run_id: str = "", error: dict[str, Any] | None = None) -> bool:
        """Store the final status of a job; delete its uploaded raw records, and its checkpoints unless it failed.

        Returns False if the lease was lost before.
        """
        final_values = {"status": status, "run_id": run_id, "error": error, "curves": {}, "ended": now()}
        values = final_values | ({"share": 1.0} if status == "completed" else {})

        def finish_once(session: Session) -> bool:
            if not _count_changes(session, JOBS.update().where(_has_lease(job)).values(values)):
                return False
            self.uploads.discard(job.arguments)
            if status != "failed":  # the row is locked, so no equal job can start meanwhile
                self._delete_checkpoints(job)
            return True

        return self._write_database(finish_once)

    def delete_expired_rows(self) -> None:
        """Delete jobs that ended and workers whose last heartbeat was more than a day ago."""

        def delete_once(session: Session) -> None:
            statement = JOBS.delete().where(self._is_in_workspace(JOBS.c.workspace), JOBS.c.ended < now() - RETENTION_S)
            for row in session.execute(statement.returning(*JOB_COLUMNS)).mappings():
                self._delete_checkpoints(Job(**row))
                self.uploads.discard(row["arguments"])
            session.execute(WORKERS.delete().where(WORKERS.c.heartbeat < now() - RETENTION_S))
            delete_turns_without_jobs(session, self._get_workspace_id())

        self._write_database(delete_once)

    def record_worker(self, worker: WorkerHeartbeat) -> None:
        """Store a heartbeat of a worker."""

        def record_once(session: Session) -> None:
            is_worker = WORKERS.c.name == worker.name
            if not _count_changes(session, WORKERS.update().where(is_worker).values(heartbeat=now())):
                row = {**asdict(worker), "workspace": self._get_workspace_id(), "heartbeat": now()}
                session.execute(WORKERS.insert().values(row))

        self._write_database(record_once)

    def delete_worker(self, name: str) -> None:
        """Delete a worker that has ended."""
        self._write_database(lambda session: session.execute(WORKERS.delete().where(WORKERS.c.name == name)))

    def list_workers(self) -> list[WorkerHeartbeat]:
        """Return the living workers of this data folder."""
        columns = (WORKERS.c.name, WORKERS.c.host, WORKERS.c.pid, WORKERS.c.embedded)
        is_alive = WORKERS.c.heartbeat.between(now() - WORKER_TIMEOUT_S, now() + WORKER_TIMEOUT_S)

        def list_once(session: Session) -> list[WorkerHeartbeat]:
            statement = select(*columns).where(self._is_in_workspace(WORKERS.c.workspace), is_alive)
            return [WorkerHeartbeat(**row) for row in session.execute(statement).mappings()]

        return self._read_database(list_once)

    # ---- internals ----------------------------------------------------------------------------------------------

    def _read_database(self, work: Callable[[Session], T]) -> T:
        with _translate_errors():
            return self._database.read(work)

    def _write_database(self, work: Callable[[Session], T], *, serialize: bool = False) -> T:
        with _translate_errors():
            return self._database.write(work, serialize=serialize)

    def _get_workspace_id(self) -> str:
        """Return the id of the data folder, by which a shared database tells folders apart."""
        if not self._folder_id:
            self._folder_id = load_folder_id(self.folder)
        return self._folder_id

    def _is_in_workspace(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return column == self._get_workspace_id()

    def _has_key(self, key: str) -> ColumnElement[bool]:
        return and_(self._is_in_workspace(JOBS.c.workspace), JOBS.c.key == key)

    def _load_job(self, session: Session, key: str) -> Job | None:
        return _first_job(session, select(*JOB_COLUMNS).where(self._has_key(key)))

    def _list_unfinished(
        self, session: Session, condition: ColumnElement[bool], order: Sequence[Any] = ()
    ) -> list[Job]:
        is_unfinished = and_(self._is_in_workspace(JOBS.c.workspace), JOBS.c.ended.is_(None), condition)
        rows = session.execute(select(*JOB_COLUMNS).where(is_unfinished).order_by(*order)).mappings()
        return [Job(**row) for row in rows]

    def _find_queue(self, queues: Sequence[Queue], is_free: ColumnElement[bool]) -> Queue | None:
        """Return the first queue with a free job; None without one."""

        def list_tasks(session: Session) -> Sequence[str]:
            is_candidate = and_(self._is_in_workspace(JOBS.c.workspace), is_free)
            return session.scalars(select(JOBS.c.task).where(is_candidate).distinct()).all()

        tasks = self._read_database(list_tasks)
        return next((queue for queue in queues if any(map(queue.accepts, tasks))), None)

    def _delete_checkpoints(self, job: Job) -> None:
        shutil.rmtree(self.checkpoint_folder(job), ignore_errors=True)


def _has_lease(job: Job) -> ColumnElement[bool]:
    """Return the SQL condition that the claim of `job` is still valid."""
    return and_(JOBS.c.id == job.id, JOBS.c.claims == job.claims, JOBS.c.status == "running")


def _may_restart(job: Job) -> bool:
    """Tell whether an equal submission replaces `job`: it has ended, and the submission is no double click."""
    just_ended = job.status != "cancelled" and job.ended is not None and job.read_at - job.ended <= DOUBLE_CLICK_S
    return job.is_finished and not just_ended


def _first_job(session: Session, statement: Any) -> Job | None:
    row: RowMapping | None = session.execute(statement).mappings().first()
    return None if row is None else Job(**row)


def _count_changes(session: Session, statement: Any) -> int:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailableError as error:
        raise ServiceUnavailableError(
            N_("The job queue does not answer ({reason}). Stored results can still be opened. New jobs have to wait."),
            reason=error.message.values.get("reason", ""),
        ) from error
