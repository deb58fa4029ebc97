"""One user action, one run, one event: `tracked_run` records a computation, `recorded` an action that computes no
model.
"""

import errno
import getpass
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil

from core import __version__
from core.data.dataset import Dataset
from core.errors import NotOnRecord, Unreachable, VigieError
from core.patience import Patience
from core.redaction import pseudonym, redacted, without_secrets
from core.settings import ROOT, settings
from core.stores.datasets import Datasets
from core.stores.drivers import DriverStore
from core.stores.event_stream import EventStream
from core.stores.events import MOST_ENTITIES, Details, EntityCount, Event, Events
from core.stores.feedback import FeedbackStore
from core.stores.objects import Bucket
from core.text import N_
from mlflow_utils import history
from mlflow_utils.emissions import Emissions, measured
from mlflow_utils.history import Past
from mlflow_utils.record import Record
from mlflow_utils.tracking import Tracking

T = TypeVar("T")
PATIENCE = 1.4  # seconds; with the question whether MLflow lives at all, a page waits less than two
Status = Literal["interrupted", "completed", "failed"]
logger = logging.getLogger(__name__)

LOG_LEVEL: dict[Status, Literal["INFO", "WARNING", "ERROR"]] = {
    "completed": "INFO",
    "interrupted": "WARNING",
    "failed": "ERROR",
}


@dataclass(frozen=True)
class Workplace:
    """Where this process keeps things."""

    datasets: Datasets
    drivers: DriverStore
    events: Events
    feedback: FeedbackStore
    tracking: Tracking
    country: str
    mlflow_public_uri: str = ""
    user_key: str = ""
    event_stream: EventStream | None = None

    @classmethod
    def below(cls, folder: Path, tracking: Tracking, country: str = "FRA", **others: Any) -> "Workplace":
        """The workplace whose files are below `folder`."""
        stores = (Datasets(folder / "datasets"), DriverStore(folder / "drivers"), Events(folder / "events"))
        return cls(*stores, FeedbackStore(folder / "feedback"), tracking, country, **others)

    def known_as(self, user: str) -> str:
        """`user` as events and feedback know them."""
        return pseudonym(user, self.user_key)


@cache
def workplace() -> Workplace:
    """The workplace that the settings describe."""
    given = settings()
    if given.google_application_credentials:  # Google's library reads the environment, not our `.env`
        os.environ.setdefault("GOOGLE_APPLICATION_CREDENTIALS", given.google_application_credentials)
    folder = given.vigie_data_dir.resolve()
    found = Workplace.below(
        folder,
        Tracking(given.tracking_uri, given.artefacts_location, folder / "runs"),
        given.country_iso_code,
        mlflow_public_uri=given.mlflow_public_uri,
        user_key=given.vigie_user_key.get_secret_value(),
        event_stream=EventStream.of(folder / "events", given),
    )
    return replace(found, feedback=FeedbackStore(folder / "feedback", Bucket.of(given)))


@dataclass(frozen=True)
class Actor:
    """Who acts, and through which page or command."""

    user: str = field(default_factory=getpass.getuser)
    application: str = "Vigie"


@dataclass
class Run:
    """A run while it goes on, and how it ended. Its files go below `folder`."""

    key: str
    folder: Path
    id: str = ""
    status: Status = "interrupted"
    error: Exception | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, int] = field(default_factory=dict)
    anomalies_by_entity: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    emissions_kg: float = 0.0
    delivered: bool = False


@contextmanager
def tracked_run(
    task: str, model: str, params: Mapping[str, Any], dataset: Dataset, by: Actor, at: Workplace
) -> Iterator[Run]:
    """Record what happens inside as one MLflow run and one event.

    Inside, fill `run.metrics` and `run.details` and write artifacts below `run.folder`. The run ends `completed`,
    `failed` on an exception (which goes on), and `interrupted` when the process or the page's script is stopped.
    """
    record = Record(experiment=task, name=f"{model} · {', '.join(dataset.files)[:80]}", params=dict(params))
    record.tags = _tags(model, dataset, by)
    usage, emissions = _Usage(), Emissions()
    run = Run(record.key, at.tracking.spool.files(record.key))
    computing = usage.began
    try:
        at.tracking.start(record)
        run.id, computing = record.id, time.perf_counter()
        with measured(at.country, emissions):
            yield run
        run.status = "completed"
    except Exception as error:
        run.status, run.error = "failed", error
        record.tags["error"] = f"{type(error).__name__}: {error}"[:500]
        _check_room(error, at)
        raise
    finally:
        run.seconds, run.emissions_kg = time.perf_counter() - computing, emissions.kg
        record.status = run.status
        record.metrics = {**run.metrics, **emissions.metrics, "seconds": run.seconds}
        record.tags |= emissions.tags
        run.delivered = at.tracking.finish(record)
        run.id = record.id
        inputs = {
            **params,
            "file_names": list(dataset.files),
            "dataset": dataset.digest,
            "columns": dataset.columns[:200],
        }
        _add_event(at, "model_execution", by, run, usage, inputs, model)


