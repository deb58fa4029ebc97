"""The tail of a distribution: a generalised Pareto law for what lies above a high level, and its quantiles."""

from dataclasses import dataclass

import numpy as np

from core.evaluation.scores import Floats

SEARCH = np.linspace(
    -30, 30, 65
)  # of log(1 + shape · largest / scale): from an end at the largest excess to no end in sight
NEARER = np.linspace(-1, 1, 9)  # steps around the best place found, in
ROUNDS = 11  # rounds, each four times as near
LAWS = np.delete(np.linspace(-15, 15, 601), 300)  # places over which the uncertainty of a law is spread; without 0
USUAL_SHAPE = (0.1, 0.2)  # mean and standard deviation of what shapes are, before any excess is seen


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto law for excesses over `level`.

    An excess is above y with a chance of (1 + shape · y / scale) ^ (−1 / shape); exp(−y / scale) at shape 0.

    share   of all values, those above `level`
    peaks   how many excesses the law was fitted to
    """

    level: float
    shape: float
    scale: float
    share: float
    peaks: int

    def quantile(self, risk: float) -> float:
        """The value that the share `risk` (below `share`) of all values lies above."""
        rarer = np.log(self.share / risk)
        growth = np.expm1(self.shape * rarer) / self.shape if self.shape else rarer
        return float(self.level + self.scale * growth)


def fit_tail(excesses: Floats, level: float, total: int) -> Tail:
    """The most likely law for positive `excesses` over `level` among `total` values.

    With θ = shape / scale the shape follows from θ alone, mean(log(1 + θ y)), which leaves one number to search;
    shapes are no less than −1, below which the likelihood has no maximum. Grimshaw: Computing maximum likelihood
    estimates for the generalized Pareto distribution, Technometrics 35, 1993.
    """
    largest = float(excesses.max())
    relative = excesses / largest
    best, step = _best(SEARCH, relative), float(SEARCH[1] - SEARCH[0])
    for _ in range(ROUNDS):
        best, step = _best(best + step * NEARER, relative), step / 4
    shape, scale = _law(np.expm1([best]), relative)
    return Tail(level, float(shape[0]), float(scale[0]) * largest, len(excesses) / total, len(excesses))


def predicted_excess(excesses: Floats, chance: float) -> float:
    """What one further excess is above with the chance `chance`, the uncertainty of the law included.

    The most likely law of few excesses promises too much: on average over samples its quantiles are exceeded more
    often than they say, the rarer the worse. Here every θ is weighed with its likelihood (Zhang, Stephens: A new and
    efficient estimation method for the generalized Pareto distribution, Technometrics 51, 2009) and with how usual
    its shape is (after Martins, Stedinger: Generalized maximum-likelihood GEV quantile estimators, Water Resources
    Research 36, 2000, told less sharply).
    Given θ, 1 / shape follows a gamma distribution, so that the chance to exceed y is the mean over θ of (1 + log(1 +
    θ y) / Σ log(1 + θ excess)) ^ −n.
    """
    largest, count = float(excesses.max()), len(excesses)
    relative, theta = excesses / largest, np.expm1(LAWS)
    shape, _ = _law(theta, relative)
    usual = ((shape - USUAL_SHAPE[0]) / USUAL_SHAPE[1]) ** 2 / 2
    weight = count * _likelihood(theta, relative) - usual
    weight = np.exp(weight - weight.max())

    def exceeded(excess: float) -> float:
        within = theta * excess > -1  # otherwise the law ends before
        growth = np.log1p(np.where(within, theta * excess, 0.0)) / (count * shape)
        return float(np.average(np.where(within, (1 + growth) ** -count, 0.0), weights=weight))

    low, high = -10.0, 10.0  # of log10(excess / largest)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if exceeded(10**middle) > chance else (low, middle)
    return float(10**high * largest)


def _best(places: Floats, excesses: Floats) -> float:
    """The most likely of the places, which are log(1 + θ)."""
    return float(places[np.argmax(_likelihood(np.expm1(places), excesses))])


def _law(theta: Floats, excesses: Floats) -> tuple[Floats, Floats]:
    """Shape and scale for every θ; at θ = 0 the exponential law."""
    shape = np.log1p(theta[:, None] * excesses).mean(axis=1)
    none = theta == 0
    return shape, np.where(none, excesses.mean(), shape / np.where(none, 1.0, theta))


def _likelihood(theta: Floats, excesses: Floats) -> Floats:
    """The mean log-likelihood at every θ, −∞ where the shape is below −1."""
    shape, scale = _law(theta, excesses)
    return np.where(shape >= -1, -np.log(scale) - shape - 1, -np.inf)
