"""Page of the anomalies task: abnormal rows, their baseline and their causes; the comparison of detectors."""

from typing import Any

import streamlit as st

from core.data.dataset import DAY
from core.detectors.baselines import BASELINE_CLASSES
from core.spec.hyperparameters import get_hyperparameters
from core.spec.spec import Spec
from core.spec.task import get_task
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.row_comparison.run import load_comparison
from core.tasks.row_comparison.spec import RowComparisonSpec
from pages.components import cache, job_progress, task_links, task_page, url_state
from pages.components.i18n import _
from pages.components.results import anomalies, row_comparison


def page() -> None:
    """Show the form, the result, and the comparison of detectors."""
    task, dataset = task_page.open_page("anomalies")
    if dataset is None:
        return
    if dataset.has_dates and not dataset.profile and dataset.step is not None and dataset.step < DAY:
        _offer_sequences(dataset.digest)
    task_page.ask_and_show(
        task, dataset, anomalies.show_detection, describe_model=_describe_model, actions=_offer_comparison
    )
    comparison = cache.load_result("row_comparison", load_comparison)
    if comparison is not None and not job_progress.is_job_running():
        row_comparison.show_comparison(comparison, url_state.get_run_id())


def _describe_model(record: Any) -> str:
    """Return the baseline of a saved model."""
    comparison = BASELINE_CLASSES[record.params["baseline"]]
    return _(comparison.label)


def _offer_sequences(digest: str) -> None:
    """Say that a detector of series sees more in such rows, and link to it."""
    task = get_task("sequences")
    st.caption(
        _(
            "Here every row is judged by itself. In rows that follow one another within a day, *{page}* finds more."
        ).format(page=_(task.label))
    )
    st.page_link(
        task_links.get_page_script(task.page),
        label=_("Open {page}").format(page=_(task.label)),
        icon=f":material/{task.icon}:",
        query_params={"dataset": digest},
    )


def _offer_comparison(spec: Spec | None) -> None:
    """Show the button that compares the detectors on the selected rows."""
    task = get_task("row_comparison")
    clicked = st.button(
        _(task.action),
        icon=f":material/{task.icon}:",
        key=f"{task.name}-ask",
        disabled=not isinstance(spec, DetectionSpec) or job_progress.is_job_running(),
        help=_("Runs all detectors on these rows and ranks them by the labels, or by planted faults without labels."),
    )
    if clicked and isinstance(spec, DetectionSpec):
        shared = {name: getattr(spec, name) for name in get_hyperparameters(RowComparisonSpec)}
        task_page.submit_spec(task, RowComparisonSpec(**shared))


page()
