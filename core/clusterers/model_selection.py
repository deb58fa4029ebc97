"""Help to choose the hyper-parameters: k of KMeans, eps of DBSCAN."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.clusterers.exact_dbscan import compute_rotation_axes
from core.clusterers.kmeans import find_best_count, score_cluster_counts
from core.evaluation.cluster_metrics import find_knee, sample_rows

MAX_ELBOW_POINTS = 20_000
MAX_CURVE_POINTS = 2000
KNEE_SEARCH_SHARE = 0.998  # share of the points in which the knee is sought: one remote point would move it


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

    kmeans_scores: pd.DataFrame
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
    sample = features[sample_rows(len(features), MAX_ELBOW_POINTS)]
    kmeans_scores = score_cluster_counts(sample)
    best = find_best_count(kmeans_scores)
    curve = compute_neighbour_distances(features, min_samples)
    search_curve = curve[: max(int(KNEE_SEARCH_SHARE * len(curve)), min(len(curve), 20))]
    return ClusterSuggestion(kmeans_scores, best, curve, float(search_curve[find_knee(search_curve)]), len(sample))


def compute_neighbour_distances(features: Floats, min_samples: int) -> Floats:
    """Return the distances of at most 2,000 points to their `min_samples`-th nearest point, ascending."""
    from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

    rotated = features @ compute_rotation_axes(features)
    sample = rotated[sample_rows(len(rotated), MAX_CURVE_POINTS)]
    distances, _ = cKDTree(rotated).query(sample, k=[min(min_samples, len(rotated))], workers=-1)
    return np.sort(distances[:, 0])
