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

from core.array_types import Floats

DriftLevel = Literal["stable", "moderate", "major"]

BIN_COUNT = 10
MODERATE_PSI, MAJOR_PSI = 0.1, 0.25
CONFIDENCE = 0.95
MIN_BIN_SHARE = 1e-4  # smallest share of a bin, because the logarithm of 0 is infinite


def compute_psi(reference: Floats, current: Floats, bins: int = BIN_COUNT) -> float:
    """Return the population stability index of `current` against `reference`, both (rows,); 0 for equal distributions.

    Bins hold equal numbers of the reference's values. Missing values are a bin of their own, so that a failing sensor
    counts as drift. NaN if either has no rows.

    Example:
        >>> import numpy as np
        >>> reference = np.arange(100.0)
        >>> compute_psi(reference, reference), round(compute_psi(reference, reference + 20), 2)
        (0.0, 1.6)
    """
    if not len(reference) or not len(current):
        return float("nan")
    edges = _compute_bin_edges(reference, bins)
    reference_shares, current_shares = _compute_bin_shares(reference, edges), _compute_bin_shares(current, edges)
    return float(((current_shares - reference_shares) * np.log(current_shares / reference_shares)).sum())


def compute_chance_psi(reference: int, current: int, bins: int = BIN_COUNT) -> float:
    """Return the 95 % quantile of the index without drift, for these numbers of rows.

    The distribution is χ² with bins − 1 degrees of freedom, scaled.

    Example:
        >>> round(compute_chance_psi(100, 100), 2), round(compute_chance_psi(10_000, 10_000), 4)
        (0.34, 0.0034)
    """
    from scipy.special import chdtri  # type: ignore[import-untyped, unused-ignore]

    if not reference or not current:
        return float("nan")
    return float(chdtri(bins - 1, 1 - CONFIDENCE) * (1 / reference + 1 / current))


def classify_psi(index: float, chance_psi: float) -> DriftLevel:
    """Return the drift level of a PSI, compared with the limits and with the PSI reached by chance.

    Example:
        >>> classify_psi(0.2, chance_psi=0.05), classify_psi(0.2, chance_psi=0.34), classify_psi(0.3, chance_psi=0.05)
        ('moderate', 'stable', 'major')
    """
    if not index > max(chance_psi, MODERATE_PSI):
        return "stable"
    return "major" if index > MAJOR_PSI else "moderate"


def compute_ks(reference: Floats, current: Floats) -> float:
    """Return the Kolmogorov–Smirnov statistic: the largest distance between the two distribution functions.

    Missing values are left out. NaN if either has no values.

    Example:
        >>> import numpy as np
        >>> round(compute_ks(np.arange(100.0), np.arange(100.0) + 20), 2)
        0.2
    """
    reference_values, current_values = np.sort(reference[~np.isnan(reference)]), np.sort(current[~np.isnan(current)])
    if not len(reference_values) or not len(current_values):
        return float("nan")
    all_values = np.concatenate([reference_values, current_values])
    below = np.searchsorted(reference_values, all_values, side="right") / len(reference_values)
    return float(np.abs(below - np.searchsorted(current_values, all_values, side="right") / len(current_values)).max())


def compute_ks_p_values(statistics: Floats, reference: Sequence[int], current: Sequence[int]) -> Floats:
    """Return the probability of statistics at least as large without drift, for independent rows.

    `reference` and `current` are the numbers of rows of each test. The law is asymptotic, as in SciPy.

    Example:
        >>> import numpy as np
        >>> compute_ks_p_values(np.array([0.2, 0.2]), reference=[100, 1000], current=[100, 1000]).round(4).tolist()
        [0.0314, 0.0]
    """
    from scipy.stats import kstwo  # type: ignore[import-untyped, unused-ignore]

    reference_rows, current_rows = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    p_values = np.full(len(statistics), np.nan)
    is_known = ~np.isnan(statistics)
    size = np.round(
        reference_rows[is_known] * current_rows[is_known] / (reference_rows[is_known] + current_rows[is_known])
    )
    p_values[is_known] = np.clip(kstwo.sf(statistics[is_known], np.maximum(size, 1)), 0, 1)
    return p_values


def adjust_p_values(p_values: Floats) -> Floats:
    """Return p-values adjusted for the number of tests; NaN stays.

    Of the tests below q, at most the share q is expected to be false alarms: Benjamini and Hochberg (1995).

    Example:
        >>> import numpy as np
        >>> adjust_p_values(np.array([0.01, 0.02, 0.5, np.nan])).round(2).tolist()
        [0.03, 0.03, 0.5, nan]
    """
    adjusted_values = np.full(len(p_values), np.nan)
    known_rows = np.flatnonzero(~np.isnan(p_values))
    order = known_rows[np.argsort(-p_values[known_rows], kind="stable")]  # the largest first
    ranks = np.arange(len(order), 0, -1)
    adjusted_values[order] = np.minimum(np.minimum.accumulate(p_values[order] * len(order) / ranks), 1.0)
    return adjusted_values


def _compute_bin_edges(reference: Floats, bins: int) -> Floats:
    """Return the values of the reference that end its bins, fewer where values repeat; the last bin is open.

    The edges are values, not midpoints, so that increasing transformations keep the bins.
    """
    known_values = np.sort(reference[~np.isnan(reference)])
    if not len(known_values):
        return np.empty(0)
    positions = np.ceil(len(known_values) * np.arange(1, bins) / bins).astype(int) - 1
    return np.unique(known_values[np.maximum(positions, 0)])


def _compute_bin_shares(values: Floats, edges: Floats) -> Floats:
    """Return the share of values in every bin, with the missing ones last."""
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    return np.maximum(np.append(counts, missing.sum()) / len(values), MIN_BIN_SHARE)
