"""Quantiles of past errors, period by period: conformal ranks, with feedback from the measured coverage."""

from dataclasses import dataclass

import numpy as np

from core.array_types import Floats
from core.evaluation.error_volatility import Cycles, estimate_sides, estimate_volatility

MIN_ERRORS = 50  # errors that an entity's own quantiles need; with fewer it gets those of all entities
REFIT_PERIODS = {
    True: 7,
    False: 28,
}  # periods between two sorts of the errors: one amount per period (True), several (False); a day of shorter periods
MAX_BLOCK_PERIODS = 7  # that share one state of the feedback; of shorter periods than a day as many quarters of a day
LEAST_LEVEL = 0.55  # of a quantile that is widened; those nearer to the median have no distance to speak of
WARM_UP_PERIODS = 60  # of errors before the feedback starts, or as many quarters of a day
FEEDBACK_RATE, FEEDBACK_DECAY = 0.2, 0.95  # change of a distance per period beyond, and what is kept of it
MEMORY_PERIODS = 120  # of the feedback before the first interval; older ones have decayed to 0.2 %
FEEDBACK_PRIOR_ENTITIES = 4  # one series tells as much less about a period than many
MAX_FEEDBACK = 1.0  # logarithm of the factor of a distance


def compute_conformal_quantiles(errors: Floats, quantiles: Floats, per_entity: bool = True) -> Floats:
    """Return conformal quantiles of past `errors` (past, entities, slots): (entities, slots, quantiles).

    The rank of quantile q among n errors is (n + 1) q, rounded outwards, so that exchangeable errors reach the
    nominal coverage for finite n. Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005, chapter 2.
    An entity with fewer than 50 errors gets the quantiles of all entities. NaN without errors.

    Example:
        >>> import numpy as np
        >>> errors = np.arange(1.0, 101.0).reshape(100, 1, 1)
        >>> compute_conformal_quantiles(errors, np.array([0.05, 0.95])).ravel().tolist()
        [5.0, 96.0]
    """
    is_sparse = np.isfinite(errors).sum(axis=0) < MIN_ERRORS
    entity_quantiles = (
        _select_ranks(errors, quantiles) if per_entity else np.full((*errors.shape[1:], len(quantiles)), np.nan)
    )
    if per_entity and not is_sparse.any():
        return entity_quantiles
    shared_quantiles = _select_ranks(errors.reshape(-1, 1, errors.shape[2]), quantiles)
    return np.where(
        (is_sparse if per_entity else np.ones_like(is_sparse))[:, :, None], shared_quantiles, entity_quantiles
    )


def _select_ranks(errors: Floats, quantiles: Floats) -> Floats:
    """Return the quantiles along the first axis, as the last axis."""
    if not len(errors):
        return np.full((*errors.shape[1:], len(quantiles)), np.nan)
    ordered = np.sort(errors, axis=0)  # NaN last
    count = np.isfinite(errors).sum(axis=0)
    rank = (count[:, :, None] + 1) * quantiles
    rank = np.where(quantiles < 0.5, np.floor(rank), np.ceil(rank)) - 1
    index = np.clip(rank, 0, np.maximum(count[:, :, None] - 1, 0)).astype(np.intp)
    values = np.take_along_axis(np.moveaxis(ordered, 0, 2), index, axis=2)
    return np.where(count[:, :, None] > 0, values, np.nan)


