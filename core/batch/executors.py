"""Where batches are scored: in this process, in worker processes of this machine, or on a Dask cluster."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from core.batch.batches import Batch, Learning
from core.batch.output import Work
from core.batch.score_batch import Done, finished, learn, score
from core.errors import OptionError, VigieError
from core.messages import N_, Text

ANSWER = 10.0  # seconds that a scheduler has to answer, and to find a worker
LOOK = 0.5  # seconds between two looks whether somebody asked to stop
AHEAD = 3  # batches per core that wait at the cluster
LOADED = (
    "distributed",
    "core.batch.score_batch",
    "skops.io",
)  # once, before workers are forked: they begin seconds earlier
PLAIN = {  # no web page of any kind
    "distributed.comm.timeouts.connect": f"{ANSWER}s",
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.multiprocessing-method": "forkserver",
}
AGAIN = 2  # times that a task is tried again after an error; dying workers are counted by Dask itself

Steps = Iterator[Learning | Batch]


@dataclass(frozen=True)
class Place:
    """`workers` processes of this machine; 0: the Dask cluster at `address`, or this process where there is none."""

    workers: int = 0
    address: str = ""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise OptionError(
                N_("{name} = {value} is outside {low} to {high}."), name="workers", value=self.workers, low=0, high="∞"
            )

    def results(self, work: Work, steps: Steps, wake: Callable[[], None]) -> Iterator[Done]:
        """What becomes of every batch, as they end. `wake` is called now and then; what it raises ends the work.

        A batch whose workers died again and again comes back with all its files skipped. Raises VigieError where the
        cluster does not answer or goes away, and what a task raises.
        """
        if not self.workers and not self.address:
            yield from _here(work, steps, wake)
            return
        with _client(self) as client:
            yield from _Spread(client, work, wake).results(steps)


def _here(work: Work, steps: Steps, wake: Callable[[], None]) -> Iterator[Done]:
    refused = ""
    for step in steps:
        wake()
        if isinstance(step, Learning):
            refused = learn(work, step)
        else:
            yield score(work, step, refused)


@contextmanager
def _client(place: Place) -> Iterator[Any]:
    import dask
    import distributed  # noqa: F401 its settings have to be there before ours

    with (
        dask.config.set(PLAIN),
        _quiet(),
        _of_this_machine(place.workers) if place.workers else _of_others(place.address) as client,
    ):
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own log tells errors alone: what becomes of a batch is told by its result."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _of_this_machine(workers: int) -> Iterator[Any]:
    """Processes that die with this one; only who has the key made here may give them tasks."""
    made = import_module("distributed")
    made.utils.get_mp_context().set_forkserver_preload(list(LOADED))
    with (
        made.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            scheduler_port=0,
            security=True,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.ERROR,
        ) as cluster,
        made.Client(cluster) as client,
    ):
        yield client


@contextmanager
def _of_others(address: str) -> Iterator[Any]:
    try:
        client = import_module("distributed").Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise VigieError(
            N_("The Dask scheduler at {uri} does not answer ({reason})."), uri=address, reason=error
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER)
        except TimeoutError as error:
            raise VigieError(N_("The Dask scheduler at {uri} has no worker."), uri=address) from error
        yield client


class _Spread:
    """Keeps every core of a cluster busy, and no more waiting there than that takes."""

    def __init__(self, client: Any, work: Work, wake: Callable[[], None]) -> None:
        self.client, self.work, self.wake = client, work, wake
        self.waiting: dict[Any, Batch] = {}
        self.ended: SimpleQueue[Any] = SimpleQueue()
        self.fitted: Any = ""
        self.asked = uuid4().hex[:12]  # others may ask the same cluster the same question for another folder

    def results(self, steps: Steps) -> Iterator[Done]:
        try:
            for step in steps:
                if isinstance(step, Learning):
                    self.fitted = self._submit(learn, step, f"learn-{step.group}")
                elif (before := finished(self.work, step)) is not None:
                    yield before
                else:
                    self._score(step)
                    while len(self.waiting) >= AHEAD * self._cores():
                        yield self._next()
            while self.waiting:
                yield self._next()
        finally:
            with suppress(OSError, RuntimeError):  # nothing to cancel where the scheduler is gone
                self.client.cancel(list(self.waiting))

    def _cores(self) -> int:
        """Of all workers there are now."""
        try:
            return max(sum(self.client.ncores().values()), 1)
        except (OSError, RuntimeError) as error:
            raise _gone() from error

    def _submit(self, task: Callable[..., Any], *arguments: Any) -> Any:
        *given, name = arguments
        return self.client.submit(task, self.work, *given, key=f"{name}-{self.asked}", retries=AGAIN, pure=False)

    def _score(self, batch: Batch) -> None:
        future = self._submit(score, batch, self.fitted, f"score-{batch.number}")
        self.waiting[future] = batch
        future.add_done_callback(self.ended.put)

    def _next(self) -> Done:
        """The batch that ends next."""
        while True:
            self.wake()
            try:
                future = self.ended.get(timeout=LOOK)
            except Empty:
                continue
            batch = self.waiting.pop(future)
            if future.status in ("cancelled", "lost"):
                raise _gone()
            if type(future.exception()).__name__ == "KilledWorker":
                return _lost(batch)
            done: Done = future.result()
            return done


def _gone() -> VigieError:
    return VigieError(
        N_("The Dask scheduler went away; what is finished is kept, the same command goes on from there.")
    )


def _lost(batch: Batch) -> Done:
    """Nothing is written: the next attempt tries the batch again."""
    reason = str(
        Text(
            N_("The workers that scored batch {number} died; it is tried again the next time."),
            {"number": batch.number},
        )
    )
    files = [unit.name for unit in batch.units]
    return Done(batch.number, len(files), batch.size, skipped=tuple((file, reason) for file in files))
