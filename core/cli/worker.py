"""The command `python -m core worker`: runs jobs in the background and delivers pending records."""

import os
import threading
from typing import Annotated

import typer

from core.cli.shutdown import install_shutdown_event
from core.collector import freeze_loaded_objects
from core.jobs.preload import preload
from core.jobs.supervisor import WorkerProcess, stop_all
from core.jobs.worker import Worker
from core.jobs.worker_count import choose_worker_count
from core.operations.upgrades import warn_about_versions
from core.outbox import deliver, start_delivery_threads
from core.queries import get_queues, run_job
from core.workspace import Workspace, get_workspace

NICENESS = 5
SUPERVISION_INTERVAL_S = 1.0
PRELOAD_DELAY_S = 10.0  # delay, so that the first pages of a new app are not slowed down


def worker(
    every: Annotated[float, typer.Option(help="Seconds between two deliveries of pending records.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option(help="Run pending jobs, watches and deliveries, then exit.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of parallel jobs, each in its own process. Default: VIGIE_WORKERS.", min=1),
    ] = None,
    parent: Annotated[int | None, typer.Option(help="Number of the process to end with.", hidden=True)] = None,
    embedded: Annotated[bool, typer.Option(help="Started by the app: has a lower priority.", hidden=True)] = False,
) -> None:
    """Run jobs of the pages, ask watches that are due, and deliver pending records.

    Users are served in turn. Questions and watches do not wait for a run. Runs, events, feedback and announcements are
    delivered as soon as their services answer.
    """
    # one core for libraries that are loaded later, such as torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if embedded:
        os.nice(NICENESS)
    workspace, shutdown = get_workspace(), install_shutdown_event()
    if parent is None:
        warn_about_versions(workspace)
    if once:
        _ask_watches_once(workspace, shutdown)
        for content, count in deliver(workspace).items():
            _print_delivery(content, count)
        Worker(workspace, run_job, shutdown, queues=get_queues()).run_once()
        return
    count = choose_worker_count(workspace.settings) if workers is None else workers
    if count > 1:
        _supervise_workers(count, every, shutdown)
        return
    if parent is not None:
        threading.Thread(target=_exit_with_parent, args=(parent, shutdown), daemon=True, name="parent").start()
    _run_worker(workspace, shutdown, every, embedded)


def _run_worker(workspace: Workspace, shutdown: threading.Event, interval_s: float, embedded: bool) -> None:
    """Run jobs until the shutdown; a job that does not stop ends with the process."""
    preload_timer = threading.Timer(PRELOAD_DELAY_S, _preload, (workspace,))
    preload_timer.daemon = True
    preload_timer.start()
    start_delivery_threads(workspace, interval_s, shutdown, _print_delivery)
    question_thread = threading.Thread(target=_answer_questions, args=(workspace, shutdown), name="questions")
    question_thread.start()
    watch_thread = threading.Thread(target=_ask_watches, args=(workspace, shutdown, embedded), name="watches")
    watch_thread.start()
    Worker(workspace, run_job, shutdown, embedded=embedded, give_up=lambda: os._exit(1), queues=get_queues()).run()
    question_thread.join()
    watch_thread.join()
    os._exit(0)  # all data are written; a regular exit with all libraries loaded takes seconds


def _preload(workspace: Workspace) -> None:
    """Load the libraries, and leave their objects out of the collections of garbage during jobs."""
    preload(workspace)
    freeze_loaded_objects()


def _answer_questions(workspace: Workspace, shutdown: threading.Event) -> None:
    """Answer the questions of pages until the shutdown, so that they do not wait for the end of a long training."""
    queues = [queue for queue in get_queues() if not queue.is_others]
    Worker(workspace, run_job, shutdown, queues=queues, is_listed=False, give_up=lambda: os._exit(1)).run()


def _ask_watches(workspace: Workspace, shutdown: threading.Event, embedded: bool) -> None:
    """Ask watches when they are due, until the shutdown; next to an app, its first pages come first."""
    if embedded and shutdown.wait(PRELOAD_DELAY_S):
        return
    from core.operations.watching.watcher import watch_loop

    watch_loop(workspace, shutdown)


def _ask_watches_once(workspace: Workspace, shutdown: threading.Event) -> None:
    from core.operations.watching.watcher import run_ticks_once

    run_ticks_once(workspace, shutdown)


def _supervise_workers(count: int, interval_s: float, shutdown: threading.Event) -> None:
    processes = [WorkerProcess("--every", str(interval_s)) for _ in range(count)]
    while not shutdown.is_set():
        for process in processes:
            process.ensure_running()
        shutdown.wait(SUPERVISION_INTERVAL_S)
    stop_all(processes)


def _exit_with_parent(parent_pid: int, shutdown: threading.Event) -> None:
    while os.getppid() == parent_pid and not shutdown.wait(SUPERVISION_INTERVAL_S):
        pass
    shutdown.set()


def _print_delivery(content: str, count: int) -> None:
    typer.echo(f"{count} {content} delivered", err=True)
