"""Exponential smoothing or ARIMA of the steps themselves, for series without whole weeks or with little history."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.regular_series import RegularSeries

BuildModel = Callable[[int], Any]

MAX_MODEL_SEASON = 24  # steps; a longer season is too many states for exponential smoothing
SHAPE_SEASONS = 4  # whose median shape is taken out before, for a longer season
MAX_STEPS = 500  # the last ones, that are modelled
MIN_STEPS = 8  # of a series, for a model
ONE_SIGMA_LEVEL = 68.27  # %, level whose bounds are one standard deviation away


def forecast_steps(series: RegularSeries, entity: int, horizon: int, build_model: BuildModel) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the next steps of an entity, (horizon,); NaN for too few known values.

    A season of up to 24 steps longer than a day, such as a year of months, is part of the model. Of another season, the
    median shape of the last four is taken out before. Without two whole seasons and eight steps, the series has none.
    """
    values = series.values[:, entity]
    known = np.flatnonzero(np.isfinite(values))
    unknown = np.full(horizon, np.nan)
    if len(known) < MIN_STEPS:
        return unknown, unknown
    values = np.interp(np.arange(known[0], len(values)), known, values[known])
    season = series.season_steps if len(values) >= 2 * series.season_steps + MIN_STEPS else 1
    is_modelled = season <= MAX_MODEL_SEASON and series.step > DAY
    if season == 1 or is_modelled:
        return forecast_values(values[-MAX_STEPS:], horizon, build_model(season))
    shape = _compute_season_shape(np.concatenate([values, np.full(horizon, np.nan)]), len(values), season)
    mean, deviation = forecast_values((values - shape[: len(values)])[season:][-MAX_STEPS:], horizon, build_model(1))
    return shape[len(values) :] + mean, deviation


def forecast_values(values: Floats, horizon: int, model: Any) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the next values of a complete series."""
    if np.ptp(values) <= 1e-9 * max(np.abs(values).max(), 1.0):
        return np.full(horizon, values[-1]), np.zeros(horizon)
    scale = float(values.std())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about orders whose search did not converge
        forecast = model.forecast(y=values / scale, h=horizon, level=[ONE_SIGMA_LEVEL])
    deviation = np.asarray(forecast[f"hi-{ONE_SIGMA_LEVEL}"]) - forecast["mean"]
    return scale * np.asarray(forecast["mean"]), scale * np.maximum(deviation, 0.0)


def _compute_season_shape(values: Floats, origin: int, season: int) -> Floats:
    """Return the median difference to the level, one to four seasons before every step, of the steps before `origin`.

    A step more than a season after the origin has the values of as many seasons before as needed. The level is a
    running median over a season, because it jumps where the series does: a mean would take a new level for a part of
    the season's shape.
    """
    level = pd.Series(values[:origin]).rolling(season, center=True).median().ffill().bfill().to_numpy()
    differences = np.concatenate([values[:origin] - level, np.full(len(values) - origin, np.nan)])
    steps = np.arange(len(values))
    first = np.where(steps < origin, 1, (steps - origin) // season + 1)
    positions = steps - season * (first + np.arange(SHAPE_SEASONS)[:, None])
    past = np.where(positions >= 0, differences[np.maximum(positions, 0)], np.nan)
    has_past = np.isfinite(past).any(axis=0)
    shape = np.full(len(values), np.nan)
    shape[has_past] = np.nanmedian(past[:, has_past], axis=0)
    return shape
