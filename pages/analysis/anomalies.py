"""Page of the anomalies task: abnormal rows, their baseline and their causes."""

from typing import Any

from core.detectors.baselines import BASELINE_CLASSES
from pages.components import task_page
from pages.components.i18n import _
from pages.components.results import anomalies


def page() -> None:
    """Show the form and the result."""
    task, dataset = task_page.open_page("anomalies")
    if dataset is not None:
        task_page.ask_and_show(task, dataset, anomalies.show_detection, describe_model=_describe_model)


def _describe_model(record: Any) -> str:
    """Return the baseline of a saved model."""
    comparison = BASELINE_CLASSES[record.params["baseline"]]
    return _(comparison.label)


page()
