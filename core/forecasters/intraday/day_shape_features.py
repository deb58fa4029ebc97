"""Features of the shape of a day: what is known of the day, and of the days before, that moves its hours."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.features.features import find_weekday_lag
from core.forecasters.features.weather_features import COOLING_BASES_C, HEATING_BASES_C
from core.forecasters.intraday.intraday_profile import PROFILE_WEEKS, DeviationUnit, compute_usual_deviations
from core.forecasters.panels.covariate_panel import TEMPERATURE_COLUMNS, CovariatePanel, shift_periods

YEAR_DAYS = 365.25
MAX_WAVES = 2  # of a year; finer ones measured no gain
LEVEL_DAYS = 28  # days of the usual level
PAST_BLOCKS = 24  # parts of a past day; finer ones would be mostly noise
COURSE_BLOCKS = 8  # parts of a day at which covariates count
COURSE_HEATING_C, COURSE_COOLING_C = 16, 21  # °C, below and above which the temperature at a time counts
LAST_HOURS = (1, 2, 3, 6, 12)  # spans before the origin, whose level the first hours continue
COURSE_MEASURES: tuple[Callable[[Floats], Floats], ...] = (
    lambda values: values,
    lambda celsius: np.maximum(COURSE_HEATING_C - celsius, 0),
    lambda celsius: np.maximum(celsius - COURSE_COOLING_C, 0),
)
"""What counts of a covariate at the times of a day: the value, and for a temperature heating and cooling degrees."""


def build_shape_features(
    series: Panel, covariates: CovariatePanel, unit: DeviationUnit, means: Floats, step: int, history_years: float
) -> Floats:
    """Return the features of the shape of every day, known `step` days before it, (days, entities, features).

    `means` are the slot means of the days, measured or forecast, (days, entities). NaN where unknown. The features are:

    - the weekday, and waves of the year with `history_years` ≥ 1
    - covariates, and their difference to the days that the usual profile comes from; degree-days
    - covariates at the times of the day, compared with their mean of the day, where `covariates` have them
    - the level of the day compared with days before
    - the unusual part of the last known shapes, and the level of the last known hours
    """
    entities = len(series.entities)
    calendar = _list_calendar_features(series.periods, history_years)
    features = [np.repeat(values[:, None], entities, axis=1) for values in calendar]
    features += _list_covariate_features(covariates, step)
    if covariates.has_temperature:
        features += _list_weather_features(series, covariates, step)
    features += [course for name in covariates.at_times for course in _list_courses(series, covariates, name, step)]
    features += _list_level_features(series, unit, means, step)
    return np.stack([*features, *_list_past_features(series, unit, means, step)], axis=2)


def average_blocks(values: Floats, count: int) -> Floats:
    """Return the means of at most `count` equal parts of the last axis.

    Example:
        >>> average_blocks(np.array([[1.0, 3.0, 5.0, 7.0]]), 2).tolist()
        [[2.0, 6.0]]
    """
    slots = values.shape[-1]
    starts = np.unique(np.arange(count) * slots // count)
    means: Floats = np.add.reduceat(values, starts, axis=-1) / np.diff([*starts, slots])
    return means


def order_slots(values: Floats, series: Panel) -> Floats:
    """Return values (…, slots) with the slot first at which the day begins, such as 06:00 for a gas day."""
    return np.roll(values, -(series.day_start * len(series.slots) // 24), axis=-1)


def _list_calendar_features(days: pd.DatetimeIndex, history_years: float) -> list[Floats]:
    weekday = days.dayofweek.to_numpy()
    features = [(weekday == number).astype(float) for number in range(7)]
    angle = 2 * np.pi * days.dayofyear.to_numpy() / YEAR_DAYS
    for wave in range(1, min(int(history_years), MAX_WAVES) + 1):
        for values in (np.sin(wave * angle), np.cos(wave * angle)):
            features += [values, values * (weekday >= 5)]
    return features


def _list_covariate_features(covariates: CovariatePanel, step: int) -> list[Floats]:
    features = []
    for name in (name for name in covariates.columns if name not in TEMPERATURE_COLUMNS):
        value = covariates.get_known_values(name, 0, step)
        features += [value, value - _compute_usual_covariate(covariates, name, step)]
        if name == "holiday":
            features += [covariates.get_known_values(name, periods_back, step) for periods_back in (1, -1)]
    return features


def _compute_usual_covariate(covariates: CovariatePanel, name: str, step: int) -> Floats:
    """Return the mean of a covariate on the days that the usual profile comes from, (days, entities)."""
    lag = find_weekday_lag(step)
    past_values = [covariates.get_known_values(name, lag + 7 * week, step) for week in range(PROFILE_WEEKS)]
    return np.asarray(np.mean(past_values, axis=0))


def _list_weather_features(series: Panel, covariates: CovariatePanel, step: int) -> list[Floats]:
    today, yesterday, tomorrow = (covariates.get_known_values("temperature", back, step) for back in (0, 1, -1))
    is_weekend = (series.periods.dayofweek.to_numpy() >= 5)[:, None]
    features = []
    for temperature in (today, tomorrow) if series.day_start else (today,):  # a gas day ends on the next morning
        features += [np.maximum(base - temperature, 0) for base in HEATING_BASES_C]
        features += [np.maximum(temperature - base, 0) for base in COOLING_BASES_C]
        features.append(np.maximum(16 - temperature, 0) * is_weekend)
    features += [yesterday - today, tomorrow - today, np.maximum(16 - yesterday, 0), np.maximum(yesterday - 20, 0)]
    features += [
        covariates.get_known_values(name, 0, step) - today
        for name in ("temperature_min", "temperature_max")
        if name in covariates.columns
    ]
    usual = _compute_usual_covariate(covariates, "temperature", step)
    features += [np.maximum(base - usual, 0) for base in HEATING_BASES_C]
    features += [np.maximum(usual - base, 0) for base in COOLING_BASES_C]
    return features


def _list_courses(series: Panel, covariates: CovariatePanel, name: str, step: int) -> list[Floats]:
    """Return the course of a covariate over the day, and its difference to that of the days of the usual profile."""
    lag = find_weekday_lag(step)
    today = covariates.get_times(name, 0)
    past_days = [covariates.get_times(name, lag + 7 * week) for week in range(PROFILE_WEEKS)]
    features = []
    for measure in COURSE_MEASURES if name == "temperature" else COURSE_MEASURES[:1]:
        course, *past_courses = (_measure_course(measure(values), series) for values in (today, *past_days))
        unusual = course - np.mean(past_courses, axis=0)
        features += [part[:, :, block] for part in (course, unusual) for block in range(part.shape[2])]
    return features


def _measure_course(values: Floats, series: Panel) -> Floats:
    """Return the parts of a day compared with its mean, (days, entities, parts)."""
    blocks = average_blocks(order_slots(values, series), COURSE_BLOCKS)
    return np.asarray(blocks - blocks.mean(axis=2, keepdims=True))


def _list_level_features(series: Panel, unit: DeviationUnit, means: Floats, step: int) -> list[Floats]:
    """Return the level of the day compared with the last known day, the same weekday and the last four weeks."""
    known_means = series.values.mean(axis=2)
    usual_level = pd.DataFrame(known_means).rolling(LEVEL_DAYS, min_periods=7).mean().to_numpy()
    earlier_levels = (
        shift_periods(known_means, step),
        shift_periods(known_means, find_weekday_lag(step)),
        shift_periods(usual_level, step),
    )
    return [_divide(means - level, unit.measure(means)) for level in earlier_levels]


def _list_past_features(series: Panel, unit: DeviationUnit, means: Floats, step: int) -> list[Floats]:
    """Return the unusual part of the last known shapes, and the last known hours compared with the day."""
    deviations = unit.compute_deviations(series)
    parts = []
    for periods_back, usual_step in ((step, 1), (find_weekday_lag(step), 7)):
        unusual = deviations - compute_usual_deviations(deviations, usual_step)
        parts.append(average_blocks(order_slots(shift_periods(unusual, periods_back), series), PAST_BLOCKS))
    last_day = order_slots(shift_periods(series.values, step), series)
    slots = len(series.slots)
    spans = sorted({max(hours * slots // 24, 1) for hours in LAST_HOURS})
    last_levels = [_divide(last_day[:, :, -span:].mean(axis=2) - means, unit.measure(means)) for span in spans]
    return [*(part[:, :, block] for part in parts for block in range(part.shape[2])), *last_levels]


def _divide(differences: Floats, unit: Floats) -> Floats:
    return np.asarray(differences / np.where(unit == 0, np.nan, unit))
