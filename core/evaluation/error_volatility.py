"""Usual size of the errors of a forecast: it follows the season and the last errors, and knows no later ones."""

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import pandas as pd

from core.array_types import Floats

DAYS_PER_YEAR, DAYS_PER_WEEK = 365, 7
FAST, MIDDLE, SLOW, LONG = 4, 14, 60, 365  # half-lives, in periods, or in quarters of a day for shorter periods
PHASE_CYCLES = {True: 10, False: 3}  # half-life in cycles: a day of shorter periods (True), a week of days (False)
PHASE_WEIGHT = {True: 1.0, False: 0.2}
ENTITY_WEIGHT, SHARED_WEIGHT, SLOW_WEIGHT, YEAR_WEIGHT = 0.3, 0.4, 0.1, 0.3
YEARS = 3  # before, whose errors around the same date count
YEAR_WINDOW_DAYS = 14  # before and after the same date
SIDE_WEIGHT = 0.2  # of the last errors above the forecast, compared with those below it
PRIOR_COUNT = 10  # errors that a prior counts as: the mean of all entities, and an unchanged size
MIN_SIZE = 1e-4  # of the usual amount, that an error is counted as at least
MAX_LOG_FACTOR = 2.5  # of the usual size to that of a period


@dataclass(frozen=True)
class Cycles:
    """Lengths of cycles, in periods.

    phase  the shortest cycle: a day for periods that are shorter, a week for days, else 1
    year   a year
    """

    phase: int = DAYS_PER_WEEK
    year: int = DAYS_PER_YEAR

    @classmethod
    def from_frequency(cls, frequency: str) -> Self:
        """Return the cycles of periods of a frequency of pandas.

        Example:
            >>> [Cycles.from_frequency(frequency) for frequency in ("D", "W-MON", "h")]
            [Cycles(phase=7, year=365), Cycles(phase=1, year=52), Cycles(phase=24, year=8766)]
        """
        return cls(*_count_periods(frequency))

    @property
    def is_short(self) -> bool:
        """Tell whether a period is shorter than a day."""
        return self.year > DAYS_PER_YEAR + 1

    @property
    def unit(self) -> int:
        """Periods that half-lives are counted in."""
        return max(self.phase // 4, 1) if self.is_short else 1


@cache
def _count_periods(frequency: str) -> tuple[int, int]:
    """Return the periods of the shortest cycle and of a year, counted over four years."""
    year = round(len(pd.date_range("2023-01-01", "2027-01-01", freq=frequency, inclusive="left")) / 4)
    if year > DAYS_PER_YEAR + 1:
        return max(round(year / (DAYS_PER_YEAR + 0.25)), 1), year
    return (DAYS_PER_WEEK if year >= DAYS_PER_YEAR else 1), max(year, 1)


def estimate_volatility(errors: Floats, step: int, cycles: Cycles) -> Floats:
    """Return the usual size of the error of every period, from the errors known `step` periods before.

    `errors` is (periods, entities, slots). The size is the long mean of each entity and slot, by weekday or time of
    day, times three factors. They follow the last errors of the entity, those of all entities, and the errors in the
    same season of earlier years. It is a product of powers, as in multiplicative models of volatility. Engle, Gallo: A
    multiple indicators model for volatility using intra-daily data, Journal of Econometrics 131, 2006. NaN before the
    first known error.

    Example:
        >>> errors = np.where(np.arange(200) < 100, 1.0, 3.0).reshape(200, 1, 1)
        >>> estimate_volatility(errors, 1, Cycles())[[100, 130], 0, 0].round(1).tolist()
        [1.0, 2.6]
    """
    sizes = np.maximum(np.abs(errors), MIN_SIZE)
    usual_size = _estimate_usual_size(sizes, step, cycles)
    relative = sizes / usual_size
    entity_sizes, shared_sizes = _average_last(relative, axis=2), _average_last(relative, axis=(1, 2))
    fast, slow = FAST * cycles.unit, SLOW * cycles.unit
    log_factor = (
        ENTITY_WEIGHT * _log_ratio(average_known(entity_sizes, fast, step))
        + SHARED_WEIGHT * _log_ratio(average_known(shared_sizes, fast, step))
        + SLOW_WEIGHT * _log_ratio(average_known(relative, slow, step))
        + YEAR_WEIGHT * _log_ratio(_average_years(entity_sizes, step, cycles))
    )
    known_count = _count_known(shared_sizes, step)  # the first errors tell little about a change
    log_factor = log_factor * known_count / (known_count + PRIOR_COUNT * cycles.unit)
    volatility: Floats = usual_size * np.exp(np.clip(log_factor, -MAX_LOG_FACTOR, MAX_LOG_FACTOR))
    return volatility


def estimate_sides(normalised: Floats, step: int, cycles: Cycles) -> tuple[Floats, Floats]:
    """Return factors of the errors below and above the forecast, (periods, entities, slots) each.

    After a shift of the level most errors are on one side, which becomes wider, and the other one narrower.
    `normalised` is the error in units of its usual size.
    """
    below, above = (_compare_side(sign * normalised, step, cycles) for sign in (-1, 1))
    return below, above


def _compare_side(normalised: Floats, step: int, cycles: Cycles) -> Floats:
    part = np.clip(normalised, 0.0, 4.0) + 0.05  # NaN stays NaN
    middle, long = (average_known(part, half_life * cycles.unit, step) for half_life in (MIDDLE, LONG))
    factor: Floats = np.exp(SIDE_WEIGHT * _log_ratio(middle / long))
    return factor


def average_known(values: Floats, half_life: float, step: int) -> Floats:
    """Return the mean of the values known `step` periods before, weighted by recency; same shape.

    Example:
        >>> average_known(np.array([2.0, 4.0, 8.0]), half_life=1, step=1).round(2).tolist()
        [nan, 2.0, 3.33]
    """
    from scipy.signal import lfilter  # type: ignore[import-untyped, unused-ignore]

    is_known = np.isfinite(values)
    kept = [1.0, -(0.5 ** (1 / half_life))]
    total, weight = (
        lfilter([1.0], kept, part, axis=0) for part in (np.where(is_known, values, 0.0), is_known.astype(np.float64))
    )
    averages = np.full(values.shape, np.nan)
    averages[step:] = (total / np.where(weight > 0, weight, np.nan))[: max(len(values) - step, 0)]
    return averages


def _estimate_usual_size(sizes: Floats, step: int, cycles: Cycles) -> Floats:
    """Return the long mean of the sizes, by phase of the shortest cycle; few errors are completed by those of all."""
    long_mean = average_known(sizes, LONG * cycles.unit, step)
    known_count = _count_known(sizes, step)
    shared_mean = average_known(_average_last(sizes, axis=(1, 2)), LONG * cycles.unit, step)
    own_mean = np.where(np.isfinite(long_mean), long_mean, 0.0)
    mean = (known_count * own_mean + PRIOR_COUNT * shared_mean) / (known_count + PRIOR_COUNT)
    if cycles.phase == 1:
        return mean
    phase_factor = _log_ratio(_average_phase(sizes, step, cycles) / mean)
    usual_size: Floats = mean * np.exp(PHASE_WEIGHT[cycles.is_short] * phase_factor)
    return usual_size


def _average_phase(sizes: Floats, step: int, cycles: Cycles) -> Floats:
    """Return the mean of the sizes at the same weekday or time of day, known `step` periods before."""
    count = -(-len(sizes) // cycles.phase) * cycles.phase
    padded = np.concatenate([sizes, np.full((count - len(sizes), *sizes.shape[1:]), np.nan)])
    by_cycle = padded.reshape(count // cycles.phase, -1)
    averages = average_known(by_cycle, PHASE_CYCLES[cycles.is_short], -(-step // cycles.phase))
    return averages.reshape(padded.shape)[: len(sizes)]


def _average_years(sizes: Floats, step: int, cycles: Cycles) -> Floats:
    """Return the mean of the sizes around the same date of earlier years; NaN without half of such a window."""
    window = max(round(YEAR_WINDOW_DAYS * cycles.year / DAYS_PER_YEAR), 1)
    is_known = np.isfinite(sizes)
    start = np.zeros((1, *sizes.shape[1:]))
    totals = np.concatenate([start, np.cumsum(np.where(is_known, sizes, 0.0), axis=0)])
    counts = np.concatenate([start, np.cumsum(is_known, axis=0)])
    periods = np.arange(len(sizes))
    total, count = np.zeros(sizes.shape), np.zeros(sizes.shape)
    for year in range(1, YEARS + 1):
        date = periods - year * cycles.year
        end = np.clip(np.minimum(date + window, periods - step) + 1, 0, len(sizes))
        begin = np.minimum(np.clip(date - window, 0, len(sizes)), end)
        total += totals[end] - totals[begin]
        count += counts[end] - counts[begin]
    return np.where(count >= window, total / np.maximum(count, 1), np.nan)


def _average_last(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """Return the mean of the known values over `axis`, which stays with length 1; NaN without one."""
    is_known = np.isfinite(values)
    count = is_known.sum(axis=axis, keepdims=True)
    mean: Floats = np.where(is_known, values, 0.0).sum(axis=axis, keepdims=True) / np.where(count > 0, count, np.nan)
    return mean


def _log_ratio(ratio: Floats) -> Floats:
    """Return the logarithm of a ratio; 0, which changes nothing, where it is not known."""
    logarithm = np.log(np.maximum(ratio, np.exp(-MAX_LOG_FACTOR)))
    return np.where(np.isfinite(logarithm), logarithm, 0.0)


def _count_known(values: Floats, step: int) -> Floats:
    """Return the number of values known `step` periods before, same shape."""
    counts = np.zeros(values.shape)
    counts[step:] = np.cumsum(np.isfinite(values), axis=0)[: max(len(values) - step, 0)]
    return counts
