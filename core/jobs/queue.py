"""The job queue for pages and commands: submit, find, list and cancel jobs."""

import re
from collections.abc import Sequence
from typing import Any

from core.actor import Actor
from core.jobs.job_error import error_from_json
from core.runs.stored_runs import load_run
from core.storage.job import Job, Queue, QueuePlace, WorkerHeartbeat, compute_job_key, find_place
from core.workspace import Workspace

RUN_ARGUMENTS = ("model", "run")
"""Arguments of tasks that name a run, whose model or result the task uses."""
KEY_PATTERN = re.compile(r"[0-9a-f]{24}")


def submit(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor) -> Job:
    """Submit a task with `arguments` (plain JSON) for `actor` and return the job.

    While a job is waiting or running, and for 3 s after its end (a double click), an equal submission of the same user
    returns the same job. Raises ServiceUnavailableError if the queue does not answer, and NotFoundError for the model
    of a run that the user may not read.
    """
    if workspace.viewer is not None:
        for address in filter(None, map(arguments.get, RUN_ARGUMENTS)):
            if "@" not in str(address):  # the worker reads every run; a registered model is for all
                load_run(str(address), workspace)
    return workspace.jobs.submit(task, arguments, actor)


def find(key: str, workspace: Workspace) -> Job | None:
    """Return the current state of the job with this key, or None if it is unknown or expired.

    Raises ServiceUnavailableError if the queue does not answer.
    """
    return (
        workspace.jobs.load(key) if KEY_PATTERN.fullmatch(key) else None
    )  # the key comes from the address of the page


def find_equal(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor) -> Job | None:
    """Return the job that an equal submission of `actor` has left, in its current state, or None.

    Raises ServiceUnavailableError if the queue does not answer.
    """
    return workspace.jobs.load(compute_job_key(actor.user, task, arguments))


def list_unfinished(user: str, workspace: Workspace) -> list[Job]:
    """Return the waiting and running jobs of `user`, newest first. Raises ServiceUnavailableError."""
    return workspace.jobs.list_unfinished(user)


def find_place_in_queue(job: Job, queues: Sequence[Queue], workspace: Workspace) -> QueuePlace | None:
    """Return the place of a waiting job in its queue; None if it waits no more. Raises ServiceUnavailableError."""
    queue = next(queue for queue in queues if queue.accepts(job.task))
    return find_place(job, workspace.jobs.list_waiting(queue))


def list_in_order(queue: Queue, workspace: Workspace) -> list[tuple[Job, QueuePlace | None]]:
    """Return the running jobs of all users, then the waiting ones with their places. Raises ServiceUnavailableError."""
    running = [job for job in workspace.jobs.list_running() if queue.accepts(job.task)]
    waiting = workspace.jobs.list_waiting(queue)
    return [*((job, None) for job in running), *((job, find_place(job, waiting)) for job in waiting)]


def cancel(key: str, workspace: Workspace) -> None:
    """Cancel a waiting job at once, and a running job at its next progress report. Raises ServiceUnavailableError."""
    if KEY_PATTERN.fullmatch(key):
        workspace.jobs.cancel(key)


def list_workers(workspace: Workspace) -> list[WorkerHeartbeat]:
    """Return the living workers of this data folder. Raises ServiceUnavailableError."""
    return workspace.jobs.list_workers()


def raise_error(job: Job) -> None:
    """Raise the error of a failed job; do nothing for other jobs."""
    if job.error is not None:
        raise error_from_json(job.error)
