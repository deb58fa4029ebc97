"""Forecasters with a feature matrix: many entities, unusual entities, short histories, and periods of any length."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.base import DirectForecaster
from core.forecasters.blend import Blend
from core.forecasters.features.feature_plan import find_season_lag
from core.forecasters.gradient_boosting import GradientBoosting
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_periods_before
from core.forecasters.ridge import Ridge
from tests.support.sample_series import make_consumption, make_temperatures

DAYS = 420


def make_known(panel: Panel, **columns: Floats) -> CovariatePanel:
    """Return covariates of a panel; each column has one value per period and one more."""
    count, entities = len(panel) + 1, len(panel.entities)
    periods = pd.date_range(panel.periods[0], periods=count, freq=panel.frequency)
    values = {name: np.repeat(column[:count, None], entities, axis=1) for name, column in columns.items()}
    return CovariatePanel(periods, values, np.zeros((count, entities), dtype=bool))


def make_series(amounts: Floats, start: str = "2021-01-01", frequency: str = "D") -> Panel:
    """Return a panel of `amounts`, shape (periods, entities)."""
    periods = pd.date_range(start, periods=len(amounts), freq=frequency)
    names = tuple(f"e{number}" for number in range(amounts.shape[1]))
    return Panel(periods, names, ("day",), amounts[:, :, None], frequency=frequency)


FORECASTERS: tuple[DirectForecaster, ...] = (Ridge(), GradientBoosting(max_iter=80))


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
def test_parts_of_entities_give_same_forecasts(forecaster: DirectForecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features of one entity at a time give the forecasts that those of all entities give."""
    series = make_series(make_consumption(DAYS, 5))
    known = make_known(series, temperature=make_temperatures(DAYS + 1))
    forecaster.fit(series, known, 2)
    expected = forecaster.predict(series, known, 2, 300)
    importance = forecaster.compute_importance(series, known, 2, 300)
    monkeypatch.setattr("core.forecasters.panels.panel_parts.PART_CELLS", 1)
    assert np.array_equal(forecaster.predict(series, known, 2, 300), expected)
    assert forecaster.compute_importance(series, known, 2, 300) == pytest.approx(importance)
    refitted = forecaster.fit(series, known, 2).predict(series, known, 2, 300)
    assert np.abs(refitted / expected - 1).max() < (1e-6 if isinstance(forecaster, Ridge) else 0.2)


