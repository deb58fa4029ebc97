"""Features of a forecast from an origin: calendar, values of the same clock in the weeks before, and recent levels."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.frequencies import WEEK
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.messages import N_

WEEKS = 4  # weeks before, of which the same clock is averaged
STEPS_PER_REACH = 48  # half an hours of a day: the clock is averaged that far before and after
MAX_RATIO = 3.0  # of a recent level to the level of the same clock a week before
MIN_SCALE_SHARE = 1e-3  # of the level: the smallest scale


@dataclass(frozen=True)
class OriginFeatures:
    """Features of some steps after one origin.

    values    shape (steps, entities, features); NaN where a value is unknown
    baseline  mean of the same clock in the weeks before, (steps, entities)
    scale     usual distance of a value to that of a week before, (entities,); positive
    """

    values: Floats
    baseline: Floats
    scale: Floats


class LagTable:
    """Positions of the same clock in the weeks before every step of a series and of the steps after its end.

    Only `build_features` reads values, and of those only the ones before the origin.
    """

    def __init__(self, series: RegularSeries, horizon: int) -> None:
        require_whole_week(series)
        extended_series = series.extend(horizon)
        clock = extended_series.local_times
        self.step_count = len(series)
        self.values = extended_series.values
        self.week_steps, self.day_steps = series.week_steps, max(series.day_steps, 1)
        self.hour = np.asarray(clock.hour + clock.minute / 60, dtype=float)
        self.weekday = np.asarray(clock.dayofweek, dtype=float)
        self.lagged_positions = np.stack(
            [
                extended_series.compute_lag_positions(number * WEEK)
                for number in range(1, math.ceil(horizon / series.week_steps) + WEEKS)
            ]
        )
        self.day_positions = np.stack(
            [extended_series.compute_lag_positions(pd.Timedelta(days=number)) for number in range(1, 8)]
        )

    def build_features(self, origin: int, leads: NDArray[np.intp]) -> OriginFeatures:
        """Return the features of the steps `leads` (1 is the first) after `origin`, from the steps before `origin`."""
        targets = origin + leads - 1
        weekly_values = self._get_lagged_values(self.lagged_positions[:, targets], origin, WEEKS)
        daily_values = self._get_lagged_values(self.day_positions[:, targets], origin, 1)[0]
        raw_baseline = compute_mean(weekly_values)
        baseline = self._compute_baseline(self.lagged_positions[:, targets], origin)
        level, scale = self._compute_level_and_scale(origin)
        ratios = [self._compute_ratio(origin, steps) for steps in self._list_windows()]
        entity_count = len(scale)
        columns = [
            *(np.repeat(column[targets][:, None], entity_count, axis=1) for column in (self.hour, self.weekday)),
            np.repeat(leads[:, None].astype(float), entity_count, axis=1),
            baseline / level,
            np.broadcast_to(scale / level, baseline.shape),
            (raw_baseline - baseline) / scale,
            *((values - baseline) / scale for values in weekly_values[:2]),
            (daily_values - baseline) / scale,
            _compute_spread(weekly_values) / scale,
            *(np.broadcast_to(ratio, baseline.shape) for ratio in ratios),
        ]
        return OriginFeatures(np.stack(columns, axis=2), baseline, scale)

    def compute_week_ahead_baseline(self) -> Floats:
        """Return the mean of the weeks before every step of the series, (steps, entities); NaN in the first week."""
        positions = self.lagged_positions[:, : self.step_count]
        return compute_mean(self._get_lagged_values(positions, self.step_count, WEEKS))

    def _compute_baseline(self, positions: NDArray[np.intp], origin: int) -> Floats:
        """Return the mean of the weeks before, within half an hour around the same clock, (steps, entities)."""
        reach = self.day_steps // STEPS_PER_REACH
        neighbours = [
            self._get_lagged_values(np.where(positions < 0, -1, positions + shift), origin, WEEKS)
            for shift in range(-reach, reach + 1)
        ]
        return compute_mean(np.concatenate(neighbours))

    def _list_windows(self) -> tuple[int, ...]:
        """Return the lengths in steps of the recent levels: two hours, a day, a week."""
        return max(self.day_steps // 12, 1), self.day_steps, self.week_steps

    def _get_lagged_values(self, positions: NDArray[np.intp], origin: int, count: int) -> Floats:
        """Return the `count` last values before `origin` among `positions` (lags, steps), (count, steps, entities)."""
        is_known = (positions >= 0) & (positions < origin)
        first = np.where(is_known.any(axis=0), is_known.argmax(axis=0), 0)
        rows = first + np.arange(count)[:, None]
        is_inside = rows < len(positions)
        rows = np.minimum(rows, len(positions) - 1)
        columns = np.arange(positions.shape[1])
        usable = is_known[rows, columns] & is_inside
        return np.where(usable[:, :, None], self.values[np.maximum(positions[rows, columns], 0)], np.nan)

    def _compute_level_and_scale(self, origin: int) -> tuple[Floats, Floats]:
        """Return the mean size of the values of the last weeks, and their usual distance to the week before."""
        recent = np.arange(max(origin - WEEKS * self.week_steps, 0), origin)
        values = self.values[recent]
        level = compute_mean(np.abs(values))
        level = np.where(level > 0, level, 1.0)
        week_before = self._get_lagged_values(self.lagged_positions[:1, recent], origin, 1)[0]
        distance = compute_mean(np.abs(values - week_before))
        distance = np.where(np.isfinite(distance), distance, compute_mean(np.abs(np.diff(values, axis=0))))
        return level, np.maximum(np.nan_to_num(distance), MIN_SCALE_SHARE * level)

    def _compute_ratio(self, origin: int, steps: int) -> Floats:
        """Return the level of the last `steps` steps as a ratio to the mean of the weeks before, (entities,)."""
        recent = np.arange(max(origin - steps, 0), origin)
        usual = compute_mean(self._get_lagged_values(self.lagged_positions[:, recent], origin - steps + 1, WEEKS))
        values = self.values[recent]
        is_known = np.isfinite(values) & np.isfinite(usual)
        total, usual_total = (np.where(is_known, each, 0.0).sum(axis=0) for each in (values, usual))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = total / usual_total
        return np.clip(np.where(usual_total > 0, ratio, 1.0), 0.0, MAX_RATIO)


def compute_mean(values: Floats) -> Floats:
    """Return the mean over the first axis of the values that are known; NaN where none is.

    Example:
        >>> compute_mean(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
        [2.0, nan]
    """
    is_known = np.isfinite(values)
    counts = is_known.sum(axis=0)
    return np.where(counts > 0, np.where(is_known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _compute_spread(values: Floats) -> Floats:
    """Return the mean distance to the mean over the first axis; 0 for a single value, NaN for none."""
    return compute_mean(np.abs(values - compute_mean(values)))


def require_whole_week(series: RegularSeries) -> None:
    """Raise DataError if a week is no whole number of steps."""
    if not series.week_steps:
        raise DataError(
            N_(
                "The step is {value}. This forecasting method needs a step that divides a week, such as 15 "
                "min or a day."
            ),
            value=str(series.step),
        )
