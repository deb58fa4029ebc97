"""Features of a day, known a given number of days before: one matrix for linear models and one for trees.

Both contain the calendar, the past amounts up to the forecast origin, and the covariates. Linear models get levels and
degree-days, because consumption is nearly linear in degree-days. Trees cannot extrapolate, so they get ratios and
differences to the forecast origin.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.covariate_panel import CovariatePanel, shift_days

HEATING_BASES_C = (10, 13, 16, 19)  # °C; several bases, because consumption bends over a range of temperatures
COOLING_BASES_C = (20, 24)  # °C
MEMORY_WEIGHTS = (0.6, 0.35, 0.15)  # of exponential means: buildings store heat for days
MIN_TREND_YEARS = 2.5  # years; with fewer, a trend cannot be separated from the finer waves of the year
LAG_DAYS = (0, 1, 2, 3, 4, 5, 6, 7, 13, 20)
TREND_START = pd.Timestamp("2000-01-01")  # fixed, so that the trend does not depend on the first day of the series


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of every day and entity.

    values  (days, entities, features), NaN where unknown
    names   name of every feature
    groups  group of every feature: "calendar", "past", "weather", "strike" …
    base    known value that the forecast is a change of, (days, entities)
    """

    values: Floats
    names: list[str]
    groups: list[str]
    base: Floats

    @property
    def complete_mask(self) -> NDArray[np.bool_]:
        """Mask of the days with a value for every feature, (days, entities)."""
        return np.asarray(np.isfinite(self.values).all(axis=2))


class _FeatureBuilder:
    """Builder of the feature matrix of the days from index `first_day` on.

    A feature of shape (days,) is repeated for every entity.
    """

    def __init__(self, entities: int, first_day: int) -> None:
        self.entity_count, self.first_day = entities, first_day
        self.arrays: list[Floats] = []
        self.names: list[str] = []
        self.groups: list[str] = []

    def add_feature(self, group: str, name: str, values: Floats) -> None:
        values = values[self.first_day :]
        self.arrays.append(
            np.broadcast_to(values[:, None], (len(values), self.entity_count)) if values.ndim == 1 else values
        )
        self.names.append(name)
        self.groups.append(group)

    def build_matrix(self, base: Floats) -> FeatureMatrix:
        return FeatureMatrix(np.stack(self.arrays, axis=2), self.names, self.groups, base[self.first_day :])


def find_weekday_lag(step: int) -> int:
    """Return the lag of the last known day of the same weekday, in days before the day that is forecast.

    Example:
        >>> [find_weekday_lag(step) for step in (1, 7, 8)]
        [7, 7, 14]
    """
    return step + (-step) % 7


def build_linear_features(
    panel: Panel,
    covariates: CovariatePanel,
    last_known: Floats,
    step: int,
    history_years: float = MIN_TREND_YEARS,
    first_day: int = 0,
) -> FeatureMatrix:
    """Return levels for a linear model: past amounts, degree-days now and then, and weekday × degree-days.

    `last_known` has the last known amounts, (days, entities). The trend and the finer seasonal waves need
    `history_years` ≥ 2.5. The matrix has the days from index `first_day` on.
    """
    builder = _FeatureBuilder(len(panel.entities), first_day)
    days = panel.periods
    weekday = days.dayofweek.to_numpy()
    _add_calendar(builder, days, wave_count=3 if history_years >= MIN_TREND_YEARS else int(history_years))
    if history_years >= MIN_TREND_YEARS:
        builder.add_feature("calendar", "trend", ((days - TREND_START).days / 365.25).to_numpy())
    level = pd.DataFrame(last_known).rolling(28, min_periods=7).mean().to_numpy()
    _add_flags(builder, covariates, step, shift_days(level, step))  # the effect of an event is a share of the amount
    for name in covariates.numeric_names:
        builder.add_feature("weather", name, covariates.get_known_values(name, 0, step))
    heating_degrees = _add_degree_days(builder, panel, covariates, step) if covariates.has_temperature else None
    if heating_degrees is not None:
        for day in range(7):
            builder.add_feature("weather", f"cold on weekday {day}", (weekday == day)[:, None] * heating_degrees)
        for flag in ("holiday", "school_break"):
            if flag in covariates.columns:
                builder.add_feature(
                    "weather", f"cold × {flag}", covariates.get_known_values(flag, 0, step) * heating_degrees
                )
    weekday_lag = find_weekday_lag(step)
    for lag in sorted({step + lag_days for lag_days in LAG_DAYS} | {weekday_lag, weekday_lag + 7, weekday_lag + 14}):
        past_amounts = shift_days(last_known, lag)
        builder.add_feature("past", f"lag {lag - step}", past_amounts)
        weekend = shift_days((weekday >= 5).astype(float), lag)[:, None]
        builder.add_feature("past", f"lag {lag - step} × week-end", weekend * past_amounts)
        if "holiday" in covariates.columns:
            builder.add_feature(
                "past", f"lag {lag - step} × holiday", covariates.get_known_values("holiday", lag, step) * past_amounts
            )
        for name, value in _list_lagged_heating(panel, covariates, lag, step):
            builder.add_feature("past", f"{name} at lag {lag - step}", value)
    return builder.build_matrix(shift_days(last_known, step))


