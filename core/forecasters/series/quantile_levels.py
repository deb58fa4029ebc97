"""Quantiles at any level from quantiles at a few levels."""

from statistics import NormalDist

import numpy as np

from core.array_types import Floats


def interpolate_quantiles(values: Floats, levels: Floats, quantiles: Floats) -> Floats:
    """Return the values at the levels `quantiles` from `values` at the ascending `levels`, which hold the median.

    `values` has its levels on the last axis. Between two levels the value is linear in the quantile of the normal
    distribution. Beyond the outermost level the distance to the median grows as it does for a normal distribution.

    Example:
        >>> levels = np.array([0.1, 0.5, 0.9])
        >>> normal = np.array([NormalDist(100, 10).inv_cdf(level) for level in levels])
        >>> interpolate_quantiles(normal, levels, np.array([0.025, 0.3, 0.5])).round(1).tolist()
        [80.4, 94.8, 100.0]
    """
    scores, wanted_scores = compute_normal_scores(levels), compute_normal_scores(quantiles)
    median = values[..., int(np.argmin(np.abs(scores)))]
    columns = []
    for score in wanted_scores:
        if score < scores[0] or score > scores[-1]:
            end = 0 if score < scores[0] else -1
            columns.append(median + (values[..., end] - median) * score / scores[end])
        else:
            right = int(np.clip(np.searchsorted(scores, score), 1, len(scores) - 1))
            share = (score - scores[right - 1]) / (scores[right] - scores[right - 1])
            columns.append((1 - share) * values[..., right - 1] + share * values[..., right])
    return np.stack(columns, axis=-1)


def compute_normal_scores(levels: Floats) -> Floats:
    """Return the quantiles of the standard normal distribution at `levels`."""
    return np.array([NormalDist().inv_cdf(float(level)) for level in levels])
