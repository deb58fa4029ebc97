"""DBSCAN: clusters are dense regions of any form; the other rows are noise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.clusterers import density
from core.clusterers.base import NOISE, Clusterer, Floats, Labels
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class DBSCAN(Clusterer):
    """Density-based clusters: core rows within eps of each other form one cluster.

    A core row has at least `min_samples` rows within eps, itself included. `fit` numbers clusters like scikit-learn.
    `assign` gives a row the cluster of the nearest core row within eps, so a border row of two clusters can change its
    cluster. Works poorly for clusters of very different density. Ester, Kriegel, Sander, Xu, KDD 1996.

    Example:
        >>> features = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [99.0]])
        >>> dbscan = DBSCAN(eps=0.5, min_samples=2).fit(features)
        >>> dbscan.labels_.tolist()  # the last row is noise
        [0, 0, 0, 1, 1, 1, -1]
        >>> dbscan.assign(np.array([[0.3], [50.0]])).tolist()
        [0, -1]
    """

    name = "dbscan"
    label = N_("DBSCAN (dense regions)")
    sampling = N_(
        "There are too many pairs of rows to compare them all: core rows were sought among {count} rows drawn "
        "at random, and every other row belongs to the nearest of them."
    )

    by_density = True

    eps: float = hyperparameter(
        0.5,
        low=0.001,
        high=1000.0,
        help=N_("Rows closer than this are neighbours; in standard deviations of the columns."),
    )
    min_samples: int = hyperparameter(
        5, low=1, high=10_000, help=N_("Neighbours, itself included, that make a row part of a dense region.")
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Seed, for files too large to compare all rows.")
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.sampled_ = 0
        self.axes_ = density.principal_axes(features)
        try:
            self.labels_, core = density.clusters(features, self.eps, self.min_samples)
            self.cores_, self.clusters_ = features[core] @ self.axes_, self.labels_[core]
        except density.TooManyPairsError:
            random = np.random.default_rng(self.random_state)
            rows, self.clusters_ = density.sampled_cores(features, self.eps, self.min_samples, random)
            self.cores_, self.sampled_ = features[rows] @ self.axes_, min(density.PAIRS // len(features), len(features))
            self.labels_ = self.assign(features)
        return self

    @override
    def assign(self, features: Floats) -> Labels:
        if not len(self.cores_):
            return np.full(len(features), NOISE)
        apart, nearest = self._nearest(features, self.eps)
        return np.where(apart <= self.eps, np.append(self.clusters_, NOISE)[nearest], NOISE)

    def distance(self, features: Floats) -> Floats:
        """Return the distance of each row to the nearest core row, (rows,); infinite without a core row."""
        return self._nearest(features)[0] if len(self.cores_) else np.full(len(features), np.inf)

    def _nearest(self, features: Floats, within: float = np.inf) -> tuple[Floats, Labels]:
        """Return distance and index of the core row nearest to each row.

        Infinity and the number of core rows mean: none within `within`.
        """
        from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

        tree = cKDTree(self.cores_)  # along the principal axes, few boxes of the tree overlap
        apart, place = tree.query(features @ self.axes_, distance_upper_bound=np.nextafter(within, np.inf), workers=-1)
        return apart, place
