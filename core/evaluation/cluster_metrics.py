"""Metrics of a clustering without true labels, and aids to choose the number of clusters."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

Labels = NDArray[np.intp]

MAX_SILHOUETTE_ROWS = 5000  # rows of the silhouette, at most; it compares all pairs of them


def compute_cluster_metrics(features: Floats, labels: Labels, seed: int = 0) -> dict[str, float]:
    """Return inertia and, for two clusters or more, silhouette, Davies–Bouldin and Calinski–Harabasz.

    The silhouette uses at most 5,000 rows drawn at random. Noise rows (label -1) are left out of all metrics.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0], [1.0], [10.0], [11.0]])
        >>> metrics = compute_cluster_metrics(features, np.array([0, 0, 1, 1]))
        >>> round(metrics["silhouette"], 2), round(metrics["davies_bouldin"], 2), metrics["inertia"]
        (0.9, 0.1, 1.0)
    """
    from sklearn import config_context, metrics

    is_clustered = labels >= 0
    rows, cluster_labels = features[is_clustered], labels[is_clustered]
    count = len(np.unique(cluster_labels))
    values = {"inertia": compute_inertia(rows, cluster_labels)} if count else {}
    if 2 <= count < len(rows):
        values["davies_bouldin"] = float(metrics.davies_bouldin_score(rows, cluster_labels))
        values["calinski_harabasz"] = float(metrics.calinski_harabasz_score(rows, cluster_labels))
        sample = sample_rows(len(rows), MAX_SILHOUETTE_ROWS, seed)
        if 2 <= len(np.unique(cluster_labels[sample])) < len(sample):
            with config_context(working_memory=64):  # MB
                values["silhouette"] = float(metrics.silhouette_score(rows[sample], cluster_labels[sample]))
            values["silhouette_rows"] = len(sample)
    return values


def compute_inertia(rows: Floats, labels: Labels) -> float:
    """Return the sum of the squared distances to the mean of each row's cluster; labels are 0 … k-1.

    Example:
        >>> import numpy as np
        >>> compute_inertia(np.array([[0.0], [2.0], [10.0]]), np.array([0, 0, 1]))
        2.0
    """
    total = 0.0
    for cluster in np.unique(labels):
        members = rows[labels == cluster]
        total += float(np.square(members - members.mean(axis=0)).sum())
    return total


def sample_rows(count: int, limit: int, seed: int = 0) -> Labels:
    """Return all positions 0 … count - 1, or `limit` of them drawn at random, ascending."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def compute_mean_ari(labels: Labels, others: Sequence[Labels]) -> float:
    """Return the mean adjusted Rand index of `labels` and each of `others`: 1 for the same groups, about 0 by chance.

    Example:
        >>> import numpy as np
        >>> compute_mean_ari(np.array([0, 0, 1, 1]), [np.array([1, 1, 0, 0])])  # the numbers of the groups do not count
        1.0
    """
    from sklearn.metrics import adjusted_rand_score

    return float(np.mean([adjusted_rand_score(labels, other_labels) for other_labels in others]))


def find_knee(curve: Floats) -> int:
    """Return the index of the knee of a rising curve: the point farthest below the straight line between its ends.

    Satopää, Albrecht, Irwin, Raghavan: Finding a "Kneedle" in a haystack, 2011, without smoothing.

    Example:
        >>> import numpy as np
        >>> find_knee(np.array([0.0, 0.1, 0.2, 0.3, 5.0, 9.0]))
        3
    """
    if len(curve) < 3 or curve[-1] <= curve[0]:
        return len(curve) - 1
    line = np.linspace(curve[0], curve[-1], len(curve))
    return int(np.argmax(line - curve))
