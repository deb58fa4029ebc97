"""Distance to the nearest rows: rows far from all others are anomalous."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.spatial import distance  # type: ignore[import-untyped, unused-ignore]
from sklearn import neighbors
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.row_scaling import RowScaling, sample_rows
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

MAX_TREE_COLUMNS = 15  # in more dimensions a tree is slower than measuring all distances
BLOCK_ROWS = 1000  # rows whose distances are held in memory together


@dataclass
class NearestRows(Detector):
    """Score rows by the distance to the k-th nearest training row, after `RowScaling`.

    More than 5,000 training rows are sub-sampled with the seed. A training row counts as its own neighbour. Ramaswamy,
    Rastogi, Shim: Efficient algorithms for mining outliers from large data sets, SIGMOD 2000.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> scores = NearestRows().fit(rows).score(np.array([[0.0, 0.0], [9.0, 9.0]]))
        >>> bool(scores[1] > 3 * scores[0])
        True
    """

    name = "knn"
    label = N_("Distance to the nearest rows (kNN)")

    n_neighbors: int = hyperparameter(
        10, low=1, high=500, help=N_("The distance to this neighbour is the score."), label=N_("Neighbours")
    )
    random_state: int = hyperparameter(
        42,
        low=0,
        high=2**31 - 1,
        help=N_("Random seed. More than 5,000 training rows are sub-sampled with it."),
        label=N_("Seed"),
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.scaling_ = RowScaling().fit(features)
        self.reference_ = sample_rows(self.scaling_.transform(features), self.random_state)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        scaled, scores = self.scaling_.transform(features), np.empty(len(features))
        count = min(self.n_neighbors, len(self.reference_))
        # both ways measure every pair by itself: the score of a row is the same alone and among others
        if scaled.shape[1] <= MAX_TREE_COLUMNS:
            tree = neighbors.KDTree(self.reference_)
            scores[:] = tree.query(scaled, k=count)[0][:, -1] if len(scaled) else 0.0
            return scores
        for start in range(0, len(scaled), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            distances = distance.cdist(scaled[rows], self.reference_)
            scores[rows] = np.partition(distances, count - 1, axis=1)[:, count - 1]
        return scores
