"""Weights of a blend from past forecasts: ensemble selection, drawn towards the best naive line without proof."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

ROUNDS = 30  # of ensemble selection; a weight is a multiple of 1/30
PRIOR_POWER = 4  # of the inverse error, in the weights that a short back-test is shrunk to
PRIOR_ORIGINS = 12  # independent origins that the prior weights count as
MIN_STRONG_WEIGHT = 0.1  # of a strong member in ensemble selection
MIN_WEIGHT = 0.05  # a member with less is left out


@dataclass(frozen=True)
class PastForecasts:
    """Forecasts from past origins, where every member has one and the amount is known.

    forecasts  (members, origins, steps, entities)
    actual     (origins, steps, entities); NaN where the amount or a forecast is missing
    spacing    periods from one origin to the next
    """

    forecasts: Floats
    actual: Floats
    spacing: float

    @classmethod
    def from_forecasts(cls, forecasts: Floats, actual: Floats, spacing: float) -> "PastForecasts":
        """Build from forecasts and amounts that may be NaN."""
        is_known = np.isfinite(forecasts).all(axis=0) & np.isfinite(actual)
        return cls(np.where(is_known, forecasts, 0.0), np.where(is_known, actual, np.nan), spacing)

    def select_steps(self, low: int, high: int) -> "PastForecasts":
        """Return the forecasts `low` to `high` steps ahead."""
        steps = slice(low - 1, high)
        return PastForecasts(self.forecasts[:, :, steps], self.actual[:, steps], self.spacing)

    def select_origins(self, origins: slice | NDArray[np.bool_]) -> "PastForecasts":
        """Return the forecasts from some origins."""
        return PastForecasts(self.forecasts[:, origins], self.actual[origins], self.spacing)

    def select_half(self, half: int) -> "PastForecasts":
        """Return the first (0) or the second half (1) of the origins."""
        middle = (self.actual.shape[0] + 1) // 2
        return self.select_origins(slice(0, middle) if half == 0 else slice(middle, None))

    def count_independent(self) -> float:
        """Return the number of origins whose last steps do not overlap."""
        return len(self.actual) * min(self.spacing / self.actual.shape[1], 1.0)

    def compute_wape(self) -> Floats:
        """Return the error of every member as a share of the amounts, (members,); 0 without amounts."""
        total = float(np.nansum(np.abs(self.actual)))
        errors = np.array([sum_errors(each, self.actual).sum() for each in self.forecasts])
        return errors / total if total else np.zeros(len(errors))


def weigh_members(
    past: PastForecasts, groups: list[tuple[int, int]], naive_members: list[int]
) -> tuple[Floats, Floats]:
    """Return the weights (groups, members), and by how many standard errors the blend beats the naive line (groups,).

    `groups` are first and last steps, `naive_members` the indices of the naive lines. The members that ensemble
    selection uses much get equal weights. With few origins those of a group are shrunk to those of all steps, and these
    to inverse errors. The gain over the best naive line of a group is measured on each half of the origins with the
    weights of the other half. From one standard error on the blend is used as it is; one that is worse by as much is
    replaced by the naive line; between them both are mixed.

    Example:
        >>> actual = np.tile([10.0, 20.0], (60, 1, 1))
        >>> past = PastForecasts.from_forecasts(np.stack([actual + 4, actual + 1, actual - 1]), actual, 1.0)
        >>> weights, gains = weigh_members(past, [(1, 1)], naive_members=[0])
        >>> weights.round(2).tolist()  # the errors of the last two cancel
        [[0.0, 0.5, 0.5]]
    """
    weights, gains = _choose_weights(past, groups), np.zeros(len(groups))
    held_out = [_choose_weights(past.select_half(1 - half), groups) for half in (0, 1)]
    for number, (low, high) in enumerate(groups):
        part = past.select_steps(low, high)
        errors = part.compute_wape()
        naive = min(naive_members, key=lambda member: float(errors[member]))
        gains[number] = _measure_gain(part, [each[number] for each in held_out], naive)
        trust = float(np.clip((gains[number] + 1) / 2, 0.0, 1.0))
        weights[number] *= trust
        weights[number, naive] += 1 - trust
    return drop_small_weights(weights), gains


def drop_small_weights(weights: Floats) -> Floats:
    """Return weights (groups, members) with the sum 1, without members of little weight.

    Example:
        >>> drop_small_weights(np.array([[60.0, 39.0, 1.0], [0.5, 0.5, 0.0]])).round(2).tolist()
        [[0.61, 0.39, 0.0], [0.5, 0.5, 0.0]]
    """
    shares = weights / weights.sum(axis=1, keepdims=True)
    shares = np.where(shares < MIN_WEIGHT, 0.0, shares)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _measure_gain(part: PastForecasts, held_out: list[Floats], naive: int) -> float:
    """Return the gain of the blend over a naive line in standard errors; each half has weights of its own."""
    gains = []
    for half, weights in enumerate(held_out):
        here = part.select_half(half)
        blend = np.tensordot(weights, here.forecasts, 1)
        gains.append(sum_errors(here.forecasts[naive], here.actual) - sum_errors(blend, here.actual))
    gain = np.concatenate(gains)
    spread = float(gain.std()) / np.sqrt(max(part.count_independent() - 1, 1.0))
    return float(gain.mean()) / spread if spread > 0 else float(np.sign(gain.mean()))


def _choose_weights(past: PastForecasts, groups: list[tuple[int, int]]) -> Floats:
    """Return the weights of ensemble selection, shrunk where there are few origins, (groups, members)."""
    errors = past.compute_wape()
    inverse = (np.maximum(errors, 1e-9) / max(float(errors.min()), 1e-9)) ** -PRIOR_POWER
    shared = _shrink(past, inverse / inverse.sum())
    return np.stack([_shrink(past.select_steps(low, high), shared) for low, high in groups])


def _shrink(past: PastForecasts, prior: Floats) -> Floats:
    """Return equal weights of the strong members of ensemble selection, shrunk to `prior` where there are few origins.

    Which members are good lasts longer than how good each is: equal weights are hard to beat. Smith, Wallis: A Simple
    Explanation of the Forecast Combination Puzzle, Oxford Bulletin of Economics and Statistics 71, 2009.
    """
    if not np.isfinite(past.actual).any():
        return prior
    origins = past.count_independent()
    share = origins / (origins + PRIOR_ORIGINS)
    selected = select_members(past.forecasts, past.actual)
    is_strong = selected >= min(MIN_STRONG_WEIGHT, float(selected.max()))
    return share * is_strong / is_strong.sum() + (1 - share) * prior


def select_members(forecasts: Floats, actual: Floats) -> Floats:
    """Return the weights of the members by ensemble selection, (members,).

    Starting from nothing, the member that lowers the error of the mean most is added again and again, with
    replacement. `actual` has the shape of one of the `forecasts`. Caruana et al.: Ensemble Selection from Libraries of
    Models, ICML 2004.

    Example:
        >>> forecasts = np.array([[12.0], [8.0], [30.0]])
        >>> select_members(forecasts, np.array([10.0])).tolist()
        [0.5, 0.5, 0.0]
    """
    is_known = np.isfinite(actual)
    known_forecasts, known = forecasts[:, is_known], actual[is_known]
    counts, total = np.zeros(len(forecasts)), np.zeros(len(known))
    for number in range(1, ROUNDS + 1):
        errors = np.abs((total + known_forecasts) / number - known).sum(axis=1)
        best = int(errors.argmin())
        counts[best] += 1
        total += known_forecasts[best]
    return counts / ROUNDS


def sum_errors(forecast: Floats, actual: Floats) -> Floats:
    """Return the sum of the absolute errors by origin, the first axis."""
    return np.nansum(np.abs(forecast - actual), axis=tuple(range(1, actual.ndim)))
