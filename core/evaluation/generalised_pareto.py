"""Tail of a distribution: a generalised Pareto distribution of the values above a high level, and its quantiles."""

from dataclasses import dataclass

import numpy as np

from core.array_types import Floats

# Of log(1 + shape · largest / scale): from a distribution that ends at the largest excess to a very heavy tail.
SEARCH_GRID = np.linspace(-30, 30, 65)
REFINEMENT_STEPS = np.linspace(-1, 1, 9)  # steps around the best point so far
REFINEMENT_ROUNDS = 11  # refinement rounds, each with steps four times smaller
POSTERIOR_GRID = np.delete(
    np.linspace(-15, 15, 601), 300
)  # points that the uncertainty of θ is averaged over; without 0
SHAPE_PRIOR = (0.1, 0.2)  # mean and standard deviation of the prior of the shape


@dataclass(frozen=True)
class ParetoTail:
    """Generalised Pareto distribution of the excesses over `level`.

    P(excess > y) = (1 + shape · y / scale) ^ (−1 / shape); exp(−y / scale) for shape 0.

    share   of all values, those above `level`
    peaks   number of excesses in the fit
    """

    level: float
    shape: float
    scale: float
    share: float
    peaks: int

    def compute_quantile(self, risk: float) -> float:
        """Return the value that the share `risk` of all values exceeds; `risk` is below `share`.

        Example:
            >>> ParetoTail(level=10.0, shape=0.0, scale=1.0, share=0.02, peaks=200).compute_quantile(0.002)
            12.302585092994047
        """
        log_ratio = np.log(self.share / risk)
        growth = np.expm1(self.shape * log_ratio) / self.shape if self.shape else log_ratio
        return float(self.level + self.scale * growth)


def fit_pareto_tail(excesses: Floats, level: float, total: int) -> ParetoTail:
    """Return the maximum-likelihood fit to positive `excesses` over `level` among `total` values.

    With θ = shape / scale the best shape is mean(log(1 + θ y)), so that only θ is searched. Shapes are at least −1,
    because the likelihood has no maximum below. Grimshaw: Computing maximum likelihood estimates for the generalized
    Pareto distribution, Technometrics 35, 1993.

    Example:
        >>> import numpy as np
        >>> excesses = np.random.default_rng(0).exponential(size=200)  # shape 0, scale 1
        >>> tail = fit_pareto_tail(excesses, level=10.0, total=10_000)
        >>> round(tail.shape, 2), round(tail.scale, 2), tail.share
        (-0.1, 1.25, 0.02)
    """
    largest = float(excesses.max())
    relative = excesses / largest
    best, step = _find_most_likely(SEARCH_GRID, relative), float(SEARCH_GRID[1] - SEARCH_GRID[0])
    for _ in range(REFINEMENT_ROUNDS):
        best, step = _find_most_likely(best + step * REFINEMENT_STEPS, relative), step / 4
    shape, scale = _fit_shape_and_scale(np.expm1([best]), relative)
    return ParetoTail(level, float(shape[0]), float(scale[0]) * largest, len(excesses) / total, len(excesses))


