"""Has a measurement changed since a model learnt it? Population stability index and Kolmogorov–Smirnov test.

The index (PSI) tells how much, the test how surely. With many rows the test finds every trifle; with few rows the
index is large by chance. So both are shown, beside what the index reaches by chance alone.
Sources: Siddiqi (2006), Credit Risk Scorecards, for the limits 0.1 and 0.25; Yurdakul and Naranjo (2020), Statistical
properties of the population stability index, Journal of Risk Model Validation 14(4), for its law without drift.
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
FLOOR = 1e-4  # share that stands for an empty bin, whose logarithm would be infinite


def psi(reference: Floats, current: Floats, bins: int = BINS) -> float:
    """Population stability index of `current` against `reference`, both of shape (rows,); 0 where they are alike.

    Bins hold equal numbers of the reference's values; missing values are a bin of their own, so that a sensor that
    falls silent counts as drift. NaN where either has no rows.
    """
    if not len(reference) or not len(current):
        return float("nan")
    edges = _edges(reference, bins)
    then, now = _shares(reference, edges), _shares(current, edges)
    return float(((now - then) * np.log(now / then)).sum())


def psi_by_chance(reference: int, current: int, bins: int = BINS) -> float:
    """Return what the index of so many rows stays below in 95 of 100 cases without any drift.

    It is χ² with bins − 1 degrees, scaled.
    """
    from scipy.special import chdtri  # type: ignore[import-untyped, unused-ignore]

    if not reference or not current:
        return float("nan")
    return float(chdtri(bins - 1, 1 - CERTAINTY) * (1 / reference + 1 / current))


def level(index: float, by_chance: float) -> Level:
    """How far a PSI lies: above a limit, and above what chance alone reaches."""
    if not index > max(by_chance, MODERATE):
        return "stable"
    return "major" if index > MAJOR else "moderate"


def ks(reference: Floats, current: Floats) -> float:
    """Return the Kolmogorov–Smirnov statistic: the largest distance between the two distribution functions.

    Missing values are left out. NaN where either has no values.
    """
    then, now = np.sort(reference[~np.isnan(reference)]), np.sort(current[~np.isnan(current)])
    if not len(then) or not len(now):
        return float("nan")
    everything = np.concatenate([then, now])
    below = np.searchsorted(then, everything, side="right") / len(then)
    return float(np.abs(below - np.searchsorted(now, everything, side="right") / len(now)).max())


def ks_p_values(statistics: Floats, reference: Sequence[int], current: Sequence[int]) -> Floats:
    """The probability of statistics at least so large without drift, for independent rows (asymptotic, as SciPy's)."""
    from scipy.stats import kstwo  # type: ignore[import-untyped, unused-ignore]

    then, now = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    found = np.full(len(statistics), np.nan)
    known = ~np.isnan(statistics)
    size = np.round(then[known] * now[known] / (then[known] + now[known]))
    found[known] = np.clip(kstwo.sf(statistics[known], np.maximum(size, 1)), 0, 1)
    return found


def adjusted(p_values: Floats) -> Floats:
    """Benjamini and Hochberg (1995): below q, at most a share q of the tests is expected to be a false alarm.

    NaN stays.
    """
    found = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(-p_values[known], kind="stable")]  # the largest first
    ranks = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.minimum.accumulate(p_values[order] * len(order) / ranks), 1.0)
    return found


def _edges(reference: Floats, bins: int) -> Floats:
    """Values of the reference that end its bins, the last bin left open; fewer where values repeat.

    Values themselves, never points between two of them: any increasing transformation leaves the bins as they are.
    """
    known = np.sort(reference[~np.isnan(reference)])
    if not len(known):
        return np.empty(0)
    places = np.ceil(len(known) * np.arange(1, bins) / bins).astype(int) - 1
    return np.unique(known[np.maximum(places, 0)])


def _shares(values: Floats, edges: Floats) -> Floats:
    """The share of values in every bin, the missing ones last."""
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    return np.maximum(np.append(counts, missing.sum()) / len(values), FLOOR)
