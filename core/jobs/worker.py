"""A worker: claims one job after the other and runs it, while a thread extends its lease and reports its progress."""

import gc
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.jobs.job_error import MAX_ATTEMPTS, error_to_json, too_many_attempts
from core.progress import Cancelled, Progress
from core.runs.stored_runs import find_run_of_job
from core.storage.job import Job, Signal, Status, WorkerHeartbeat
from core.workspace import Workspace

POLL_INTERVAL_S = 0.2  # between two looks into an empty queue
HEARTBEAT_INTERVAL_S = 0.5  # of a job
WORKER_HEARTBEAT_INTERVAL_S = 2.0
CLEAN_UP_INTERVAL_S = 60.0
STOP_GRACE_S = 5.0  # a job has so long to stop when its worker is told to end
MAX_CURVE_POINTS = 300

logger = logging.getLogger(__name__)


class JobHandler(Protocol):
    """Does the work of a job."""

    def __call__(
        self, task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress
    ) -> str:
        """Return the id of the run that answers `arguments`."""


@dataclass
class RunningJob:
    """The job that this worker holds."""

    job: Job
    progress: Progress
    signal: Signal = "continue"
    reported: dict[str, Any] = field(default_factory=dict)

    def collect_news(self) -> dict[str, Any]:
        """Return how far the job has come, as far as it was not reported."""
        curves = {name: thin_out(list(points)) for name, points in dict(self.progress.curves).items()}
        progress = {"share": self.progress.share, "stage": self.progress.doing, "curves": curves}
        return {name: value for name, value in progress.items() if value != self.reported.get(name)}


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: Status
    run_id: str = ""
    error: dict[str, Any] | None = None


