"""The contract of the forecasters of quantiles, on series of hours with a daily and a weekly cycle."""

import copy
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st

from core import forecasters as algorithms
from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.evaluation.conformal import ResidualHistory
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.series.base import SeriesForecaster, bound_quantiles, require_history
from core.runs.model_files import list_trusted_types, save_model
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.spec.plugins import discover_classes
from core.tasks.forecast.backtest import build_example_table
from mlflow_utils.model_io import load_model
from tests.core.forecasters.test_forecasters import (
    FAST_SETTINGS,
    ProgressRecorder,
    make_covariates,
    make_inputs,
    make_panel,
    replace_values,
)

SERIES_FORECASTERS = discover_classes(algorithms, SeriesForecaster)
EVERY_SERIES_FORECASTER = pytest.mark.parametrize("name", SERIES_FORECASTERS)
WEEK_HOURS, HISTORY, HORIZON = 168, 6 * 168, 30
LEVELS = np.array([2.0, 50.0, 4000.0])  # of three entities
QUANTILES = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
MEDIAN_POSITION = 3


def make_series(steps: int = HISTORY, *, zone: str = "", seed: int = 3) -> RegularSeries:
    """Return hourly counts of three entities: a peak by day, half as much on weekends, noise of counts."""
    times = pd.date_range("2024-09-30", periods=steps, freq="h")
    day = 1 + 0.8 * np.sin((times.hour - 6) / 24 * 2 * np.pi)
    usual = (day * np.where(times.dayofweek < 5, 1.0, 0.5)).to_numpy()
    values = np.random.default_rng(seed).poisson(usual[:, None] * LEVELS).astype(float)
    return RegularSeries(times, ("low", "middle", "high"), values, pd.Timedelta(hours=1), "calls", zone)


def make_fast_forecaster(name: str) -> SeriesForecaster:
    return build_from_settings(SERIES_FORECASTERS[name], FAST_SETTINGS.get(name, {}))


@cache
def fit_on_history(name: str) -> SeriesForecaster:
    return make_fast_forecaster(name).fit_series(make_series(), HORIZON)


def predict(name: str, series: RegularSeries | None = None, horizon: int = HORIZON) -> Floats:
    return fit_on_history(name).predict_quantiles(series or make_series(), horizon, QUANTILES)


def compute_loss(actual: Floats, forecasts: Floats) -> float:
    """Return the mean weighted quantile loss over all entities, steps and quantiles."""
    errors = actual[..., None] - forecasts
    losses = 2 * np.maximum(QUANTILES * errors, (QUANTILES - 1) * errors)
    return float(losses.mean(axis=(0, 1)).mean() / np.abs(actual).mean())


# ---- contract of all forecasters of quantiles -----------------------------------------------------------------------


@EVERY_SERIES_FORECASTER
def test_series_forecast_has_ascending_quantiles_in_range(name: str) -> None:
    forecasts = predict(name)
    assert forecasts.shape == (HORIZON, len(LEVELS), len(QUANTILES))
    assert np.isfinite(forecasts).all()
    assert (np.diff(forecasts, axis=2) >= 0).all()
    assert (forecasts >= 0).all()
    assert (forecasts[..., -1] > forecasts[..., 0]).any(axis=0).all(), "every entity has an interval"


@EVERY_SERIES_FORECASTER
def test_series_forecast_follows_level_of_each_entity(name: str) -> None:
    actual = make_series(HISTORY + HORIZON).values[HISTORY:]
    medians = predict(name)[..., MEDIAN_POSITION]
    assert np.allclose(medians.mean(axis=0), actual.mean(axis=0), rtol=0.25, atol=1)
    for entity in (1, 2):
        assert np.corrcoef(medians[:, entity], actual[:, entity])[0, 1] > 0.7


@EVERY_SERIES_FORECASTER
def test_series_forecast_covers_what_comes(name: str) -> None:
    """Four in five values, at least, lie inside the interval of 95 %."""
    actual = make_series(HISTORY + HORIZON).values[HISTORY:]
    forecasts = predict(name)
    is_inside = (actual >= forecasts[..., 0]) & (actual <= forecasts[..., -1])
    assert is_inside.mean() >= 0.8


