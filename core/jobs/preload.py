"""Preloading of slow libraries before the first job."""

import logging

from core.spec.task import list_tasks, load_entry_point
from core.workspace import Workspace
from mlflow_utils import emissions

logger = logging.getLogger(__name__)


def preload(workspace: Workspace) -> None:
    """Import the libraries of all tasks, and start MLflow and CodeCarbon; log failures as warnings."""
    try:
        for task in list_tasks():
            for mode in task.modes:
                load_entry_point(mode.run)
        emissions.preload(workspace.settings.country_iso_code)
        workspace.tracking.preload()
    except Exception:  # without preloading, only the first job is slow
        logger.warning("preloading failed", exc_info=True)
