"""A worker: it claims and runs one job after the other; a thread extends the lease and reports progress."""

import gc
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.jobs.job_error import MAX_ATTEMPTS, build_attempts_error, error_to_json
from core.progress import CancelledError, Progress
from core.runs.stored_runs import find_job_run
from core.storage.data_folder import explain_full_disk
from core.storage.job import ALL_JOBS, Job, Queue, Signal, Status, WorkerHeartbeat
from core.workspace import Workspace

CLAIM_INTERVAL_S = 1.0  # in an unchanged database: a lease may have expired
MIN_POLL_INTERVAL_S, MAX_POLL_INTERVAL_S = 0.02, 0.2  # while the queue is empty
POLL_SHARE = 1 / 300  # of the time since the last job: the next one often follows soon
HEARTBEAT_INTERVAL_S = 0.5  # of a running job
WORKER_HEARTBEAT_INTERVAL_S = 2.0
CLEAN_UP_INTERVAL_S = 60.0
STOP_GRACE_S = 5.0  # time for a job to stop during the shutdown of its worker
MAX_CURVE_POINTS = 300

logger = logging.getLogger(__name__)


class JobHandler(Protocol):
    """Function that runs the task of a job."""

    def __call__(
        self, task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress
    ) -> str:
        """Run a task or a query with `arguments`; return the id of the run, or the key of the answer."""


@dataclass
class RunningJob:
    """A job that this worker holds, and its progress."""

    job: Job
    progress: Progress
    signal: Signal = "continue"
    reported: dict[str, Any] = field(default_factory=dict)

    def collect_changes(self) -> dict[str, Any]:
        """Return the values of progress that changed since the last report."""
        curves = {name: thin_out_points(list(points)) for name, points in dict(self.progress.curves).items()}
        progress = {"share": self.progress.share, "stage": self.progress.stage, "curves": curves}
        return {name: value for name, value in progress.items() if value != self.reported.get(name)}


@dataclass(frozen=True)
class Outcome:
    """Final status of a job, with its run or error."""

    status: Status
    run_id: str = ""
    error: dict[str, Any] | None = None