def build_tree_features(
    panel: Panel,
    covariates: CovariatePanel,
    last_known: Floats,
    step: int,
    first_day: int = 0,
    entity_numbers: NDArray[np.intp] | None = None,
) -> FeatureMatrix:
    """Return ratios for trees: log-ratios of past amounts to the forecast origin, and changes of the weather.

    `last_known` has the transformed last known amounts, (days, entities). The matrix has the days from index
    `first_day` on. The entities of `panel` have `entity_numbers` among those of the training data (default: 0, 1 …).
    """
    builder = _FeatureBuilder(len(panel.entities), first_day)
    days, origin_amounts = panel.periods, shift_days(last_known, step)
    weekday = days.dayofweek.to_numpy()
    for name, values in (("weekday", weekday), ("day of year", days.dayofyear.to_numpy())):
        builder.add_feature("calendar", name, values.astype(float))
    builder.add_feature("calendar", "week-end", (weekday >= 5).astype(float))
    builder.add_feature("calendar", "weekday then", shift_days(weekday.astype(float), step))
    numbers = np.arange(len(panel.entities)) if entity_numbers is None else entity_numbers
    builder.add_feature("calendar", "entity", np.broadcast_to(numbers.astype(float), origin_amounts.shape))
    builder.add_feature("calendar", "days ahead", np.full(len(days), float(step)))
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
    weekday_lag = find_weekday_lag(step)
    for days_back in (1, 2, 3, 6, 7, 13):
        builder.add_feature("past", f"ratio {days_back}", shift_days(last_known, step + days_back) - origin_amounts)
    for name, lag in (("same weekday", weekday_lag), ("same weekday before", weekday_lag + 7)):
        builder.add_feature("past", f"ratio {name}", shift_days(last_known, lag) - origin_amounts)
    for window, min_days in ((7, 3), (28, 7), (365, 90)):
        level = pd.DataFrame(last_known).rolling(window, min_periods=min_days).mean().to_numpy()
        builder.add_feature("past", f"ratio mean {window}", np.nan_to_num(shift_days(level, step) - origin_amounts))
    if covariates.has_temperature:
        _add_weather_change(builder, panel, covariates, step, weekday_lag)
    return builder.build_matrix(origin_amounts)


def _add_calendar(builder: _FeatureBuilder, days: pd.DatetimeIndex, wave_count: int) -> None:
    for day in range(7):
        builder.add_feature("calendar", f"weekday {day}", (days.dayofweek == day).astype(float))
    angle = 2 * np.pi * days.dayofyear.to_numpy() / 365.25
    for wave in range(1, wave_count + 1):
        builder.add_feature("calendar", f"year sin {wave}", np.sin(wave * angle))
        builder.add_feature("calendar", f"year cos {wave}", np.cos(wave * angle))


def _add_flags(builder: _FeatureBuilder, covariates: CovariatePanel, step: int, factor: Floats | float = 1.0) -> None:
    for flag in covariates.flag_names:
        builder.add_feature(flag, flag, covariates.get_known_values(flag, 0, step) * factor)
        if flag == "holiday":
            for days_back, name in ((1, "the day after"), (-1, "the day before")):
                builder.add_feature(
                    flag, f"holiday, {name}", np.nan_to_num(covariates.get_known_values(flag, days_back, step)) * factor
                )


def _list_temperatures(panel: Panel, covariates: CovariatePanel, days_back: int, step: int) -> list[tuple[str, Floats]]:
    """Return the temperature of a day, and of the next morning for a day that ends then (gas day: 06:00)."""
    temperatures = [("", covariates.get_known_values("temperature", days_back, step))]
    if panel.day_start:
        temperatures.append((", next morning", covariates.get_known_values("temperature", days_back - 1, step)))
    return temperatures


