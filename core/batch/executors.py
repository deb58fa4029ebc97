"""Executors of batches: this process, worker processes on this machine, or a Dask cluster."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from core.batch.batches import Batch, FitTask
from core.batch.job_spec import JobSpec
from core.batch.model_scorer import fit_group
from core.batch.score_batch import BatchResult, load_finished_batch, score_batch
from core.errors import OptionError, VigieError
from core.messages import N_, Message

ANSWER_TIMEOUT_S = 10.0  # for the scheduler to answer, and to have a worker
POLL_INTERVAL_S = 0.5  # between two calls of `on_tick`
QUEUED_PER_CORE = 3  # batches submitted to the cluster
MAX_RETRIES = 2  # of a task after an error; Dask counts dead workers separately
PRELOADED_MODULES = (
    "distributed",
    "core.batch.score_batch",
    "skops.io",
)  # imported before workers fork: they start faster
DASK_CONFIG = {  # no web server
    "distributed.comm.timeouts.connect": f"{ANSWER_TIMEOUT_S}s",
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.multiprocessing-method": "forkserver",
}

Tasks = Iterator[FitTask | Batch]


@dataclass(frozen=True)
class Executor:
    """Place to run batches: `workers` local processes; with 0, the Dask cluster at `address`, else this process."""

    workers: int = 0
    address: str = ""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="workers",
                value=self.workers,
                low=0,
                high="∞",
            )

    @property
    def description(self) -> str:
        """Text that describes the executor in the parameters of the run."""
        return f"{self.workers} processes" if self.workers else self.address or "this process"

    def run(self, job: JobSpec, tasks: Tasks, on_tick: Callable[[], None]) -> Iterator[BatchResult]:
        """Yield the result of every batch, in the order in which they finish.

        `on_tick` is called regularly; an exception that it raises stops the work. If the workers of a batch die
        repeatedly, its result lists all files as skipped. Raises VigieError if the cluster does not answer or
        disappears, and any error of a task.
        """
        if not self.workers and not self.address:
            yield from _run_inline(job, tasks, on_tick)
            return
        with _connect_client(self) as client:
            yield from _ClusterRun(client, job, on_tick).run(tasks)


def _run_inline(job: JobSpec, tasks: Tasks, on_tick: Callable[[], None]) -> Iterator[BatchResult]:
    rejection = ""
    for task in tasks:
        on_tick()
        if isinstance(task, FitTask):
            rejection = fit_group(job, task)
        else:
            yield score_batch(job, task, rejection)


@contextmanager
def _connect_client(executor: Executor) -> Iterator[Any]:
    import dask
    import distributed  # noqa: F401 defines the settings that are overridden here

    with (
        dask.config.set(DASK_CONFIG),
        _silence_dask(),
        _local_cluster(executor.workers) if executor.workers else _remote_cluster(executor.address) as client,
    ):
        yield client


@contextmanager
def _silence_dask() -> Iterator[None]:
    """Limit the logs of Dask to errors: results report failed batches."""
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _local_cluster(workers: int) -> Iterator[Any]:
    """Start worker processes that end with this process. Only clients with its temporary TLS key can use them."""
    distributed = import_module("distributed")
    distributed.utils.get_mp_context().set_forkserver_preload(list(PRELOADED_MODULES))
    with (
        distributed.LocalCluster(
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
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def _remote_cluster(address: str) -> Iterator[Any]:
    try:
        client = import_module("distributed").Client(address, timeout=ANSWER_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise VigieError(
            N_("The Dask scheduler at {uri} does not answer ({reason})."), uri=address, reason=error
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_TIMEOUT_S)
        except TimeoutError as error:
            raise VigieError(N_("The Dask scheduler at {uri} has no worker."), uri=address) from error
        yield client


class _ClusterRun:
    """Submission of tasks to a cluster, with just enough queued tasks to keep every core busy."""

    def __init__(self, client: Any, job: JobSpec, on_tick: Callable[[], None]) -> None:
        self.client, self.job, self.on_tick = client, job, on_tick
        self.pending_batches: dict[Any, Batch] = {}
        self.finished_futures: SimpleQueue[Any] = SimpleQueue()
        self.model_future: Any = ""
        self.key = uuid4().hex[:12]  # unique, because other runs may use the same cluster

    def run(self, tasks: Tasks) -> Iterator[BatchResult]:
        try:
            for task in tasks:
                if isinstance(task, FitTask):
                    self.model_future = self._submit_task(f"fit-{task.group}", fit_group, task)
                elif (result := load_finished_batch(self.job, task)) is not None:
                    yield result
                else:
                    self._submit_batch(task)
                    while len(self.pending_batches) >= QUEUED_PER_CORE * self._count_cores():
                        yield self._wait_for_result()
            while self.pending_batches:
                yield self._wait_for_result()
        finally:
            with suppress(OSError, RuntimeError):  # nothing to cancel if the scheduler is gone
                self.client.cancel(list(self.pending_batches))

    def _count_cores(self) -> int:
        """Return the number of cores of all current workers."""
        try:
            return max(sum(self.client.ncores().values()), 1)
        except (OSError, RuntimeError) as error:
            raise _build_scheduler_error() from error

    def _submit_task(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        key = f"{name}-{self.key}"
        return self.client.submit(function, self.job, *arguments, key=key, retries=MAX_RETRIES, pure=False)

    def _submit_batch(self, batch: Batch) -> None:
        future = self._submit_task(f"score-{batch.number}", score_batch, batch, self.model_future)
        self.pending_batches[future] = batch
        future.add_done_callback(self.finished_futures.put)

    def _wait_for_result(self) -> BatchResult:
        """Wait for the next batch to finish."""
        while True:
            self.on_tick()
            try:
                future = self.finished_futures.get(timeout=POLL_INTERVAL_S)
            except Empty:
                continue
            batch = self.pending_batches.pop(future)
            error = future.exception()  # if the worker died, this waits for another worker
            if future.status == "cancelled":
                raise _build_scheduler_error()
            if type(error).__name__ == "KilledWorker":
                return _build_lost_result(batch)
            return replace(future.result(), is_new=True)  # a worker may find the finished output of a dead one


def _build_scheduler_error() -> VigieError:
    return VigieError(
        N_("The Dask scheduler no longer answers. Finished batches are kept. Run the same command again to continue.")
    )


def _build_lost_result(batch: Batch) -> BatchResult:
    """Return a result for a batch without output, so that the next run tries it again."""
    reason = str(
        Message(
            N_("The worker processes of batch {number} died. The next run of the command tries the batch again."),
            {"number": batch.number},
        )
    )
    files = [file_group.name for file_group in batch.files]
    return BatchResult(batch.number, len(files), batch.size, skipped=tuple((file, reason) for file in files))
