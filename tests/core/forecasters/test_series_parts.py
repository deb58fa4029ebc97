"""Parts of the forecasters of quantiles: levels, lags, clusters, refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.regular_series import RegularSeries
from core.errors import DataError, OptionError
from core.forecasters.series.auto_ets import AutoEts
from core.forecasters.series.daily_remainder import MAX_ENTITIES
from core.forecasters.series.lag_features import LagTable
from core.forecasters.series.quantile_forest import QuantileForest
from core.forecasters.series.quantile_levels import interpolate_quantiles
from core.forecasters.series.training_rows import draw_training_rows
from core.forecasters.series.zero_shot import ZeroShot
from tests.core.forecasters.test_series_forecasters import HISTORY, WEEK_HOURS, make_series

HOUR = pd.Timedelta(hours=1)


def make_offices_and_homes(weeks: int = 4) -> RegularSeries:
    """Return three offices, busy by day on weekdays, two homes, busy in the evening, and one entity without values."""
    times = pd.date_range("2024-09-30", periods=weeks * WEEK_HOURS, freq="h")
    office = np.where((times.dayofweek < 5) & (times.hour >= 8) & (times.hour < 18), 1.0, 0.1)
    home = np.where(times.hour >= 18, 1.0, 0.3)
    usual = np.stack([office, home, office, office, home], axis=1) * [10.0, 20, 400, 50, 3000]
    values = np.random.default_rng(0).poisson(usual).astype(float)
    values = np.column_stack([values, np.full(len(times), np.nan)])
    return RegularSeries(times, tuple("ABCDEF"), values, HOUR)


# ---- quantile levels ------------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(-1e5, 1e5), min_size=5, max_size=5),
    st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6, unique=True),
)
def test_interpolated_quantiles_ascend_and_keep_known_levels(values: list[float], quantiles: list[float]) -> None:
    levels, known = np.array([0.1, 0.25, 0.5, 0.75, 0.9]), np.sort(values)
    assert np.allclose(interpolate_quantiles(known, levels, levels), known, rtol=1e-9, atol=1e-6)
    interpolated = interpolate_quantiles(known, levels, np.sort(quantiles))
    assert (np.diff(interpolated) >= -1e-6).all()


# ---- lag features ---------------------------------------------------------------------------------------------------


@given(st.integers(WEEK_HOURS, HISTORY - 1), st.integers(1, WEEK_HOURS))
def test_lag_features_read_nothing_from_origin_on(origin: int, lead: int) -> None:
    series = make_series()
    values = series.values.copy()
    values[origin:] = -1e6
    leads = np.array([lead])
    before, after = (
        LagTable(each, WEEK_HOURS).build_features(origin, leads) for each in (series, series.with_values(values))
    )
    assert np.array_equal(before.values, after.values, equal_nan=True)
    assert np.array_equal(before.baseline, after.baseline, equal_nan=True)


def test_baseline_is_mean_of_last_four_weeks() -> None:
    series = make_series()
    features = LagTable(series, 300).build_features(HISTORY, np.array([5, WEEK_HOURS + 5]))
    expected = series.values[HISTORY + 4 - WEEK_HOURS * np.arange(1, 5)].mean(axis=0)
    assert np.allclose(features.baseline, expected), "a step of the second week has the same weeks before"


def test_training_rows_are_same_for_same_seed() -> None:
    first, second, other = (draw_training_rows(make_series(), 24, 2000, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.targets, second.targets)
    assert not np.array_equal(first.targets, other.targets)
    assert len(first.targets) == len(first.features) <= 2000


def test_step_that_does_not_divide_week_is_refused() -> None:
    times = pd.date_range("2024-01-01", periods=400, freq="5h")
    series = RegularSeries(times, ("a",), np.ones((400, 1)), pd.Timedelta(hours=5))
    with pytest.raises(DataError, match="0 days 05:00:00"):
        QuantileForest().fit_series(series, 3)


# ---- clusters -------------------------------------------------------------------------------------------------------


def test_forest_clusters_entities_by_shape_not_level() -> None:
    forest = QuantileForest(n_estimators=5, max_train_rows=2000).fit_series(make_offices_and_homes(), 24)
    assert forest.clusters_.tolist() == [0, 1, 0, 0, 1, -1]
    assert forest.profiles_.shape == (2, 7 * 24)
    assert np.allclose(forest.profiles_.mean(axis=1), 1, atol=0.02)
    office, home = forest.profiles_
    assert office[12] > 2, "Monday at noon"
    assert office[5 * 24 + 12] < 1, "Saturday at noon"
    assert home[20] > 1.5


def test_forest_has_one_cluster_without_clear_groups() -> None:
    forest = QuantileForest(n_estimators=5, max_train_rows=1000).fit_series(make_series(), 24)
    assert forest.clusters_.tolist() == [0, 0, 0]


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 9])
def test_forest_has_chosen_number_of_clusters(n_clusters: int) -> None:
    settings_ = QuantileForest(n_clusters=n_clusters, n_estimators=5, max_train_rows=1000)
    clusters = settings_.fit_series(make_offices_and_homes(), 24).clusters_
    assert len(set(clusters[:5])) == min(n_clusters, 5)
    assert clusters[5] == -1


def test_forest_clusters_identical_entities_together() -> None:
    series = make_series()
    same = series.with_values(np.repeat(series.values[:, 1:2], 3, axis=1))
    assert QuantileForest(n_estimators=5, max_train_rows=1000).fit_series(same, 24).clusters_.tolist() == [0, 0, 0]


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_statistical_model_refuses_many_entities() -> None:
    series = make_series()
    count = MAX_ENTITIES + 1
    many = replace(series, entities=tuple(map(str, range(count))), values=np.ones((HISTORY, count)))
    with pytest.raises(DataError, match=f"at most {MAX_ENTITIES} series"):
        AutoEts().fit_series(many, 24)


def test_chronos_folder_is_refused_without_weights_or_package(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"config.json \+ model.safetensors"):
        ZeroShot(chronos_folder=str(tmp_path)).fit_series(make_series(), 24)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(OptionError, match="chronos-forecasting"):
        ZeroShot(chronos_folder=str(tmp_path)).fit_series(make_series(), 24)


def test_zero_shot_leaves_threads_of_torch_alone() -> None:
    import torch

    count = torch.get_num_threads()
    ZeroShot().fit_series(make_series(), 5).predict_quantiles(make_series(), 5, np.array([0.5]))
    assert torch.get_num_threads() == count
