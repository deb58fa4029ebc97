"""Load slow libraries before the first job needs them."""

import logging

from core.spec.task import list_tasks, load_entry
from core.workspace import Workspace
from mlflow_utils import emissions

logger = logging.getLogger(__name__)


def preload(workspace: Workspace) -> None:
    """Load and start what the first job of a process would otherwise wait for."""
    try:
        for task in list_tasks():
            for mode in task.modes:
                load_entry(mode.run)
        emissions.preload(workspace.settings.country_iso_code)
        workspace.tracking.preload()
    except Exception:  # a process without loaded libraries is slow once, not broken
        logger.warning("preloading failed", exc_info=True)
