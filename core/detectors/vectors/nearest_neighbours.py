"""Nearest neighbours: vectors that are far from every training vector."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector, Floats32
from core.detectors.vectors.distances import find_nearest
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class NearestNeighbours(Detector):
    """Score a vector by its mean Euclidean distance to the nearest training vectors.

    A training vector is its own nearest neighbour, so that its score is too low. With few training vectors all of them
    are neighbours. Ramaswamy, Rastogi, Shim: Efficient algorithms for mining outliers from large data sets, SIGMOD
    2000; the mean in place of the largest distance: Angiulli, Pizzuti, PKDD 2002.

    Example:
        >>> detector = NearestNeighbours().fit(np.array([[0.0], [1.0], [9.0]]))
        >>> detector.score(np.array([[0.5], [20.0]])).tolist()
        [0.5, 15.0]
    """

    name = "nearest-neighbours"
    label = N_("Nearest neighbours")

    neighbours: int = hyperparameter(
        2, low=1, high=1000, help=N_("Number of nearest neighbours."), label=N_("Neighbours")
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.rows_ = features.astype(np.float32)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        distances, _ = find_nearest(features.astype(np.float32), self.rows_, self.neighbours)
        return distances.mean(axis=1, dtype=np.float64)

    def find_nearest_row(self, rows: Floats32) -> Floats32:
        """Return the nearest training vector of each row, shape unchanged."""
        _, positions = find_nearest(rows, self.rows_, count=1)
        return self.rows_[positions[:, 0]]
