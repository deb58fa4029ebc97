"""Seasons of series: which periods repeat, what a row's season is, and what remains without it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.detectors.base import Floats32

DAY_S, WEEK_S = 86_400.0, 604_800.0
MIN_PERIOD_ROWS = 4  # a shorter season cannot be told from noise
MIN_CYCLES = 2  # seasons in the longest training series, at least
DECOMPOSED_CYCLES = 7  # seasons in a series, at least, that is decomposed by itself: with fewer, outliers seem seasonal
MIN_CORRELATION = 0.2  # with the values one period earlier; below it, no season is assumed
TIE_SHARE = 0.99  # of the highest peak of autocorrelation: peaks above it count as equal
JUMP_SHARE = 0.1  # share of a smoother's window from one computed row to the next; the rows between are interpolated
MAD_FACTOR = 1.4826  # standard deviation of a normal distribution, in median absolute deviations
ROBUST_ROUNDS = 3  # times that rows with large residuals lose weight in the decomposition


@dataclass
class Seasons:
    """Seasons of the training rows.

    periods_  rows in each season, the shortest first; empty for series without season
    profile_  (rows of the longest season, columns), mean season of the training rows; it starts at any phase

    A series of at least seven seasons is decomposed by itself, so that its season may change slowly (robust STL, one
    period after the other as in MSTL). A shorter series gets the season of the training rows, in the phase that fits it
    best. Cleveland et al.: STL, 1990; Bandara, Hyndman, Bergmeir: MSTL, 2021.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(np.arange(120) * 2 * np.pi / 12).astype(np.float32)[:, None]
        >>> seasons = Seasons().fit([wave], step_seconds=None)
        >>> seasons.periods_
        [12]
        >>> bool(np.abs(wave[3:10] - seasons.compute_season(wave[3:10])).max() < 0.1)
        True
    """

    def fit(self, series: Sequence[Floats32], step_seconds: float | None, period: int = 0) -> Self:
        """Find the periods: `period` rows, else a day and a week of rows, else the highest peak of autocorrelation."""
        longest = max(series, key=len)
        if period:
            candidates = [period]
        elif step_seconds:
            candidates = _list_calendar_periods(step_seconds)
        else:
            candidates = _find_peak(_compute_autocorrelation(longest))
        correlation = _compute_autocorrelation(longest)
        self.periods_ = [
            rows
            for rows in candidates
            if len(longest) >= MIN_CYCLES * rows and (period or correlation[rows] >= MIN_CORRELATION)
        ]
        self.profile_ = np.zeros((1, longest.shape[1]), dtype=np.float32)
        if self.periods_:
            season, rows = self._decompose(longest), self.periods_[-1]
            self.profile_ = np.stack([np.median(season[phase::rows], axis=0) for phase in range(rows)])
        return self

    def compute_season(self, values: Floats32) -> Floats32:
        """Return the season of every row of one series, (rows, columns), around 0."""
        if not self.periods_:
            return np.zeros_like(values)
        if len(values) >= DECOMPOSED_CYCLES * self.periods_[-1]:
            return self._decompose(values)
        phases = (_find_phase(values, self.profile_) + np.arange(len(values))) % len(self.profile_)
        return self.profile_[phases]

    def _decompose(self, values: Floats32) -> Floats32:
        return np.stack([_decompose_column(column, self.periods_) for column in values.T], axis=1)


def _list_calendar_periods(step_seconds: float) -> list[int]:
    """Return the rows of a day and of a week, without those that are no whole number or too few."""
    counts = [seconds / step_seconds for seconds in (DAY_S, WEEK_S)]
    return [round(count) for count in counts if count >= MIN_PERIOD_ROWS and count == round(count)]


def _compute_autocorrelation(values: Floats32) -> Floats:
    """Return the autocorrelation of every lag, (rows,), as the mean over the columns that change."""
    centred = np.nan_to_num(values - _compute_means(values)).astype(np.float64)
    power = np.abs(np.fft.rfft(centred, 2 * len(values), axis=0)) ** 2
    covariance = np.fft.irfft(power, axis=0)[: len(values)]
    changes = covariance[0] > 0
    if not changes.any():
        return np.zeros(len(values))
    pairs = np.arange(len(values), 0, -1) / len(values)
    correlation: Floats = (covariance[:, changes] / covariance[0, changes]).mean(axis=1) / pairs
    return correlation


def _find_peak(correlation: Floats) -> list[int]:
    """Return the lag of the highest autocorrelation behind its first valley, in a list; [] without such a peak.

    Several periods have about the same peak as one; the shortest is the period.
    """
    usable = correlation[: len(correlation) // MIN_CYCLES]
    below = np.flatnonzero(usable < 0)
    if not len(below):
        return []
    lags = np.arange(max(int(below[0]), MIN_PERIOD_ROWS), len(usable) - 1)
    peaks = lags[(usable[lags] >= usable[lags - 1]) & (usable[lags] >= usable[lags + 1])]
    return [int(peaks[np.argmax(usable[peaks] >= TIE_SHARE * usable[peaks].max())])] if len(peaks) else []


def _find_phase(values: Floats32, profile: Floats32) -> int:
    """Return the row of `profile` that suits the first row of `values` best, by least squares."""
    rows = len(profile)
    centred, phases = values - _compute_means(values), np.arange(len(values)) % rows
    total, count = np.zeros(profile.shape), np.zeros(profile.shape)
    np.add.at(total, phases, np.nan_to_num(centred))
    np.add.at(count, phases, ~np.isnan(centred))

    def correlate(first: Floats, second: Floats) -> Floats:
        """Return the sum over rows and columns of first[row] · second[row + phase], (phases,)."""
        spectrum = np.conj(np.fft.rfft(first, axis=0)) * np.fft.rfft(second, axis=0)
        return np.asarray(np.fft.irfft(spectrum, rows, axis=0).sum(axis=1), dtype=np.float64)

    season = profile.astype(np.float64)
    return int(np.argmin(correlate(count, season**2) - 2 * correlate(total, season)))


def _decompose_column(column: Floats32, periods: Sequence[int]) -> Floats32:
    """Return the season of one column, (rows,)."""
    known = np.flatnonzero(~np.isnan(column))
    if not len(known) or np.ptp(column[known]) == 0:
        return np.zeros_like(column)
    filled = _fill_gaps(column, known, periods[-1])
    season = np.zeros(len(column))
    for rows in periods:
        season += _compute_stl_season(filled - season, rows)
    return season.astype(np.float32)


def _fill_gaps(column: Floats32, known: NDArray[np.intp], rows: int) -> Floats:
    """Fill missing values by the median of their phase, at a level that is interpolated over the gap."""
    values = column.astype(np.float64)
    if len(known) == len(values):
        return values
    usual = (
        pd.Series(values).groupby(np.arange(len(values)) % rows).transform("median").fillna(np.median(values[known]))
    )
    usual_values = usual.to_numpy(dtype=np.float64)
    return np.asarray(np.interp(np.arange(len(values)), known, (values - usual_values)[known]) + usual_values)


def _compute_stl_season(values: Floats, rows: int) -> Floats:
    from statsmodels.tsa.seasonal import STL  # type: ignore[import-untyped]

    jump = max(int(JUMP_SHARE * rows), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        fitted = STL(values, period=rows, robust=True, trend_jump=jump, low_pass_jump=jump).fit(
            inner_iter=1, outer_iter=ROBUST_ROUNDS
        )
    return np.asarray(fitted.seasonal)


def _compute_means(values: Floats32) -> Floats32:
    """Return the mean of the known values of each column; 0 for a column without any."""
    count = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    return np.asarray(np.nansum(values, axis=0, dtype=np.float64) / count, dtype=np.float32)


def compute_robust_spread(values: Floats32) -> Floats32:
    """Return the median absolute value of every column as a standard deviation, (columns,); 0 without a known value.

    Example:
        >>> import numpy as np
        >>> bool(compute_robust_spread(np.array([[-1.0], [1.0], [90.0]], dtype=np.float32))[0] == np.float32(1.4826))
        True
    """
    spread = np.zeros(values.shape[1], dtype=np.float32)
    for column, sizes in enumerate(np.abs(values).T):
        known = sizes[~np.isnan(sizes)]
        spread[column] = MAD_FACTOR * np.median(known) if len(known) else 0.0
    return spread
