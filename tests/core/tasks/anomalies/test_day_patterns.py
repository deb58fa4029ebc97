"""Days where every value is plausible: the words name repeated values and shifted hours."""

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.dataset import Dataset, make_clock_labels, make_index
from core.detectors.baselines import DayBaseline
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace

FLAT_DAY, SHIFTED_DAY = "2024-01-31", "2024-02-20"


@pytest.fixture
def detection(workspace: Workspace) -> Detection:
    """Result on 90 similar days, with one whose morning repeats a value and one that lies two hours late."""
    days = pd.date_range("2024-01-01", periods=90)
    noise = np.random.default_rng(3).normal(0, 0.2, (90, 24))
    values = 100 + 20 * np.sin(np.arange(24) * np.pi / 12) + noise
    values[days.get_loc(FLAT_DAY), 3:12] = values[days.get_loc(FLAT_DAY), 3]
    values[days.get_loc(SHIFTED_DAY)] = np.roll(values[days.get_loc(SHIFTED_DAY)], 2)
    frame = pd.DataFrame(values, index=make_index(["a"] * 90, days), columns=make_clock_labels(24))
    dataset = Dataset(frame, layout="demo", profile=True, step=pd.Timedelta(days=1))
    spec = DetectionSpec(list_detectors()["knn"](), contamination=2 / 90)
    return detect(spec, dataset, workspace=workspace, actor=Actor("eve", "tests"))[0]


def describe_day(detection: Detection, day: str) -> str:
    rows = detection.rows
    position = rows.index[rows["time"] == pd.Timestamp(day)][0]
    return " ".join(map(str, detection.describe_row(position)))


def test_repeated_and_shifted_days_are_flagged_and_named(detection: Detection) -> None:
    assert set(detection.anomalies["time"].dt.strftime("%Y-%m-%d")) == {FLAT_DAY, SHIFTED_DAY}
    assert "9 values in a row are equal, usually at most" in describe_day(detection, FLAT_DAY)
    assert "Moved by up to 3 hours, the day fits" in describe_day(detection, SHIFTED_DAY)


def test_usual_days_have_no_pattern_in_their_words(detection: Detection) -> None:
    rows = detection.rows
    usual = rows[~rows["anomaly"]].index
    assert rows.loc[usual, "repeats"].isna().all()
    assert rows.loc[usual, "shift_gain"].isna().mean() > 0.8
    assert not any("in a row" in str(message) for pattern in detection.describe_patterns(usual) for message in pattern)


def test_rounded_values_are_no_repeats() -> None:
    """A pair of equal neighbours counts nothing, a longer stretch does; where pairs are usual, longer ones count."""
    random = np.random.default_rng(0)
    dates = pd.date_range("2023-01-01", periods=400)
    days = random.normal(10, 2, (400, 24))
    days[3, 4] = days[3, 5]
    days[7, 5:15] = 12.0
    for values in (days, np.round(days)):
        frame = pd.DataFrame(values, index=make_index(["small"] * 400, dates), columns=make_clock_labels(24))
        dataset = Dataset(frame, "daily_profile", profile=True, step=pd.Timedelta(days=1))
        repeats = DayBaseline().fit(dataset).compute_features(dataset)[:, 5]
        assert np.median(repeats) == 0
        assert repeats.argmax() == 7
        assert values is not days or repeats[3] == 0
