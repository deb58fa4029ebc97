"""What pages ask of the queue of slow work: submit a job, see how it stands, cancel it."""

import re
from typing import Any

from core.actor import Actor
from core.jobs.job_error import error_from_json
from core.storage.job import Job, WorkerHeartbeat
from core.workspace import Workspace

KEY = re.compile(r"[0-9a-f]{24}")


def submit(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor) -> Job:
    """Return the job in which a worker answers `arguments` (plain JSON) for `actor`.

    While it goes on, and just after its end (a double click), the same question of the same user is the same job;
    later it starts anew. Raises ServiceUnavailableError where the queue does not answer.
    """
    return workspace.jobs.submit(task, arguments, actor)


def find(key: str, workspace: Workspace) -> Job | None:
    """Return the job with this key as it stands; None for one that is not, or no longer, known.

    Raises ServiceUnavailableError.
    """
    return workspace.jobs.load(key) if KEY.fullmatch(key) else None  # the key is part of an address


def cancel(key: str, workspace: Workspace) -> None:
    """End a job that waits; ask one that goes on to stop at its next report. Raises ServiceUnavailableError."""
    if KEY.fullmatch(key):
        workspace.jobs.cancel(key)


def list_workers(workspace: Workspace) -> list[WorkerHeartbeat]:
    """Return the workers that serve this data folder and live. Raises ServiceUnavailableError."""
    return workspace.jobs.list_workers()


def raise_error(job: Job) -> None:
    """Raise what was raised in the worker, if anything was."""
    if job.error is not None:
        raise error_from_json(job.error)
