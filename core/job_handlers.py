"""What a worker does for each task, and what it loads beforehand."""

import importlib
import logging
from typing import Any

from core.actor import Actor
from core.progress import Progress
from core.workspace import Workspace

MODULES = {
    "clusters": "core.tasks.clusters.run",
    "forecast": "core.tasks.forecast.run",
    "sequences": "core.tasks.sequences.run",
    "sequence_comparison": "core.tasks.comparison.run",
    "scale": "core.tasks.batch.run",
    "verdict_threshold": "core.operations.threshold_from_feedback",
}
logger = logging.getLogger(__name__)


def run_job(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Return the id of the run that answers `arguments`. Raises LookupError for a task that is none."""
    if task not in MODULES:
        raise LookupError(f"{task[:80]!r} is no task")
    module = importlib.import_module(MODULES[task])
    return str(module.carry_out(arguments, workspace=workspace, actor=actor, progress=progress))


def preload(workspace: Workspace) -> None:
    """Load and start what the first analysis of a process would otherwise wait for."""
    try:
        from core.tasks.anomalies.run import detectors
        from mlflow_utils import emissions

        detectors()
        emissions.warm(workspace.country)
        workspace.tracking.warm()
    except Exception:  # a process without loaded libraries is slow once, not broken
        logger.warning("preloading failed", exc_info=True)
