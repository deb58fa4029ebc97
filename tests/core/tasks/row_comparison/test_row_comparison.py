"""Comparison of detectors of rows: planted faults, given labels, refusals, and the stored result."""

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.dataset import Dataset, make_clock_labels, make_index
from core.errors import DataError
from core.tasks.anomalies.spec import list_detectors
from core.tasks.row_comparison import run as row_comparison
from core.tasks.row_comparison.planting import plant_faults
from core.tasks.row_comparison.run import MEAN_LINE, RANDOM_LINE, compare_rows, load_comparison
from core.tasks.row_comparison.spec import RowComparisonSpec
from core.workspace import Workspace

ALICE = Actor("alice", "tests")


@pytest.fixture(scope="module")
def days() -> Dataset:
    """150 days of two entities, (300, 24), without labels; the rows are in the order of time."""
    rng, hours = np.random.default_rng(0), np.arange(24)
    values = (10 + 4 * np.sin(hours / 4)) * rng.normal(1, 0.02, (300, 24))
    dates = pd.date_range("2024-01-01", periods=150).repeat(2)
    frame = pd.DataFrame(values, index=make_index(["a", "b"] * 150, dates), columns=make_clock_labels(24))
    return Dataset(frame, layout="demo", profile=True, step=pd.Timedelta(hours=1))


def make_measurements(rows: int) -> Dataset:
    """Return rows of two columns of one entity without dates."""
    values = np.random.default_rng(1).normal(size=(rows, 2))
    frame = pd.DataFrame(values, index=make_index(["a"] * rows, range(rows)), columns=["x", "y"])
    return Dataset(frame, layout="demo")


def test_planted_faults_of_a_dataset_change_labelled_rows_only(days: Dataset) -> None:
    planted, count = plant_faults(days, seed=0)
    original = days.frame.loc[planted.frame.index]
    assert planted.labels is not None
    assert count == 8  # 4 of each entity, one of every kind
    assert np.array_equal((planted.frame != original).any(axis=1), planted.labels)
    assert planted.entities == ["a", "b"]
    assert planted.time[planted.entity == "a"].is_monotonic_increasing


def test_faults_planted_in_measurements_are_labelled() -> None:
    dataset = make_measurements(2000)
    planted, count = plant_faults(dataset, seed=0)
    assert planted.labels is not None
    assert count > 0
    assert planted.labels[(planted.frame != dataset.frame).any(axis=1)].all()


def test_compare_rows_ranks_all_detectors_on_planted_days(days: Dataset, workspace: Workspace) -> None:
    comparison, run = compare_rows(RowComparisonSpec(), days, workspace=workspace, actor=ALICE)
    lines = list(comparison.card["line"])
    assert set(lines) == {*list_detectors(), RANDOM_LINE, MEAN_LINE}
    assert comparison.card["vus_pr"].is_monotonic_decreasing
    assert lines.index("knn") < lines.index(RANDOM_LINE)
    assert comparison.spec.baseline == "day"
    assert (comparison.injected_count, comparison.test_rows, comparison.entity) == (8, 300, "a, b")
    stored = load_comparison(run.id, workspace)
    pd.testing.assert_frame_equal(stored.card, comparison.card)
    assert stored.spec == comparison.spec


def test_compare_rows_uses_given_labels(days: Dataset, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more rows than can be compared, those of the entity with most labels are."""
    labels = pd.Series((days.entity == "b") & (days.time >= pd.Timestamp("2024-05-20")), index=days.frame.index)
    monkeypatch.setattr(row_comparison, "MAX_ROWS", 200)
    comparison, _ = compare_rows(
        RowComparisonSpec(baseline="entity"), days.replace(labels=labels), workspace=workspace, actor=ALICE
    )
    assert (comparison.injected_count, comparison.test_rows, comparison.entity) == (0, 150, "b")


def test_compare_rows_refuses_rows_without_room_for_faults(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="100 complete rows"):
        compare_rows(RowComparisonSpec(), make_measurements(50), workspace=workspace, actor=ALICE)
