"""Intervals of ratios such as a call completion ratio: within 0 and 1, and the wider the fewer the attempts."""

import numpy as np

from core.array_types import Floats

MIN_RATIO = 0.005  # of the expected ratio; nearer to 0 or 1, no noise would be left


def compute_binomial_noise(ratios: Floats, attempts: Floats) -> Floats:
    """Return the mean variance p (1 − p) / n of ratios of n attempts, (series,); both are (steps, series).

    Example:
        >>> compute_binomial_noise(np.array([[0.5], [0.5]]), np.array([[10.0], [40.0]])).tolist()
        [0.015625]
    """
    known = np.isfinite(ratios) & (attempts > 0)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, ratios, 0.0).sum(axis=0) / counts
    inverse = np.where(known, 1 / np.where(known, attempts, 1.0), 0.0).sum(axis=0) / counts
    return np.asarray(mean * (1 - mean) * inverse, dtype=np.float64)


def widen_ratio_quantiles(
    quantiles: Floats, median: Floats, levels: Floats, attempts: Floats, usual_noise: Floats
) -> Floats:
    """Return quantiles of a ratio that allow for the chance of its `attempts`.

    The spread of the forecast contains the usual binomial noise, which is taken out and replaced by that of the
    attempts at hand. The ratio has then the variance of a binomial one with fewer attempts, its effective ones, as in a
    beta-binomial distribution (Skellam 1948). Its quantiles are those of that binomial distribution, whole attempts.

    Args:
        quantiles: of the forecast, shape (…, levels), ascending.
        median: of the forecast, shape (…).
        levels: of the quantiles, two or more.
        attempts: shape (…). Where they are not known, or none, the quantiles stay as they are.
        usual_noise: variance as of `compute_binomial_noise`, a shape that broadcasts to (…).

    Example:
        >>> levels, quantiles = np.array([0.025, 0.975]), np.array([[0.88, 0.92], [0.88, 0.92]])
        >>> attempts, noise = np.array([10.0, 1000.0]), np.zeros(1)
        >>> widen_ratio_quantiles(quantiles, np.array([0.9, 0.9]), levels, attempts, noise).tolist()
        [[0.7, 1.0], [0.871, 0.926]]
    """
    from scipy.special import bdtrik, ndtri  # type: ignore[import-untyped, unused-ignore]

    normal = ndtri(levels)
    sides = np.stack([(median - quantiles[..., 0]) / -normal[0], (quantiles[..., -1] - median) / normal[-1]])
    spread = sides.max(axis=0)  # the side that neither 0 nor 1 cuts off
    structure = np.maximum(spread**2 - usual_noise, 0.0)
    known = np.isfinite(median) & (attempts > 0)
    trials = np.where(known, attempts, 1.0)
    ratio = np.clip(np.where(known, median, 0.5), MIN_RATIO, 1 - MIN_RATIO)
    noise = ratio * (1 - ratio)
    effective = noise / (np.where(known, structure, 0.0) + noise / trials)
    successes = np.nan_to_num(bdtrik(levels, effective[..., None], ratio[..., None]))
    widened = np.ceil(successes * (trials / effective)[..., None] - 1e-9) / trials[..., None]
    return np.where(known[..., None], np.clip(widened, 0.0, 1.0), quantiles)