def predict_excess(excesses: Floats, probability: float) -> float:
    """Return the value that a further excess exceeds with `probability`, parameter uncertainty included.

    With few excesses the maximum-likelihood fit is too low: on average over samples its quantiles are exceeded more
    often than nominal, above all the rare ones. Here every θ is weighted with its likelihood (Zhang, Stephens: A new
    and efficient estimation method for the generalized Pareto distribution, Technometrics 51, 2009) and with a prior
    of its shape (after Martins, Stedinger: Generalized maximum-likelihood GEV quantile estimators, Water Resources
    Research 36, 2000, with a wider prior). Given θ, 1 / shape follows a gamma distribution. So P(excess > y) is the
    weighted mean over θ of (1 + log(1 + θ y) / Σ log(1 + θ excess)) ^ −n.

    Example:
        >>> import numpy as np
        >>> excesses = np.random.default_rng(0).exponential(size=200)
        >>> many, few = predict_excess(excesses, 0.01), predict_excess(excesses[:20], 0.01)
        >>> round(many, 1), round(few, 1)  # fewer excesses, more uncertainty
        (4.7, 8.4)
    """
    largest, count = float(excesses.max()), len(excesses)
    relative, theta = excesses / largest, np.expm1(POSTERIOR_GRID)
    shape, _ = _fit_shape_and_scale(theta, relative)
    shape_penalty = ((shape - SHAPE_PRIOR[0]) / SHAPE_PRIOR[1]) ** 2 / 2
    weight = count * _compute_log_likelihood(theta, relative) - shape_penalty
    weight = np.exp(weight - weight.max())

    def compute_exceedance(excess: float) -> float:
        """Return the probability that one further excess is above `excess`."""
        in_support = theta * excess > -1  # otherwise the distribution ends below `excess`
        growth = np.log1p(np.where(in_support, theta * excess, 0.0)) / (count * shape)
        return float(np.average(np.where(in_support, (1 + growth) ** -count, 0.0), weights=weight))

    low, high = -10.0, 10.0  # of log10(excess / largest)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if compute_exceedance(10**middle) > probability else (low, middle)
    return float(10**high * largest)


def predict_exceedance(excesses: Floats, censored_count: int, limit: float, values: Floats) -> Floats:
    """Return the probability that a further excess is above each of `values` (values,), parameter uncertainty included.

    excesses        positive excesses up to `limit`, at least one
    censored_count  number of excesses above `limit`, which count without their size: outliers cannot stretch the tail

    As `predict_excess`, with the likelihood of censored excesses: given θ the best shape is
    (Σ log(1 + θ excess) + censored_count · log(1 + θ limit)) / len(excesses).

    Example:
        >>> import numpy as np
        >>> excesses = np.random.default_rng(0).exponential(size=1000)
        >>> below = excesses[excesses < 2]
        >>> predict_exceedance(below, 1000 - len(below), 2.0, np.array([0.0, 1.0, 5.0])).round(3).tolist()
        [1.0, 0.383, 0.003]
    """
    count, theta = len(excesses), np.expm1(POSTERIOR_GRID)
    relative = excesses / limit
    growth = np.array([np.log1p(value * relative).sum() for value in theta])  # one θ at a time stays in the cache
    total = growth + censored_count * np.log1p(theta)
    shape = total / count
    log_likelihood = -count * np.log(shape / theta) - growth - count
    shape_penalty = ((shape - SHAPE_PRIOR[0]) / SHAPE_PRIOR[1]) ** 2 / 2
    weight = np.where(shape >= -1, log_likelihood - shape_penalty, -np.inf)
    weight = np.exp(weight - weight.max())
    reach = theta[:, None] * (values / limit)
    in_support = reach > -1
    exceedance = np.where(in_support, (1 + np.log1p(np.where(in_support, reach, 0.0)) / total[:, None]) ** -count, 0.0)
    return np.asarray(np.average(exceedance, axis=0, weights=weight))


def _find_most_likely(grid: Floats, excesses: Floats) -> float:
    """Return the most likely of `grid`, which are log(1 + θ)."""
    return float(grid[np.argmax(_compute_log_likelihood(np.expm1(grid), excesses))])


def _fit_shape_and_scale(theta: Floats, excesses: Floats) -> tuple[Floats, Floats]:
    """Return shape and scale for every θ; θ = 0 is the exponential distribution."""
    shape = np.log1p(theta[:, None] * excesses).mean(axis=1)
    is_exponential = theta == 0
    return shape, np.where(is_exponential, excesses.mean(), shape / np.where(is_exponential, 1.0, theta))


def _compute_log_likelihood(theta: Floats, excesses: Floats) -> Floats:
    """Return the mean log-likelihood for every θ, −∞ where the shape is below −1."""
    shape, scale = _fit_shape_and_scale(theta, excesses)
    return np.where(shape >= -1, -np.log(scale) - shape - 1, -np.inf)
