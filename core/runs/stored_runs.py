"""Stored runs, loaded from this machine or from MLflow."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.errors import NotFoundError, OptionError, ServiceUnavailableError
from core.messages import N_
from core.runs.result import RESULT_FILE, RESULT_FOLDER, Result, load_mode_result, load_stored_result
from core.runs.tracked_run import JOB_TAG
from core.runs.visibility import may_read
from core.spec.spec import Spec
from core.spec.task import get_task
from core.storage.durable_files import find_damage
from core.workspace import Workspace
from mlflow_utils import runs
from mlflow_utils.runs import StoredRun
from mlflow_utils.tracking import MlflowUnavailableError

T = TypeVar("T")
R = TypeVar("R", bound=Result)
logger = logging.getLogger(__name__)


def load_run(run_id: str, workspace: Workspace) -> StoredRun:
    """Load a run by id; where its files are damaged, they are fetched from MLflow again.

    Raises NotFoundError where it does not exist, where MLflow does not answer, and where the user for whom `workspace`
    reads runs may not read it.
    """
    try:
        stored = runs.load_run(workspace.tracking, run_id)
        if stored is not None and (damaged_file := find_damage(stored.files)):
            logger.warning("%s of the run %s is damaged", damaged_file, run_id)
            _fetch_files(stored, workspace)
    except Exception as error:
        raise NotFoundError(
            N_("The run {run} could not be loaded from MLflow ({reason})."), run=run_id[:12], reason=error
        ) from error
    if stored is None or not may_read(stored.record, workspace):
        raise NotFoundError(N_("The run {run} was not found."), run=run_id[:12])
    return stored


def _fetch_files(stored: StoredRun, workspace: Workspace) -> None:
    """Replace the damaged files of a run by those that MLflow has; they stay where MLflow cannot be asked."""
    try:
        runs.fetch_files(workspace.tracking, stored)
    except Exception:
        logger.warning("the files of the run %s could not be fetched", stored.record.id, exc_info=True)


def check_files(stored: StoredRun, part: str) -> None:
    """Raise NotFoundError where files below `part` of a run are damaged, on this machine and in MLflow."""
    if damaged_file := find_damage(stored.files, part):
        raise NotFoundError(
            N_("The stored run {run} is damaged ({file}), and MLflow has no intact copy. Repeat the run."),
            run=stored.record.id[:12],
            file=damaged_file,
        )


def load_result(run_id: str, kind: type[R], workspace: Workspace) -> R:
    """Load the result of class `kind` of a run. Raises NotFoundError for a run without such a result."""
    stored = load_run(run_id, workspace)
    check_files(stored, RESULT_FOLDER)
    return load_stored_result(kind, stored.files / RESULT_FOLDER)


def load_task_result(run_id: str, workspace: Workspace) -> Result:
    """Load the result of a run of any task. Raises NotFoundError for a run without a result."""
    stored = load_run(run_id, workspace)
    check_files(stored, RESULT_FOLDER)
    return load_mode_result(get_task(stored.record.experiment), stored.files / RESULT_FOLDER)


def load_model_spec(run_id: str, workspace: Workspace) -> Spec:
    """Return the spec that the model of a run was fitted with, without the tables of the result.

    Raises NotFoundError for a run without a readable result.
    """
    stored = load_run(run_id, workspace)
    check_files(stored, f"{RESULT_FOLDER}/{RESULT_FILE}")
    try:
        values = json.loads((stored.files / RESULT_FOLDER / RESULT_FILE).read_text(encoding="utf-8"))
        return get_task(stored.record.experiment).decode_spec(values.get("model_spec") or values["spec"])
    except (OSError, LookupError, TypeError, ValueError, AttributeError, OptionError) as error:
        raise NotFoundError(N_("This run has no result to show.")) from error


def find_job_run(job_id: str, workspace: Workspace) -> str:
    """Return the id of the completed run of a job; "" where there is none or MLflow does not answer."""
    try:
        record = runs.find_completed_run(workspace.tracking, JOB_TAG, job_id)
    except Exception:
        logger.warning("whether the job %s has a run already could not be found out", job_id, exc_info=True)
        return ""
    return "" if record is None else record.id


@dataclass(frozen=True)
class RunCost:
    """Cost of a run in seconds and kg CO₂, and the method of the emissions."""

    seconds: float
    emissions_kg: float
    method: str


def get_run_cost(run_id: str, workspace: Workspace) -> RunCost:
    """Return the cost of a run. Raises NotFoundError as `load_run` does."""
    record = load_run(run_id, workspace).record
    return RunCost(
        record.metrics.get("seconds", 0.0),
        record.metrics.get("emissions_kg", 0.0),
        record.tags.get("emissions.method", "?"),
    )


def call_mlflow(workspace: Workspace, work: Callable[[], T]) -> T:
    """Return the result of a call to MLflow. Raises ServiceUnavailableError where a server does not answer in time."""
    try:
        return workspace.tracking.query(work)
    except MlflowUnavailableError as error:
        reason = workspace.redact(str(error))
        raise ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service="MLflow", reason=reason
        ) from error


def get_run_url(run_id: str, workspace: Workspace) -> str:
    """Return the URL of a run in the MLflow UI; "" without a server, without an answer, or before delivery."""
    try:
        record, url = load_run(run_id, workspace).record, workspace.mlflow_url
        return call_mlflow(workspace, lambda: runs.get_run_url(workspace.tracking, record, url))
    except Exception:
        logger.warning("no link to run %s", run_id, exc_info=True)
        return ""


def is_pending(run_id: str, workspace: Workspace) -> bool:
    """Tell whether the run still waits to be delivered to MLflow."""
    return runs.is_pending(workspace.tracking, run_id)
