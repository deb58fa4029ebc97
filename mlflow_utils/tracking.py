"""Runs to MLflow: written down first, delivered at once where MLflow answers, later and exactly once where it does not.

A dead or hanging server costs the user at most PATIENCE seconds; nothing is lost, and `replay` delivers what waited, in
the order in which it began.
"""

import logging
import os
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from mlflow_utils.record import Record, now_ms
from mlflow_utils.spool import Spool

T = TypeVar("T")

PATIENCE = 1.5  # seconds a page may wait for a server that does not answer, start and end of a run together
PROBE = 0.4
DOWN_FOR = 5.0  # a server found dead is not asked again for so long
KEY = "vigie.key"
STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}

for _name, _value in {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}.items():
    os.environ.setdefault(_name, _value)  # MLflow's defaults wait four minutes for a dead server

logger = logging.getLogger(__name__)


class Unreachable(Exception):
    """MLflow did not answer in time."""


class Tracking:
    """The way to one MLflow server or SQLite file.

    uri                  of the server, or sqlite:///…
    artefacts_location   where new experiments keep artifacts; None lets the server decide
    folder               where runs are written down before they are delivered
    """

    def __init__(self, uri: str, artefacts_location: str | None, folder: Path) -> None:
        self.uri = uri
        self.artefacts_location = artefacts_location
        self.spool = Spool(folder)
        self._down_until = 0.0
        self._experiments: dict[str, str] = {}
        self._delivery = FileLock(folder / "delivery.lock")  # between processes
        self._delivering = threading.Lock()  # between threads of this one
        self._opening = threading.Lock()
        self._thread: threading.Thread | None = None

    # ---- a run --------------------------------------------------------------------------------------------------

    def start(self, record: Record) -> None:
        """Write the run down, and open it in MLflow where that answers (then `record.run_id` is set)."""
        self.spool.open(record)
        with suppress(Unreachable):
            self._within(PATIENCE / 2, lambda: self._ensure(record, new=True))

    def finish(self, record: Record) -> bool:
        """Write down how the run ended and deliver it; False where it waits for a server that does not answer."""
        record.ended_ms = record.ended_ms or now_ms()
        self.spool.update(record, "waiting")
        try:
            self._within(PATIENCE / 2, lambda: self._deliver_waiting(record.key))
        except Unreachable as error:
            logger.warning("run %s waits for MLflow: %s", record.key, error)
        found = self.spool.find(record.key)
        record.run_id = found.run_id if found else record.run_id
        return not any(each.key == record.key for each in self.spool.waiting())

    def replay(self) -> int:
        """Deliver every run that waits, oldest first; how many were delivered. Quiet where MLflow does not answer."""
        before = len(self.spool.waiting())
        if not before or not self.reachable():
            return 0
        try:
            self._deliver_waiting()
        except Exception as error:  # noqa: BLE001 a run waits until it can be delivered, whatever the reason
            logger.warning("runs wait for MLflow: %s", error)
        return before - len(self.spool.waiting())

    def warm(self) -> None:
        """Import MLflow and make the tables of a new SQLite file, so that the first run does not wait for it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow.pyfunc  # noqa: F401
            import skops.io  # type: ignore[import-untyped]  # noqa: F401
        if self.reachable():
            self.client().search_experiments(max_results=1)

    def settle(self, seconds: float) -> None:
        """Wait for a delivery that goes on in the background: for programs that are about to end."""
        if self._thread is not None:
            self._thread.join(seconds)

    def reachable(self) -> bool:
        """Does MLflow answer? A file always does; a server found dead is not asked again for some seconds."""
        if not self.uri.startswith("http"):
            return True
        if time.monotonic() < self._down_until:
            return False
        try:
            with urllib.request.urlopen(f"{self.uri.rstrip('/')}/health", timeout=PROBE):
                return True
        except (OSError, urllib.error.URLError, ValueError):
            self._down_until = time.monotonic() + DOWN_FOR
            return False

    # ---- MLflow -------------------------------------------------------------------------------------------------

    def client(self) -> Any:
        """MLflow's client for this place; the first one for a new SQLite file makes its tables."""
        import mlflow

        with FileLock(self.spool.folder / "store.lock"):
            return mlflow.MlflowClient(self.uri)

    def experiment(self, client: Any, name: str) -> str:
        """The id of the experiment, made where it does not exist, brought back where it was deleted."""
        if name not in self._experiments:
            with FileLock(self.spool.folder / "store.lock"):
                found = client.get_experiment_by_name(name)
                if found is None:
                    self._experiments[name] = client.create_experiment(name, self.artefacts_location)
                else:
                    if found.lifecycle_stage == "deleted":
                        client.restore_experiment(found.experiment_id)
                    self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _ensure(self, record: Record, new: bool = False) -> None:
        """The run in MLflow: the one that has the record's key, or a new one; never two."""
        with self._opening:
            known = self.spool.find(record.key)
            record.run_id = record.run_id or (known.run_id if known else "")
            if record.run_id:
                return
            client = self.client()
            experiment = self.experiment(client, record.experiment)
            found = [] if new else client.search_runs([experiment], f"tags.`{KEY}` = '{record.key}'", max_results=1)
            tags = {"mlflow.runName": record.name, KEY: record.key, **record.tags}
            run = found[0] if found else client.create_run(experiment, record.started_ms, tags)
            record.run_id = run.info.run_id
            self.spool.name(record.key, record.run_id)

    def _deliver_waiting(self, last: str = "") -> None:
        """Deliver what waits, oldest first, up to the run with the key `last`."""
        try:
            with self._delivering, self._delivery.acquire(timeout=30):
                for record in self.spool.waiting():
                    self._deliver(record)
                    if record.key == last:
                        return
        except Timeout as error:
            raise Unreachable("another process is delivering") from error

    def _deliver(self, record: Record) -> None:
        """Everything of one run. Doing it twice changes nothing: the key finds the run that is already there."""
        from mlflow.entities import Metric, Param, RunTag

        self._ensure(record)
        client = self.client()
        ended = record.ended_ms or now_ms()
        client.log_batch(
            record.run_id,
            metrics=[Metric(name, value, ended, 0) for name, value in record.metrics.items() if value == value],
            params=[Param(name, str(value)[:6000]) for name, value in record.params.items()],
            tags=[RunTag(name, str(value)[:5000]) for name, value in {**record.tags, "vigie.status": record.status}.items()],
        )
        client.log_artifacts(record.run_id, str(self.spool.files(record.key)))
        client.set_terminated(record.run_id, STATUS[record.status], ended)
        self.spool.update(record, "delivered")

    def _within(self, seconds: float, work: Callable[[], T]) -> T:
        """`work`, but a server that does not answer in time is left to a thread in the background.

        Raises Unreachable. A file needs no such care and is waited for.
        """
        if not self.reachable():
            raise Unreachable(self.uri)
        import mlflow  # noqa: F401  slow, and not the server's fault

        if not self.uri.startswith("http"):
            return self._mapped(work)
        outcome: list[T] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                outcome.append(work())
            except BaseException as error:  # noqa: BLE001 carried to the caller below
                failure.append(error)

        self._thread = threading.Thread(target=run, daemon=True, name="mlflow-delivery")
        self._thread.start()
        self._thread.join(seconds)
        if outcome:
            return outcome[0]
        if not failure:
            raise Unreachable(f"{self.uri}: no answer in {seconds} s")
        self._down_until = time.monotonic() + DOWN_FOR
        raise Unreachable(f"{self.uri}: {failure[0]}") from failure[0]

    def _mapped(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            raise Unreachable(f"{self.uri}: {error}") from error
