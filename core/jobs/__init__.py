"""Slow work as jobs: submitted here, run by a worker process, readable with the key of the job."""

from core.jobs.job_error import JobFailedError
from core.jobs.queue import (
    cancel,
    find,
    find_equal,
    find_place_in_queue,
    list_in_order,
    list_unfinished,
    list_workers,
    raise_error,
    submit,
)
from core.storage.job import Job, QueuePlace, WorkerHeartbeat

__all__ = [
    "Job",
    "JobFailedError",
    "QueuePlace",
    "WorkerHeartbeat",
    "cancel",
    "find",
    "find_equal",
    "find_place_in_queue",
    "list_in_order",
    "list_unfinished",
    "list_workers",
    "raise_error",
    "submit",
]
