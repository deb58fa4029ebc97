"""Delivery of runs to MLflow: each run is stored locally first and delivered exactly once, at once or later.

A dead or hanging server costs the user at most two STEP_TIMEOUT_S. No run is lost: `deliver_pending` delivers the
waiting runs in the order of their start.
"""

import logging
import os
import threading
import time
import urllib.error
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from mlflow_utils.circuit_breaker import CallFailedError, CircuitBreaker
from mlflow_utils.health import check_artifacts, check_server
from mlflow_utils.rest import request
from mlflow_utils.run_record import Record, now_ms
from mlflow_utils.spool import Spool

T = TypeVar("T")

STEP_TIMEOUT_S = 0.75  # wait of a page, at the start and at the end of a run
QUERY_TIMEOUT_S = 1.4  # wait of a page that shows runs; less than two seconds with the ping
PING_TIMEOUT_S = 0.6
BACKGROUND_PING_TIMEOUT_S = 5.0  # of a delivery in the background
PING_PATH = "/api/2.0/mlflow/experiments/get?experiment_id=0"  # uses the database, unlike /health
DUPLICATE_CHECK_S = 60.0  # after the delivery of a run, where a response of MLflow was lost
BATCH_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}  # limits of MLflow for one request
KEY = "vigie.key"
STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}

for _name, _value in {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # waiting runs are sent again later, and MLflow's own retries would create duplicates
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would appear in the output of the commands
}.items():
    os.environ.setdefault(_name, _value)  # MLflow's defaults wait four minutes for a dead server

logger = logging.getLogger(__name__)


class MlflowUnavailableError(Exception):
    """A call that MLflow did not answer in time."""


