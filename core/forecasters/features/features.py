"""Features of a period, known a given number of periods before: one matrix for linear models and one for trees.

Both contain the calendar, the past amounts up to the forecast origin, and the covariates. Linear models get levels and
degree-days, because consumption is nearly linear in degree-days. Trees cannot extrapolate, so they get ratios and
differences to the base of the forecast. The plan says what the history is long enough for.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.features.feature_matrix import FeatureBuilder, FeatureMatrix
from core.forecasters.features.feature_plan import FeaturePlan, find_season_lag
from core.forecasters.features.weather_features import (
    add_degree_days,
    add_times,
    add_times_change,
    add_weather_change,
    list_lagged_heating,
)
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods

TREND_START = pd.Timestamp("2000-01-01")  # fixed, so that the trend does not depend on the first day of the series
CLOCK_WAVES = 4  # of the day, for steps shorter than a day
TREE_LAGS = (1, 2, 3, 6, 7, 13)  # days before the origin


def find_weekday_lag(step: int) -> int:
    """Return the lag of the last known day of the same weekday, in days before the day that is forecast.

    Example:
        >>> [find_weekday_lag(step) for step in (1, 7, 8)]
        [7, 7, 14]
    """
    return find_season_lag(step, 7)


# ---- linear models --------------------------------------------------------------------------------------------------


def build_linear_features(
    panel: Panel,
    covariates: CovariatePanel,
    last_known: Floats,
    step: int,
    plan: FeaturePlan | None = None,
    first_day: int = 0,
    base: Floats | None = None,
) -> FeatureMatrix:
    """Return levels for a linear model: past amounts, degree-days now and then, and weekday × degree-days.

    `last_known` has the last known amounts, (periods, entities). Without a `plan` the history counts as long enough for
    every feature. The matrix has the periods from index `first_day` on. `base` is the last known amount by default.
    """
    plan = plan or FeaturePlan(panel.frequency)
    builder = FeatureBuilder(len(panel.entities), first_day)
    _add_calendar(builder, panel.periods, plan)
    level = _compute_level(last_known, plan)
    _add_flags(builder, covariates, step, shift_periods(level, step))  # the effect of an event is a share of the amount
    for name in covariates.numeric_names:
        builder.add_feature("weather", name, covariates.get_known_values(name, 0, step))
    if covariates.has_temperature:
        heating_degrees = add_degree_days(builder, panel, covariates, step, plan)
        _add_cold_by_calendar(builder, panel, covariates, step, plan, heating_degrees)
    if plan.day_length:
        add_times(builder, covariates, step, plan)
    if not plan.is_daily:
        builder.add_feature("past", "level", shift_periods(level, step))
    weekday = panel.periods.dayofweek.to_numpy()
    seasonal_lags = {step, *(lag for season in plan.seasons for lag in plan.list_season_lags(season, step)[:1])}
    for lag in plan.list_lags(step):
        past_amounts = shift_periods(last_known, lag)
        builder.add_feature("past", f"lag {lag - step}", past_amounts)
        if plan.has_interactions:
            weekend = shift_periods((weekday >= 5).astype(float), lag)[:, None]
            builder.add_feature("past", f"lag {lag - step} × week-end", weekend * past_amounts)
        if not plan.has_interactions and lag not in seasonal_lags:
            continue
        if "holiday" in covariates.columns:
            holiday_amounts = covariates.get_known_values("holiday", lag, step) * past_amounts
            builder.add_feature("past", f"lag {lag - step} × holiday", holiday_amounts)
        for name, value in list_lagged_heating(panel, covariates, lag, step, plan):
            builder.add_feature("past", f"{name} at lag {lag - step}", value)
    return builder.build_matrix(shift_periods(last_known, step) if base is None else base)


def _add_calendar(builder: FeatureBuilder, periods: pd.DatetimeIndex, plan: FeaturePlan) -> None:
    """Add the weekday, waves of the day for shorter steps, waves of the year, and the trend."""
    if plan.is_daily or plan.day_length:
        for day in range(7):
            builder.add_feature("calendar", f"weekday {day}", (periods.dayofweek == day).astype(float))
    weekend = (periods.dayofweek >= 5).astype(float)
    for name, wave in _list_clock_waves(periods, plan):
        builder.add_feature("calendar", name, wave)
        builder.add_feature("calendar", f"{name} × week-end", wave * weekend)
    angle = 2 * np.pi * periods.dayofyear.to_numpy() / 365.25
    for number in range(1, plan.wave_count + 1):
        builder.add_feature("calendar", f"year sin {number}", np.sin(number * angle))
        builder.add_feature("calendar", f"year cos {number}", np.cos(number * angle))
    if plan.has_trend:
        builder.add_feature("calendar", "trend", ((periods - TREND_START).days / 365.25).to_numpy())


def _list_clock_waves(periods: pd.DatetimeIndex, plan: FeaturePlan) -> list[tuple[str, Floats]]:
    """Return the waves of the day; [] for periods that are no part of a day."""
    angle = 2 * np.pi * (periods.hour + periods.minute / 60 + periods.second / 3600).to_numpy() / 24
    numbers = range(1, min(CLOCK_WAVES, (plan.day_length - 1) // 2) + 1)
    functions = (("sin", np.sin), ("cos", np.cos))
    return [(f"day {name} {number}", function(number * angle)) for number in numbers for name, function in functions]


def _compute_level(last_known: Floats, plan: FeaturePlan) -> Floats:
    """Return the mean of the last periods, 4 weeks of days, (periods, entities)."""
    window = plan.level_window
    min_periods = window // 4 if plan.is_complete else 1
    return np.asarray(pd.DataFrame(last_known).rolling(window, min_periods=max(min_periods, 1)).mean())


def _add_cold_by_calendar(
    builder: FeatureBuilder,
    panel: Panel,
    covariates: CovariatePanel,
    step: int,
    plan: FeaturePlan,
    heating_degrees: Floats,
) -> None:
    """Add degree-days by weekday, flag and time of the day, where the history can tell them apart."""
    if not plan.has_interactions and not plan.is_complete:
        return
    if plan.has_interactions:
        for day in range(7):
            on_weekday = (panel.periods.dayofweek.to_numpy() == day)[:, None]
            builder.add_feature("weather", f"cold on weekday {day}", on_weekday * heating_degrees)
    for name, wave in _list_clock_waves(panel.periods, plan)[:4]:
        builder.add_feature("weather", f"cold × {name}", wave[:, None] * heating_degrees)
    for flag in ("holiday", "school_break"):
        if flag in covariates.columns:
            cold_on_flag = covariates.get_known_values(flag, 0, step) * heating_degrees
            builder.add_feature("weather", f"cold × {flag}", cold_on_flag)


# ---- trees ----------------------------------------------------------------------------------------------------------


def build_tree_features(
    panel: Panel,
    covariates: CovariatePanel,
    last_known: Floats,
    step: int,
    horizon: int = 1,
    plan: FeaturePlan | None = None,
    first_day: int = 0,
    base: Floats | None = None,
    entity_numbers: NDArray[np.intp] | None = None,
) -> FeatureMatrix:
    """Return ratios for trees: log-ratios of past amounts to the base of the forecast, and changes of the weather.

    `last_known` has the transformed last known amounts, (periods, entities); `base` is the one at the origin by
    default. All steps up to `horizon` have the same features. Without a `plan` the history counts as long enough for
    every feature. The matrix has the periods from index `first_day` on. The entities of `panel` have `entity_numbers`
    among those of the training data (default: 0, 1 …).
    """
    plan = plan or FeaturePlan(panel.frequency)
    builder = FeatureBuilder(len(panel.entities), first_day)
    base = shift_periods(last_known, step) if base is None else base
    numbers = np.arange(len(panel.entities)) if entity_numbers is None else entity_numbers
    _add_tree_calendar(builder, panel.periods, step, plan)
    builder.add_feature("calendar", "entity", np.broadcast_to(numbers.astype(float), base.shape))
    builder.add_feature("calendar", "days ahead", np.full(len(panel), float(step)))
    _add_flags(builder, covariates, step)
    for flag in covariates.flag_names:
        builder.add_feature(flag, f"{flag} then", covariates.get_known_values(flag, step, step))
    for name in covariates.numeric_names:
        builder.add_feature("weather", name, covariates.get_known_values(name, 0, step))
        builder.add_feature(
            "weather",
            f"{name}, change",
            covariates.get_known_values(name, 0, step) - covariates.get_known_values(name, step, step),
        )
    for lag in _list_tree_lags(plan, step, horizon):
        builder.add_feature("past", f"ratio {lag - step}", shift_periods(last_known, lag) - base)
    for window, min_periods in _list_level_windows(plan):
        level = pd.DataFrame(last_known).rolling(window, min_periods=min_periods).mean().to_numpy()
        builder.add_feature("past", f"ratio mean {window}", np.nan_to_num(shift_periods(level, step) - base))
    if covariates.has_temperature:
        add_weather_change(builder, panel, covariates, step, plan)
    if plan.day_length:
        add_times_change(builder, covariates, step, plan)
    return builder.build_matrix(base)


def _add_tree_calendar(builder: FeatureBuilder, periods: pd.DatetimeIndex, step: int, plan: FeaturePlan) -> None:
    """Add the weekday, the time of the day and of the year, as far as the periods and the history have them."""
    weekday = periods.dayofweek.to_numpy()
    has_weekday = plan.is_daily or plan.day_length > 0
    if has_weekday:
        builder.add_feature("calendar", "weekday", weekday.astype(float))
    if plan.is_complete:
        builder.add_feature("calendar", "day of year", periods.dayofyear.to_numpy().astype(float))
    if has_weekday:
        builder.add_feature("calendar", "week-end", (weekday >= 5).astype(float))
        builder.add_feature("calendar", "weekday then", shift_periods(weekday.astype(float), step))
    if plan.day_length:
        builder.add_feature("calendar", "hour", (periods.hour + periods.minute / 60).to_numpy().astype(float))


def _list_tree_lags(plan: FeaturePlan, step: int, horizon: int) -> list[int]:
    """Return the lags of the ratios; that of the origin itself where the base can be another one."""
    if not (plan.is_daily and plan.is_complete):
        return plan.list_aligned_lags(step, horizon)
    weekday_lag = find_weekday_lag(step)
    return [*(step + days for days in TREE_LAGS), weekday_lag, weekday_lag + 7]


def _list_level_windows(plan: FeaturePlan) -> list[tuple[int, int]]:
    """Return the lengths of the recent levels and how many of their periods have to be known."""
    if plan.is_daily:
        return [(7, 3), (28, 7), *([(365, 90)] if plan.is_complete else [])]
    seasons = [season for season in plan.seasons if plan.can_use(season)]
    return [(window, max(window // 4, 1)) for window in (*seasons, 4 * max(seasons, default=4))]


# ---- both -----------------------------------------------------------------------------------------------------------


def _add_flags(builder: FeatureBuilder, covariates: CovariatePanel, step: int, factor: Floats | float = 1.0) -> None:
    for flag in covariates.flag_names:
        builder.add_feature(flag, flag, covariates.get_known_values(flag, 0, step) * factor)
        if flag == "holiday":
            for periods_back, name in ((1, "the day after"), (-1, "the day before")):
                builder.add_feature(
                    flag,
                    f"holiday, {name}",
                    np.nan_to_num(covariates.get_known_values(flag, periods_back, step)) * factor,
                )
