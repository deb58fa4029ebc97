"""Help to choose: k for KMeans, eps for DBSCAN."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.clusterers.base import Floats
from core.clusterers.density import principal_axes
from core.clusterers.kmeans import KMeans
from core.errors import DataError
from core.evaluation.clusterings import drawn, knee, quality

MOST_CLUSTERS = 10
ELBOW_POINTS = 20_000
CURVE_POINTS = 2000
STARTS = 3
ORDINARY = 0.998  # of the points: the bend is sought among them, since one point far out would move it


@dataclass(frozen=True)
class ClusterSuggestion:
    """Figures that help to choose.

    by_k     k, inertia, silhouette (on at most 5,000 points) of KMeans
    k        the number of clusters with the highest silhouette; 0 where there are too few points
    curve    for points drawn at random the distance to their `min_samples`-th nearest point, themselves counted, rising
    eps      where the curve bends most, its last 2 ‰ left aside
    points   how many points `by_k` was found from
    """

    by_k: pd.DataFrame
    k: int
    curve: Floats
    eps: float
    points: int


def suggest_parameters(features: Floats, min_samples: int) -> ClusterSuggestion:
    """Return elbow and silhouette on at most 20,000 points drawn at random, distances from 2,000 among all of them."""
    some = features[drawn(len(features), ELBOW_POINTS)]
    by_k = _by_k(some)
    known = by_k.dropna()
    best = int(known.loc[known["silhouette"].idxmax(), "k"]) if len(known) else 0
    curve = neighbour_distances(features, min_samples)
    ordinary = curve[: max(int(ORDINARY * len(curve)), min(len(curve), 20))]
    return ClusterSuggestion(by_k, best, curve, float(ordinary[knee(ordinary)]), len(some))


def _by_k(features: Floats) -> pd.DataFrame:
    rows = []
    for k in range(2, min(MOST_CLUSTERS, len(features) - 1) + 1):
        try:
            found = quality(features, KMeans(n_clusters=k, n_init=STARTS).fit(features).labels_)
        except DataError:  # fewer different points than clusters
            break
        rows.append({"k": k, "inertia": found["inertia"], "silhouette": found.get("silhouette", np.nan)})
    return pd.DataFrame(rows, columns=["k", "inertia", "silhouette"])


def neighbour_distances(features: Floats, min_samples: int) -> Floats:
    """Distance of at most 2,000 points to their `min_samples`-th nearest, rising."""
    from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

    turned = features @ principal_axes(features)
    asked = turned[drawn(len(turned), CURVE_POINTS)]
    apart, _ = cKDTree(turned).query(asked, k=[min(min_samples, len(turned))], workers=-1)
    return np.sort(apart[:, 0])