def compute_widening(count: int, error_count: int, quantiles: Floats) -> Floats:
    """Return the factors of the distances from the median to quantiles of few errors, (quantiles,).

    A quantile beyond the largest of `error_count` errors is not known from ranks. It is extrapolated, and the errors of
    `count` periods are given the tails of Student's distribution, as in the prediction interval of a normal sample. 1
    from 50 periods on.

    Example:
        >>> compute_widening(10, 10, np.array([0.05, 0.5, 0.95])).round(2).tolist()
        [1.44, 1.0, 1.44]
        >>> compute_widening(50, 50, np.array([0.05, 0.5, 0.95])).tolist()
        [1.0, 1.0, 1.0]
    """
    if count >= MIN_ERRORS or count < 1:
        return np.ones(len(quantiles))
    from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped, unused-ignore]

    level = np.maximum(quantiles, 1 - quantiles)
    rank = np.minimum(np.ceil((error_count + 1) * level), error_count)
    reached = np.maximum(rank / (error_count + 1), LEAST_LEVEL)
    distance = np.where(level > LEAST_LEVEL, ndtri(reached), 1.0)
    widening = stdtrit(max(count - 1, 1), level) / distance * np.sqrt(1 + 1 / count)
    return np.where(level > LEAST_LEVEL, np.maximum(widening, 1.0), 1.0)


@dataclass(frozen=True)
class ErrorWindow:
    """Past errors that quantiles are computed from.

    window      periods before the forecast origin; of periods shorter than a day as many quarters of a day
    per_entity  True: each entity uses its own errors; False: all entities use the errors of all
    adaptation  how far the quantiles follow the season and the last errors: 1 in full, 0 not at all
    """

    window: int
    per_entity: bool
    adaptation: float


def roll_error_quantiles(
    errors: Floats, step: int, quantiles: Floats, first: int, past: ErrorWindow, cycles: Cycles
) -> Floats:
    """Return the quantiles of the error of every period from number `first` on, (periods, entities, slots, quantiles).

    `errors` is (periods, entities, slots), NaN where unknown. Each period uses only the errors known `step` periods
    before. They are taken in units of their usual size (see `estimate_volatility`), which makes errors of different
    seasons comparable. The quantiles then move away from the median while more values than promised are beyond them,
    and back while fewer are: adaptive conformal inference (Gibbs, Candès: Adaptive conformal inference under
    distribution shift, NeurIPS 2021) on a logarithmic scale, with a decaying memory, because the feedback is `step`
    periods late (Angelopoulos, Candès, Tibshirani: Conformal PID control for time series prediction, NeurIPS 2023).

    Example:
        >>> errors = np.where(np.arange(400) < 300, 1.0, 4.0) * np.random.default_rng(0).normal(size=400)
        >>> past, levels = ErrorWindow(365, per_entity=True, adaptation=1.0), np.array([0.05, 0.95])
        >>> bounds = roll_error_quantiles(errors.reshape(400, 1, 1), 1, levels, 200, past, Cycles())
        >>> np.ptp(bounds[[50, 150], 0, 0], axis=1).round(0).tolist()
        [4.0, 12.0]
    """
    units = _ErrorUnits.from_errors(errors, step, past.adaptation, cycles)
    block = min(max(step, cycles.unit), MAX_BLOCK_PERIODS * cycles.unit)
    learning = min(first - WARM_UP_PERIODS * cycles.unit - step, MEMORY_PERIODS * cycles.unit + step)
    start = first - max(learning, 0) // block * block if past.adaptation else first
    feedback = _CoverageFeedback(quantiles, past.adaptation * _weigh_entities(errors.shape[1]) / cycles.unit)
    refit_periods = cycles.phase if cycles.is_short else REFIT_PERIODS[errors.shape[2] == 1]
    window, sorted_at = past.window * cycles.unit, start - refit_periods
    bounds = np.full((len(errors) - start, *errors.shape[1:], len(quantiles)), np.nan)
    for begin in range(start, len(errors), block):
        end, known = min(begin + block, len(errors)), max(begin - step + 1, 0)
        if begin - sorted_at >= refit_periods:
            known_errors, sorted_at = units.select(slice(max(known - window, 0), known), begin), begin
            spread = _compute_spread(known_errors, quantiles, past.per_entity)
        feedback.learn(known - start, block / cycles.unit)
        block_bounds = feedback.widen(spread)
        bounds[begin - start : end - start] = block_bounds
        feedback.measure(units.normalised[begin:end], block_bounds)
    return units.restore(bounds[first - start :], first)


def _weigh_entities(count: int) -> float:
    return count / (count + FEEDBACK_PRIOR_ENTITIES)


