"""The command `python -m core worker`: runs jobs in the background and delivers pending records."""

import os
import signal
import threading
from typing import Annotated

import typer

from core.jobs.preload import preload
from core.jobs.supervisor import WorkerProcess
from core.jobs.worker import Worker
from core.outbox import deliver, start_delivery_threads
from core.queries import list_queries, run_job
from core.workspace import Workspace, get_workspace

NICENESS = 5
SUPERVISION_INTERVAL_S = 1.0
PRELOAD_DELAY_S = 10.0  # delay, so that the first pages of a new app are not slowed down


def worker(
    every: Annotated[float, typer.Option(help="Seconds between two deliveries of pending records.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option(help="Run pending jobs and deliveries, then exit.")] = False,
    workers: Annotated[int, typer.Option(help="Number of parallel jobs, each in its own process.", min=1)] = 1,
    embedded: Annotated[
        bool, typer.Option(help="Started by the app: runs with a lower priority and ends with the app.", hidden=True)
    ] = False,
) -> None:
    """Run jobs of the pages, one after the other, and deliver pending records. Short questions do not wait for a run.

    Runs, events and feedback are delivered as soon as their services answer.
    """
    # one core for libraries that are loaded later, such as torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if embedded:
        os.nice(NICENESS)
    workspace, shutdown = get_workspace(), install_shutdown_event()
    if once:
        for content, count in deliver(workspace).items():
            _print_delivery(content, count)
        Worker(workspace, run_job, shutdown).run_once()
    elif workers > 1:
        _supervise_workers(workers, every, shutdown)
    else:
        _run_worker(workspace, shutdown, every, embedded)


def _run_worker(workspace: Workspace, shutdown: threading.Event, interval_s: float, embedded: bool) -> None:
    """Run jobs until the shutdown or the end of the parent app; a job that does not stop ends with the process."""
    preload_timer = threading.Timer(PRELOAD_DELAY_S, preload, (workspace,))
    preload_timer.daemon = True
    preload_timer.start()
    start_delivery_threads(workspace, interval_s, shutdown, _print_delivery)
    if embedded:
        threading.Thread(target=_exit_with_parent, args=(os.getppid(), shutdown), daemon=True, name="parent").start()
    query_thread = threading.Thread(target=_answer_queries, args=(workspace, shutdown), name="queries")
    query_thread.start()
    Worker(workspace, run_job, shutdown, embedded=embedded, give_up=lambda: os._exit(1)).run()
    query_thread.join()
    os._exit(0)  # all data are written; a regular exit with all libraries loaded takes seconds


def _answer_queries(workspace: Workspace, shutdown: threading.Event) -> None:
    """Answer the questions of pages until the shutdown, so that they do not wait for the end of a long training."""
    names = [query.name for query in list_queries()]
    Worker(workspace, run_job, shutdown, tasks=names, give_up=lambda: os._exit(1)).run()


def _supervise_workers(count: int, interval_s: float, shutdown: threading.Event) -> None:
    processes = [WorkerProcess("--every", str(interval_s)) for _ in range(count)]
    while not shutdown.is_set():
        for process in processes:
            process.ensure_running()
        shutdown.wait(SUPERVISION_INTERVAL_S)
    for process in processes:
        process.terminate()
    for process in processes:
        process.stop()


def install_shutdown_event() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    shutdown = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shutdown.set())
    return shutdown


def _exit_with_parent(parent_pid: int, shutdown: threading.Event) -> None:
    while os.getppid() == parent_pid and not shutdown.wait(SUPERVISION_INTERVAL_S):
        pass
    shutdown.set()


def _print_delivery(content: str, count: int) -> None:
    typer.echo(f"{count} {content} delivered", err=True)
