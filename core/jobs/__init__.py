"""Slow work as jobs: submitted here, done by a worker process (`worker.py`), found again by anybody who has the key.

A job is a note in the queue's storage and a message that offers it. Who takes an offer claims it first, and one alone
can;
a job whose worker died is offered again under the same key, so that it goes on from its checkpoints.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.actor import Actor
from core.jobs.job import ATTEMPTS, JOB, LIVING, Job, Living, read_note, worn_out
from core.settings import settings
from core.storage.queue import Queue
from core.workspace import Workspace

DOUBLE_CLICK = 3.0  # seconds after its end in which the same question gets the same answer
KEPT = 24 * 3600.0  # seconds after which a job that has ended is forgotten
ASKING = 1.0  # seconds that one submission of a question waits for another


def submit(verb: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor) -> Job:
    """The job in which `core.analyses.<verb>.carry_out` answers `arguments` (plain JSON) for `by`.

    While it goes on, and just after its end (a double click), the same question of the same user is the same job;
    later it
    starts anew. Raises ServiceUnavailableError where the queue does not answer.
    """
    queue = queue_of(workspace)
    key = _key(actor.user, verb, arguments)
    with _alone(queue, f"asking/{key}"):
        known = find(key, workspace)
        if known is not None and not _asked_anew(known):
            return known
        now = time.time()
        job = Job(key, verb, arguments, actor.user, actor.application, submitted=now, heartbeat=now)
        offer(job, queue)
    return job


def find(key: str, workspace: Workspace) -> Job | None:
    """The job with this key, as it stands; None for one that is not, or no longer, known. Raises
    ServiceUnavailableError.
    """
    queue = queue_of(workspace)
    job = read(queue, key)
    if job is None or job.over:
        return job
    return replace(job, stopping=to_stop(job, queue))


def cancel(key: str, workspace: Workspace) -> None:
    """End a job that waits; ask one that goes on to stop at its next word. Raises ServiceUnavailableError."""
    queue = queue_of(workspace)
    job = read(queue, key)
    if job is None or job.over:
        return
    if job.status == "waiting" and queue.claim(job.claim, {"cancelled": True}):
        close(job.finished("cancelled"), workspace)
    else:
        queue.write(job.stop, {"submitted": job.submitted})


def workers(workspace: Workspace) -> list[Living]:
    """The workers that serve this data folder and live. Raises ServiceUnavailableError."""
    known = (read_note(LIVING, note) for note in queue_of(workspace).notes("worker/").values())
    return [each for each in known if each is not None and each.folder == str(folder(workspace)) and not each.silent]


def tend(workspace: Workspace) -> int:
    """Offer again what nobody works on any more, forget what ended long ago; how many were offered. Raises
    ServiceUnavailableError.
    """
    queue, again = queue_of(workspace), 0
    for job in (read_note(JOB, note) for note in queue.notes("job/").values()):
        if job is None:
            continue
        if job.ended is not None and time.time() - job.ended > KEPT:
            _forget(job, workspace)
        elif job.silent and (job.key, job.ticket) not in queue.messages() and _deserted(job, workspace):
            again += _offered_again(job, workspace)
    for worker in (read_note(LIVING, note) for note in queue.notes("worker/").values()):
        if worker is not None and time.time() - worker.heartbeat > KEPT:
            queue.drop(worker.record)
    return again


# ---- for workers ----------------------------------------------------------------------------------------------------


def folder(workspace: Workspace) -> Path:
    """Where the queue's file, and below it the checkpoints of jobs, are."""
    return (workspace.datasets.folder.parent / "jobs").resolve()


def queue_of(workspace: Workspace) -> Queue:
    """The queue that the pages and workers of a workplace share."""
    return _queue(folder(workspace), settings().jobs_url.get_secret_value())


@cache
def _queue(place: Path, url: str) -> Queue:
    return Queue(place, url)


def read(queue: Queue, key: str) -> Job | None:
    """The job's note; None where there is none."""
    return read_note(JOB, queue.read(f"job/{key}"))


def offer(job: Job, queue: Queue) -> None:
    """Note the job and put a message into the queue that offers it."""
    queue.write(job.record, job.to_json())
    queue.push(job.key, job.ticket)


def to_stop(job: Job, queue: Queue) -> bool:
    """Has somebody asked to cancel this job, and not an earlier one with the same question?"""
    return (queue.read(job.stop) or {}).get("submitted") == job.submitted


def close(job: Job, workspace: Workspace) -> None:
    """Note how a job ended; its checkpoints go, unless it failed."""
    queue = queue_of(workspace)
    if job.status != "failed":
        shutil.rmtree(folder(workspace) / job.key, ignore_errors=True)
    queue.write(job.record, job.to_json())
    queue.drop(job.stop, *(replace(job, offered=number).claim for number in range(1, job.offered + 1)))


def hold(job: Job, workspace: Workspace) -> FileLock:
    """Held by the process that does the job; the system lets go of it when that dies, however it dies."""
    folder(workspace).mkdir(parents=True, exist_ok=True)
    return FileLock(folder(workspace) / f"{job.key}.lock")


# ---- the parts ------------------------------------------------------------------------------------------------------


def _key(user: str, verb: str, arguments: dict[str, Any]) -> str:
    question = json.dumps([user, verb, arguments], sort_keys=True)
    return hashlib.sha256(question.encode()).hexdigest()[:24]


def _asked_anew(job: Job) -> bool:
    """May a job like this one begin again?"""
    return job.ended is not None and (job.status == "cancelled" or time.time() - job.ended > DOUBLE_CLICK)


@contextmanager
def _alone(queue: Queue, name: str) -> Iterator[None]:
    """One at a time; one that was stopped inside is waited for no longer than ASKING."""
    until = time.monotonic() + ASKING
    while not queue.claim(name, {}) and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield
    finally:
        queue.drop(name)


def _deserted(job: Job, workspace: Workspace) -> bool:
    """Does no process of this machine hold the job?"""
    try:
        with hold(job, workspace).acquire(timeout=0):
            return True
    except Timeout:
        return False


def _offered_again(job: Job, workspace: Workspace) -> bool:
    queue, died = queue_of(workspace), job.status == "running"
    if read(queue, job.key) != job:  # somebody else was quicker
        return False
    if to_stop(job, queue):
        close(job.finished("cancelled"), workspace)
    elif died and job.attempt >= ATTEMPTS:
        close(job.finished("failed", error=worn_out(job)), workspace)
    else:
        offer(job.offered_again(died=died), queue)
        return True
    return False


def _forget(job: Job, workspace: Workspace) -> None:
    shutil.rmtree(folder(workspace) / job.key, ignore_errors=True)
    (folder(workspace) / f"{job.key}.lock").unlink(missing_ok=True)
    queue_of(workspace).drop(job.record)
