"""KMeans: k centres; every row belongs to the nearest centre."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from typing_extensions import override

from core.array_types import Floats
from core.clusterers.base import Clusterer, Labels
from core.errors import DataError
from core.evaluation.cluster_metrics import compute_cluster_metrics, sample_rows
from core.messages import N_
from core.spec.hyperparameters import get_params, hyperparameter

MAX_START_ROWS = 100_000  # rows; with more, the starts use a sample
MAX_CHOSEN_CLUSTERS = 10
MAX_CHOICE_ROWS = 5_000  # rows, drawn at random, that choose the number of clusters
CHOICE_STARTS = 3


@dataclass
class KMeans(Clusterer):
    """Lloyd's algorithm from several starts; clusters are numbered by size, the largest is 0.

    For more than 100,000 rows the starts use 100,000 rows drawn at random; the best start continues with all rows.
    Works poorly for clusters that are long, curved or of very different size. Lloyd 1982; the implementation is
    scikit-learn's.

    Example:
        >>> features = np.array([[0.0], [0.2], [0.4], [9.0], [9.2]])
        >>> kmeans = KMeans(n_clusters=2).fit(features)
        >>> kmeans.labels_.tolist()
        [0, 0, 0, 1, 1]
        >>> kmeans.assign(np.array([[7.0]])).tolist(), kmeans.compute_distance(np.array([[0.5]])).round(2).tolist()
        ([1], [0.3])
    """

    name = "kmeans"
    label = N_("KMeans (nearest centre)")
    sampling_note = N_(
        "The starting centres were computed on {count} rows drawn at random. The final centres were "
        "computed on all rows."
    )

    n_clusters: int = hyperparameter(
        0,
        low=0,
        high=100,
        help=N_("Number of clusters, k. 0 chooses the one of 2 to 10 with the highest silhouette."),
        label=N_("Number of clusters (k)"),
    )
    n_init: int = hyperparameter(
        10, low=1, high=100, help=N_("Number of starts. The best one is kept."), label=N_("Number of starts")
    )
    max_iter: int = hyperparameter(
        300, low=1, high=10_000, help=N_("Maximum number of iterations per start."), label=N_("Maximum of iterations")
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same clusters."), label=N_("Seed")
    )

    @override
    def fit(self, features: Floats) -> Self:
        count = self.n_clusters or find_best_count(score_cluster_counts(_sample(features, MAX_CHOICE_ROWS))) or 2
        if len(features) <= count:
            raise DataError(
                N_("Too few points for {k} clusters: {count}. There must be more points than clusters."),
                count=len(features),
                k=count,
            )
        settings = get_params(self) | {"n_clusters": count}
        self.sampled_ = MAX_START_ROWS if len(features) > MAX_START_ROWS else 0
        if not self.sampled_:
            fit_result = _run_lloyd(features, **settings)
        else:
            sample = np.random.default_rng(self.random_state).choice(len(features), MAX_START_ROWS, replace=False)
            start_result = _run_lloyd(features[sample], **settings)
            fit_result = _run_lloyd(features, **settings | {"init": start_result.cluster_centers_, "n_init": 1})
        sizes = np.bincount(fit_result.labels_, minlength=count)
        if not sizes.all():
            raise DataError(
                N_("Too few distinct points for {k} clusters: {count}."), count=int((sizes > 0).sum()), k=count
            )
        order = np.argsort(-sizes, kind="stable")
        self.centers_ = fit_result.cluster_centers_[order]
        self.labels_ = np.argsort(order)[fit_result.labels_]
        return self

    @override
    def assign(self, features: Floats) -> Labels:
        return self._find_nearest(features)[1]

    def compute_distance(self, features: Floats) -> Floats:
        """Return the distance of each row to the nearest centre, (rows,)."""
        return self._find_nearest(features)[0]

    def _find_nearest(self, features: Floats) -> tuple[Floats, Labels]:
        from sklearn.metrics import pairwise_distances_argmin_min

        positions, distances = pairwise_distances_argmin_min(features, self.centers_)
        return distances, positions


def score_cluster_counts(features: Floats) -> pd.DataFrame:
    """Return k, inertia and silhouette (on at most 5,000 points) of KMeans for 2 to 10 clusters.

    Example:
        >>> table = score_cluster_counts(np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.3]]))
        >>> find_best_count(table)
        2
    """
    rows = []
    for k in range(2, min(MAX_CHOSEN_CLUSTERS, len(features) - 1) + 1):
        try:
            metrics = compute_cluster_metrics(
                features, KMeans(n_clusters=k, n_init=CHOICE_STARTS).fit(features).labels_
            )
        except DataError:  # fewer distinct points than clusters
            break
        rows.append({"k": k, "inertia": metrics["inertia"], "silhouette": metrics.get("silhouette", np.nan)})
    return pd.DataFrame(rows, columns=["k", "inertia", "silhouette"])


def find_best_count(scores: pd.DataFrame) -> int:
    """Return the number of clusters with the highest silhouette in a table of `score_cluster_counts`; 0 without one."""
    complete = scores.dropna()
    return int(complete.loc[complete["silhouette"].idxmax(), "k"]) if len(complete) else 0


def _sample(features: Floats, count: int) -> Floats:
    return features[sample_rows(len(features), count)]


def _run_lloyd(features: Floats, **settings: Any) -> Any:
    import warnings

    from sklearn import cluster
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters: `fit` raises DataError
        return cluster.KMeans(**settings).fit(features)