@EVERY_SERIES_FORECASTER
def test_series_forecast_is_deterministic(name: str) -> None:
    refitted = make_fast_forecaster(name).fit_series(make_series(), HORIZON)
    first, second = (refitted.predict_quantiles(make_series(), HORIZON, QUANTILES) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.allclose(first, predict(name), rtol=1e-9)


@EVERY_SERIES_FORECASTER
def test_series_forecast_uses_nothing_after_origin(name: str) -> None:
    """Steps after an origin change; the forecast from the origin stays the same, that of a later one does not."""
    series, origin = make_series(), HISTORY - 40
    values = series.values.copy()
    values[origin:] = values[origin:][::-1] * 3 + 1
    forecaster = fit_on_history(name)
    before, after = (
        forecaster.predict_origins(each, [origin, HISTORY], HORIZON, QUANTILES)
        for each in (series, series.with_values(values))
    )
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])


@EVERY_SERIES_FORECASTER
def test_series_forecast_of_origins_equals_single_forecasts(name: str) -> None:
    series, forecaster, origins = make_series(), fit_on_history(name), [HISTORY - 100, HISTORY - 7, HISTORY]
    together = forecaster.predict_origins(series, origins, HORIZON, QUANTILES)
    for position, origin in enumerate(origins):
        alone = forecaster.predict_quantiles(series.select(0, origin), HORIZON, QUANTILES)
        assert np.allclose(together[position], alone, rtol=1e-5, equal_nan=True)


@EVERY_SERIES_FORECASTER
def test_series_forecast_bridges_missing_values(name: str) -> None:
    """One value in ten is missing, and a whole entity for three weeks: the others are forecast as before."""
    series = make_series()
    values = series.values.copy()
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    values[-3 * WEEK_HOURS :, 0] = np.nan
    incomplete = series.with_values(values)
    forecasts = (
        make_fast_forecaster(name).fit_series(incomplete, HORIZON).predict_quantiles(incomplete, HORIZON, QUANTILES)
    )
    assert np.isnan(forecasts[:, 0]).all()
    assert np.isfinite(forecasts[:, 1:]).all()
    usual = predict(name)[:, 1:, MEDIAN_POSITION].mean(axis=0)
    assert np.allclose(forecasts[:, 1:, MEDIAN_POSITION].mean(axis=0), usual, rtol=0.25)


@EVERY_SERIES_FORECASTER
def test_series_forecast_knows_closed_hours(name: str) -> None:
    """Nights and weekends are always missing, as in an office that is closed then."""
    series = make_series()
    is_closed = (series.times.hour < 8) | (series.times.hour > 20) | (series.times.dayofweek > 4)
    values = np.where(np.asarray(is_closed)[:, None], np.nan, series.values)
    open_hours = series.with_values(values).select(0, HISTORY - 3 * 24)  # up to Thursday evening
    forecasts = make_fast_forecaster(name).fit_series(open_hours, 24).predict_quantiles(open_hours, 24, QUANTILES)
    actual = series.values[HISTORY - 3 * 24 :][9:20]
    assert np.isfinite(forecasts[9:20]).all()
    assert np.allclose(forecasts[9:20, :, MEDIAN_POSITION].mean(axis=0), actual.mean(axis=0), rtol=0.3, atol=1)


@EVERY_SERIES_FORECASTER
def test_series_forecast_returns_nan_for_unknown_entity(name: str) -> None:
    series = make_series()
    values = series.values.copy()
    values[:, 1] = np.nan
    forecasts = (
        make_fast_forecaster(name)
        .fit_series(series.with_values(values), HORIZON)
        .predict_quantiles(series.with_values(values), HORIZON, QUANTILES)
    )
    assert np.isnan(forecasts[:, 1]).all()
    assert np.isfinite(forecasts[:, [0, 2]]).all()


@EVERY_SERIES_FORECASTER
@pytest.mark.parametrize("kind", ["constant", "zeros", "negative"])
def test_series_forecast_stays_in_range_of_unusual_values(name: str, kind: str) -> None:
    series, noise = make_series(), np.random.default_rng(0).normal(0, 1, (HISTORY, len(LEVELS)))
    values = {"constant": np.full(noise.shape, 7.0), "zeros": np.zeros(noise.shape), "negative": 5 * noise - 9}[kind]
    unusual = series.with_values(values)
    forecasts = make_fast_forecaster(name).fit_series(unusual, HORIZON).predict_quantiles(unusual, HORIZON, QUANTILES)
    spread = max(np.ptp(values), 1e-6)
    assert np.isfinite(forecasts).all()
    assert (forecasts >= values.min() - 0.5 * spread).all()
    assert (forecasts <= values.max() + 0.5 * spread).all()
    assert kind != "negative" or (forecasts < 0).any()