def _compute_spread(past_errors: Floats, quantiles: Floats, per_entity: bool) -> tuple[Floats, Floats]:
    """Return the conformal quantiles (entities, slots, quantiles) and their median, with 1 as the last axis."""
    all_quantiles = compute_conformal_quantiles(past_errors, np.append(quantiles, 0.5), per_entity)
    spread, median = all_quantiles[..., :-1], all_quantiles[..., -1:]
    is_known = np.isfinite(past_errors)
    count, error_count = int(is_known.any(axis=(1, 2)).sum()), int(is_known.any(axis=2).sum())
    return median + (spread - median) * compute_widening(count, error_count, quantiles), median


@dataclass(frozen=True)
class _ErrorUnits:
    """Errors, errors in units of their usual size, and the sizes of errors below and above the forecast."""

    errors: Floats
    normalised: Floats
    below: Floats
    above: Floats

    @classmethod
    def from_errors(cls, errors: Floats, step: int, adaptation: float, cycles: Cycles) -> "_ErrorUnits":
        if not adaptation:
            return cls(errors, errors, np.ones(errors.shape), np.ones(errors.shape))
        volatility = estimate_volatility(errors, step, cycles) ** adaptation
        below, above = (side**adaptation for side in estimate_sides(errors / volatility, step, cycles))
        below, above = volatility * below, volatility * above
        return cls(errors, errors / np.where(errors < 0, below, above), below, above)

    def select(self, past: slice, period: int) -> Floats:
        """Return the past errors in units of their size; all in units of that of `period` if few of them have one."""
        if np.isfinite(self.normalised[past]).any(axis=(1, 2)).sum() >= MIN_ERRORS:
            return self.normalised[past]
        errors: Floats = self.errors[past] / np.where(self.errors[past] < 0, self.below[period], self.above[period])
        return errors

    def restore(self, bounds: Floats, first: int) -> Floats:
        """Return bounds in the unit of the errors; `first` is the number of their first period."""
        below, above = self.below[first:, ..., None], self.above[first:, ..., None]
        restored: Floats = bounds * np.where(bounds < 0, below, above)
        return restored


class _CoverageFeedback:
    """Factor of the distance of every quantile from the median, learnt from the share of values beyond it."""

    def __init__(self, quantiles: Floats, weight: float) -> None:
        self.is_low, self.tails = quantiles < 0.5, np.minimum(quantiles, 1 - quantiles)
        self.rate = FEEDBACK_RATE * weight
        self.log_factor = np.zeros(len(quantiles))
        self.excesses: list[Floats] = []  # share of values beyond each quantile, less the promised one, by period
        self.learnt = 0

    def learn(self, known: int, age: float) -> None:
        """Take the excesses of the first `known` periods that were not taken yet, `age` after the last call."""
        news = self.excesses[self.learnt : max(known, 0)]
        self.learnt += len(news)
        change = self.rate * np.sum(news, axis=0) if news else 0.0
        self.log_factor = np.clip(FEEDBACK_DECAY**age * self.log_factor + change, -MAX_FEEDBACK, MAX_FEEDBACK)

    def widen(self, spread: tuple[Floats, Floats]) -> Floats:
        """Return the quantiles of `spread`, (quantiles, median), at the learnt distance from the median."""
        quantiles, median = spread
        widened: Floats = median + (quantiles - median) * np.exp(self.log_factor)
        return widened

    def measure(self, values: Floats, bounds: Floats) -> None:
        """Note the values (periods, entities, slots) that are beyond `bounds` (entities, slots, quantiles)."""
        if not self.rate:
            return
        is_known = np.isfinite(values)[..., None] & np.isfinite(bounds)
        is_beyond = np.where(self.is_low, values[..., None] < bounds, values[..., None] > bounds) & is_known
        count = is_known.sum(axis=(1, 2))
        self.excesses += list(np.where(count > 0, is_beyond.sum(axis=(1, 2)) / np.maximum(count, 1) - self.tails, 0.0))
