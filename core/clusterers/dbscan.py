"""DBSCAN: clusters are dense regions of any form; the other rows are noise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.clusterers import exact_dbscan
from core.clusterers.base import NOISE, Clusterer, Labels
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
    sampling_note = N_(
        "There are too many pairs of rows to compare them all. Core rows were sought among "
        "{count} rows drawn at random. Every other row belongs to the cluster of the nearest "
        "core row within eps."
    )

    is_density_based = True

    eps: float = hyperparameter(
        0.5,
        low=0.001,
        high=1000.0,
        help=N_("Largest distance between neighbours, in standard deviations of the columns."),
        label=N_("Largest distance (ε)"),
    )
    min_samples: int = hyperparameter(
        5,
        low=1,
        high=10_000,
        help=N_("Minimum number of neighbours of a core row, the row itself included."),
        label=N_("Neighbours of a core row"),
    )
    random_state: int = hyperparameter(
        42,
        low=0,
        high=2**31 - 1,
        help=N_("Random seed, used for files that are too large to compare all rows."),
        label=N_("Seed"),
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.sampled_ = 0
        self.axes_ = exact_dbscan.compute_rotation_axes(features)
        try:
            self.labels_, is_core = exact_dbscan.find_clusters(features, self.eps, self.min_samples)
            self.core_rows_, self.core_labels_ = features[is_core] @ self.axes_, self.labels_[is_core]
        except exact_dbscan.TooManyPairsError:
            generator = np.random.default_rng(self.random_state)
            core_positions, self.core_labels_ = exact_dbscan.sample_core_rows(
                features, self.eps, self.min_samples, generator
            )
            self.core_rows_, self.sampled_ = (
                features[core_positions] @ self.axes_,
                min(exact_dbscan.MAX_DISTANCES // len(features), len(features)),
            )
            self.labels_ = self.assign(features)
        return self

    @override
    def assign(self, features: Floats) -> Labels:
        if not len(self.core_rows_):
            return np.full(len(features), NOISE)
        distances, nearest = self._find_nearest(features, self.eps)
        return np.where(distances <= self.eps, np.append(self.core_labels_, NOISE)[nearest], NOISE)

    def compute_distance(self, features: Floats) -> Floats:
        """Return the distance of each row to the nearest core row, (rows,); infinite without a core row."""
        return self._find_nearest(features)[0] if len(self.core_rows_) else np.full(len(features), np.inf)

    def _find_nearest(self, features: Floats, max_distance: float = np.inf) -> tuple[Floats, Labels]:
        """Return distance and index of the core row nearest to each row.

        Infinity and the number of core rows mean: none within `max_distance`.
        """
        from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

        tree = cKDTree(self.core_rows_)  # along the principal axes, few boxes of the tree overlap
        distances, positions = tree.query(
            features @ self.axes_, distance_upper_bound=np.nextafter(max_distance, np.inf), workers=-1
        )
        return distances, positions