@EVERY_SERIES_FORECASTER
def test_series_forecast_of_ratio_stays_in_unit_interval(name: str) -> None:
    attempts = make_series().values
    answered = np.random.default_rng(1).binomial(attempts.astype(int), 0.97)
    with np.errstate(invalid="ignore"):
        ratios = answered / attempts
    series = replace(make_series(), values=ratios, attempts=attempts, unit="")
    forecasts = make_fast_forecaster(name).fit_series(series, HORIZON).predict_quantiles(series, HORIZON, QUANTILES)
    assert np.isfinite(forecasts[:, 1:]).all()
    assert np.nanmin(forecasts) >= 0
    assert np.nanmax(forecasts) <= 1


@EVERY_SERIES_FORECASTER
@pytest.mark.parametrize("start", ["2024-10-06", "2024-03-11"])
def test_series_forecast_keeps_local_clock_over_clock_change(name: str, start: str) -> None:
    """The peak of a local clock stays at its hour on the day after the clock change."""
    times = (
        pd.date_range(start, periods=4 * WEEK_HOURS, freq="h", tz="Europe/Paris").tz_convert("UTC").tz_localize(None)
    )
    series = RegularSeries(times, ("a",), np.zeros((len(times), 1)), pd.Timedelta(hours=1), zone="Europe/Paris")
    peak = 10 + 90.0 * np.asarray(series.local_times.hour == 12)[:, None]
    noise = np.random.default_rng(0).normal(0, 1, peak.shape)
    change = int(np.flatnonzero(np.diff(series.local_times.tz_localize(None).asi8) != 3_600_000_000_000)[0])
    known = series.with_values(peak + noise).select(0, change - 5)
    forecasts = make_fast_forecaster(name).fit_series(known, 48).predict_quantiles(known, 48, QUANTILES)
    medians = forecasts[:, 0, MEDIAN_POSITION]
    first = int(np.flatnonzero(series.local_times.hour[change - 5 :] == 12)[0])
    assert medians[first] == medians[max(first - 6, 0) : first + 6].max()


@EVERY_SERIES_FORECASTER
def test_series_forecaster_refuses_short_history(name: str) -> None:
    """The message has the number of steps needed, and so many steps are enough."""
    with pytest.raises(DataError) as error:
        make_fast_forecaster(name).fit_series(make_series(5), HORIZON)
    needed = error.value.args[1]["accepted"]
    assert str(needed) in str(error.value)
    enough = make_series(needed)
    make_fast_forecaster(name).fit_series(enough, HORIZON).predict_quantiles(enough, HORIZON, QUANTILES)
    with pytest.raises(DataError):
        make_fast_forecaster(name).fit_series(make_series(needed - 1), HORIZON)


@EVERY_SERIES_FORECASTER
def test_series_forecaster_forecasts_daily_amounts(name: str) -> None:
    """Forecasts of the last days use only the days before their origin, and follow the level."""
    panel, covariates = make_panel(), make_inputs(make_panel())
    forecaster = make_fast_forecaster(name).fit(panel, covariates, 2)
    origin, values = len(panel) - 2, panel.values.copy()
    values[origin:] *= 3
    later = replace_values(panel, values)
    before, after = (forecaster.predict(each, make_inputs(each), 2, origin) for each in (panel, later))
    assert np.allclose(before, panel.amounts[origin:], rtol=0.5)
    assert np.allclose(before, after), "the origin of the last day is the day two days before"


@EVERY_SERIES_FORECASTER
def test_series_forecaster_survives_saving(name: str) -> None:
    data = skops.io.dumps(fit_on_history(name))
    assert set(skops.io.get_untrusted_types(data=data)) <= set(list_trusted_types())
    loaded = skops.io.loads(data, trusted=list(list_trusted_types()))
    assert np.array_equal(loaded.predict_quantiles(make_series(), HORIZON, QUANTILES), predict(name))


