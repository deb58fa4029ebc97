"""Seasonal residuals: values minus the weighted mean of the same time in the weeks before, in units of their spread."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.frequencies import WEEK
from core.data.regular_series import RegularSeries
from core.forecasters.series.base import require_history

Positions = NDArray[np.intp]
Mask = NDArray[np.bool_]

LAG_SEASONS = 5  # seasons before a step whose mean is its expected value
LAG_DECAY = 0.8  # weight of a season relative to the season after it
OFFSET_SHARE = 0.1  # of the mean, added before the logarithm, so that small counts stay tame
STALE_SEASONS = 2  # without a known value in these last seasons, there is no forecast
MIN_STEPS, MIN_DAYS, MIN_WEEKS = 30, 3, 4  # needed for training: steps, days of shorter steps, weeks of days
MAX_LOGARITHM = 700.0  # its exponential is finite
PRIOR_COUNT = 4.0  # weight of the overall spread in the spread of a time of the week
MAX_RESIDUAL = 8.0  # larger residuals, in multiples of the spread, are clipped at the input of a network
MEAN_TO_STD = 1.2533  # standard deviation of a normal distribution over its mean absolute deviation


@dataclass
class SeasonalResiduals:
    """Transform between values and residuals.

    A residual is the transformed value minus the weighted mean of the values one to five seasons before, divided by the
    spread of that difference at this time of the week. The season is a week on the local clock, or a day for a history
    shorter than two weeks. Amounts that are never negative are transformed by a logarithm.

    season_days     7, 1, or 0 where neither is a whole number of steps: the steps before are then used
    season_steps    steps of the season
    offset          (entities,), added before the logarithm; empty for ratios and values that may be negative
    lower, upper    (entities,), bounds of the values: 0 for amounts, 1 for ratios, else infinite
    spread          (entities, slots), spread of the residuals by time of the season
    """

    season_days: int
    season_steps: int
    offset: Floats
    lower: Floats
    upper: Floats
    spread: Floats

    @classmethod
    def from_series(cls, series: RegularSeries) -> "SeasonalResiduals":
        """Fit the transform. Raises DataError for too little history."""
        days, steps = _choose_season(series)
        require_history(series, max(MIN_STEPS, MIN_DAYS * series.day_steps or MIN_WEEKS * series.week_steps))
        is_amount = ~np.any(series.values < 0, axis=0, keepdims=True)[0]
        is_ratio = series.attempts is not None and not (series.values > 1).any()
        offset = np.empty(0) if is_ratio or not is_amount.all() else _compute_offset(series.values)
        lower, upper = np.where(is_amount, 0.0, -np.inf), np.full(len(is_amount), 1.0 if is_ratio else np.inf)
        residuals = cls(days, steps, offset, lower, upper, np.ones((len(is_amount), 1)))
        residuals.spread = residuals._measure_spread(series)
        return residuals

    def transform(self, values: Floats) -> Floats:
        """Return the levels of `values`; the entities are on the last axis."""
        return np.log(np.maximum(values, 0) + self.offset) if len(self.offset) else values

    def inverse_transform(self, levels: Floats, entities: Positions) -> Floats:
        """Return the values of levels, within their bounds; `entities` are the positions of their entities."""
        if len(self.offset):
            levels = np.exp(np.minimum(levels, MAX_LOGARITHM)) - self.offset[entities]
        return np.clip(levels, self.lower[entities], self.upper[entities])

    def _measure_spread(self, series: RegularSeries) -> Floats:
        """Return the spread of the residuals of every slot, smoothed over an hour and drawn towards the overall one."""
        grid = ResidualGrid(self, series, 0)
        sizes = np.abs(grid.residuals.astype(np.float64))
        known = np.isfinite(sizes)
        slots = grid.slots
        width = int(pd.Timedelta(hours=1) // series.step)
        level = np.abs(self.transform(series.values))
        floor = 1e-9 * np.maximum(np.max(level, axis=0, initial=0, where=np.isfinite(level)), 1e-3)
        spread = np.empty((len(series.entities), self._count_slots(series)))
        for entity in range(len(series.entities)):
            mask = known[:, entity]
            sums = np.bincount(slots[mask], sizes[mask, entity], spread.shape[1])
            slot_counts = np.bincount(slots[mask], minlength=spread.shape[1]).astype(np.float64)
            mean = sums.sum() / max(slot_counts.sum(), 1)
            smooth_sums, smooth_counts = (
                _smooth_circle(array, width) for array in (np.asarray(sums, dtype=np.float64), slot_counts)
            )
            slot_means = (smooth_sums + PRIOR_COUNT * mean) / (smooth_counts + PRIOR_COUNT)
            spread[entity] = np.maximum(MEAN_TO_STD * slot_means, floor[entity])
        return spread

    def _count_slots(self, series: RegularSeries) -> int:
        return int(self.season_days * DAY // series.step) if self.season_days else 1


class ResidualGrid:
    """Residuals of a series and of the `horizon` steps after it, for windows that end at any origin.

    residuals  (steps, entities), float32, each from the steps before it only; NaN where unknown
    clock      local clock of the steps
    """

    def __init__(self, transform: SeasonalResiduals, series: RegularSeries, horizon: int) -> None:
        extended = series.extend(horizon) if horizon else series
        self.transform, self.step_count, self.clock = transform, len(series), extended.local_times
        self.levels = transform.transform(extended.values)
        lag_count = LAG_SEASONS + max(horizon - 1, 0) // transform.season_steps
        self.lags = _list_lag_positions(extended, transform, lag_count)
        self.slots = _find_slots(extended, transform)
        steps, entities = np.arange(len(extended))[:, None], np.arange(len(series.entities))[None, :]
        expected, spread = self._compare_with_seasons(steps, entities, steps)
        self.residuals = ((self.levels - expected) / spread).astype(np.float32)
        self.sums = np.zeros((len(extended) + 1, len(series.entities)))
        self.counts = np.zeros(self.sums.shape)
        known = np.isfinite(self.residuals)
        clipped = np.clip(np.where(known, self.residuals, 0), -MAX_RESIDUAL, MAX_RESIDUAL)
        np.cumsum(clipped, axis=0, dtype=np.float64, out=self.sums[1:])
        np.cumsum(known, axis=0, out=self.counts[1:])
        self.known_counts = np.concatenate(
            [np.zeros((1, len(series.entities)), np.intp), np.isfinite(self.levels).cumsum(axis=0)]
        )

    def compute_past(self, origins: Positions, entities: Positions, edges: Positions) -> Floats:
        """Return the mean residuals of spans of steps before each origin, (windows, spans), NaN where unknown.

        `edges` are the ends of the spans in steps before the origin, falling to 0.
        """
        ends = np.maximum(origins[:, None] - edges, 0)
        sums, counts = (np.diff(array[ends, entities[:, None]], axis=1) for array in (self.sums, self.counts))
        with np.errstate(invalid="ignore"):
            return sums / counts

    def compute_future(self, origins: Positions, entities: Positions, horizon: int) -> tuple[Floats, Floats, Floats]:
        """Return the residuals, the expected levels and the spreads of the steps after each origin, (windows, horizon).

        The expected level uses the steps before the origin only.
        """
        steps = origins[:, None] + np.arange(horizon)
        inside = np.minimum(steps, len(self.levels) - 1)
        expected, spread = self._compare_with_seasons(inside, entities[:, None], origins[:, None])
        residuals = (self.levels[inside, entities[:, None]] - expected) / spread
        return np.where(steps < self.step_count, residuals, np.nan), expected, spread

    def is_stale(self, origins: Positions, entities: Positions) -> Mask:
        """Tell for each origin whether its entity has no known value in the last seasons."""
        starts = np.maximum(origins - STALE_SEASONS * max(self.transform.season_steps, 7), 0)
        return self.known_counts[origins, entities] == self.known_counts[starts, entities]

    def _compare_with_seasons(self, steps: Positions, entities: Positions, ends: Positions) -> tuple[Floats, Floats]:
        """Return the expected level of `steps` from the seasons before `ends`, and the spread around it."""
        totals, weights, squares = (np.zeros(np.broadcast(steps, entities).shape) for _ in range(3))
        for lag, positions in enumerate(self.lags):
            position = positions[steps]
            level = self.levels[np.maximum(position, 0), entities]
            weight = np.where((position >= 0) & (position < ends) & np.isfinite(level), LAG_DECAY**lag, 0.0)
            totals += weight * np.where(weight > 0, level, 0)
            weights += weight
            squares += weight**2
        with np.errstate(invalid="ignore", divide="ignore"):
            expected, growth = totals / weights, np.sqrt(1 + squares / weights**2)
        spreads = self.transform.spread
        slots = self.slots[steps] if spreads.shape[1] > 1 else np.zeros_like(steps)
        return expected, growth * spreads[entities, slots]


def _choose_season(series: RegularSeries) -> tuple[int, int]:
    """Return the days and the steps of the season."""
    week, day = series.week_steps, series.day_steps
    if week > 1 and len(series) >= 2 * week + max(day, 1):
        return 7, week
    if day > 1 and len(series) >= 2 * day:
        return 1, day
    return 0, 1


def _list_lag_positions(series: RegularSeries, transform: SeasonalResiduals, count: int) -> list[Positions]:
    """Return the position one season before every step, two seasons before, and so on; −1 before the first step."""
    if transform.season_days:
        return [series.compute_lag_positions(lag * transform.season_days * DAY) for lag in range(1, count + 1)]
    steps = np.arange(len(series))
    return [np.maximum(steps - lag, -1) for lag in range(1, count + 1)]


def _find_slots(series: RegularSeries, transform: SeasonalResiduals) -> Positions:
    """Return the time of the season on the local clock, in steps, of every step."""
    clock = series.local_times
    if not transform.season_days:
        return np.zeros(len(series), dtype=np.intp)
    time = clock - clock.normalize()
    if transform.season_days * DAY == WEEK:
        time = time + pd.to_timedelta(clock.dayofweek, unit="D")
    return np.asarray(time // series.step, dtype=np.intp)


def _compute_offset(values: Floats) -> Floats:
    """Return the amount added before the logarithm, (entities,): a share of the mean, or 1 for zeros only."""
    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(np.nansum(values, axis=0) / np.isfinite(values).sum(axis=0))
    return np.where(mean > 0, OFFSET_SHARE * mean, 1.0)


def _smooth_circle(values: Floats, width: int) -> Floats:
    """Return the sums over `width` values on either side, on a circle."""
    if width < 1 or len(values) <= 2 * width + 1:
        return values
    padded = np.concatenate([values[-width:], values, values[:width]])
    return np.convolve(padded, np.ones(2 * width + 1), mode="valid")