class Worker:
    """Does jobs until `shutdown` is set; the job that it then holds goes back into the queue.

    run_job    does the work of a job
    embedded   whether an app started this worker and takes it along when it ends
    give_up    called where a job does not stop in time, after it was given back
    """

    def __init__(
        self,
        workspace: Workspace,
        run_job: JobHandler,
        shutdown: threading.Event,
        *,
        embedded: bool = False,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.workspace, self.jobs, self.shutdown = workspace, workspace.jobs, shutdown
        self.identity = WorkerHeartbeat(uuid.uuid4().hex, socket.gethostname(), os.getpid(), embedded)
        self._run_job, self._give_up = run_job, give_up
        self._running: RunningJob | None = None
        self._last_outage = self._last_heartbeat = self._last_clean_up = -float("inf")

    def run(self) -> None:
        """Do jobs until it is told to end."""
        with self._heartbeat_thread():
            while not self.shutdown.is_set():
                try:
                    has_worked = self._process_next()
                except ServiceUnavailableError:
                    self._last_outage, has_worked = time.monotonic(), False
                if not has_worked:
                    self.shutdown.wait(POLL_INTERVAL_S)

    def run_once(self) -> None:
        """Do jobs until none waits. Raises ServiceUnavailableError."""
        with self._heartbeat_thread():
            while not self.shutdown.is_set() and self._process_next():
                pass

    # ---- one job after the other --------------------------------------------------------------------------------

    def _process_next(self) -> bool:
        """Do the next job; False where there is none."""
        if time.monotonic() - self._last_clean_up > CLEAN_UP_INTERVAL_S:
            self.jobs.delete_expired()
            self._last_clean_up = time.monotonic()
        # after an outage everybody's lease has run out: first, those that live extend theirs
        take_over = time.monotonic() - self._last_outage > self.jobs.lease_s
        job = self.jobs.claim(self.identity.name, take_over)
        if job is not None:
            self._execute(job)
        return job is not None

    def _execute(self, job: Job) -> None:
        """Do a job from the claim to the note of how it ended."""
        running = self._running = RunningJob(job, Progress(self.jobs.checkpoint_folder(job)))
        try:
            outcome = self._outcome_without_work(job) or self._run_handler(running)
            self._retry_until_written(lambda: self._save_outcome(running, outcome))
        finally:
            self._running = None
        gc.collect()

    def _outcome_without_work(self, job: Job) -> Outcome | None:
        """How a job ends that somebody held before; None where there is work to do."""
        if job.cancel_requested:
            return Outcome("cancelled")
        run_id = find_run_of_job(job.id, self.workspace) if job.claims > 1 else ""
        if run_id:  # its worker was killed after it had recorded the run
            return Outcome("completed", run_id)
        return Outcome("failed", error=too_many_attempts()) if job.attempt > MAX_ATTEMPTS else None

    def _run_handler(self, running: RunningJob) -> Outcome | None:
        """Do the work; None where it was stopped and the job is to be done by another worker."""
        job, progress = running.job, running.progress
        actor = Actor(job.user, job.application, job.id)
        try:
            assert progress.folder is not None
            progress.folder.mkdir(parents=True, exist_ok=True)
            run_id = self._run_job(job.task, job.arguments, workspace=self.workspace, actor=actor, progress=progress)
            return Outcome("completed", run_id)
        except Cancelled:
            is_given_back = self.shutdown.is_set() and running.signal != "cancel"
            return None if is_given_back else Outcome("cancelled")
        except BaseException as error:
            number = uuid.uuid4().hex[:8]
            failure = error_to_json(error, number)
            if not failure["kind"]:
                logger.exception("unexpected error %s in the job %s (%s)", number, job.id, job.task)
            return Outcome("failed", error=failure)

    def _save_outcome(self, running: RunningJob, outcome: Outcome | None) -> None:
        """Note how a job ended, or give it back; nothing changes where it is another worker's by now."""
        if outcome is None:
            self.jobs.requeue(running.job)
        else:
            self.jobs.finish(running.job, outcome.status, run_id=outcome.run_id, error=outcome.error)

    def _retry_until_written(self, write: Callable[[], None]) -> None:
        """Call `write` until the queue answers, or this worker is told to end: the lease runs out then."""
        while True:
            try:
                return write()
            except ServiceUnavailableError:
                if self.shutdown.wait(HEARTBEAT_INTERVAL_S):
                    return None

    # ---- heartbeats ---------------------------------------------------------------------------------------------

    @contextmanager
    def _heartbeat_thread(self) -> Iterator[None]:
        finished = threading.Event()
        thread = threading.Thread(target=self._heartbeat_loop, args=(finished,), daemon=True, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
            with suppress(ServiceUnavailableError):
                self.jobs.delete_worker(self.identity.name)

    def _heartbeat_loop(self, finished: threading.Event) -> None:
        stop_by = float("inf")
        while True:
            running = self._running
            try:
                self._send_heartbeat()
                if running is not None:
                    self._report_progress(running)
            except ServiceUnavailableError:
                self._last_outage = time.monotonic()
            if self.shutdown.is_set() and running is not None:
                running.progress.cancel()
                stop_by = min(stop_by, time.monotonic() + STOP_GRACE_S)
                if time.monotonic() > stop_by:
                    return self._force_requeue(running)
            if finished.wait(HEARTBEAT_INTERVAL_S):
                return None

    def _send_heartbeat(self) -> None:
        """Note that this worker lives."""
        if time.monotonic() - self._last_heartbeat > WORKER_HEARTBEAT_INTERVAL_S:
            self.jobs.note_worker(self.identity)
            self._last_heartbeat = time.monotonic()

    def _report_progress(self, running: RunningJob) -> None:
        """Extend the lease, say how far the job has come, and stop it where it was cancelled or lost."""
        news = running.collect_news()
        running.signal = self.jobs.heartbeat(running.job, **news)
        running.reported |= news
        if running.signal != "continue":
            running.progress.cancel()

    def _force_requeue(self, running: RunningJob) -> None:
        """Give back a job that does not stop."""
        with suppress(ServiceUnavailableError):
            self.jobs.requeue(running.job)
        self._give_up()


def thin_out(points: list[tuple[float, float]], at_most: int = MAX_CURVE_POINTS) -> list[tuple[float, float]]:
    """Return at most so many of the points, evenly spread, the last one among them."""
    step = -(-len(points) // at_most) or 1
    return points[::-1][::step][::-1]
