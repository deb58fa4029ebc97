"""A worker: takes jobs from the queue, one after the other, and tells how far each has come."""

import gc
import importlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from os import getpid
from typing import Any

from filelock import Timeout

from core import jobs
from core.actor import Actor
from core.errors import ServiceUnavailableError
from core.jobs.job import SILENT, Job, Living, described
from core.progress import Cancelled, Progress
from core.storage.queue import Queue
from core.workspace import Workspace

LOOK = 0.2  # seconds between two looks into an empty queue
TELL = 0.5  # between two notes of a job's progress
BEAT = 2.0  # between two signs of life
GRACE = 5.0  # that a job has to stop in when its worker is told to end
POINTS = 300  # of a curve that are told

VERBS = {
    **{task: f"tasks.{task}.run" for task in ("clusters", "forecast", "sequences")},
    "sequence_comparison": "tasks.comparison.run",
    "scale": "tasks.batch.run",
    "verdict_threshold": "operations.threshold_from_feedback",
}
CarryOut = Callable[..., str]
"""(arguments, *, at, by, progress) → the id of the run it made."""

logger = logging.getLogger(__name__)


def of_analyses(verb: str) -> CarryOut:
    """`carry_out` of the module that answers `verb`. Raises LookupError for any other name."""
    if verb not in VERBS:
        raise LookupError(f"{verb[:80]!r} is no analysis")
    handler: CarryOut = importlib.import_module(f"core.{VERBS[verb]}").carry_out
    return handler


def warm(workspace: Workspace) -> None:
    """Load and start what the first analysis of a process would otherwise wait for."""
    try:
        from core.tasks.anomalies.run import detectors
        from mlflow_utils import emissions

        detectors()
        emissions.preload(workspace.settings.country_iso_code)
        workspace.tracking.preload()
    except Exception:  # a process without warm libraries is slow once, not broken
        logger.warning("warming failed", exc_info=True)


@dataclass
class Hand:
    """The job in hand."""

    job: Job
    progress: Progress
    superseded: bool = False  # taken for dead, and offered to others
    stopping: bool = False  # somebody asked to cancel it
    told: tuple[Any, ...] = field(default_factory=tuple)


