"""Delivery of runs to MLflow: each run is stored locally first and delivered exactly once, at once or later.

A dead or hanging server costs the user at most two STEP_TIMEOUT_S. No run is lost: `deliver_pending` delivers the
waiting runs in the order of their start.
"""

import logging
import threading
import time
import urllib.error
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock

from mlflow_utils import google_identity
from mlflow_utils.circuit_breaker import CallFailedError, CircuitBreaker
from mlflow_utils.dataset_inputs import build_dataset_inputs
from mlflow_utils.defaults import set_mlflow_defaults
from mlflow_utils.delivery_lock import DeliveryLock
from mlflow_utils.experiments import get_or_create_experiment
from mlflow_utils.health import check_artifacts, check_server, load_artifact_library
from mlflow_utils.rest import request
from mlflow_utils.run_record import Record, now_ms
from mlflow_utils.spool import RunName, Spool
from mlflow_utils.store_repair import CREATION_LOCK, StoreFile

T = TypeVar("T")

STEP_TIMEOUT_S = 0.75  # wait of a page, at the start and at the end of a run
QUERY_TIMEOUT_S = 1.4  # wait of a page that shows runs; less than two seconds with the ping
PING_TIMEOUT_S = 0.6
BACKGROUND_PING_TIMEOUT_S = 5.0  # of a delivery in the background
PING_PATH = "/api/2.0/mlflow/experiments/get?experiment_id=0"  # uses the database, unlike /health
DUPLICATE_CHECK_S = 60.0  # after the delivery of a run, where a response of MLflow was lost
DELIVERY_LOCK_TIMEOUT_S = 30.0  # of a delivery that waits for that of another thread or process
BATCH_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}  # limits of MLflow for one request
KEY_TAG = "vigie.key"
MLFLOW_STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}

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
        set_mlflow_defaults()
        self.uri = self.location = uri
        self.artefacts_location = artefacts_location
        self.spool = Spool(folder)
        self.is_remote = uri.startswith("http")
        self._sends_over_network = self.is_remote or urlsplit(artefacts_location or "").scheme not in ("", "file")
        self._delivery_error = ""
        self._experiments: dict[str, str] = {}
        self.store = StoreFile(uri, artefacts_location, self.spool)
        self._delivery_lock = DeliveryLock(folder)
        self._create_lock = threading.Lock()
        self._ping_breaker = CircuitBreaker("MLflow", PING_TIMEOUT_S)
        self._query_breaker = CircuitBreaker("MLflow", QUERY_TIMEOUT_S)
        self._open_calls = CircuitBreaker("MLflow", STEP_TIMEOUT_S, reset_after_s=0, single_flight=True)
        self._delivery_calls = CircuitBreaker("MLflow", STEP_TIMEOUT_S, reset_after_s=0, single_flight=True)
        self._awaiting_files: set[str] = set()  # runs that MLflow has without their files
        self._failed_keys: set[str] = set()  # runs with a failed delivery; the others are sent first
        self._unsaved_outcomes: dict[str, tuple[Record, str]] = {}  # record and event that a full disk could not store

    # ---- a run ------------------------------------------------------------------------------------------------------

    def start_run(self, record: Record, event: str = "") -> None:
        """Store the run, and create it in MLflow where that answers, which sets `record.run_id`.

        event   what the log will say if the process is killed before `save_outcome`

        Raises OSError where the disk cannot store it.
        """
        self.spool.add_run(record, event)
        with suppress(MlflowUnavailableError):
            self._call_with_timeout(self._open_calls, lambda: self._get_or_create_run(record, is_new=True))

    def save_outcome(self, record: Record, event: str = "") -> bool:
        """Store the end of the run and its event. Return False, and keep both in memory, while the disk is full."""
        record.ended_ms = record.ended_ms or now_ms()
        try:
            self.spool.save_run(record, "waiting", event)
        except OSError as error:
            logger.error("how run %s ended could not be written down: %s", record.key, error)
            self._delivery_error = str(error)
            self._unsaved_outcomes[record.key] = record, event
            return False
        self._unsaved_outcomes.pop(record.key, None)
        return True

    def deliver_run(self, record: Record) -> bool:
        """Deliver the run after `save_outcome`. Return False where it waits for MLflow or for free disk space."""
        if record.key in self._unsaved_outcomes:
            return False
        try:
            self._call_with_timeout(self._delivery_calls, self._deliver_all)
        except MlflowUnavailableError as error:
            logger.warning("run %s waits for MLflow: %s", record.key, error)
        stored_record = self.spool.find_run(record.key)
        record.run_id = stored_record.run_id if stored_record else record.run_id
        return not any(pending_record.key == record.key for pending_record in self.spool.list_pending())

    def rename_run(self, record: Record, name: str) -> bool:
        """Store a new name of a run and send it. Return False where it waits for MLflow.

        Raises OSError where the disk cannot store it.
        """
        self.spool.set_name(record, name)
        try:
            self._call_with_timeout(self._delivery_calls, self._deliver_names)
        except MlflowUnavailableError as error:
            logger.warning("the name of run %s waits for MLflow: %s", record.key, error)
        return all(waiting.key != record.key for waiting in self.spool.list_waiting_names())

    def preload(self) -> None:
        """Import MLflow and create the tables of a new SQLite file, so that the first run does not wait for it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow.pyfunc  # noqa: F401
            import skops.io  # type: ignore[import-untyped]  # noqa: F401
        if self.is_reachable():
            self.open_client().search_experiments(max_results=1)

    # ---- the outbox -------------------------------------------------------------------------------------------------

    def deliver_pending(self) -> int:
        """Deliver the waiting runs, oldest first, and return their number; 0 where MLflow does not answer."""
        for record, event in list(self._unsaved_outcomes.values()):
            self.save_outcome(record, event)
        pending_before = self.count_pending()
        has_work = pending_before or self.spool.list_possible_duplicates() or self.spool.list_waiting_names()
        if not has_work or not self.is_reachable(BACKGROUND_PING_TIMEOUT_S):
            return 0
        try:
            self._deliver_all()
        except Exception as error:  # noqa: BLE001 after any error the run waits
            logger.warning("runs wait for MLflow: %s", error)
        return max(pending_before - self.count_pending(), 0)

    def count_pending(self) -> int:
        """Return the number of waiting runs."""
        return len(self.spool.list_pending())

    def count_rejected(self) -> int:
        """Return the number of rejected runs: always 0, because runs wait until they can be delivered."""
        return 0

    @property
    def last_error(self) -> str:
        """Error of the last delivery, of this process or another; "" after a success."""
        return self._delivery_error or self.spool.last_error()

    def load_client(self) -> None:
        """Return at once, because `check` needs no slow import."""

    def check(self) -> str:
        """Return the version of MLflow, after the repair of a damaged SQLite file. Raises OSError or sqlite3.Error."""
        google_identity.prepare_client()
        self.store.repair_once()
        return check_server(self.uri)

    def load_artifact_library(self) -> None:
        """Import the library of the artifact store."""
        load_artifact_library(self.artefacts_location)

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
            self._ping_breaker.call(lambda: _ping_server(self.uri, timeout_s), timeout_s=timeout_s)
        except CallFailedError:
            return False
        return True

    def query(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, a call to MLflow. The timeout applies to servers only.

        Raises MlflowUnavailableError, with the reason, where a server does not answer in time.
        """
        if not self.is_reachable():
            raise MlflowUnavailableError(self.uri)
        self.open_client()  # the slow import of MLflow does not count as time of the server
        if not self.is_remote:
            return work()
        try:
            return self._query_breaker.call(work)
        except CallFailedError as error:
            raise MlflowUnavailableError(self._query_breaker.last_error) from error

    def open_client(self) -> Any:
        """Return a client of MLflow, which creates missing tables. Raises MlflowUnavailableError for unusable ones."""
        import mlflow

        google_identity.prepare_client()
        self.store.repair_once()
        if problem := self.store.find_version_problem() or self.store.create_once():
            raise MlflowUnavailableError(problem)
        with FileLock(self.spool.folder / CREATION_LOCK):
            return mlflow.MlflowClient(self.uri)

    def get_experiment_id(self, client: Any, name: str) -> str:
        """Return the id of an experiment, which is created where it is missing and restored where it was deleted."""
        if name not in self._experiments:
            with FileLock(self.spool.folder / CREATION_LOCK):
                self._experiments[name] = get_or_create_experiment(client, name, self.artefacts_location)
        return self._experiments[name]

    def _get_or_create_run(self, record: Record, is_new: bool = False) -> None:
        """Set `record.run_id` to the MLflow run with the key of the record, or to a new one."""
        with self._create_lock:
            stored_record = self.spool.find_run(record.key)
            record.run_id = record.run_id or (stored_record.run_id if stored_record else "")
            if record.run_id:
                return
            client = self.open_client()
            experiment = self.get_experiment_id(client, record.experiment)
            run_ids = [] if is_new else self._find_duplicates(client, record)
            run_id = run_ids[0] if run_ids else self._create_run(client, record, experiment)
            record.run_id = self.spool.set_run_id(record.key, run_id)

    def _create_run(self, client: Any, record: Record, experiment: str) -> str:
        """Create a run. The attempt is stored first, because the response of MLflow may be lost."""
        if self._sends_over_network:
            self.spool.record_create_attempt(record.key)
        tags = {"mlflow.runName": record.name, KEY_TAG: record.key, **record.tags}
        run_id = str(client.create_run(experiment, record.started_ms, tags).info.run_id)
        if self._sends_over_network:
            self.spool.confirm_create(record.key)
        return run_id

    def _find_duplicates(self, client: Any, record: Record) -> list[str]:
        """List the MLflow runs with the key of the record."""
        experiment = self.get_experiment_id(client, record.experiment)
        return [run.info.run_id for run in client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{record.key}'")]

    def _delete_duplicates(self) -> None:
        """Delete the duplicates that repeated requests created in addition to the delivered run."""
        for record in self.spool.list_possible_duplicates():
            client = self.open_client()
            for run_id in self._find_duplicates(client, record):
                if run_id != record.run_id:
                    client.delete_run(run_id)
        self.spool.clear_old_attempts(older_than_s=DUPLICATE_CHECK_S)

    # ---- delivery ---------------------------------------------------------------------------------------------------

    def _deliver_all(self) -> None:
        """Deliver all waiting runs, new ones included. Raises the first error at the end."""
        with self._delivery_lock.hold(DELIVERY_LOCK_TIMEOUT_S):
            tried_keys: set[str] = set()
            failures: list[Exception] = []
            while pending := [record for record in self.spool.list_pending() if record.key not in tried_keys]:
                failures += self._send_all(sorted(pending, key=lambda record: record.key in self._failed_keys))
                tried_keys |= {record.key for record in pending}
            self._delete_duplicates()
            self._send_names()
        self._delivery_error = _format_error(failures[0]) if failures else ""
        if failures:
            raise failures[0]

    def _send_all(self, pending: Sequence[Record]) -> list[Exception]:
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

    def _apply_until_failure(self, send_record: Callable[[Record], None], records: Iterable[Record]) -> list[Exception]:
        for record in records:
            try:
                send_record(record)
            except Exception as error:  # noqa: BLE001 the run waits after any error
                self._failed_keys.add(record.key)
                self.spool.set_error(record.key, _format_error(error))
                return [error]
            self._failed_keys.discard(record.key)
        return []

    def _send_metadata(self, record: Record) -> None:
        """Send the metadata of a run. This is idempotent, because the key identifies the run."""
        from mlflow.entities import Metric, Param, RunTag

        self._get_or_create_run(record)
        client, ended_ms = self.open_client(), record.ended_ms or now_ms()
        tags = {**record.tags, "vigie.status": record.status}
        entities = {
            "metrics": [Metric(name, value, ended_ms, 0) for name, value in record.metrics.items() if value == value],
            "params": [Param(name, str(value)[:6000]) for name, value in record.params.items()],
            "tags": [RunTag(name, str(value)[:5000]) for name, value in tags.items()],
        }
        for kind, entries in entities.items():
            for batch in _iter_batches(entries, BATCH_LIMITS[kind]):
                client.log_batch(record.run_id, **{kind: batch})
        if record.inputs:
            client.log_inputs(record.run_id, build_dataset_inputs(record.inputs))
        client.set_terminated(record.run_id, MLFLOW_STATUS[record.status], ended_ms)
        self._awaiting_files.add(record.key)

    def _send_files(self, record: Record) -> None:
        self.open_client().log_artifacts(record.run_id, str(self.spool.artifact_dir(record.key)))
        self.spool.mark_delivered(record)
        self._awaiting_files.discard(record.key)

    def _deliver_names(self) -> None:
        """Send the new names, after another thread or process that may be sending older ones."""
        with self._delivery_lock.hold(STEP_TIMEOUT_S):
            self._send_names()

    def _send_names(self) -> None:
        """Send the new names of runs that MLflow has. A run that was deleted there needs no name."""
        for run_name in self.spool.list_waiting_names():
            if run_name.run_id:
                self._send_name(run_name)
                self.spool.confirm_name(run_name)

    def _send_name(self, run_name: RunName) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.open_client().update_run(run_name.run_id, name=run_name.name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            logger.warning("MLflow does not accept the name of run %s: %s", run_name.run_id, error)

    def _call_with_timeout(self, breaker: CircuitBreaker, work: Callable[[], T]) -> T:
        """Return the result of `work`. A call that lasts too long continues in the background.

        The timeout does not apply to files of this machine. Raises MlflowUnavailableError.
        """
        start_s = time.monotonic()
        if not self.is_reachable():
            raise MlflowUnavailableError(self.uri)
        left_s = STEP_TIMEOUT_S - (time.monotonic() - start_s)
        import mlflow  # noqa: F401  slow import, not counted in the timeout

        try:
            return breaker.call(work, timeout_s=left_s) if self._sends_over_network else work()
        except Exception as error:
            raise MlflowUnavailableError(f"{self.uri}: {error}") from error


def _ping_server(uri: str, timeout_s: float) -> None:
    """Raise OSError or ValueError if no MLflow answers. A server that asks for a password counts as an answer."""
    try:
        request(uri, PING_PATH, timeout_s)
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise


def _format_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _iter_batches(entries: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))
