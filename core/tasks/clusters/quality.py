"""Checks of a clustering: stability under resampling, and isolation of the noise points."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.clusterers.base import Clusterer, Floats, Labels
from core.errors import DataError
from core.evaluation import clusterings
from core.spec.hyperparameters import hyperparameters

REFITS = 3  # on 90 % of the points each
REFIT_SHARE = 0.9
MAX_REFIT_POINTS = 50_000
MAX_COMPARED_POINTS = 5000

MAX_FOREST_POINTS = 50_000  # that set the threshold
FOREST_SHARE = 0.01  # if the share of noise exceeds MAX_CONTAMINATION
MAX_CONTAMINATION = 0.5


def measure_stability(clusterer: Clusterer, features: Floats, labels: Labels) -> dict[str, float]:
    """Return the mean adjusted Rand index with three other fits, as `stability`.

    Each fit has its own seed and uses 90 % of the points, at most 50,000. Empty for too few points, or for a
    density-based clusterer and more than 50,000 points.
    """
    if clusterer.by_density and len(features) > MAX_REFIT_POINTS:
        return {}
    count = min(int(REFIT_SHARE * len(features)), MAX_REFIT_POINTS)
    compared = clusterings.drawn(len(features), MAX_COMPARED_POINTS)
    others = []
    for seed in range(REFITS):
        sample = features[clusterings.drawn(len(features), count, seed)]
        try:
            refitted = _with_seed(clusterer, seed).fit(sample)
        except DataError:
            return {}
        others.append(refitted.assign(features[compared]))
    return {"stability": clusterings.agreement(labels[compared], others)}


def _with_seed(clusterer: Clusterer, seed: int) -> Clusterer:
    """Return a clusterer with the same settings and another seed; the same settings if there is no seed."""
    seeded = {"random_state": seed} if "random_state" in hyperparameters(clusterer) else {}
    return replace(clusterer, **seeded)  # type: ignore[type-var]


def contamination_of_noise(labels: Labels) -> float:
    """Return the share of noise (0–1) as the contamination; 1 % if more than half of the points are noise.

    Example:
        >>> contamination_of_noise(np.array([0, 0, 0, -1])), contamination_of_noise(np.array([0, -1, -1, -1]))
        (0.25, 0.01)
    """
    share = float((labels < 0).mean())
    return share if share <= MAX_CONTAMINATION else FOREST_SHARE


def flag_isolated_noise(features: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Return a mask of the noise points that Isolation Forest flags too, (points,).

    It has default settings, the same features and the share of noise as contamination. At most 50,000 points set its
    threshold.
    """
    from core.detectors.tables.isolation_forest import IsolationForest

    noise = labels < 0
    flagged = np.zeros(len(labels), dtype=bool)
    if noise.any():
        forest = IsolationForest().fit(features)
        usual = forest.score(features[clusterings.drawn(len(features), MAX_FOREST_POINTS)])
        flagged[noise] = forest.score(features[noise]) > np.quantile(usual, 1 - contamination_of_noise(labels))
    return flagged
