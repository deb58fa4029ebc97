"""What a clustering is worth without knowing the truth, and what helps to choose one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

SILHOUETTE_ROWS = 5000  # all pairs of them are compared


def quality(features: Floats, labels: Labels, seed: int = 0) -> dict[str, float]:
    """Return inertia and, for two clusters or more, silhouette, Davies–Bouldin and Calinski–Harabasz.

    The silhouette is of at most 5,000 rows drawn at random. Noise (-1) is left out of all of them.
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
    """Sum of the squared distances to the mean of each row's cluster; labels are 0 … k-1."""
    total = 0.0
    for cluster in np.unique(labels):
        mine = rows[labels == cluster]
        total += float(np.square(mine - mine.mean(axis=0)).sum())
    return total


def drawn(count: int, limit: int, seed: int = 0) -> Labels:
    """All positions, or `limit` of them at random, in order."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def agreement(labels: Labels, others: Sequence[Labels]) -> float:
    """Mean adjusted Rand index of `labels` with each of the others: 1 for the same groups, about 0 for chance."""
    from sklearn.metrics import adjusted_rand_score

    return float(np.mean([adjusted_rand_score(labels, other) for other in others]))


def knee(curve: Floats) -> int:
    """Where a rising curve bends most: the position farthest below the straight line between its ends.

    Satopää, Albrecht, Irwin, Raghavan: Finding a "Kneedle" in a haystack, 2011, without smoothing.
    """
    if len(curve) < 3 or curve[-1] <= curve[0]:
        return len(curve) - 1
    line = np.linspace(curve[0], curve[-1], len(curve))
    return int(np.argmax(line - curve))
