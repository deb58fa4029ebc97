"""The comparison with training data in Streamlit's test harness: a job, its address, an error in place."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from tests.conftest import run_worker, wait_for_answers
from tests.support.app_pages import click_button, read_page_text


def draw_section() -> None:
    """Draw the section alone."""
    from pages.components.results import drift

    drift.show_section()


@pytest.fixture(autouse=True)
def job_worker(page_workspace: Workspace) -> Iterator[None]:
    with run_worker(page_workspace):
        yield


def open_section(**address: str) -> AppTest:
    app = AppTest.from_function(draw_section, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def test_drift_section_compares_by_a_job_and_keeps_the_answer(page_workspace: Workspace, sample: Dataset) -> None:
    page_workspace.datasets.save(sample)
    detect(DetectionSpec(baseline="entity"), sample, workspace=page_workspace, actor=Actor("bob", "tests"))
    app = wait_for_answers(click_button(open_section(), "drift-compare"))
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert sum(map(int, figures.values())) > 0
    assert len(app.get("plotly_chart")) == 2
    again = open_section(drift=app.query_params["drift"])
    assert {metric.label: metric.value for metric in again.metric} == figures
    assert [event.event for event in page_workspace.events.read_events()].count("drift_check") == 1


def test_drift_section_explains_incomparable_data(page_workspace: Workspace, sample: Dataset) -> None:
    page_workspace.datasets.save(sample)
    detect(DetectionSpec(baseline="entity"), sample, workspace=page_workspace, actor=Actor("bob", "tests"))
    page_workspace.datasets.save(sample.replace(unit="kWh"))
    app = open_section()
    choice = next(box for box in app.selectbox if box.key == "drift-dataset")
    app = wait_for_answers(
        click_button(choice.set_value(page_workspace.datasets.list_recent()[0]).run(), "drift-compare")
    )
    assert not app.exception
    assert "its unit is kWh" in read_page_text(app)
    assert "drift-compare" in {button.key for button in app.button}


def test_drift_section_ignores_unknown_key(page_workspace: Workspace, sample: Dataset) -> None:
    page_workspace.datasets.save(sample)
    app = open_section(drift="0" * 32)
    assert not app.exception
    assert not app.metric
