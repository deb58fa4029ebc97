"""New levels near the end of the training data, and faults that end again: what follows them, and how soon."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.panel import MAX_LOG_RATIO, Panel
from core.forecasters.automatic import Automatic
from core.forecasters.base import Forecaster
from core.forecasters.choice.candidates import Candidate
from core.forecasters.choice.choice import Choice, choose_members
from core.forecasters.exponential_smoothing import ExponentialSmoothing
from core.forecasters.level_tracker import LevelTracker
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_periods_before
from core.forecasters.ridge import Ridge
from core.forecasters.season_line import SeasonLine
from core.forecasters.series.auto_ets import AutoEts
from core.progress import Progress
from tests.core.forecasters.test_automatic import make_known, make_panel, make_week, use_candidates

factors = st.sampled_from([0.25, 0.5, 1.6, 2.3, 6.0])


@dataclass
class UsualWeek(Forecaster):
    """Forecaster that always returns to the usual week of its training data."""

    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        phases = np.arange(len(series)) % 7
        self.week_ = np.array([np.median(series.amounts[phases == phase]) for phase in range(7)])
        return self

    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        week = self.week_[np.arange(first_day, len(series)) % 7]
        return np.broadcast_to(week[:, None], (len(week), len(series.entities))).copy()


def make_level_change(count: int, age: int, factor: float, seed: int, fault_length: int = 0) -> Floats:
    """Return weeks whose level changed `age` periods before `count`, or with a fault that ended then; a week more."""
    values = make_week(count + 7, 3.0, seed)
    changed = slice(count - age - fault_length, count - age) if fault_length else slice(count - age, None)
    values[changed] *= factor
    return values


def forecast_week(forecaster: Forecaster, values: Floats) -> Floats:
    """Return the forecast of the last 7 of `values` from those before."""
    train, series = make_panel(values[:-7]), make_panel(values)
    return forecaster.fit(train, make_known(train), 7).predict_next(series, make_known(series), 7, len(train))[:, 0]


def choose(values: Floats) -> Choice:
    series = make_panel(values[:-7])
    return choose_members(series, make_known(series), 7, seconds=1)


# ---- smoothing ------------------------------------------------------------------------------------------------------


@given(factors, st.integers(0, 99))
def test_tracker_follows_second_large_error_only(factor: float, seed: int) -> None:
    errors = np.random.default_rng(seed).uniform(-1, 1, 40)
    known, tracker = np.array([True]), LevelTracker(np.array([True]))
    large = np.array([20 * (factor - 1)])
    assert all(tracker.follow(np.array([error]), known) is None for error in errors)
    assert tracker.follow(large, known) is None
    assert tracker.follow(-large, known) is None  # the other side is no confirmation
    assert tracker.follow(np.zeros(1), np.array([False])) is None  # neither is a gap
    share = tracker.follow(-large, known)
    assert share is not None
    assert share.tolist() == [1.0]


@given(st.integers(2, 12), factors, st.integers(0, 99))
@settings(max_examples=10)
def test_smoothing_is_at_new_level_from_its_second_period_on(age: int, factor: float, seed: int) -> None:
    """AutoETS and plain smoothing need a week or more for some of these. The first period of a large one is hidden."""
    values = make_level_change(140, age + (abs(np.log(factor)) > MAX_LOG_RATIO), factor, seed)
    error = np.abs(forecast_week(ExponentialSmoothing(scale="logarithms"), values) / values[-7:] - 1)
    assert error.mean() < 0.35 * abs(factor - 1)


@given(factors, st.integers(0, 99))
@settings(max_examples=8)
def test_smoothing_keeps_its_level_after_one_faulty_period(factor: float, seed: int) -> None:
    values = make_level_change(140, 2, factor, seed, fault_length=1)
    assert np.abs(forecast_week(ExponentialSmoothing(), values) - values[-7:]).mean() < 12


@pytest.mark.parametrize("age", [3, 13, 30, 67])
def test_ets_takes_no_new_level_for_the_shape_of_the_day(age: int) -> None:
    hours = np.arange(174)  # too few for a week of hours
    values = 100 + 5 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(age).normal(0, 1, len(hours))
    values[150 - age :] += 120
    train, series = make_panel(values[:150], "h"), make_panel(values, "h")
    forecaster = AutoEts().fit(train, make_known(train), 24)
    error = forecaster.predict_next(series, make_known(series), 24, 150)[:, 0] - values[150:]
    assert np.abs(error).max() < 30


# ---- regression ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [100, 140, 180])
def test_ridge_does_not_extrapolate_to_a_season_it_has_not_seen(count: int) -> None:
    """Heating ends above 16 °C. A line through the days of winter and spring would go on, below 0."""
    days = pd.date_range("2022-05-01", periods=90) - pd.Timedelta(days=count)
    days = pd.date_range(days[0], periods=count + 90)
    random = np.random.default_rng(count)
    temperature = 12 - 9 * np.cos(2 * np.pi * (days.dayofyear.to_numpy() - 20) / 365) + random.normal(0, 2.5, len(days))
    week = np.where(days.dayofweek < 5, 1.0, 0.9)
    load = week * (40 + 12 * np.maximum(16 - temperature, 0)) * (1 + random.normal(0, 0.03, len(days)))
    series = Panel(days, ("a",), ("day",), load[:, None, None])
    until_tomorrow = days.append(days[-1:] + pd.Timedelta(days=1))
    columns = {"temperature": np.append(temperature, temperature[-1:])[:, None]}
    known = CovariatePanel(until_tomorrow, columns, np.zeros((len(days) + 1, 1), dtype=bool))
    errors = []
    for forecaster in (Ridge(), SeasonLine(1), SeasonLine(7)):
        forecaster.fit(*select_periods_before(series, known, count), 7)
        forecasts = forecaster.predict_steps(series, known, 7, count, len(days))
        errors.append(np.nanmean(np.abs(forecasts[..., 0] - load[count:])))
    assert errors[0] < min(errors[1:])


# ---- choice ---------------------------------------------------------------------------------------------------------


@given(st.integers(4, 14), factors, st.integers(0, 99))
@settings(max_examples=8)
def test_choice_drops_what_returns_to_the_old_level(age: int, factor: float, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        use_candidates(
            patch,
            Candidate("usual", UsualWeek, lambda size: 0.0),
            Candidate("smoothing", ExponentialSmoothing, lambda size: 0.0),
        )
        values = make_level_change(200, age, factor, seed)
        error, usual_error = (
            np.abs(forecast_week(forecaster, values) - values[-7:]).mean()
            for forecaster in (Automatic(seconds=1), UsualWeek())
        )
    assert error < 0.5 * usual_error


@given(st.integers(0, 10_000), st.sampled_from([60, 140, 300]), st.booleans())
@settings(max_examples=10)
def test_noise_and_one_faulty_period_are_no_recent_change(seed: int, count: int, has_fault: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        use_candidates(patch, Candidate("usual", UsualWeek, lambda size: 0.0))
        values = make_level_change(count, 3, 1.0, seed)
        if has_fault:
            values[count - 3] *= 2
        choice = choose(values)
    assert choice.recent_count == 0


@pytest.mark.parametrize("age", [3, 5])
@pytest.mark.parametrize("factor", [0.5, 2.3])
def test_fault_that_ended_leaves_the_usual_week_its_weight(
    monkeypatch: pytest.MonkeyPatch, age: int, factor: float
) -> None:
    use_candidates(monkeypatch, Candidate("usual", UsualWeek, lambda size: 0.0))
    values = make_level_change(200, age, factor, seed=1, fault_length=4)
    choice = choose(values)
    assert next(np.mean(score.weights) for score in choice.scores if score.label == "usual") > 0.5
    assert np.abs(forecast_week(Automatic(seconds=1), values) / values[-7:] - 1).mean() < 0.25
