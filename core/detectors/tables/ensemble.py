"""Several detectors asked together: rows that most of them, or one of them, find unusual."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.tables.isolation_forest import IsolationForest
from core.detectors.tables.knn import NearestRows
from core.detectors.tables.largest_deviation import LargestDeviation
from core.detectors.tables.mahalanobis import MahalanobisDistance
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

Combination = Literal["mean", "maximum"]


@dataclass
class SeveralDetectors(Detector):
    """Score rows by their ranks among the training scores of four detectors of different kinds.

    The rank of a member is −log10 of the share of training rows with a score at least as high: 2 for the top 1 %. A row
    above all training scores has the rank of the highest. The detectors are the Isolation Forest, the distance to the
    nearest rows, the Mahalanobis distance and the largest deviation. Aggarwal, Sathe: Outlier Ensembles, Springer 2017.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(99, 2))
        >>> SeveralDetectors().fit(rows).score(np.array([[0.0, 0.0], [99.0, 99.0]])).round().tolist()
        [0.0, 2.0]
    """

    name = "ensemble"
    label = N_("Several detectors together")

    combination: Combination = hyperparameter(
        "mean",
        choices=("mean", "maximum"),
        help=N_("mean: rows that most detectors find unusual; maximum: rows that one of them finds unusual."),
        label=N_("Combination of the scores"),
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same scores."), label=N_("Seed")
    )

    @override
    def fit(self, features: Floats) -> Self:
        seed = self.random_state
        self.members_: list[Detector] = [
            IsolationForest(random_state=seed),
            NearestRows(random_state=seed),
            MahalanobisDistance(random_state=seed),
            LargestDeviation(),
        ]
        self.training_scores_ = np.array([np.sort(member.fit(features).score(features)) for member in self.members_])
        return self

    @override
    def score(self, features: Floats) -> Floats:
        ranks = np.empty((len(self.members_), len(features)))
        count = self.training_scores_.shape[1]
        for number, member in enumerate(self.members_):
            higher = count - np.searchsorted(self.training_scores_[number], member.score(features), side="left")
            ranks[number] = -np.log10((1 + higher) / (1 + count))
        combined: Floats = ranks.mean(axis=0) if self.combination == "mean" else ranks.max(axis=0)
        return combined
