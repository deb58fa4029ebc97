"""Reruns of a page leave nothing behind that the collector cannot remove."""

import gc

import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from tests.support.app_pages import open_page

WARM_UP_RERUNS, RERUNS = 5, 15
MAX_KEPT_OBJECTS = 100  # per rerun; a rerun makes thousands


def count_objects(app: AppTest, reruns: int) -> int:
    """Rerun a page, collect the garbage, and return the number of objects that live."""
    for _ in range(reruns):
        app.run()
        assert not app.exception
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.parametrize("page", ["home/home.py", "analysis/anomalies.py"])
def test_reruns_of_page_leave_no_objects(page: str, page_workspace: Workspace, sample: Dataset) -> None:
    page_workspace.datasets.save(sample)
    _, run = detect(
        DetectionSpec(dataset=sample.digest), sample, workspace=page_workspace, actor=Actor("local user", "anomalies")
    )
    app = open_page(page, dataset=sample.digest, run=run.id)
    before = count_objects(app, WARM_UP_RERUNS)
    assert count_objects(app, RERUNS) - before < RERUNS * MAX_KEPT_OBJECTS
