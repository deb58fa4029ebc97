"""How far clusters can be trusted: would a part of the points be grouped alike, and is noise really far from all?"""

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

MAX_FOREST_POINTS = 50_000  # whose scores set the threshold
FOREST_SHARE = 0.01  # where the share of noise is no contamination
MAX_CONTAMINATION = 0.5


def measure_stability(clusterer: Clusterer, features: Floats, labels: Labels) -> dict[str, float]:
    """Return the mean adjusted Rand index with three fits on 90 % of the points (at most 50,000), as `stability`.

    Each fit has a seed of its own. Empty where the points are too few to fit again, or where a thinner sample would
    have other clusters.
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
    """Return a clusterer with the same settings and another seed; where it draws nothing, with the same settings."""
    seeded = {"random_state": seed} if "random_state" in hyperparameters(clusterer) else {}
    return replace(clusterer, **seeded)  # type: ignore[type-var]


def contamination_of_noise(labels: Labels) -> float:
    """Return the share of noise, or 1 % where it is more than half: then it is no contamination."""
    share = float((labels < 0).mean())
    return share if share <= MAX_CONTAMINATION else FOREST_SHARE


def flag_isolated_noise(features: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Return which noise points Isolation Forest flags too, with its default settings on the same features, (points,).

    Its contamination is that of the noise; the threshold is found from at most 50,000 points.
    """
    from core.detectors.tables.isolation_forest import IsolationForest

    noise = labels < 0
    flagged = np.zeros(len(labels), dtype=bool)
    if noise.any():
        forest = IsolationForest().fit(features)
        usual = forest.score(features[clusterings.drawn(len(features), MAX_FOREST_POINTS)])
        flagged[noise] = forest.score(features[noise]) > np.quantile(usual, 1 - contamination_of_noise(labels))
    return flagged
