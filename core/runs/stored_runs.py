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
from core.workspace import Workspace
from mlflow_utils import runs
from mlflow_utils.runs import StoredRun
from mlflow_utils.tracking import MlflowUnavailableError

T = TypeVar("T")
R = TypeVar("R", bound=Result)
logger = logging.getLogger(__name__)


def load_run(run_id: str, workspace: Workspace) -> StoredRun:
    """Load a run by id.

    Raises NotFoundError where it does not exist, where MLflow does not answer, and where the user for whom `workspace`
    reads runs may not read it.
    """
    try:
        stored = runs.load_run(workspace.tracking, run_id)
    except Exception as error:
        raise NotFoundError(
            N_("The run {run} could not be loaded from MLflow ({reason})."), run=run_id[:12], reason=error
        ) from error
    if stored is None or not may_read(stored.record, workspace):
        raise NotFoundError(N_("The run {run} was not found."), run=run_id[:12])
    return stored


def load_result(run_id: str, kind: type[R], workspace: Workspace) -> R:
    """Load the result of class `kind` of a run. Raises NotFoundError for a run without such a result."""
    return load_stored_result(kind, load_run(run_id, workspace).files / RESULT_FOLDER)


def load_task_result(run_id: str, workspace: Workspace) -> Result:
    """Load the result of a run of any task. Raises NotFoundError for a run without a result."""
    stored = load_run(run_id, workspace)
    return load_mode_result(get_task(stored.record.experiment), stored.files / RESULT_FOLDER)


def load_model_spec(run_id: str, workspace: Workspace) -> Spec:
    """Return the spec that the model of a run was fitted with, without the tables of the result.

    Raises NotFoundError for a run without a readable result.
    """
    stored = load_run(run_id, workspace)
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
        record, public_uri = load_run(run_id, workspace).record, workspace.settings.mlflow_public_uri
        return call_mlflow(workspace, lambda: runs.get_run_url(workspace.tracking, record, public_uri))
    except Exception:
        logger.warning("no link to run %s", run_id, exc_info=True)
        return ""


def is_pending(run_id: str, workspace: Workspace) -> bool:
    """Tell whether the run still waits to be delivered to MLflow."""
    return runs.is_pending(workspace.tracking, run_id)
