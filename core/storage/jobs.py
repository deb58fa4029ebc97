"""The job store: one row a job, in SQLite or PostgreSQL. A worker holds a job by a lease, which it extends.

Every change of a job is one UPDATE with a condition, so of several workers that want a job one gets it, and whoever
lost a job changes nothing any more.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from filelock import FileLock
from sqlalchemy import ColumnElement, CursorResult, RowMapping, and_, case, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.messages import N_
from core.storage.database import Database, parse_url
from core.storage.job import Curves, Job, Signal, Status, WorkerHeartbeat, question_key
from core.storage.job_tables import JOBS, SCHEMA, WORKERS, now

T = TypeVar("T")
LEASE_S = 15.0  # a library may keep the interpreter to itself for some seconds, heartbeats included
WORKER_TIMEOUT_S = 10.0  # a worker that was silent for so long is no longer listed
DOUBLE_CLICK_S = 3.0  # so long after its end the same question gets the same answer
KEEP_S = 24 * 3600.0  # a job that has ended is kept for so long

WAITING = JOBS.c.status == "waiting"
STALE = and_(JOBS.c.status == "running", JOBS.c.lease_until < now())
COLUMNS = [*(column for column in JOBS.c if column.name not in ("workspace", "key")), now().label("read_at")]


class JobStore:
    """The jobs of one data folder and the workers that do them.

    folder   of the SQLite file and, below it, of the checkpoints of jobs
    url      of the database that several machines share; "" for the file `folder`/jobs.db
    lease_s  seconds that a worker may be silent before others take its job over

    Every method raises ServiceUnavailableError in less than 2 s where the database does not answer.
    """

    def __init__(self, folder: Path, url: str = "", lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        self._database = Database(parse_url(url, folder / "jobs.db"), SCHEMA, "jobs")
        self._folder_id = ""

    def reset(self) -> None:
        """Ask the database at the next call, whatever happened before."""
        self._database.breaker.reset()

    def close(self) -> None:
        """Close every connection; the next call opens them again."""
        self._database.close()

    def checkpoint_folder(self, job: Job) -> Path:
        """Return the folder in which the job keeps its checkpoints."""
        return self.folder / job.key

    # ---- for those who ask --------------------------------------------------------------------------------------

    def submit(self, task: str, arguments: dict[str, Any], actor: Actor) -> Job:
        """Return the job that answers `arguments`: the one that goes on or has just ended, else a new one."""
        key = question_key(actor.user, task, arguments)

        def submit_once(rows: Session) -> Job:
            job = self._load(rows, key)
            if job is not None and not _may_restart(job):
                return job
            if job is not None:
                rows.execute(JOBS.delete().where(JOBS.c.id == job.id))
            new = Job(uuid4().hex, task, arguments, actor.user, actor.application)
            row = new.to_row() | {"workspace": self._workspace(), "submitted": now()}
            inserted = rows.execute(JOBS.insert().values(row).returning(*COLUMNS))
            return Job(**inserted.mappings().one())

        try:
            return self._write(submit_once)
        except IntegrityError:  # another tab was quicker
            return self._write(submit_once)

    def load(self, key: str) -> Job | None:
        """Return the job that answers the question of this key, as it stands; None where there is none."""
        return self._read(lambda rows: self._load(rows, key))

    def cancel(self, key: str) -> None:
        """End a job that nobody works on; ask the worker of any other to stop."""

        def cancel_once(rows: Session) -> None:
            open_job = and_(self._has_key(key), JOBS.c.ended.is_(None))
            ended = {"status": "cancelled", "cancel_requested": True, "ended": now()}
            statement = JOBS.update().where(open_job, or_(WAITING, STALE)).values(ended).returning(*COLUMNS)
            job = _first_job(rows, statement)
            if job is not None:
                self._delete_checkpoints(job)
            else:
                rows.execute(JOBS.update().where(open_job).values(cancel_requested=True))

        self._write(cancel_once)

    # ---- for workers --------------------------------------------------------------------------------------------

    def claim(self, worker: str, take_over: bool = True) -> Job | None:
        """Return the oldest job that waits, or whose worker has died; it is held by `worker` now. None: there is none.

        take_over   False leaves jobs alone whose worker seems dead
        """
        claimable = or_(WAITING, STALE) if take_over else WAITING
        if self._read(lambda rows: rows.scalar(self._oldest(claimable))) is None:
            return None  # and no other writer was kept waiting
        begun = {"status": "running", "worker": worker, "share": 0.0, "stage": "", "curves": {}}
        counted = {
            "claims": JOBS.c.claims + 1,
            "attempt": case((STALE, JOBS.c.attempt + 1), else_=JOBS.c.attempt),
            "lease_until": now() + self.lease_s,
        }

        def claim_once(rows: Session) -> Job | None:
            oldest = JOBS.c.id == self._oldest(claimable).scalar_subquery()
            statement = JOBS.update().where(oldest, claimable).values(**begun, **counted)
            return _first_job(rows, statement.returning(*COLUMNS))

        return self._write(claim_once)

    def heartbeat(self, job: Job, **progress: float | str | Curves) -> Signal:
        """Extend the lease and note how far the job has come (`share`, `stage`, `curves`)."""
        values = {"lease_until": now() + self.lease_s, **progress}
        statement = JOBS.update().where(_is_held(job)).values(values).returning(JOBS.c.cancel_requested)
        cancel_requested = self._write(lambda rows: rows.scalar(statement))
        return "lost" if cancel_requested is None else "cancel" if cancel_requested else "continue"

    def requeue(self, job: Job) -> bool:
        """Give a job back, which costs it no attempt; False where it was lost before."""
        values = {"status": "waiting", "worker": "", "lease_until": 0.0, "share": 0.0, "stage": "", "curves": {}}
        return self._write(lambda rows: _count(rows, JOBS.update().where(_is_held(job)).values(values))) == 1

    def finish(self, job: Job, status: Status, *, run_id: str = "", error: dict[str, Any] | None = None) -> bool:
        """Note how a job ended; its checkpoints go, unless it failed. False where it was lost before."""
        ended = {"status": status, "run_id": run_id, "error": error, "curves": {}, "ended": now()}
        values = ended | ({"share": 1.0} if status == "completed" else {})

        def finish_once(rows: Session) -> bool:
            if not _count(rows, JOBS.update().where(_is_held(job)).values(values)):
                return False
            if status != "failed":  # while the row is locked, nobody begins the same question anew
                self._delete_checkpoints(job)
            return True

        return self._write(finish_once)

    def delete_expired(self) -> None:
        """Delete what ended long ago, and workers that were silent for as long."""

        def delete_once(rows: Session) -> None:
            expired = JOBS.delete().where(self._is_here(JOBS.c.workspace), JOBS.c.ended < now() - KEEP_S)
            for row in rows.execute(expired.returning(*COLUMNS)).mappings():
                self._delete_checkpoints(Job(**row))
            rows.execute(WORKERS.delete().where(WORKERS.c.heartbeat < now() - KEEP_S))

        self._write(delete_once)

    def note_worker(self, worker: WorkerHeartbeat) -> None:
        """Note that this worker lives."""

        def note_once(rows: Session) -> None:
            here = WORKERS.c.name == worker.name
            if not _count(rows, WORKERS.update().where(here).values(heartbeat=now())):
                row = {**asdict(worker), "workspace": self._workspace(), "heartbeat": now()}
                rows.execute(WORKERS.insert().values(row))

        self._write(note_once)

    def delete_worker(self, name: str) -> None:
        """Note that this worker has ended."""
        self._write(lambda rows: rows.execute(WORKERS.delete().where(WORKERS.c.name == name)))

    def list_workers(self) -> list[WorkerHeartbeat]:
        """Return the workers that serve this data folder and live."""
        columns = (WORKERS.c.name, WORKERS.c.host, WORKERS.c.pid, WORKERS.c.embedded)
        living = WORKERS.c.heartbeat > now() - WORKER_TIMEOUT_S

        def list_once(rows: Session) -> list[WorkerHeartbeat]:
            statement = select(*columns).where(self._is_here(WORKERS.c.workspace), living)
            return [WorkerHeartbeat(**row) for row in rows.execute(statement).mappings()]

        return self._read(list_once)

    # ---- parts --------------------------------------------------------------------------------------------------

    def _read(self, work: Callable[[Session], T]) -> T:
        with _translate_errors():
            return self._database.read(work)

    def _write(self, work: Callable[[Session], T]) -> T:
        with _translate_errors():
            return self._database.write(work)

    def _workspace(self) -> str:
        """Return the id of the data folder, which is the same on every machine that mounts it."""
        if not self._folder_id:
            file = self.folder / "workspace.id"
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "workspace.lock", timeout=1):
                if not file.exists():
                    draft = file.with_suffix(".draft")
                    draft.write_text(uuid4().hex)
                    draft.replace(file)
            self._folder_id = file.read_text()
        return self._folder_id

    def _is_here(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return column == self._workspace()

    def _has_key(self, key: str) -> ColumnElement[bool]:
        return and_(self._is_here(JOBS.c.workspace), JOBS.c.key == key)

    def _load(self, rows: Session, key: str) -> Job | None:
        return _first_job(rows, select(*COLUMNS).where(self._has_key(key)))

    def _oldest(self, claimable: ColumnElement[bool]) -> Any:
        here = self._is_here(JOBS.c.workspace)
        return select(JOBS.c.id).where(here, claimable).order_by(JOBS.c.submitted, JOBS.c.id).limit(1)

    def _delete_checkpoints(self, job: Job) -> None:
        shutil.rmtree(self.checkpoint_folder(job), ignore_errors=True)


def _is_held(job: Job) -> ColumnElement[bool]:
    """Whether the claim that returned `job` still holds."""
    return and_(JOBS.c.id == job.id, JOBS.c.claims == job.claims, JOBS.c.status == "running")


def _may_restart(job: Job) -> bool:
    """May the same question be answered anew?"""
    just_ended = job.status != "cancelled" and job.ended is not None and job.read_at - job.ended <= DOUBLE_CLICK_S
    return job.is_finished and not just_ended


def _first_job(rows: Session, statement: Any) -> Job | None:
    row: RowMapping | None = rows.execute(statement).mappings().first()
    return None if row is None else Job(**row)


def _count(rows: Session, statement: Any) -> int:
    result = rows.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailableError as error:
        raise ServiceUnavailableError(
            N_("The queue of slow work does not answer ({reason}). Stored results can be seen; new work has to wait."),
            reason=error.text.values.get("reason", ""),
        ) from error