@contextmanager
def recorded(event: str, by: Actor, at: Workplace, **inputs: Any) -> Iterator[dict[str, Any]]:
    """Record what happens inside as one event; what is put into the yielded dictionary joins the event's inputs."""
    usage, run = _Usage(), Run("", Path())
    try:
        yield inputs
        run.status = "completed"
    except Exception as error:
        run.status, run.error = "failed", error
        _check_room(error, at)
        raise
    finally:
        _add_event(at, event, by, run, usage, inputs)


def _check_room(error: Exception, at: Workplace) -> None:
    """Raises VigieError where a full disk is what went wrong: somebody can mend that."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise VigieError(
            N_(
                "The disk of the data folder {folder} is full: this could not be kept. Make room there and ask again;"
                " what was kept before is whole."
            ),
            folder=str(at.datasets.folder.parent),
        ) from error


def past_run(run_id: str, at: Workplace) -> Past:
    """The run with this id, wherever it is. Raises NotOnRecord where there is none, or MLflow cannot be asked."""
    try:
        found = history.find(at.tracking, run_id)
    except Exception as error:
        raise NotOnRecord(
            N_("The run {run} could not be fetched from MLflow ({reason})."), run=run_id[:12], reason=error
        ) from error
    if found is None:
        raise NotOnRecord(N_("No run {run} is on record."), run=run_id[:12])
    return found


@dataclass(frozen=True)
class Cost:
    """What a run cost, and how its emissions were found."""

    seconds: float
    emissions_kg: float
    method: str


def cost_of(run_id: str, at: Workplace) -> Cost:
    """Seconds and kg CO₂ of a run. Raises as `past_run`."""
    record = past_run(run_id, at).record
    return Cost(
        record.metrics.get("seconds", 0.0),
        record.metrics.get("emissions_kg", 0.0),
        record.tags.get("emissions.method", "?"),
    )


def asked_of_mlflow(at: Workplace, work: Callable[[], T]) -> T:
    """What MLflow answers. Raises Unreachable where that takes too long; a file is waited for."""
    uri = at.tracking.uri
    if not at.tracking.reachable():
        raise Unreachable(
            N_("{service} does not answer ({reason})."), service="MLflow", reason=without_secrets(uri, settings())
        )
    at.tracking.client()  # imports MLflow, which is slow, and not the server's fault
    return _patience(uri).ask(work) if uri.startswith("http") else work()


@cache
def _patience(uri: str) -> Patience:
    return Patience("MLflow", PATIENCE)


def mlflow_link(run_id: str, at: Workplace) -> str:
    """The run's page in the MLflow UI; "" where there is no server, or it does not answer, or has not got the run
    yet.
    """
    try:
        record = past_run(run_id, at).record
        return asked_of_mlflow(at, lambda: history.link(at.tracking, record, at.mlflow_public_uri))
    except Exception:
        logger.warning("no link to run %s", run_id, exc_info=True)
        return ""


def waits_for_mlflow(run_id: str, at: Workplace) -> bool:
    """Has MLflow not got all of the run yet?"""
    return history.waits(at.tracking, run_id)


class _Usage:
    """When an action began, and processor and memory of the machine since."""

    def __init__(self) -> None:
        self.when = datetime.now(UTC)
        self.began = time.perf_counter()
        psutil.cpu_percent()

    def read(self) -> dict[str, Any]:
        return {
            "timestamp": self.when,
            "response_time": time.perf_counter() - self.began,
            "cpu_usage": psutil.cpu_percent(),
            "memory_usage": psutil.virtual_memory().percent,
        }


def _add_event(
    at: Workplace, event: str, by: Actor, run: Run, usage: _Usage, inputs: Mapping[str, Any], model: str | None = None
) -> None:
    at.events.add(
        Event(
            event=event,
            application_name=by.application,
            user=at.known_as(by.user),
            model_name=model,
            model_version=__version__ if model else None,
            run_id=run.id or None,
            status=run.status,
            log_level=LOG_LEVEL[run.status],
            **usage.read(),
            emissions_kg=run.emissions_kg if model else None,
            error_type=type(run.error).__name__ if run.error else None,
            error_message=without_secrets(str(run.error), settings())[:1000] if run.error else None,
            details=Details(
                **run.details, anomalies_by_entity=_worst(run.anomalies_by_entity), inputs=redacted(inputs)
            ),
        )
    )


def _worst(anomalies: Mapping[str, int]) -> list[EntityCount] | None:
    """The entities with most anomalies; None where a run counts none by entity."""
    ranked = sorted(anomalies.items(), key=lambda each: (-each[1], each[0]))[:MOST_ENTITIES]
    return [EntityCount(entity=entity, count=count) for entity, count in ranked if count] or None


def _tags(model: str, dataset: Dataset, by: Actor) -> dict[str, str]:
    return {
        "model_name": model,
        "dataset.digest": dataset.digest,
        "dataset.files": ", ".join(dataset.files),
        "dataset.repairs": ", ".join(repair.kind for repair in dataset.recipe),
        "code.version": __version__,
        "code.revision": revision(),
        "mlflow.source.git.commit": revision(),
        "mlflow.source.name": by.application,
        "mlflow.user": by.user,
        "user": by.user,
    }


@cache
def revision() -> str:
    """The git revision of the code; "" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
