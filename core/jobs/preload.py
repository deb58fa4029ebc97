"""Preloading of slow libraries before the first job."""

import logging

from core.spec.parameter_labels import get_parameter_label
from core.spec.task import list_tasks, load_entry_point
from core.workspace import Workspace
from mlflow_utils import emissions

logger = logging.getLogger(__name__)


def preload(workspace: Workspace) -> None:
    """Import the libraries of all tasks, prepare charts and calendars, start MLflow and CodeCarbon.

    Failures are logged as warnings.
    """
    try:
        for task in list_tasks():
            for mode in task.modes:
                load_entry_point(mode.run)
            get_parameter_label("", task.name)
        _prepare_results()
        emissions.preload(workspace.settings.country_iso_code)
        workspace.tracking.preload()
    except Exception:  # without preloading, only the first job is slow
        logger.warning("preloading failed", exc_info=True)


def _prepare_results() -> None:
    """Draw the pictures of all terms and read a calendar, so that the first result does not wait for what they load."""
    from core.data.covariates.countries import list_calendars
    from core.glossary.terms import TERMS

    for term in TERMS.values():
        term.draw(str).to_json(validate=False)
    list_calendars("Paris", "FR")
