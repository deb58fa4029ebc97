"""Runs to MLflow: written down first, delivered at once where MLflow answers, later and exactly once where it does not.

A dead or hanging server costs the user at most PATIENCE seconds; nothing is lost, and `replay` delivers what waited, in
the order in which it began.
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

from mlflow_utils.background_call import OneAtATime
from mlflow_utils.rest import asked
from mlflow_utils.run_record import Record, now_ms
from mlflow_utils.spool import Spool

T = TypeVar("T")

PATIENCE = 1.5  # seconds a page may wait for a server that does not answer, start and end of a run together
PROBE = 0.6
UNHURRIED = 5.0  # seconds that a delivery may wait for the same, where nobody waits for it
QUESTION = "/api/2.0/mlflow/experiments/get?experiment_id=0"  # needs the database, which /health does not
DOWN_FOR = 5.0  # a server found dead is not asked again for so long
DOUBT = 60.0  # seconds after its delivery in which a run is looked for twice, where an answer of MLflow was lost
AT_ONCE = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow takes no more in one question
KEY = "vigie.key"
STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}

for _name, _value in {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # a run that waits is asked for again, and MLflow's way of it makes runs twice
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would stand in the output of our commands
}.items():
    os.environ.setdefault(_name, _value)  # MLflow's defaults wait four minutes for a dead server

logger = logging.getLogger(__name__)


class MlflowUnavailableError(Exception):
    """MLflow did not answer in time."""


class Tracking:
    """The way to one MLflow server or SQLite file.

    uri                  of the server, or sqlite:///…
    artefacts_location   where new experiments keep artifacts; None lets the server decide
    folder               where runs are written down before they are delivered
    last_error           why the last delivery failed; "" after one that did not
    """

    def __init__(self, uri: str, artefacts_location: str | None, folder: Path) -> None:
        self.uri = uri
        self.artefacts_location = artefacts_location
        self.spool = Spool(folder)
        self.last_error = ""
        self._remote = uri.startswith("http") or urlsplit(artefacts_location or "").scheme not in ("", "file")
        self._down_until = 0.0
        self._experiments: dict[str, str] = {}
        self._delivery = FileLock(folder / "delivery.lock")  # between processes
        self._delivering = threading.Lock()  # between threads of this one
        self._opening = threading.Lock()
        self._openings, self._deliveries = OneAtATime("open run"), OneAtATime("deliver runs")
        self._without_files: set[str] = set()  # runs of which MLflow has everything else
        self._failed: set[str] = set()  # runs that could not be delivered; those that may can go first
        self._unwritten: dict[str, Record] = {}  # how runs ended while the disk was full

    # ---- a run --------------------------------------------------------------------------------------------------

    def start(self, record: Record) -> None:
        """Write the run down, and open it in MLflow where that answers (then `record.run_id` is set).

        Raises OSError where the disk cannot take it.
        """
        self.spool.open(record)
        with suppress(MlflowUnavailableError):
            self._within(PATIENCE / 2, lambda: self._ensure(record, new=True), self._openings)

    def finish(self, record: Record) -> bool:
        """Write down how the run ended and deliver it; False where it waits for a server that does not answer, or for
        room.
        """
        record.ended_ms = record.ended_ms or now_ms()
        if not self._written(record):
            return False
        try:
            self._within(PATIENCE / 2, self._deliver_waiting, self._deliveries)
        except MlflowUnavailableError as error:
            logger.warning("run %s waits for MLflow: %s", record.key, error)
        found = self.spool.find(record.key)
        record.run_id = found.run_id if found else record.run_id
        return not any(each.key == record.key for each in self.spool.waiting())

    def replay(self) -> int:
        """Deliver every run that waits, oldest first; how many were delivered. Quiet where MLflow does not answer."""
        for record in list(self._unwritten.values()):
            self._written(record)
        before = len(self.spool.waiting())
        if not (before or self.spool.doubted()) or not self.reachable(UNHURRIED):
            return 0
        try:
            self._deliver_waiting()
        except Exception as error:  # noqa: BLE001 a run waits until it can be delivered, whatever the reason
            logger.warning("runs wait for MLflow: %s", error)
        return max(before - len(self.spool.waiting()), 0)

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
        self._deliveries.settle(seconds)

    def reachable(self, seconds: float = PROBE) -> bool:
        """Does MLflow answer in time? A file always does; a server found dead is not asked again for some seconds."""
        if not self.uri.startswith("http"):
            return True
        if time.monotonic() < self._down_until:
            return False
        try:
            asked(self.uri, QUESTION, seconds)
            return True
        except urllib.error.HTTPError as error:
            alive = error.code < 500  # whoever asks for a password is there
        except (OSError, ValueError):
            alive = False
        if not alive:
            self._down_until = time.monotonic() + DOWN_FOR
        return alive

    def try_again(self) -> None:
        """Ask MLflow at the next call, whatever happened before."""
        self._down_until = 0.0

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
        """The run in MLflow: the one that has the record's key, or a new one."""
        with self._opening:
            known = self.spool.find(record.key)
            record.run_id = record.run_id or (known.run_id if known else "")
            if record.run_id:
                return
            client = self.client()
            experiment = self.experiment(client, record.experiment)
            found = [] if new else self._twins(client, record)
            run_id = found[0] if found else self._made(client, record, experiment)
            record.run_id = self.spool.name(record.key, run_id)

    def _made(self, client: Any, record: Record, experiment: str) -> str:
        """A new run. A question whose answer is lost may have been understood: it is written down that it was asked."""
        if self._remote:
            self.spool.ask(record.key)
        tags = {"mlflow.runName": record.name, KEY: record.key, **record.tags}
        made = str(client.create_run(experiment, record.started_ms, tags).info.run_id)
        if self._remote:
            self.spool.answered(record.key)
        return made

    def _twins(self, client: Any, record: Record) -> list[str]:
        """The runs that have the record's key."""
        experiment = self.experiment(client, record.experiment)
        return [run.info.run_id for run in client.search_runs([experiment], f"tags.`{KEY}` = '{record.key}'")]

    def _remove_twins(self) -> None:
        """A server that was asked, fell silent, and was asked again, may answer both questions: one run stays."""
        for record in self.spool.doubted():
            client = self.client()
            for run_id in self._twins(client, record):
                if run_id != record.run_id:
                    client.delete_run(run_id)
        self.spool.believe(older_than=DOUBT)

    # ---- delivery -----------------------------------------------------------------------------------------------

    def _deliver_waiting(self) -> None:
        """Deliver what waits, and what comes to wait meanwhile. Raises what was in the way of some, at the end."""
        try:
            with self._delivering, self._delivery.acquire(timeout=30):
                tried: set[str] = set()
                failures: list[Exception] = []
                while waiting := [record for record in self.spool.waiting() if record.key not in tried]:
                    failures += self._deliver(sorted(waiting, key=lambda record: record.key in self._failed))
                    tried |= {record.key for record in waiting}
                self._remove_twins()
        except Timeout as error:
            raise MlflowUnavailableError("another process is delivering") from error
        self.last_error = _told(failures[0]) if failures else ""
        if failures:
            raise failures[0]

    def _deliver(self, waiting: Sequence[Record]) -> list[Exception]:
        """First what every run says, then the files of each: a dead store of artifacts keeps no figure back.

        Each ends at the first run that fails, and that run comes last the next time: none is in the way of others for
        ever.
        """
        told = (record for record in waiting if record.key not in self._without_files)
        failures = self._each(self._tell, told)
        return failures + self._each(
            self._send_files, (record for record in waiting if record.key in self._without_files)
        )

    def _each(self, step: Callable[[Record], None], records: Iterable[Record]) -> list[Exception]:
        for record in records:
            try:
                step(record)
            except Exception as error:  # noqa: BLE001 whatever it is, the run waits
                self._failed.add(record.key)
                self.spool.note(record.key, _told(error))
                return [error]
            self._failed.discard(record.key)
        return []

    def _tell(self, record: Record) -> None:
        """Everything of one run but its files. Doing it twice changes nothing: the key finds the run that is already
        there.
        """
        from mlflow.entities import Metric, Param, RunTag

        self._ensure(record)
        client, ended = self.client(), record.ended_ms or now_ms()
        said = {
            "metrics": [Metric(name, value, ended, 0) for name, value in record.metrics.items() if value == value],
            "params": [Param(name, str(value)[:6000]) for name, value in record.params.items()],
            "tags": [
                RunTag(name, str(value)[:5000])
                for name, value in {**record.tags, "vigie.status": record.status}.items()
            ],
        }
        for kind, entries in said.items():
            for some in _batches(entries, AT_ONCE[kind]):
                client.log_batch(record.run_id, **{kind: some})
        client.set_terminated(record.run_id, STATUS[record.status], ended)
        self._without_files.add(record.key)

    def _send_files(self, record: Record) -> None:
        self.client().log_artifacts(record.run_id, str(self.spool.files(record.key)))
        self.spool.delivered(record)
        self._without_files.discard(record.key)

    def _written(self, record: Record) -> bool:
        """Write down how a run ended; where the disk is full, keep it in mind until there is room."""
        try:
            self.spool.update(record, "waiting")
        except OSError as error:
            logger.error("how run %s ended could not be written down: %s", record.key, error)
            self.last_error = str(error)
            self._unwritten[record.key] = record
            return False
        self._unwritten.pop(record.key, None)
        return True

    def _within(self, seconds: float, work: Callable[[], T], kind: OneAtATime) -> T:
        """`work`, but a server that does not answer in time is left to a thread in the background.

        Raises MlflowUnavailableError. Files of this machine need no such care and are waited for.
        """
        began = time.monotonic()
        if not self.reachable():
            raise MlflowUnavailableError(self.uri)
        left = seconds - (time.monotonic() - began)
        import mlflow  # noqa: F401  slow, and not the server's fault

        try:
            return kind.ask(work, left) if self._remote else work()
        except Exception as error:
            raise MlflowUnavailableError(f"{self.uri}: {error}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _batches(entries: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(entries)
    while some := list(islice(rest, size)):
        yield some
