"""Detectors of rows in hard cases: few rows, constant columns, many rows, saved models, planted faults."""

import numpy as np
import pandas as pd
import pytest
import skops.io  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.data.dataset import Dataset, make_clock_labels, make_index
from core.detectors.base import Detector
from core.detectors.baselines import CalendarBaseline, DayBaseline
from core.detectors.day_features import measure_longest_run, measure_shift_gain
from core.detectors.row_scaling import MAX_SAMPLE_ROWS, RowScaling
from core.detectors.tables.ensemble import SeveralDetectors
from core.detectors.tables.knn import NearestRows
from core.detectors.tables.largest_deviation import LargestDeviation
from core.detectors.tables.mahalanobis import MahalanobisDistance
from core.evaluation.day_faults import DAY_FAULT_KINDS, plant_day_faults
from core.evaluation.detection_metrics import compute_areas
from core.runs.model_files import list_trusted_types
from core.tasks.anomalies.spec import find_default_baseline, list_detectors

EVERY_DETECTOR = pytest.mark.parametrize("cls", list_detectors().values(), ids=list_detectors().keys())
FINDS_SINGLE_VALUES = sorted(set(list_detectors()) - {"lof"})  # LOF compares neighbourhoods, see its docstring


def make_days(seed: int, count: int = 400) -> np.ndarray:
    """Return days (count, 24) with a morning peak, an evening peak and noise of 2 %."""
    rng, hours = np.random.default_rng(seed), np.arange(24)
    shape = 10 + 3 * np.exp(-(((hours - 8) / 2) ** 2)) + 5 * np.exp(-(((hours - 19) / 3) ** 2))
    return shape * rng.normal(1, 0.02, (count, 24)) * rng.normal(1, 0.05, (count, 1))


def make_profile(values: np.ndarray) -> Dataset:
    index = make_index(["a"] * len(values), pd.date_range("2023-01-01", periods=len(values)))
    frame = pd.DataFrame(values, index=index, columns=make_clock_labels(24))
    return Dataset(frame, layout="demo", profile=True, step=pd.Timedelta(hours=1))


# ---- detectors ------------------------------------------------------------------------------------------------------


@EVERY_DETECTOR
@pytest.mark.parametrize("rows", [2, 3, 10])
def test_row_detector_accepts_few_rows(cls: type[Detector], rows: int) -> None:
    features = np.random.default_rng(rows).normal(size=(rows, 3))
    assert np.isfinite(cls().fit(features).score(features)).all()


@EVERY_DETECTOR
@pytest.mark.parametrize("columns", [1, 3])
def test_row_detector_accepts_equal_rows_and_another_one(cls: type[Detector], columns: int) -> None:
    """Training rows are all equal; a later row that differs is not less anomalous."""
    detector = cls().fit(np.full((60, columns), 7.0))
    equal, other = detector.score(np.vstack([np.full(columns, 7.0), np.full(columns, 9.0)]))
    assert np.isfinite([equal, other]).all()
    assert other >= equal


@EVERY_DETECTOR
def test_row_detector_scores_wide_rows_alone_as_in_batch(cls: type[Detector]) -> None:
    features = np.random.default_rng(1).normal(size=(400, 38))
    features[:, 5] = 0.0
    detector = cls().fit(features)
    batch = detector.score(features)
    assert np.array_equal(batch[[3, 299]], [detector.score(features[[row]])[0] for row in (3, 299)])
    assert len(np.unique(batch)) > 100


@EVERY_DETECTOR
def test_saved_row_detector_scores_as_before(cls: type[Detector]) -> None:
    features = np.random.default_rng(2).normal(size=(200, 4))
    detector = cls().fit(features)
    loaded = skops.io.loads(skops.io.dumps(detector), trusted=list(list_trusted_types()))
    assert np.array_equal(loaded.score(features), detector.score(features))


@pytest.mark.parametrize("name", FINDS_SINGLE_VALUES)
def test_row_detector_beats_random_on_planted_day_faults(name: str) -> None:
    values, faults = plant_day_faults(make_days(seed=3), count=20, seed=3)
    labels = np.isin(np.arange(len(values)), [fault.row for fault in faults])
    dataset = make_profile(values)
    features = DayBaseline().fit(dataset).compute_features(dataset)
    _, precision = compute_areas(labels, list_detectors()[name]().fit(features).score(features))
    assert precision > 0.5  # random scores: 0.05


