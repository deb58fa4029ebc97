"""Help to choose the hyper-parameters: k of KMeans, eps of DBSCAN."""

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
ORDINARY = 0.998  # share of the points in which the knee is sought: one remote point would move it


@dataclass(frozen=True)
class ClusterSuggestion:
    """Curves that help to choose, and the values they suggest.

    kmeans_scores  k, inertia and silhouette (on at most 5,000 points) of KMeans for 2 to 10 clusters
    k              number of clusters with the highest silhouette; 0 for too few points
    curve          distances of points drawn at random to their `min_samples`-th nearest point, ascending; the
                   point itself counts
    eps            knee of the curve, without its last 0.2 %
    points         number of points behind `kmeans_scores`
    """

    by_k: pd.DataFrame
    k: int
    curve: Floats
    eps: float
    points: int


def suggest_parameters(features: Floats, min_samples: int) -> ClusterSuggestion:
    """Return the suggestion for `features`, shape (points, columns).

    KMeans is fitted on at most 20,000 points drawn at random. The curve has at most 2,000 points; their neighbours are
    sought among all points.

    Example:
        >>> centres = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 20, axis=0)
        >>> features = centres + np.random.default_rng(0).normal(0, 0.5, (60, 2))
        >>> suggestion = suggest_parameters(features, 5)
        >>> suggestion.k, bool(0.2 < suggestion.eps < 1)
        (3, True)
    """
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
        except DataError:  # fewer distinct points than clusters
            break
        rows.append({"k": k, "inertia": found["inertia"], "silhouette": found.get("silhouette", np.nan)})
    return pd.DataFrame(rows, columns=["k", "inertia", "silhouette"])


def neighbour_distances(features: Floats, min_samples: int) -> Floats:
    """Return the distances of at most 2,000 points to their `min_samples`-th nearest point, ascending."""
    from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

    turned = features @ principal_axes(features)
    asked = turned[drawn(len(turned), CURVE_POINTS)]
    apart, _ = cKDTree(turned).query(asked, k=[min(min_samples, len(turned))], workers=-1)
    return np.sort(apart[:, 0])