class Tracking:
    """Connection to one MLflow server or SQLite file, and outbox of the runs.

    uri                  URI of the server, or sqlite:///…
    artefacts_location   URI of the artifacts of new experiments; None lets the server decide
    folder               folder of the spool, which stores runs before their delivery
    """

    name, content = "MLflow", "runs"

    def __init__(self, uri: str, artefacts_location: str | None, folder: Path) -> None:
        self.uri = self.location = uri
        self.artefacts_location = artefacts_location
        self.spool = Spool(folder)
        self.is_remote = uri.startswith("http")
        self._sends_over_network = self.is_remote or urlsplit(artefacts_location or "").scheme not in ("", "file")
        self._delivery_error = ""
        self._experiments: dict[str, str] = {}
        self._process_lock, self._thread_lock = FileLock(folder / "delivery.lock"), threading.Lock()
        self._create_lock = threading.Lock()
        self._ping_breaker = CircuitBreaker("MLflow", PING_TIMEOUT_S)
        self._query_breaker = CircuitBreaker("MLflow", QUERY_TIMEOUT_S)
        self._open_calls = CircuitBreaker("MLflow", STEP_TIMEOUT_S, reset_after_s=0, single_flight=True)
        self._delivery_calls = CircuitBreaker("MLflow", STEP_TIMEOUT_S, reset_after_s=0, single_flight=True)
        self._awaiting_files: set[str] = set()  # runs that MLflow has without their files
        self._failed: set[str] = set()  # runs with a failed delivery; the others are sent first
        self._unsaved: dict[str, Record] = {}  # finished runs that a full disk could not store

    # ---- a run ------------------------------------------------------------------------------------------------------

    def start(self, record: Record) -> None:
        """Store the run, and create it in MLflow where that answers, which sets `record.run_id`.

        Raises OSError where the disk cannot store it.
        """
        self.spool.open(record)
        with suppress(MlflowUnavailableError):
            self._call_with_timeout(self._open_calls, lambda: self._get_or_create_run(record, new=True))

    def finish(self, record: Record) -> bool:
        """Store the end of the run and deliver it. Return False where it waits for MLflow or for free disk space."""
        record.ended_ms = record.ended_ms or now_ms()
        if not self._save_outcome(record):
            return False
        try:
            self._call_with_timeout(self._delivery_calls, self._deliver)
        except MlflowUnavailableError as error:
            logger.warning("run %s waits for MLflow: %s", record.key, error)
        known = self.spool.find(record.key)
        record.run_id = known.run_id if known else record.run_id
        return not any(pending.key == record.key for pending in self.spool.pending())

    def preload(self) -> None:
        """Import MLflow and create the tables of a new SQLite file, so that the first run does not wait for it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow.pyfunc  # noqa: F401
            import skops.io  # type: ignore[import-untyped]  # noqa: F401
        if self.is_reachable():
            self.client().search_experiments(max_results=1)

    # ---- the outbox -------------------------------------------------------------------------------------------------

    def deliver_pending(self) -> int:
        """Deliver the waiting runs, oldest first, and return their number; 0 where MLflow does not answer."""
        for record in list(self._unsaved.values()):
            self._save_outcome(record)
        before = self.pending_count()
        if not (before or self.spool.possibly_duplicated()) or not self.is_reachable(BACKGROUND_PING_TIMEOUT_S):
            return 0
        try:
            self._deliver()
        except Exception as error:  # noqa: BLE001 after any error the run waits
            logger.warning("runs wait for MLflow: %s", error)
        return max(before - self.pending_count(), 0)

    def pending_count(self) -> int:
        """Return the number of waiting runs."""
        return len(self.spool.pending())

    def rejected_count(self) -> int:
        """Return the number of rejected runs: always 0, because runs wait until they can be delivered."""
        return 0

    @property
    def last_error(self) -> str:
        """Error of the last delivery, of this process or another; "" after a success."""
        return self._delivery_error or self.spool.last_error()

    def check(self) -> str:
        """Return the version of MLflow. Raises OSError where it does not answer."""
        return check_server(self.uri)

    def check_artifacts(self) -> str:
        """Check the artifact store and return "". Raises OSError or the errors of the library of the store."""
        check_artifacts(self.uri, self.artefacts_location)
        return ""

    def reset(self) -> None:
        """Close the circuit breakers, and clear the cache of experiments."""
        self._ping_breaker.reset()
        self._query_breaker.reset()
        self._experiments.clear()

    def wait_for_delivery(self, timeout_s: float) -> None:
        """Wait for a delivery in the background, before a program ends."""
        self._delivery_calls.wait(timeout_s)

    # ---- MLflow -----------------------------------------------------------------------------------------------------

    def is_reachable(self, timeout_s: float = PING_TIMEOUT_S) -> bool:
        """Tell whether MLflow answers in time. A file always does; a failed server is skipped for five seconds."""
        if not self.is_remote:
            return True
        try:
            self._ping_breaker.call(lambda: _ping(self.uri, timeout_s), timeout_s=timeout_s)
        except CallFailedError:
            return False
        return True

    def query(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, a call to MLflow. The timeout applies to servers only.

        Raises MlflowUnavailableError, with the reason, where a server does not answer in time.
        """
        if not self.is_reachable():
            raise MlflowUnavailableError(self.uri)
        self.client()  # the slow import of MLflow does not count as time of the server
        if not self.is_remote:
            return work()
        try:
            return self._query_breaker.call(work)
        except CallFailedError as error:
            raise MlflowUnavailableError(self._query_breaker.last_error) from error

    def client(self) -> Any:
        """Return a client of MLflow. The first one for a new SQLite file creates its tables."""
        import mlflow

        with FileLock(self.spool.folder / "store.lock"):
            return mlflow.MlflowClient(self.uri)

    def experiment(self, client: Any, name: str) -> str:
        """Return the id of an experiment, which is created where it is missing and restored where it was deleted."""
        if name not in self._experiments:
            with FileLock(self.spool.folder / "store.lock"):
                known = client.get_experiment_by_name(name)
                if known is None:
                    self._experiments[name] = client.create_experiment(name, self.artefacts_location)
                else:
                    if known.lifecycle_stage == "deleted":
                        client.restore_experiment(known.experiment_id)
                    self._experiments[name] = known.experiment_id
        return self._experiments[name]

    def _get_or_create_run(self, record: Record, new: bool = False) -> None:
        """Set `record.run_id` to the MLflow run with the key of the record, or to a new one."""
        with self._create_lock:
            known = self.spool.find(record.key)
            record.run_id = record.run_id or (known.run_id if known else "")
            if record.run_id:
                return
            client = self.client()
            experiment = self.experiment(client, record.experiment)
            run_ids = [] if new else self._find_duplicates(client, record)
            run_id = run_ids[0] if run_ids else self._create_run(client, record, experiment)
            record.run_id = self.spool.set_run_id(record.key, run_id)

    def _create_run(self, client: Any, record: Record, experiment: str) -> str:
        """Create a run. The attempt is stored first, because the response of MLflow may be lost."""
        if self._sends_over_network:
            self.spool.record_create_attempt(record.key)
        tags = {"mlflow.runName": record.name, KEY: record.key, **record.tags}
        run_id = str(client.create_run(experiment, record.started_ms, tags).info.run_id)
        if self._sends_over_network:
            self.spool.confirm_create(record.key)
        return run_id

    def _find_duplicates(self, client: Any, record: Record) -> list[str]:
        """List the MLflow runs with the key of the record."""
        experiment = self.experiment(client, record.experiment)
        return [run.info.run_id for run in client.search_runs([experiment], f"tags.`{KEY}` = '{record.key}'")]

    def _delete_duplicates(self) -> None:
        """Delete the duplicates that repeated requests created in addition to the delivered run."""
        for record in self.spool.possibly_duplicated():
            client = self.client()
            for run_id in self._find_duplicates(client, record):
                if run_id != record.run_id:
                    client.delete_run(run_id)
        self.spool.clear_confirmed(older_than_s=DUPLICATE_CHECK_S)

    # ---- delivery ---------------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Deliver all waiting runs, new ones included. Raises the first error at the end."""
        try:
            with self._thread_lock, self._process_lock.acquire(timeout=30):
                tried: set[str] = set()
                failures: list[Exception] = []
                while pending := [record for record in self.spool.pending() if record.key not in tried]:
                    failures += self._send(sorted(pending, key=lambda record: record.key in self._failed))
                    tried |= {record.key for record in pending}
                self._delete_duplicates()
        except Timeout as error:
            raise MlflowUnavailableError("another process is delivering") from error
        self._delivery_error = _format_error(failures[0]) if failures else ""
        if failures:
            raise failures[0]

    def _send(self, pending: Sequence[Record]) -> list[Exception]:
        """Send the metadata of all runs, then their files, so that a dead artifact store delays no metric.

        Each of the two steps stops at the first run that fails. That run comes last the next time, so that it does not
        block others.
        """
        failures = self._apply_until_failure(
            self._send_metadata, (record for record in pending if record.key not in self._awaiting_files)
        )
        return failures + self._apply_until_failure(
            self._send_files, (record for record in pending if record.key in self._awaiting_files)
        )

    def _apply_until_failure(self, step: Callable[[Record], None], records: Iterable[Record]) -> list[Exception]:
        for record in records:
            try:
                step(record)
            except Exception as error:  # noqa: BLE001 the run waits after any error
                self._failed.add(record.key)
                self.spool.set_error(record.key, _format_error(error))
                return [error]
            self._failed.discard(record.key)
        return []

    def _send_metadata(self, record: Record) -> None:
        """Send the metadata of a run. This is idempotent, because the key identifies the run."""
        from mlflow.entities import Metric, Param, RunTag

        self._get_or_create_run(record)
        client, ended = self.client(), record.ended_ms or now_ms()
        tags = {**record.tags, "vigie.status": record.status}
        entities = {
            "metrics": [Metric(name, value, ended, 0) for name, value in record.metrics.items() if value == value],
            "params": [Param(name, str(value)[:6000]) for name, value in record.params.items()],
            "tags": [RunTag(name, str(value)[:5000]) for name, value in tags.items()],
        }
        for kind, entries in entities.items():
            for batch in _batches(entries, BATCH_LIMITS[kind]):
                client.log_batch(record.run_id, **{kind: batch})
        client.set_terminated(record.run_id, STATUS[record.status], ended)
        self._awaiting_files.add(record.key)

    def _send_files(self, record: Record) -> None:
        self.client().log_artifacts(record.run_id, str(self.spool.artifact_dir(record.key)))
        self.spool.mark_delivered(record)
        self._awaiting_files.discard(record.key)

    def _save_outcome(self, record: Record) -> bool:
        """Store the end of a run. Keep it in memory while the disk is full."""
        try:
            self.spool.update(record, "waiting")
        except OSError as error:
            logger.error("how run %s ended could not be written down: %s", record.key, error)
            self._delivery_error = str(error)
            self._unsaved[record.key] = record
            return False
        self._unsaved.pop(record.key, None)
        return True

    def _call_with_timeout(self, calls: CircuitBreaker, work: Callable[[], T]) -> T:
        """Return the result of `work`. A call that lasts too long continues in the background.

        The timeout does not apply to files of this machine. Raises MlflowUnavailableError.
        """
        began = time.monotonic()
        if not self.is_reachable():
            raise MlflowUnavailableError(self.uri)
        left_s = STEP_TIMEOUT_S - (time.monotonic() - began)
        import mlflow  # noqa: F401  slow import, not counted in the timeout

        try:
            return calls.call(work, timeout_s=left_s) if self._sends_over_network else work()
        except Exception as error:
            raise MlflowUnavailableError(f"{self.uri}: {error}") from error


def _ping(uri: str, timeout_s: float) -> None:
    """Raise OSError or ValueError if no MLflow answers. A server that asks for a password counts as an answer."""
    try:
        request(uri, PING_PATH, timeout_s)
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise


def _format_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _batches(entries: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(entries)
    while batch := list(islice(rest, size)):
        yield batch