def _add_degree_days(builder: _FeatureBuilder, panel: Panel, covariates: CovariatePanel, step: int) -> Floats:
    """Add degree-days with several bases and memories; return the degrees below 16 °C, (days, entities)."""
    for suffix, temperature in _list_temperatures(panel, covariates, 0, step):
        builder.add_feature("weather", f"temperature{suffix}", temperature)
        for base in HEATING_BASES_C:
            builder.add_feature("weather", f"heating {base}{suffix}", np.maximum(base - temperature, 0))
        for base in COOLING_BASES_C:
            builder.add_feature("weather", f"cooling {base}{suffix}", np.maximum(temperature - base, 0))
    for column in ("temperature_min", "temperature_max"):
        if column in covariates.columns:
            builder.add_feature("weather", column, covariates.get_known_values(column, 0, step))
    if panel.day_start and "temperature_min" in covariates.columns:
        builder.add_feature(
            "weather", "temperature_min, next morning", covariates.get_known_values("temperature_min", -1, step)
        )
    for weight in MEMORY_WEIGHTS:
        mean_temperature = covariates.compute_weighted_mean("temperature", weight, 0, step)
        builder.add_feature("weather", f"heating 16, memory {weight}", np.maximum(16 - mean_temperature, 0))
    return np.maximum(16 - covariates.get_known_values("temperature", 0, step), 0)


def _list_lagged_heating(panel: Panel, covariates: CovariatePanel, lag: int, step: int) -> list[tuple[str, Floats]]:
    """Return the degree-days on the day of a lag, so that the model can separate its weather from its level."""
    if not covariates.has_temperature:
        return []
    heating = [
        (f"heating 16{suffix}", np.maximum(16 - value, 0))
        for suffix, value in _list_temperatures(panel, covariates, lag, step)
    ]
    return [
        *heating,
        ("heating 16, memory", np.maximum(16 - covariates.compute_weighted_mean("temperature", 0.35, lag, step), 0)),
    ]


def _add_weather_change(
    builder: _FeatureBuilder, panel: Panel, covariates: CovariatePanel, step: int, weekday_lag: int
) -> None:
    """Add the weather of the day, and its change since the forecast origin."""

    def add_with_change(name: str, value: Floats, origin_value: Floats) -> None:
        builder.add_feature("weather", name, value)
        builder.add_feature("weather", f"{name}, change", value - origin_value)

    for (suffix, current), (_, at_origin) in zip(
        _list_temperatures(panel, covariates, 0, step), _list_temperatures(panel, covariates, step, step), strict=True
    ):
        add_with_change(f"temperature{suffix}", current, at_origin)
    for weight in MEMORY_WEIGHTS:
        current, at_origin = (
            covariates.compute_weighted_mean("temperature", weight, days_back, step) for days_back in (0, step)
        )
        add_with_change(f"memory {weight}", current, at_origin)
    cold_today, cold_at_origin, cold_on_weekday = (
        _compute_felt_cold(panel, covariates, days_back, step) for days_back in (0, step, weekday_lag)
    )
    add_with_change("cold", cold_today, cold_at_origin)
    builder.add_feature("weather", "cold, ratio", np.log((cold_today + 2) / (cold_at_origin + 2)))
    builder.add_feature("weather", "cold, ratio to the same weekday", np.log((cold_today + 2) / (cold_on_weekday + 2)))
    for column, days_back in (("temperature_min", -1 if panel.day_start else 0), ("temperature_max", 0)):
        if column in covariates.columns:
            builder.add_feature("weather", column, covariates.get_known_values(column, days_back, step))


def _compute_felt_cold(panel: Panel, covariates: CovariatePanel, days_back: int, step: int) -> Floats:
    """Return the degrees below 16 °C of a temperature with memory of the previous days.

    A day that ends in the next morning includes the temperature of that morning.
    """
    felt_temperature = 0.5 * covariates.compute_weighted_mean(
        "temperature", 0.6, days_back, step
    ) + 0.5 * covariates.compute_weighted_mean("temperature", 0.35, days_back, step)
    if panel.day_start:
        felt_temperature = 0.7 * felt_temperature + 0.3 * covariates.get_known_values(
            "temperature", days_back - 1, step
        )
    return np.maximum(16 - felt_temperature, 0)
