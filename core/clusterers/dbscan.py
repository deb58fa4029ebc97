"""DBSCAN: clusters are dense regions of any form, what lies between them is noise."""

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
    """Rows with enough neighbours within eps are core; core rows within eps of each other are one cluster.

    `fit` counts neighbours among the fitted rows and numbers clusters as scikit-learn does; `assign` looks for the
    nearest core row and takes its cluster where it lies within eps. A border row of two clusters can therefore change
    sides. Works poorly where clusters differ much in density. Ester, Kriegel, Sander, Xu, KDD 1996.
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
        """To the nearest core row; infinite where there is none."""
        return self._nearest(features)[0] if len(self.cores_) else np.full(len(features), np.inf)

    def _nearest(self, features: Floats, within: float = np.inf) -> tuple[Floats, Labels]:
        """Return the distance to the nearest core row and its place.

        They are infinity and the number of core rows where none is so near.
        """
        from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

        tree = cKDTree(self.cores_)  # along the principal axes, where few boxes overlap
        apart, place = tree.query(features @ self.axes_, distance_upper_bound=np.nextafter(within, np.inf), workers=-1)
        return apart, place
