"""Anomalies page in Streamlit's test harness: comparison of detectors, and the way to *Sequences*."""

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.dataset import Dataset, make_clock_labels, make_index
from core.tasks.row_comparison.run import compare_rows
from core.tasks.row_comparison.spec import RowComparisonSpec
from core.workspace import Workspace
from tests.support.app_pages import open_page, read_page_text

BOB = Actor("bob", "tests")
PAGE = "analysis/anomalies.py"


def make_hours(days: int) -> Dataset:
    """Return an hourly series of one entity."""
    times = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    values = 10 + np.sin(times.hour / 4) + np.random.default_rng(0).normal(0, 0.1, len(times))
    frame = pd.DataFrame({"load": values}, index=make_index(["a"] * len(times), times))
    return Dataset(frame, layout="demo", step=pd.Timedelta(hours=1))


def make_days(days: int) -> Dataset:
    """Return daily profiles of one entity."""
    hours = make_hours(days).frame["load"].to_numpy().reshape(days, 24)
    index = make_index(["a"] * days, pd.date_range("2024-01-01", periods=days))
    frame = pd.DataFrame(hours, index=index, columns=make_clock_labels(24))
    return Dataset(frame, layout="demo", profile=True, step=pd.Timedelta(hours=1))


def test_anomalies_page_shows_comparison_of_detectors(page_workspace: Workspace) -> None:
    digest = page_workspace.datasets.save(make_days(120))
    _, run = compare_rows(
        RowComparisonSpec(), page_workspace.datasets.load(digest), workspace=page_workspace, actor=BOB
    )
    app = open_page(PAGE, dataset=digest, run=run.id)
    text = read_page_text(app)
    assert not app.exception
    assert not app.error
    assert "(VUS-PR" in text
    assert "4 faults are planted in a copy of the rows: spikes, flat stretches, shifted hours and zeros" in text
    assert "Distance to the nearest rows (kNN)" in text
    assert not next(button for button in app.button if button.key == "row_comparison-ask").disabled


def test_anomalies_page_offers_sequences_for_hourly_rows_only(page_workspace: Workspace) -> None:
    sentence = "every row is judged by itself"
    hours, days = (page_workspace.datasets.save(dataset) for dataset in (make_hours(20), make_days(20)))
    assert sentence in read_page_text(open_page(PAGE, dataset=hours))
    assert sentence not in read_page_text(open_page(PAGE, dataset=days))
