"""Recording of user actions: `track_run` records a run and an event, `record_event` an event only."""

import json
import logging
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd
import psutil

from core import __version__
from core.actor import Actor
from core.data.quality.findings import Repair
from core.data.read_options import ReadOptions
from core.data.recipes import list_recipe_steps
from core.exports import write_csv
from core.redaction import redact
from core.runs.lineage import CHANGE_TAG, PARENT_TAG, describe_changes, find_model_version, find_parent, load_parent
from core.runs.result import RESULT_FOLDER, Result
from core.runs.run_names import NAME_SEPARATOR, build_run_name
from core.settings import ROOT
from core.storage.data_folder import explain_full_disk
from core.storage.durable_files import seal_folder
from core.storage.events.log import MAX_ENTITIES, Details, EntityCount, Event
from core.storage.events.run_events import write_run_events
from core.workspace import Workspace
from mlflow_utils.emissions import Emissions, measure_emissions
from mlflow_utils.registry import MODEL_FOLDER
from mlflow_utils.run_record import InputData, Record

RECIPE = "recipe.json"
MAX_EXPORTED_ROWS = 10_000
MAX_EVENT_COLUMNS = 200  # in an event
RunStatus = Literal["interrupted", "completed", "failed"]
logger = logging.getLogger(__name__)

JOB_TAG = "vigie.job"
MODEL_TAG, MODEL_SAVED, NO_MODEL = "vigie.model", "saved", "none"
LOG_LEVELS: dict[RunStatus, Literal["INFO", "WARNING", "ERROR"]] = {
    "completed": "INFO",
    "interrupted": "WARNING",
    "failed": "ERROR",
}


class TrackedData(Protocol):
    """Data of a run: a dataset, a list of files, a set of images."""

    @property
    def digest(self) -> str:
        """Digest of the content."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the measured columns; may be empty."""

    @property
    def recipe(self) -> tuple[Repair, ...]:
        """Repairs applied to the data."""

    @property
    def read_options(self) -> ReadOptions:
        """Choices about reading the files."""


@dataclass
class Run:
    """A running or finished run. Its files are below `folder`.

    params  parameters; more may be added while the run lasts
    inputs  data that the run reads; more may be added while it lasts
    model_version  registered version or run of a model that the run applies; "" for a run that trains its own
    """

    key: str
    folder: Path
    params: dict[str, Any] = field(default_factory=dict)
    inputs: list[InputData] = field(default_factory=list)
    id: str = ""
    status: RunStatus = "interrupted"
    error: Exception | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, float] = field(default_factory=dict)
    model_version: str = ""
    anomalies_by_entity: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    emissions_kg: float = 0.0
    delivered: bool = False

    @property
    def summary(self) -> str:
        """Cost and id of the run, for the last line of a command's output."""
        return f"{self.seconds:.1f} s, {self.emissions_kg * 1000:.4f} g CO2, run {self.id}"

    def add_result(self, result: Result, table: str, rows: pd.DataFrame | None = None) -> None:
        """Save the result: its metrics, its files, and `table`.csv with its first rows or all of `rows`."""
        self.metrics = result.metrics()
        result.save(self.folder / RESULT_FOLDER)
        csv_rows = result.to_frame().head(MAX_EXPORTED_ROWS) if rows is None else rows
        write_csv(csv_rows, self.folder / f"{table}.csv")


@contextmanager
def track_run(
    task: str, model: str, params: Mapping[str, Any], data: TrackedData, actor: Actor, workspace: Workspace
) -> Iterator[Run]:
    """Record the block as one MLflow run and one event.

    Run and event are stored together before MLflow is told, at the start (as `interrupted`) and at the end. So a killed
    process leaves both or none, and `write_run_events` completes the log.

    A run that starts from the model of another run names it as its parent, and what differs from it (`lineage.py`).
    The block fills `run.metrics` and `run.details` and writes artifacts below `run.folder`. The status of the run is
    `completed`, `failed` on an exception (which is raised again), or `interrupted` when the process or the script of
    the page is stopped.
    """
    record = Record(experiment=task, name=build_run_name(task, model, params, data), params=dict(params))
    record.tags = _build_tags(model, data, actor)
    parent = find_parent(params)
    record.tags |= {PARENT_TAG: parent} if parent else {}
    record.inputs = [InputData(", ".join(data.files), data.digest, "data", tuple(data.columns[:MAX_EVENT_COLUMNS]))]
    data_inputs = {
        "file_names": list(data.files),
        "dataset": data.digest,
        "columns": list(data.columns[:MAX_EVENT_COLUMNS]),
    }
    usage, emissions = _ResourceUsage(), Emissions()
    run = Run(record.key, workspace.tracking.spool.artifact_dir(record.key), record.params, record.inputs)
    run.model_version = parent
    start_s = usage.start_s

    def format_event() -> str:
        """Return the line of the log about the run as it is now; "" where it has no text."""
        inputs = run.params | data_inputs
        try:
            return _build_event(workspace, "model_execution", actor, run, usage, inputs, model).to_json_line()
        except ValueError:
            logger.warning("the event of run %s could not be written", record.key, exc_info=True)
            return ""

    try:
        record.name += f"{NAME_SEPARATOR}{workspace.tracking.spool.take_number(record.name)}"
        run.id = record.key
        workspace.tracking.start_run(record, format_event())
        run.id, start_s = record.id, time.perf_counter()
        _write_recipe(data, run.folder)
        with measure_emissions(workspace.settings.country_iso_code, emissions):
            yield run
        run.status = "completed"
    except Exception as error:
        run.status, run.error = "failed", error
        record.tags["error"] = f"{type(error).__name__}: {error}"[:500]
        _raise_if_disk_full(error, workspace)
        raise
    finally:
        run.seconds, run.emissions_kg = time.perf_counter() - start_s, emissions.kg
        record.status = run.status
        record.metrics = {**run.metrics, **emissions.metrics, "seconds": run.seconds}
        if parent_record := load_parent(parent, workspace):
            record.tags[CHANGE_TAG] = describe_changes(parent_record, record)
            run.model_version = find_model_version(parent_record, workspace)
        _seal_files(run.folder)
        has_model = (run.folder / MODEL_FOLDER).is_dir()
        record.tags |= {**emissions.tags, MODEL_TAG: MODEL_SAVED if has_model else NO_MODEL}
        run.id = record.id
        workspace.tracking.save_outcome(record, format_event())
        write_run_events(workspace.tracking.spool, workspace.events)
        run.delivered = workspace.tracking.deliver_run(record)
        run.id = record.id


