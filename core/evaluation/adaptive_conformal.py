"""Intervals that keep their coverage through drift: conformal calibration that goes on as values arrive."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats

RATE = 0.01  # relative change of an adapted level per value inside
MAX_DELAYED_RATE = 0.5  # of all values until one is known; a faster change would swing
MIN_TAIL_SHARE, MAX_TAIL_FACTOR = 0.1, 10.0  # an adapted tail stays between these multiples of the nominal one
MAX_TAIL = 0.45  # of an adapted level, so that it stays on its side of the median
MIN_SCORES = 50  # of an entity; with fewer, its quantiles are those of all entities
FAR, FAR_DELAYED = 0.25, 1.0  # band widths; a value farther beyond its band teaches no more than one that far
MAX_MOVE = 1.0  # band widths that the band moves with the level; a larger shift adds a second band
REFRESH_STEPS = 24  # between two sorts of the past errors; four times as many from `LARGE_SIZE` of them on
LARGE_SIZE = 500_000

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BandForecast:
    """Forecast of one or more steps, to be calibrated.

    quantiles  (steps, entities, levels)
    median     (steps, entities)
    scale      width of the band, above 0, the unit of the errors, (steps, entities)
    """

    quantiles: Floats
    median: Floats
    scale: Floats


@dataclass(frozen=True)
class CalibratedBand:
    """Calibrated forecast.

    bounds      (steps, entities, levels), ascending
    median      (steps, entities)
    moves       how far the level moved the band, in units of the forecast, (steps, entities)
    is_shifted  True where the value lies in the band of the new level and not in that of the forecast
    """

    bounds: Floats
    median: Floats
    moves: Floats
    is_shifted: Mask


@dataclass
class AdaptiveCalibrator:
    """Calibration of the quantiles of many series, one step after the other. Each level is calibrated on its own.

    A bound is the forecast quantile plus a quantile of the past errors from it, in units of the band width. What
    quantile of the errors is taken, follows the measured share of values below the bound: adaptive conformal inference
    (Gibbs, Candès 2021), on a logarithmic scale of the tail. The level of the errors is forecast by the median of the
    last ones, the scorecaster of conformal PID control (Angelopoulos, Candès, Tibshirani 2023). It moves both bounds.

    After a shift of the level by more than a band width, two levels are usual: the new one and that of the forecast,
    to which the series may return. The set of usual values is then a pair of bands, of which the nearer one is given.

    Missing values teach nothing. A storm of anomalies cannot widen the band much: a value far beyond the band counts as
    one a quarter of a width beyond it, and an adapted tail is at least a tenth of the nominal one.

    levels        nominal levels of the quantiles, ascending
    window        number of past errors per series
    level_window  number of errors whose median is the level; 0: the band does not move
    delay         steps until a value is known: 1 while values arrive, the horizon for forecasts without new values

    Example:
        >>> errors = np.random.default_rng(0).normal(size=(3000, 1))
        >>> forecast = BandForecast(np.array([[[-1.0, 1.0]]]).repeat(3000, 0), np.zeros((3000, 1)), np.ones((3000, 1)))
        >>> calibrator = AdaptiveCalibrator(np.array([0.05, 0.95]), window=1000).start(1)
        >>> band = calibrator.calibrate(errors, forecast)
        >>> is_inside = (errors >= band.bounds[..., 0]) & (errors <= band.bounds[..., 1])
        >>> round(float(is_inside[1000:].mean()), 2)
        0.9
    """

    levels: Floats
    window: int
    level_window: int = 0
    delay: int = 1

    scores_: Floats = field(default_factory=lambda: np.zeros((0, 0, 0)), init=False)
    last_errors_: Floats = field(default_factory=lambda: np.zeros((0, 0)), init=False)
    tails_: Floats = field(default_factory=lambda: np.zeros((0, 0)), init=False)

    def start(self, entities: int) -> Self:
        """Forget all errors; the series are `entities` ones."""
        self.scores_ = np.zeros((0, entities, len(self.levels)))
        self.last_errors_ = np.zeros((0, entities))
        self.tails_ = np.tile(np.minimum(self.levels, 1 - self.levels), (entities, 1))
        return self

    def learn(self, actual: Floats, forecast: BandForecast) -> CalibratedBand:
        """Take the errors of a calibration period at once, and return its band, which they were calibrated on.

        `actual` is (steps, entities), NaN where nothing is known.
        """
        errors = actual - forecast.median
        residuals, shifts = errors / forecast.scale, self._track_level(errors) / forecast.scale
        moves = np.where(np.abs(shifts) > MAX_MOVE, 0.0, shifts)
        offsets = _compute_offsets(forecast)
        scores = (residuals - moves)[..., None] - offsets
        self._add_scores(scores)
        self._remember(errors)
        corrections = self._sort_scores().look_up(self._adapted_levels)
        ends = np.maximum.accumulate(offsets + corrections, axis=-1) + moves[..., None]
        return _build_band(forecast, ends, moves, np.zeros(actual.shape, dtype=bool))

    def calibrate(self, actual: Floats, forecast: BandForecast) -> CalibratedBand:
        """Return the band of every step from the values known then, and go on learning.

        `actual` is (steps, entities), NaN where nothing is known, as in the future.
        """
        errors, offsets = actual - forecast.median, _compute_offsets(forecast)
        residuals, shifts = errors / forecast.scale, self._track_level(errors) / forecast.scale
        ends, moves = np.empty_like(offsets), np.zeros_like(shifts)
        is_shifted = np.zeros(shifts.shape, dtype=bool)
        scores = np.full_like(offsets, np.nan)
        sorted_scores = self._sort_scores()
        refresh_steps = REFRESH_STEPS * (1 if self.scores_.size < LARGE_SIZE else 4)
        far = FAR if self.delay == 1 else FAR_DELAYED  # a late band can follow in large steps only
        stored = known = 0  # steps whose errors are in the window, and steps whose values are known
        for step in range(len(residuals)):
            if step % refresh_steps == 0 and known > stored:
                self._add_scores(scores[stored:known])
                stored, sorted_scores = known, self._sort_scores()
            band = np.maximum.accumulate(offsets[step] + sorted_scores.look_up(self._adapted_levels), axis=-1)
            moves[step], is_shifted[step] = _choose_level(residuals[step], shifts[step], band)
            ends[step] = band + moves[step][:, None]
            scores[step] = _clip_far(residuals[step] - moves[step], band, far)[:, None] - offsets[step]
            if step + 1 >= self.delay:
                known = step + 2 - self.delay
                self._adapt(residuals[known - 1], ends[known - 1])
        for step in range(known, len(residuals)):
            self._adapt(residuals[step], ends[step])
        self._add_scores(scores[stored:])
        self._remember(errors)
        return _build_band(forecast, ends, moves, is_shifted)

    def predict(self, forecast: BandForecast) -> CalibratedBand:
        """Return the band of steps whose values are not known yet, without learning; it does not move."""
        corrections = self._sort_scores().look_up(self._adapted_levels)
        ends = np.maximum.accumulate(_compute_offsets(forecast) + corrections, axis=-1)
        nowhere = np.zeros(forecast.median.shape)
        return _build_band(forecast, ends, nowhere, nowhere > 0)

    @property
    def _adapted_levels(self) -> Floats:
        return np.where(self.levels < 0.5, self.tails_, 1 - self.tails_)

    def _track_level(self, errors: Floats) -> Floats:
        """Return the median of the last errors known at every step, (steps, entities); 0 without enough of them."""
        if not self.level_window:
            return np.zeros(errors.shape)
        all_errors = pd.DataFrame(np.concatenate([self.last_errors_, errors]))
        least = max(self.level_window // 4, 1)
        medians = all_errors.rolling(self.level_window, min_periods=least).median().shift(self.delay)
        return np.nan_to_num(medians.to_numpy(np.float64)[len(self.last_errors_) :])

    def _remember(self, errors: Floats) -> None:
        """Keep the errors that the level is computed from."""
        count = self.level_window + self.delay
        self.last_errors_ = np.concatenate([self.last_errors_, errors])[-count:]

    def _add_scores(self, scores: Floats) -> None:
        self.scores_ = np.concatenate([self.scores_, scores])[-self.window :]

    def _sort_scores(self) -> "_SortedScores":
        return _SortedScores(np.sort(np.moveaxis(self.scores_, 0, 2), axis=2))

    def _adapt(self, residuals: Floats, ends: Floats) -> None:
        """Make the tail of a level smaller after a value beyond its bound, and a little larger after one inside."""
        tails = np.minimum(self.levels, 1 - self.levels)
        known = np.isfinite(residuals)[:, None] & np.isfinite(ends)
        is_beyond = np.where(self.levels < 0.5, residuals[:, None] < ends, residuals[:, None] > ends)
        rate = min(RATE, MAX_DELAYED_RATE / self.delay)
        adapted = self.tails_ * np.exp(rate * (1 - is_beyond / tails))
        adapted = np.clip(adapted, MIN_TAIL_SHARE * tails, np.minimum(MAX_TAIL_FACTOR * tails, MAX_TAIL))
        self.tails_ = np.where(known, adapted, self.tails_)


class _SortedScores:
    """Sorted errors of every series and level, (entities, levels, errors), NaN last."""

    def __init__(self, values: Floats) -> None:
        self.values, self.counts = values, np.isfinite(values).sum(axis=2)
        self.is_sparse = self.counts < MIN_SCORES
        shared = np.sort(np.moveaxis(values, 1, 0).reshape(1, values.shape[1], -1), axis=2)
        self.shared = shared if self.is_sparse.any() else shared[:, :, :0]

    def look_up(self, levels: Floats) -> Floats:
        """Return the conformal quantiles at `levels` (entities, levels), same shape; 0 without any error."""
        own = _select_rank(self.values, self.counts, levels)
        if not self.is_sparse.any():
            return own
        shared_counts = np.isfinite(self.shared).sum(axis=2)
        shared = _select_rank(self.shared, np.broadcast_to(shared_counts, levels.shape), levels)
        return np.where(self.is_sparse, shared, own)


def _select_rank(ordered: Floats, counts: NDArray[np.intp], levels: Floats) -> Floats:
    """Return the quantiles of rank (n + 1) × level, rounded outwards."""
    if not ordered.shape[2]:
        return np.zeros(levels.shape)
    rank = (counts + 1) * levels
    rank = np.where(levels < 0.5, np.floor(rank), np.ceil(rank)) - 1
    index = np.clip(rank, 0, np.maximum(counts - 1, 0)).astype(np.intp)
    rows = np.broadcast_to(ordered, (*levels.shape, ordered.shape[2]))
    values = np.take_along_axis(rows, index[:, :, None], axis=2)[:, :, 0]
    return np.where(counts > 0, values, 0.0)


def _compute_offsets(forecast: BandForecast) -> Floats:
    """Return the quantiles in band widths from the median, (steps, entities, levels)."""
    offsets: Floats = (forecast.quantiles - forecast.median[..., None]) / forecast.scale[..., None]
    return offsets


def _choose_level(residuals: Floats, shifts: Floats, band: Floats) -> tuple[Floats, Mask]:
    """Return how far the band of one step moves, and where a value lies in the band of a new level only.

    `residuals` and `shifts` are (entities,), `band` is (entities, levels).
    """
    is_large = np.abs(shifts) > MAX_MOVE
    moved = residuals - shifts
    distance, moved_distance = (_measure_distance(values, band) for values in (residuals, moved))
    is_nearer = ~(moved_distance >= distance)  # True for a missing value
    moves = np.where(is_large & ~is_nearer, 0.0, shifts)
    return moves, is_large & (moved_distance == 0) & (distance > 0)


def _measure_distance(values: Floats, band: Floats) -> Floats:
    return np.maximum(np.maximum(band[:, 0] - values, values - band[:, -1]), 0)


def _clip_far(values: Floats, band: Floats, far: float) -> Floats:
    return np.clip(values, band[:, 0] - far, band[:, -1] + far)


def _build_band(forecast: BandForecast, ends: Floats, moves: Floats, is_shifted: Mask) -> CalibratedBand:
    bounds = forecast.median[..., None] + ends * forecast.scale[..., None]
    moves = moves * forecast.scale
    return CalibratedBand(bounds, forecast.median + moves, moves, is_shifted)
