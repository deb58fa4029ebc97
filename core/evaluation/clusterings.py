"""Metrics of a clustering without true labels, and aids to choose the number of clusters."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

SILHOUETTE_ROWS = 5000  # rows of the silhouette, at most; it compares all pairs of them


def quality(features: Floats, labels: Labels, seed: int = 0) -> dict[str, float]:
    """Return inertia and, for two clusters or more, silhouette, Davies–Bouldin and Calinski–Harabasz.

    The silhouette uses at most 5,000 rows drawn at random. Noise rows (label -1) are left out of all metrics.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0], [1.0], [10.0], [11.0]])
        >>> metrics = quality(features, np.array([0, 0, 1, 1]))
        >>> round(metrics["silhouette"], 2), round(metrics["davies_bouldin"], 2), metrics["inertia"]
        (0.9, 0.1, 1.0)
    """
    from sklearn import config_context, metrics

    inside = labels >= 0
    rows, own = features[inside], labels[inside]
    count = len(np.unique(own))
    found = {"inertia": inertia(rows, own)} if count else {}
    if 2 <= count < len(rows):
        found["davies_bouldin"] = float(metrics.davies_bouldin_score(rows, own))
        found["calinski_harabasz"] = float(metrics.calinski_harabasz_score(rows, own))
        some = drawn(len(rows), SILHOUETTE_ROWS, seed)
        if 2 <= len(np.unique(own[some])) < len(some):
            with config_context(working_memory=64):  # MB
                found["silhouette"] = float(metrics.silhouette_score(rows[some], own[some]))
            found["silhouette_rows"] = len(some)
    return found


def inertia(rows: Floats, labels: Labels) -> float:
    """Return the sum of the squared distances to the mean of each row's cluster; labels are 0 … k-1.

    Example:
        >>> import numpy as np
        >>> inertia(np.array([[0.0], [2.0], [10.0]]), np.array([0, 0, 1]))
        2.0
    """
    total = 0.0
    for cluster in np.unique(labels):
        mine = rows[labels == cluster]
        total += float(np.square(mine - mine.mean(axis=0)).sum())
    return total


def drawn(count: int, limit: int, seed: int = 0) -> Labels:
    """Return all positions 0 … count - 1, or `limit` of them drawn at random, ascending."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def agreement(labels: Labels, others: Sequence[Labels]) -> float:
    """Return the mean adjusted Rand index of `labels` and each of `others`: 1 for the same groups, about 0 by chance.

    Example:
        >>> import numpy as np
        >>> agreement(np.array([0, 0, 1, 1]), [np.array([1, 1, 0, 0])])  # the numbers of the groups do not count
        1.0
    """
    from sklearn.metrics import adjusted_rand_score

    return float(np.mean([adjusted_rand_score(labels, other) for other in others]))


def knee(curve: Floats) -> int:
    """Return the index of the knee of a rising curve: the point farthest below the straight line between its ends.

    Satopää, Albrecht, Irwin, Raghavan: Finding a "Kneedle" in a haystack, 2011, without smoothing.

    Example:
        >>> import numpy as np
        >>> knee(np.array([0.0, 0.1, 0.2, 0.3, 5.0, 9.0]))
        3
    """
    if len(curve) < 3 or curve[-1] <= curve[0]:
        return len(curve) - 1
    line = np.linspace(curve[0], curve[-1], len(curve))
    return int(np.argmax(line - curve))