class Worker:
    """A worker that runs jobs until `shutdown` is set; the current job then goes back into the queue.

    run_job    runs the task of a job
    embedded   True if an app started this worker and stops it when the app ends
    give_up    called after the requeue of a job that does not stop in time
    queues     the queues of its jobs; a later one is served while those before are empty
    is_listed  False for a worker that belongs to another one of the same process
    """

    def __init__(
        self,
        workspace: Workspace,
        run_job: JobHandler,
        shutdown: threading.Event,
        *,
        embedded: bool = False,
        give_up: Callable[[], None] = lambda: None,
        queues: Sequence[Queue] = (ALL_JOBS,),
        is_listed: bool = True,
    ) -> None:
        self.workspace, self.jobs, self.shutdown = workspace, workspace.jobs, shutdown
        self.identity = WorkerHeartbeat(uuid.uuid4().hex, socket.gethostname(), os.getpid(), embedded)
        self._run_job, self._give_up, self._queues, self._is_listed = run_job, give_up, queues, is_listed
        self._running: RunningJob | None = None
        self._empty_stamp: tuple[int, ...] | None = None
        self._last_claim = self._last_job = -float("inf")
        self._last_outage = self._last_heartbeat = self._last_clean_up = -float("inf")

    def run(self) -> None:
        """Run jobs until `shutdown` is set."""
        with self._heartbeat_thread():
            while not self.shutdown.is_set():
                try:
                    has_run_job = self._process_next()
                except ServiceUnavailableError:
                    self._last_outage, has_run_job = time.monotonic(), False
                if has_run_job:
                    self._last_job = time.monotonic()
                else:
                    self.shutdown.wait(compute_poll_interval(time.monotonic() - self._last_job))

    def run_once(self) -> None:
        """Run jobs until the queue is empty. Raises ServiceUnavailableError."""
        with self._heartbeat_thread():
            while not self.shutdown.is_set() and self._process_next():
                pass

    # ---- one job after the other --------------------------------------------------------------------------------

    def _process_next(self) -> bool:
        """Run the next job; return False if there is none."""
        if time.monotonic() - self._last_clean_up > CLEAN_UP_INTERVAL_S:
            self.jobs.delete_expired_rows()
            self._last_clean_up = time.monotonic()
        job = self._claim_next()
        if job is not None:
            self._execute_job(job)
        return job is not None

    def _claim_next(self) -> Job | None:
        """Claim the next job; without a query if nothing was written since the queue was empty."""
        stamp = self.jobs.read_change_stamp()
        if stamp is not None and stamp == self._empty_stamp and time.monotonic() - self._last_claim < CLAIM_INTERVAL_S:
            return None
        self._last_claim = time.monotonic()
        # after an outage all leases have expired: living workers first extend their own
        take_over = time.monotonic() - self._last_outage > self.jobs.lease_s
        job = self.jobs.claim(self.identity.name, take_over, self._queues)
        self._empty_stamp = stamp if job is None else None
        return job

    def _execute_job(self, job: Job) -> None:
        """Run a claimed job and store its outcome."""
        running = self._running = RunningJob(job, Progress(self.jobs.checkpoint_folder(job)))
        try:
            outcome = self._resolve_without_work(job) or self._run_handler(running)
            self._retry_write(lambda: self._save_outcome(running, outcome))
        finally:
            self._running = None
        gc.collect()

    def _resolve_without_work(self, job: Job) -> Outcome | None:
        """Return the outcome of a cancelled, already recorded or exhausted job; None if the task must run."""
        if job.cancel_requested:
            return Outcome("cancelled")
        run_id = find_job_run(job.id, self.workspace) if job.claims > 1 else ""
        if run_id:  # the previous worker was killed after it had recorded the run
            return Outcome("completed", run_id)
        return Outcome("failed", error=build_attempts_error()) if job.attempt > MAX_ATTEMPTS else None

    def _run_handler(self, running: RunningJob) -> Outcome | None:
        """Run the task and return the outcome; None if the shutdown stopped the job, which is then requeued."""
        job, progress = running.job, running.progress
        actor = Actor(job.user, job.application, job.id)
        try:
            assert progress.folder is not None
            progress.folder.mkdir(parents=True, exist_ok=True)
            run_id = self._run_job(job.task, job.arguments, workspace=self.workspace, actor=actor, progress=progress)
            return Outcome("completed", run_id)
        except CancelledError:
            is_requeued = self.shutdown.is_set() and running.signal != "cancel"
            return None if is_requeued else Outcome("cancelled")
        except BaseException as error:
            error_id = uuid.uuid4().hex[:8]
            failure = error_to_json(explain_full_disk(error, self.workspace.folder) or error, error_id)
            if not failure["kind"]:
                logger.exception("unexpected error %s in the job %s (%s)", error_id, job.id, job.task)
            return Outcome("failed", error=failure)

    def _save_outcome(self, running: RunningJob, outcome: Outcome | None) -> None:
        """Store the outcome of a job, or requeue it; without the lease, nothing changes."""
        if outcome is None:
            self.jobs.requeue(running.job)
        else:
            self.jobs.finish(running.job, outcome.status, run_id=outcome.run_id, error=outcome.error)

    def _retry_write(self, write: Callable[[], None]) -> None:
        """Call `write` until the queue answers or the shutdown begins; in that case the lease expires."""
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
        """Store a heartbeat of this worker, at most every `WORKER_HEARTBEAT_INTERVAL_S` seconds."""
        if self._is_listed and time.monotonic() - self._last_heartbeat > WORKER_HEARTBEAT_INTERVAL_S:
            self.jobs.record_worker(self.identity)
            self._last_heartbeat = time.monotonic()

    def _report_progress(self, running: RunningJob) -> None:
        """Extend the lease and report progress; stop the job if it was cancelled or its lease is lost."""
        changes = running.collect_changes()
        running.signal = self.jobs.heartbeat(running.job, **changes)
        running.reported |= changes
        if running.signal != "continue":
            running.progress.cancel()

    def _force_requeue(self, running: RunningJob) -> None:
        """Requeue a job that does not stop, then call `give_up`."""
        with suppress(ServiceUnavailableError):
            self.jobs.requeue(running.job)
        self._give_up()


def compute_poll_interval(idle_s: float) -> float:
    """Return the seconds until the next look at an empty queue, `idle_s` seconds after the last job.

    Example:
        >>> compute_poll_interval(0.0), compute_poll_interval(30.0), compute_poll_interval(float("inf"))
        (0.02, 0.1, 0.2)
    """
    return min(max(POLL_SHARE * idle_s, MIN_POLL_INTERVAL_S), MAX_POLL_INTERVAL_S)


def thin_out_points(points: list[tuple[float, float]], max_points: int = MAX_CURVE_POINTS) -> list[tuple[float, float]]:
    """Return at most `max_points` evenly spaced points, including the last one.

    Example:
        >>> thin_out_points([(step, 0.0) for step in range(10)], max_points=4)
        [(0, 0.0), (3, 0.0), (6, 0.0), (9, 0.0)]
    """
    step = -(-len(points) // max_points) or 1
    return points[::-1][::step][::-1]
