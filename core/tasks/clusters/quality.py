"""Checks of a clustering: stability under resampling, and isolation of the noise points."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.clusterers.base import Clusterer, Labels
from core.errors import DataError
from core.evaluation import cluster_metrics
from core.spec.hyperparameters import get_hyperparameters

REFIT_COUNT = 3  # on 90 % of the points each
REFIT_SHARE = 0.9
MAX_REFIT_POINTS = 50_000
MAX_COMPARED_POINTS = 5000

MAX_THRESHOLD_POINTS = 50_000  # that set the threshold
DEFAULT_CONTAMINATION = 0.01  # if the share of noise exceeds MAX_CONTAMINATION
MAX_CONTAMINATION = 0.5


def measure_stability(clusterer: Clusterer, features: Floats, labels: Labels) -> dict[str, float]:
    """Return the mean adjusted Rand index with three other fits, as `stability`.

    Each fit has its own seed and uses 90 % of the points, at most 50,000. Empty for too few points, or for a
    density-based clusterer and more than 50,000 points.
    """
    if clusterer.is_density_based and len(features) > MAX_REFIT_POINTS:
        return {}
    count = min(int(REFIT_SHARE * len(features)), MAX_REFIT_POINTS)
    compared = cluster_metrics.sample_rows(len(features), MAX_COMPARED_POINTS)
    other_labels = []
    for seed in range(REFIT_COUNT):
        sample = features[cluster_metrics.sample_rows(len(features), count, seed)]
        try:
            refit = _set_seed(clusterer, seed).fit(sample)
        except DataError:
            return {}
        other_labels.append(refit.assign(features[compared]))
    return {"stability": cluster_metrics.compute_mean_ari(labels[compared], other_labels)}


def _set_seed(clusterer: Clusterer, seed: int) -> Clusterer:
    """Return a clusterer with the same settings and another seed; the same settings if there is no seed."""
    settings = {"random_state": seed} if "random_state" in get_hyperparameters(clusterer) else {}
    return replace(clusterer, **settings)  # type: ignore[type-var]


def choose_contamination(labels: Labels) -> float:
    """Return the share of noise (0–1) as the contamination; 1 % if more than half of the points are noise.

    Example:
        >>> choose_contamination(np.array([0, 0, 0, -1])), choose_contamination(np.array([0, -1, -1, -1]))
        (0.25, 0.01)
    """
    share = float((labels < 0).mean())
    return share if share <= MAX_CONTAMINATION else DEFAULT_CONTAMINATION


def flag_isolated_noise(features: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Return a mask of the noise points that Isolation Forest flags too, (points,).

    It has default settings, the same features and the share of noise as contamination. At most 50,000 points set its
    threshold.
    """
    from core.detectors.tables.isolation_forest import IsolationForest

    is_noise = labels < 0
    is_isolated = np.zeros(len(labels), dtype=bool)
    if is_noise.any():
        forest = IsolationForest().fit(features)
        sample_scores = forest.score(features[cluster_metrics.sample_rows(len(features), MAX_THRESHOLD_POINTS)])
        is_isolated[is_noise] = forest.score(features[is_noise]) > np.quantile(
            sample_scores, 1 - choose_contamination(labels)
        )
    return is_isolated