def test_row_detectors_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    features = np.random.default_rng(4).normal(size=(50, 2))
    for cls in list_detectors().values():
        cls().fit(features).score(features)
    assert capfd.readouterr() == ("", "")


def test_row_detectors_of_quadratic_cost_learn_from_a_sample() -> None:
    features = np.random.default_rng(5).normal(size=(50_000, 7))
    knn = NearestRows().fit(features)
    assert knn.reference_.shape == (MAX_SAMPLE_ROWS, 7)
    assert np.array_equal(knn.reference_, NearestRows().fit(features).reference_)
    lof = list_detectors()["lof"]().fit(features)
    assert lof.model_.n_samples_fit_ == MAX_SAMPLE_ROWS  # type: ignore[attr-defined]


def test_mahalanobis_distance_sees_broken_correlation() -> None:
    """Both values are ordinary alone: only their combination is unusual."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(500, 1))
    features = np.hstack([x, x + 0.1 * rng.normal(size=(500, 1))])
    broken = np.array([[1.5, -1.5]])
    mahalanobis, largest = MahalanobisDistance().fit(features), LargestDeviation().fit(features)
    assert mahalanobis.score(broken)[0] > mahalanobis.score(features).max()
    assert largest.score(broken)[0] < np.quantile(largest.score(features), 0.95)


@pytest.mark.parametrize("combination", ["mean", "maximum"])
def test_ensemble_score_grows_with_rank_of_members(combination: str) -> None:
    features = np.random.default_rng(7).normal(size=(300, 3))
    ensemble = SeveralDetectors(combination=combination).fit(features)  # type: ignore[arg-type]
    scores = ensemble.score(np.vstack([np.zeros(3), np.full(3, 50.0)]))
    assert scores[0] < 0.3
    assert scores[1] == pytest.approx(np.log10(301), abs=0.05)


# ---- scaling --------------------------------------------------------------------------------------------------------


@given(arrays(float, (30, 2), elements=st.floats(-1e3, 1e3)), st.sampled_from([2.0**-10, 2.0**10]))
def test_row_scaling_does_not_depend_on_unit(rows: np.ndarray, factor: float) -> None:
    varies = np.ptp(rows, axis=0) > 1e-3
    scaled, same = (RowScaling().fit(part).measure_distances(part) for part in (rows, rows * factor))
    assert np.allclose(scaled[:, varies], same[:, varies])
    assert np.isfinite(scaled).all()


# ---- features of days -----------------------------------------------------------------------------------------------


@given(st.integers(0, 18), st.integers(2, 6))
def test_longest_run_counts_repeated_values(start: int, length: int) -> None:
    day = make_days(seed=8, count=1)
    day[0, start : start + length] = day[0, start]
    assert measure_longest_run(day, np.array([[1e-9]])).tolist() == [length - 1]


@given(st.integers(1, 3), st.sampled_from([-1, 1]))
def test_shift_gain_recognises_moved_hours(lag: int, sign: int) -> None:
    expected = make_days(seed=9, count=1)
    moved = np.roll(expected, sign * lag, axis=1)
    assert measure_shift_gain(moved, expected)[0] > 0.95
    assert measure_shift_gain(expected, expected)[0] == 0.0


def test_day_baseline_adds_two_features_to_the_calendar() -> None:
    dataset = make_profile(make_days(seed=10))
    calendar, day = (cls().fit(dataset).compute_features(dataset) for cls in (CalendarBaseline, DayBaseline))
    assert calendar.shape == (400, 5)
    assert day.shape == (400, 7)
    assert np.array_equal(day[:, :5], calendar)


def test_day_baseline_is_the_default_of_profiles_only() -> None:
    profile = make_profile(make_days(seed=11))
    assert find_default_baseline(profile) == "day"
    assert find_default_baseline(profile.to_series()) == "calendar"
    series = profile.to_series()
    calendar, day = (cls().fit(series).compute_features(series) for cls in (CalendarBaseline, DayBaseline))
    assert np.array_equal(day, calendar)


# ---- planted faults -------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_planted_day_faults_change_their_days_only(seed: int) -> None:
    days = make_days(seed=12, count=60)
    planted, faults = plant_day_faults(days, count=8, seed=seed)
    assert sorted(fault.row for fault in faults) == np.flatnonzero((planted != days).any(axis=1)).tolist()
    assert sorted(fault.kind for fault in faults) == sorted(2 * list(DAY_FAULT_KINDS))
    assert np.array_equal(planted, plant_day_faults(days, count=8, seed=seed)[0])
