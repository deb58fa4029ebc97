"""Drift of a measurement since training: population stability index and Kolmogorov–Smirnov test.

The index (PSI) measures the size of a change, the test its significance. With many rows the test detects negligible
changes; with few rows the index is large by chance. So both are shown, with the index that chance alone reaches.
Sources: Siddiqi (2006), Credit Risk Scorecards, for the limits 0.1 and 0.25; Yurdakul and Naranjo (2020), Statistical
properties of the population stability index, Journal of Risk Model Validation 14(4), for its distribution without
drift.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Level = Literal["stable", "moderate", "major"]

BINS = 10
MODERATE, MAJOR = 0.1, 0.25
CERTAINTY = 0.95
FLOOR = 1e-4  # smallest share of a bin, because the logarithm of 0 is infinite


def psi(reference: Floats, current: Floats, bins: int = BINS) -> float:
    """Return the population stability index of `current` against `reference`, both (rows,); 0 for equal distributions.

    Bins hold equal numbers of the reference's values. Missing values are a bin of their own, so that a failing sensor
    counts as drift. NaN if either has no rows.

    Example:
        >>> import numpy as np
        >>> reference = np.arange(100.0)
        >>> psi(reference, reference), round(psi(reference, reference + 20), 2)
        (0.0, 1.6)
    """
    if not len(reference) or not len(current):
        return float("nan")
    edges = _edges(reference, bins)
    then, now = _shares(reference, edges), _shares(current, edges)
    return float(((now - then) * np.log(now / then)).sum())


def psi_by_chance(reference: int, current: int, bins: int = BINS) -> float:
    """Return the 95 % quantile of the index without drift, for these numbers of rows.

    The distribution is χ² with bins − 1 degrees of freedom, scaled.

    Example:
        >>> round(psi_by_chance(100, 100), 2), round(psi_by_chance(10_000, 10_000), 4)
        (0.34, 0.0034)
    """
    from scipy.special import chdtri  # type: ignore[import-untyped, unused-ignore]

    if not reference or not current:
        return float("nan")
    return float(chdtri(bins - 1, 1 - CERTAINTY) * (1 / reference + 1 / current))


def level(index: float, by_chance: float) -> Level:
    """Return the drift level of a PSI, compared with the limits and with the PSI reached by chance.

    Example:
        >>> level(0.2, by_chance=0.05), level(0.2, by_chance=0.34), level(0.3, by_chance=0.05)
        ('moderate', 'stable', 'major')
    """
    if not index > max(by_chance, MODERATE):
        return "stable"
    return "major" if index > MAJOR else "moderate"


def ks(reference: Floats, current: Floats) -> float:
    """Return the Kolmogorov–Smirnov statistic: the largest distance between the two distribution functions.

    Missing values are left out. NaN if either has no values.

    Example:
        >>> import numpy as np
        >>> round(ks(np.arange(100.0), np.arange(100.0) + 20), 2)
        0.2
    """
    then, now = np.sort(reference[~np.isnan(reference)]), np.sort(current[~np.isnan(current)])
    if not len(then) or not len(now):
        return float("nan")
    everything = np.concatenate([then, now])
    below = np.searchsorted(then, everything, side="right") / len(then)
    return float(np.abs(below - np.searchsorted(now, everything, side="right") / len(now)).max())


def ks_p_values(statistics: Floats, reference: Sequence[int], current: Sequence[int]) -> Floats:
    """Return the probability of statistics at least as large without drift, for independent rows.

    `reference` and `current` are the numbers of rows of each test. The law is asymptotic, as in SciPy.

    Example:
        >>> import numpy as np
        >>> ks_p_values(np.array([0.2, 0.2]), reference=[100, 1000], current=[100, 1000]).round(4).tolist()
        [0.0314, 0.0]
    """
    from scipy.stats import kstwo  # type: ignore[import-untyped, unused-ignore]

    then, now = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    found = np.full(len(statistics), np.nan)
    known = ~np.isnan(statistics)
    size = np.round(then[known] * now[known] / (then[known] + now[known]))
    found[known] = np.clip(kstwo.sf(statistics[known], np.maximum(size, 1)), 0, 1)
    return found


def adjusted(p_values: Floats) -> Floats:
    """Return p-values adjusted for the number of tests; NaN stays.

    Of the tests below q, at most the share q is expected to be false alarms: Benjamini and Hochberg (1995).

    Example:
        >>> import numpy as np
        >>> adjusted(np.array([0.01, 0.02, 0.5, np.nan])).round(2).tolist()
        [0.03, 0.03, 0.5, nan]
    """
    found = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(-p_values[known], kind="stable")]  # the largest first
    ranks = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.minimum.accumulate(p_values[order] * len(order) / ranks), 1.0)
    return found


def _edges(reference: Floats, bins: int) -> Floats:
    """Return the values of the reference that end its bins, fewer where values repeat; the last bin is open.

    The edges are values, not midpoints, so that increasing transformations keep the bins.
    """
    known = np.sort(reference[~np.isnan(reference)])
    if not len(known):
        return np.empty(0)
    places = np.ceil(len(known) * np.arange(1, bins) / bins).astype(int) - 1
    return np.unique(known[np.maximum(places, 0)])


def _shares(values: Floats, edges: Floats) -> Floats:
    """Return the share of values in every bin, with the missing ones last."""
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    return np.maximum(np.append(counts, missing.sum()) / len(values), FLOOR)