@EVERY_SERIES_FORECASTER
def test_series_forecaster_is_saved_in_forecast_model(name: str, tmp_path: Path) -> None:
    panel, horizon = make_panel(), 2
    shape = (horizon, 30, len(panel.entities), 1)
    model = ForecastModel(make_fast_forecaster(name), horizon)
    errors = ResidualHistory(np.broadcast_to(panel.values[-30:], shape) * 1.01, panel.values[-30:])
    model.fit(panel, make_covariates(), errors)
    example = build_example_table(panel, make_covariates(), model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, about its own signature
        save_model(tmp_path / "model", model, example)
    loaded: Any = load_model(tmp_path / "model", list_trusted_types())
    pd.testing.assert_frame_equal(loaded.predict(example), model.predict(example))


@EVERY_SERIES_FORECASTER
def test_series_forecaster_is_quiet_and_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    series = make_series()
    values, random_state = series.values.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    recorder = ProgressRecorder()
    forecaster = make_fast_forecaster(name).fit_series(series, HORIZON, recorder)
    forecaster.predict_quantiles(series, HORIZON, QUANTILES)
    assert np.array_equal(series.values, values)
    assert np.array_equal(np.random.get_state()[1], random_state)  # noqa: NPY002
    assert recorder.shares == sorted(recorder.shares)
    assert recorder.shares[-1] == 1
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@EVERY_SERIES_FORECASTER
def test_series_forecaster_describes_its_settings(name: str) -> None:
    cls = SERIES_FORECASTERS[name]
    assert all(field.metadata["help"] for field in get_hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())
    settings_before = copy.deepcopy(get_params(fit_on_history(name)))
    assert settings_before == get_params(make_fast_forecaster(name)), "fitting changes no setting"


@pytest.mark.parametrize("name", ["gradient-boosting-quantiles", "quantile-forest"])
def test_series_forecast_beats_seasonal_naive(name: str) -> None:
    actual = make_series(HISTORY + HORIZON).values[HISTORY:]
    assert compute_loss(actual, predict(name)) < 0.9 * compute_loss(actual, predict("seasonal-naive"))


# ---- parts ----------------------------------------------------------------------------------------------------------


def test_seasonal_naive_takes_whole_weeks_before() -> None:
    series = make_series()
    forecasts = predict("seasonal-naive", horizon=WEEK_HOURS + 5)
    expected = np.concatenate([series.values[-WEEK_HOURS:], series.values[-WEEK_HOURS:][:5]])
    assert np.array_equal(forecasts[..., MEDIAN_POSITION], expected)


def test_seasonal_naive_interval_grows_with_weeks_of_a_random_walk() -> None:
    walk = np.random.default_rng(2).normal(0, 1, (30 * WEEK_HOURS, 1)).cumsum(axis=0)
    times = pd.date_range("2024-01-01", periods=len(walk), freq="h")
    series = RegularSeries(times, ("a",), walk, pd.Timedelta(hours=1))
    forecasts = fit_on_history("seasonal-naive").predict_quantiles(series, 3 * WEEK_HOURS, QUANTILES)
    widths = (forecasts[..., -1] - forecasts[..., 0])[[0, WEEK_HOURS, 2 * WEEK_HOURS], 0]
    assert (np.diff(widths) > 0).all()


def test_seasonal_naive_takes_older_week_for_missing_value() -> None:
    series = make_series()
    values = series.values.copy()
    values[-WEEK_HOURS + 3, 1] = np.nan
    forecasts = predict("seasonal-naive", series.with_values(values))
    assert forecasts[3, 1, MEDIAN_POSITION] == series.values[-2 * WEEK_HOURS + 3, 1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6), st.booleans(), st.booleans())
def test_bounded_quantiles_ascend_within_range(values: list[float], is_amount: bool, is_ratio: bool) -> None:
    history = np.array([[0.5], [0.2 if is_amount else -0.2]])
    times = pd.date_range("2024-01-01", periods=2)
    series = RegularSeries(times, ("a",), history, pd.Timedelta(days=1), attempts=history if is_ratio else None)
    quantiles = bound_quantiles(np.array(values).reshape(2, 1, 3), series)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    assert not is_amount or (quantiles >= 0).all()
    assert not is_ratio or (quantiles <= 1).all()


def test_history_counts_from_first_to_last_known_value() -> None:
    series = make_series(50)
    values = np.full(series.values.shape, np.nan)
    values[[10, 39], 1] = 1
    require_history(series.with_values(values), 30)
    with pytest.raises(DataError, match=r"too few steps for training: 30\. At least 31"):
        require_history(series.with_values(values), 31)