@contextmanager
def record_event(
    event: str, actor: Actor, workspace: Workspace, details: dict[str, float] | None = None, /, **inputs: Any
) -> Iterator[dict[str, Any]]:
    """Record the block as one event.

    The block may add inputs of the event to the yielded dictionary, and its outcome to `details`.
    """
    usage, run = _ResourceUsage(), Run("", Path(), details={} if details is None else details)
    try:
        yield inputs
        run.status = "completed"
    except Exception as error:
        run.status, run.error = "failed", error
        _raise_if_disk_full(error, workspace)
        raise
    finally:
        workspace.events.add(_build_event(workspace, event, actor, run, usage, inputs))


def _write_recipe(data: TrackedData, folder: Path) -> None:
    """Write how the data were read and repaired, so that the run can be repeated where the data are not stored."""
    steps = list_recipe_steps(data)
    if steps:
        (folder / RECIPE).write_text(json.dumps(steps), encoding="utf-8")


def _seal_files(folder: Path) -> None:
    """Flush the files of a run to disk, with their checksums; a full disk costs these and not the run."""
    try:
        if folder.is_dir() and any(folder.iterdir()):
            seal_folder(folder)
    except OSError as error:
        logger.warning("the files of the run in %s have no checksums: %s", folder, error)


def _raise_if_disk_full(error: Exception, workspace: Workspace) -> None:
    """Raise VigieError if the disk of the data folder is full, because the user can free space."""
    if full_disk_error := explain_full_disk(error, workspace.folder):
        raise full_disk_error from error


class _ResourceUsage:
    """Start of an action, and the CPU and memory usage of the machine since then."""

    def __init__(self) -> None:
        self.start_time = datetime.now(UTC)
        self.start_s = time.perf_counter()
        psutil.cpu_percent()

    def measure(self) -> dict[str, Any]:
        return {
            "timestamp": self.start_time,
            "response_time": time.perf_counter() - self.start_s,
            "cpu_usage": psutil.cpu_percent(),
            "memory_usage": psutil.virtual_memory().percent,
        }


def _build_event(
    workspace: Workspace,
    event: str,
    actor: Actor,
    run: Run,
    usage: _ResourceUsage,
    inputs: Mapping[str, Any],
    model: str | None = None,
) -> Event:
    return Event(
        event=event,
        application_name=actor.application,
        user=workspace.pseudonymise(actor.user),
        model_name=model,
        application_version=__version__,
        model_version=(run.model_version or run.id or None) if model else None,
        run_id=run.id or None,
        status=run.status,
        log_level=LOG_LEVELS[run.status],
        **usage.measure(),
        emissions_kg=run.emissions_kg if model else None,
        error_type=type(run.error).__name__ if run.error else None,
        error_message=workspace.redact(str(run.error))[:1000] if run.error else None,
        details=Details(
            **run.details, anomalies_by_entity=_rank_entities(run.anomalies_by_entity), inputs=redact(inputs)
        ),
    )


def _rank_entities(anomalies: Mapping[str, int]) -> list[EntityCount] | None:
    """Return the entities with the most anomalies; None for a run without counts by entity."""
    ranked = sorted(anomalies.items(), key=lambda item: (-item[1], item[0]))[:MAX_ENTITIES]
    return [EntityCount(entity=entity, count=count) for entity, count in ranked if count] or None


def _build_tags(model: str, data: TrackedData, actor: Actor) -> dict[str, str]:
    job = {JOB_TAG: actor.job} if actor.job else {}  # a restarted job finds its run by this tag
    return job | {
        "model_name": model,
        "dataset.digest": data.digest,
        "dataset.files": ", ".join(data.files),
        "dataset.repairs": ", ".join(repair.kind for repair in data.recipe),
        "dataset.reading": " ".join(data.read_options.to_arguments()),
        "code.version": __version__,
        "code.revision": get_revision(),
        "mlflow.source.git.commit": get_revision(),
        "mlflow.source.name": actor.application,
        "mlflow.user": actor.user,
        "user": actor.user,
    }


@cache
def get_revision() -> str:
    """Return the git revision of the code; "" outside a checkout, also where another one surrounds the code."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        process = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return process.stdout.strip() if process.returncode == 0 else ""