def test_trees_train_on_every_entity_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows of many entities are drawn: the numbers of days ahead use different entities, together all of them."""
    monkeypatch.setattr("core.forecasters.trees.MIN_DRAWN_FROM", 1)
    drawn: list[Floats] = []

    class Recorder:
        def fit(self, features: Floats, targets: Floats) -> "Recorder":
            drawn.append(features)
            return self

    class RecordedBoosting(GradientBoosting):
        max_train_rows = 1500

        def build_regressor(self) -> Recorder:
            return Recorder()

    series = make_series(make_consumption(DAYS, 16))
    RecordedBoosting().fit(series, make_known(series), 3)
    [features] = drawn
    entity = [len(np.unique(column)) == 16 for column in features.T]
    assert any(entity), "one feature is the number of the entity"
    numbers = features[:, entity.index(True)]
    assert len(features) <= 1501
    assert np.bincount(numbers.astype(int)).min() > 40


@pytest.mark.parametrize("forecaster", [*FORECASTERS, Blend("random-forest")], ids=lambda forecaster: forecaster.name)
def test_unusual_entities_leave_others_unchanged(forecaster: DirectForecaster | Blend) -> None:
    """Late, ended, constant, zero and empty entities: no error, and usual forecasts for the usual entity."""
    usual = make_consumption(DAYS, 1)
    late, ended, empty = usual.copy(), usual.copy(), np.full_like(usual, np.nan)
    late[:-25], ended[200:] = np.nan, np.nan
    values = np.concatenate([usual, late, ended, np.full_like(usual, 7.0), np.zeros_like(usual), empty], axis=1)
    series = make_series(values)
    known = make_known(series, temperature=make_temperatures(DAYS + 1))
    forecasts = forecaster.fit(series, known, 2).predict(series, known, 2, DAYS - 30)
    assert np.isfinite(forecasts[:, 0]).all()
    assert np.abs(forecasts[:, 0] / usual[-30:, 0] - 1).mean() < 0.1
    assert np.isnan(forecasts[:, 2]).all()
    assert np.isnan(forecasts[:, 5]).all()
    assert forecasts[:, 3] == pytest.approx(7.0, rel=0.1)
    assert np.abs(forecasts[:, 4]).max() < 1e-6 * usual.max()
    late_forecasts = forecasts[:, 1][np.isfinite(forecasts[:, 1])]
    assert ((late_forecasts > 0.3 * usual.min()) & (late_forecasts < 3 * usual.max())).all()


# ---- short histories ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
@pytest.mark.parametrize("days", [28, 60, 120])
def test_short_history_is_forecast_better_than_same_weekday(forecaster: DirectForecaster, days: int) -> None:
    """Weekly consumption of a winter with its temperature, in 8 entities; 14 days are forecast."""
    series = make_series(make_consumption(days + 14, 8, start="2021-11-01"), start="2021-11-01")
    known = make_known(series, temperature=make_temperatures(days + 15, start="2021-11-01"))
    history, known_history = select_periods_before(series, known, days)
    forecaster.fit(history, known_history, 7)
    for step in (1, 7):
        actual = series.amounts[days + step - 1 :]
        forecast = forecaster.predict(series, known, step, days + step - 1)
        same_weekday = series.amounts[days + step - 8 : -7]
        assert np.abs(forecast - actual).mean() < (0.9 if days < 60 else 0.7) * np.abs(same_weekday - actual).mean()


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
@given(days=st.integers(17, 100), seed=st.integers(0, 1000), horizon=st.integers(1, 7))
@settings(max_examples=10)
def test_short_history_of_noise_is_not_much_worse_than_naive(
    forecaster: DirectForecaster, days: int, seed: int, horizon: int
) -> None:
    """Noise around a week teaches nothing but the week: the error is near that of the naive forecasts."""
    random = np.random.default_rng(seed)
    week = np.tile([10.0, 10, 10, 10, 10, 6, 5], 40)[: days + 70]
    series = make_series((week * np.exp(random.normal(0, 0.2, len(week))))[:, None], start="2021-03-01")
    known = make_known(series)
    history, known_history = select_periods_before(series, known, days)
    forecaster.fit(history, known_history, horizon)
    forecast = forecaster.predict(series, known, horizon, days + horizon)
    actual, same_weekday = series.amounts[days + horizon :], series.amounts[days + horizon - 7 : -7]
    assert np.isfinite(forecast).all()
    assert np.abs(forecast - actual).mean() < 1.3 * np.abs(same_weekday - actual).mean()


@pytest.mark.parametrize("forecaster", [*FORECASTERS, Blend("random-forest")], ids=lambda forecaster: forecaster.name)
def test_forecaster_tells_what_history_cannot_teach(forecaster: DirectForecaster | Blend) -> None:
    limits = {}
    for days in (60, 500, 1000):
        series = make_series(make_consumption(days, 1))
        limits[days] = [str(limit) for limit in forecaster.fit(series, make_known(series), 1).list_limits()]
    assert "shorter than a year (60 periods)" in limits[60][0]
    assert "two and a half years" in limits[500][0]
    assert limits[1000] == []


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
def test_refused_history_names_values_that_are_enough(forecaster: DirectForecaster) -> None:
    """A history as long as the error asks for is accepted, and one value less is refused with the same number."""
    series = make_series(make_consumption(12, 1))
    with pytest.raises(DataError) as error:
        forecaster.fit(series, make_known(series), 7)
    needed = error.value.message.values["accepted"]
    enough = make_series(make_consumption(int(str(needed)), 1))
    forecaster.fit(enough, make_known(enough), 7)


# ---- other periods than days ----------------------------------------------------------------------------------------


def make_seasonal_series(frequency: str, count: int, seasons: dict[float, float], seed: int = 0) -> Panel:
    """Return two entities with waves of `seasons` (periods → share of the level), a slow drift and noise of 5 %."""
    random, position = np.random.default_rng(seed), np.arange(count)
    wave = sum(size * np.sin(2 * np.pi * position / length) for length, size in seasons.items())
    drift = np.cumsum(random.normal(0, 0.002, (count, 2)), axis=0)
    values = np.array([50.0, 400.0]) * np.exp(wave[:, None] + drift + random.normal(0, 0.05, (count, 2)))
    return make_series(values, frequency=frequency, start="2018-01-01")


@pytest.mark.parametrize(
    ("frequency", "count", "seasons", "horizons"),
    [
        ("h", 24 * 70, {24: 0.5, 168: 0.2}, (1, 24, 36)),
        ("10min", 144 * 24, {144: 0.4}, (1, 60, 144)),
        ("W-MON", 260, {52.18: 0.4}, (1, 8)),
        ("MS", 120, {12: 0.4}, (1, 12)),
        ("QS-JAN", 60, {4: 0.3}, (1, 4)),
    ],
)
@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
def test_periods_of_any_length_are_forecast_better_than_seasonal_naive(
    forecaster: DirectForecaster, frequency: str, count: int, seasons: dict[float, float], horizons: tuple[int, ...]
) -> None:
    series = make_seasonal_series(frequency, count, seasons)
    known = make_known(series)
    season, start = round(min(seasons)), count * 3 // 4
    history, known_history = select_periods_before(series, known, start)
    forecaster.fit(history, known_history, max(horizons))
    for step in horizons:
        lag = find_season_lag(step, season)
        actual, naive = series.amounts[start + step :], series.amounts[start + step - lag : count - lag]
        forecast = forecaster.predict(series, known, step, start + step)
        assert np.isfinite(forecast).all()
        assert np.abs(forecast / actual - 1).mean() < np.abs(naive / actual - 1).mean(), step


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
@pytest.mark.parametrize("frequency", ["5min", "h", "W-SUN", "MS", "YS-JAN", "7min"])
def test_forecast_of_periods_ignores_values_after_origin(forecaster: DirectForecaster, frequency: str) -> None:
    """Amounts after the origin change; forecasts with a model of a later step too stay the same."""
    series = make_seasonal_series(frequency, 400 if frequency != "YS-JAN" else 60, {12: 0.3})
    origin = len(series) - 40
    values = series.values.copy()
    values[origin + 1 :] *= 3
    changed = replace(series, values=values)
    horizon = 40 if frequency == "h" else 5
    forecaster.fit(series, make_known(series), horizon)
    for step in (1, 3, horizon - 1):
        before, after = (
            forecaster.predict(panel, make_known(panel), step, origin + step)[0] for panel in (series, changed)
        )
        assert np.isfinite(before).all()
        assert np.array_equal(before, after), step