class Worker:
    """Does jobs until `ending` is set; then the job in hand goes back into the queue.

    carry_out  which function does a verb
    beside     an app started this worker and takes it along when it ends
    give_up    called where a job does not stop in time, after it was put back
    """

    def __init__(
        self,
        workspace: Workspace,
        ending: threading.Event,
        *,
        carry_out: Callable[[str], CarryOut] = of_analyses,
        beside: bool = False,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.at, self.ending, self.beside = workspace, ending, beside
        self.name = uuid.uuid4().hex[:12]
        self._carry_out, self._give_up = carry_out, give_up
        self._queue: Queue = jobs.queue_of(workspace)
        self._hand: Hand | None = None
        self._writing = threading.Lock()  # between the thread that does and the one that tells
        self._beaten = self._tended = 0.0

    def run(self) -> None:
        """Until it is told to end."""
        with self._telling():
            while not self.ending.is_set():
                if not self._next():
                    self.ending.wait(LOOK)

    def run_once(self) -> None:
        """Until the queue is empty. Raises ServiceUnavailableError."""
        with self._telling():
            while self._queue.messages() and not self.ending.is_set():
                self._next()

    # ---- one job after the other --------------------------------------------------------------------------------

    def _next(self) -> bool:
        """Do the next job; False where there is none."""
        try:
            self._tend()
            message = self._queue.pop()
            job = self._taken(*message) if message and len(message) == 2 else None
            if job is not None:
                self._do(job)
            return message is not None
        except ServiceUnavailableError:
            self.ending.wait(BEAT)
            return False

    def _tend(self) -> None:
        if time.monotonic() - self._tended > BEAT:
            self._tended = time.monotonic()
            jobs.tend(self.at)

    def _taken(self, key: str, ticket: str) -> Job | None:
        """The job of an offer; None where another worker has it, or the offer holds no longer."""
        job = jobs.read(self._queue, key)
        holds = job is not None and job.ticket == ticket and self._queue.claim(job.claim, {"worker": self.name})
        return job if holds else None

    def _do(self, job: Job) -> None:
        """The job from its beginning to the note of how it ended."""
        try:
            lock = jobs.hold(job, self.at).acquire(timeout=SILENT)
        except Timeout:  # whoever was taken for dead lives
            jobs.offer(job.offered_again(died=False), self._queue)
            return
        with lock:
            if jobs.read(self._queue, job.key) != job or job.status != "waiting":  # done before it was claimed
                return
            hand = Hand(job.begun(), Progress(jobs.folder(self.at) / job.key))
            self._queue.write(job.record, hand.job.to_json())
            with self._writing:
                self._hand = hand
            end = self._outcome(hand)
            with self._writing:
                self._hand = None
            if end is not None:
                self._insist(lambda: self._note(end))
        gc.collect()

    def _outcome(self, hand: Hand) -> Job | None:
        """The job as it ended; None where it is no longer this worker's."""
        job = hand.job
        try:
            assert hand.progress.folder is not None
            hand.progress.folder.mkdir(parents=True, exist_ok=True)
            by = Actor(job.user, job.application)
            run = self._carry_out(job.verb)(job.arguments, workspace=self.at, actor=by, progress=hand.progress)
        except Cancelled:
            return self._stopped(hand)
        except BaseException as error:  # whatever it is, the page that waits for it shows it
            number = uuid.uuid4().hex[:8]
            failure = described(error, number)
            if not failure["kind"]:
                logger.exception("unexpected error %s in the job %s (%s)", number, job.key, job.verb)
            return job.finished("failed", error=failure)
        return job.told(1.0, "", {}).finished("completed", run_id=run)

    def _stopped(self, hand: Hand) -> Job | None:
        if hand.superseded:
            return None
        if self.ending.is_set() and not hand.stopping:
            return hand.job.offered_again(died=False)
        return hand.job.finished("cancelled")

    def _note(self, end: Job) -> None:
        if end.over:
            jobs.close(end, self.at)
        else:
            jobs.offer(end, self._queue)

    def _insist(self, write: Callable[[], None]) -> None:
        """`write`, again and again while the queue does not answer."""
        while True:
            try:
                return write()
            except ServiceUnavailableError:
                if self.ending.wait(TELL):  # the job will be offered again, and find its checkpoints
                    return None

    # ---- telling ------------------------------------------------------------------------------------------------

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """A thread beside the work that gives signs of life."""
        over = threading.Event()
        thread = threading.Thread(target=self._tell_until, args=(over,), daemon=True, name="telling")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(ServiceUnavailableError):
                self._queue.drop(f"worker/{self.name}")

    def _tell_until(self, over: threading.Event) -> None:
        told_to_end = 0.0
        while True:
            with suppress(ServiceUnavailableError):
                self._live()
                with self._writing:
                    if self._hand is not None:
                        self._tell(self._hand)
            if self.ending.is_set():
                told_to_end = told_to_end or time.monotonic()
                if self._hand is not None and time.monotonic() - told_to_end > GRACE:
                    return self._abandon()
            if over.wait(TELL):
                return None

    def _live(self) -> None:
        """This worker's sign of life."""
        if time.monotonic() - self._beaten > BEAT:
            living = Living(self.name, getpid(), str(jobs.folder(self.at)), self.beside, heartbeat=time.time())
            self._queue.write(living.record, asdict(living))
            self._beaten = time.monotonic()

    def _tell(self, hand: Hand) -> None:
        """The job's sign of life and, where there are news, how far it has come; the wish to stop on the way back."""
        known = jobs.read(self._queue, hand.job.key)
        hand.superseded = known is not None and known.ticket != hand.job.ticket
        hand.stopping = jobs.to_stop(hand.job, self._queue)
        if hand.superseded or hand.stopping or self.ending.is_set():
            hand.progress.cancel()
        if hand.superseded:
            return
        progress, curves = hand.progress, dict(hand.progress.curves)
        news = (progress.share, progress.doing, {name: len(points) for name, points in curves.items()})
        if news != hand.told or time.time() - hand.job.heartbeat > BEAT:
            hand.told = news
            drawn = {name: _thinned(list(points)) for name, points in curves.items()}
            hand.job = hand.job.told(progress.share, progress.doing, drawn)
            self._queue.write(hand.job.record, hand.job.to_json())

    def _abandon(self) -> None:
        """Put back a job that does not stop."""
        with self._writing:
            if self._hand is not None:
                self._hand.superseded = True
                again = self._hand.job.offered_again(died=False)
                self._insist(lambda: jobs.offer(again, self._queue))
        self._give_up()


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS of them, the last one among them."""
    step = -(-len(points) // POINTS) or 1
    return points[::-1][::step][::-1]
