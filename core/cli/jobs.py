"""The command `python -m core jobs`: the jobs that run and wait."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from core.cli.options import exit_on_error
from core.cli.output import print_json
from core.jobs import Job, QueuePlace, list_in_order, list_workers
from core.queries import get_queues
from core.workspace import get_workspace

NO_WORKER = "No worker process runs for this data folder. Jobs wait until one is started."


def jobs(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the jobs that run, and those that wait with their places in the queue.

    Users are served in turn, so a job may go before an older one. Questions of pages have a queue of their own.
    """
    workspace = get_workspace()
    with exit_on_error():
        worker_count = len(list_workers(workspace))
        entries = [entry for queue in get_queues() for entry in list_in_order(queue, workspace)]
    if as_json:
        print_json({"workers": worker_count, "jobs": [_job_to_json(job, place) for job, place in entries]})
        return
    for job, place in entries:
        state = f"{job.share:.0%} done" if place is None else f"place {place.number}"
        typer.echo(f"{_format_time(job.submitted)}  {state:9} {job.task:22.22} {job.user:14.14} {job.key}")
    if not entries:
        typer.echo("no job runs or waits")
    if not worker_count:
        typer.echo(NO_WORKER, err=True)


def _job_to_json(job: Job, place: QueuePlace | None) -> dict[str, Any]:
    return {
        "key": job.key,
        "task": job.task,
        "user": job.user,
        "status": job.status,
        "submitted": _format_time(job.submitted),
        "place": None if place is None else place.number,
        "jobs_of_others_before": None if place is None else place.others,
        "share": job.share,
        "attempt": job.attempt,
    }


def _format_time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
