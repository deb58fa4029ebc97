"""`python -m core worker`: what goes on beside the pages. Jobs are done, and what waits is delivered."""

import os
import signal
import threading
from typing import Annotated

import typer

from core.jobs.supervisor import Child
from core.jobs.worker import Worker, warm
from core.outbox import deliver, start_delivery_threads
from core.workspace import Workspace, get_workspace

NICE = 5
LOOK = 1.0  # seconds
WARM_AFTER = 10.0  # seconds; the first pages of an app that was just started come first


def worker(
    every: Annotated[
        float, typer.Option(help="Seconds between two looks for what waits to be delivered.", min=0.1)
    ] = 5.0,
    once: Annotated[bool, typer.Option(help="Do what waits and end.")] = False,
    workers: Annotated[int, typer.Option(help="How many jobs at a time, each in a process of its own.", min=1)] = 1,
    beside: Annotated[
        bool, typer.Option(help="Started by the app: gives way to it, and ends with it.", hidden=True)
    ] = False,
) -> None:
    """Do slow work for the pages, one job after the other, and deliver runs, events and feedback that wait as soon as
    their services answer.
    """
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # libraries that are not loaded yet, torch among them, keep to one core
    if beside:
        os.nice(NICE)
    workspace, ending = get_workspace(), told_to_end()
    if once:
        for what, count in deliver(workspace).items():
            _told(what, count)
        Worker(workspace, ending).run_once()
    elif workers > 1:
        _several(workers, every, ending)
    else:
        _alone(workspace, ending, every, beside)


def _alone(workspace: Workspace, ending: threading.Event, every: float, beside: bool) -> None:
    """Until it is told to end, or the app it belongs to is gone; a job that does not stop by then dies with the
    process.
    """
    warming = threading.Timer(WARM_AFTER, warm, (workspace,))
    warming.daemon = True
    warming.start()
    start_delivery_threads(workspace, every, ending, _told)
    if beside:
        threading.Thread(target=_end_with_parent, args=(os.getppid(), ending), daemon=True, name="parent").start()
    Worker(workspace, ending, beside=beside, give_up=lambda: os._exit(1)).run()
    os._exit(0)  # everything is written; taking a process with all libraries loaded apart lasts seconds


def _several(count: int, every: float, ending: threading.Event) -> None:
    children = [Child("--every", str(every)) for _ in range(count)]
    while not ending.is_set():
        for child in children:
            child.keep()
        ending.wait(LOOK)
    for child in children:
        child.ask_to_end()
    for child in children:
        child.end()


def told_to_end() -> threading.Event:
    """Set when this process is asked to end, with SIGTERM or Ctrl-C."""
    ending = threading.Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: ending.set())
    return ending


def _end_with_parent(parent: int, ending: threading.Event) -> None:
    while os.getppid() == parent and not ending.wait(LOOK):
        pass
    ending.set()


def _told(what: str, count: int) -> None:
    typer.echo(f"{count} {what} delivered", err=True)
