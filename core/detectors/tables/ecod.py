"""ECOD: rows in the tails of the distributions of many features."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.messages import N_


@dataclass
class EmpiricalTails(Detector):
    """Score rows by the sum over the features of −log(share of the training rows further out in the tail).

    The tail of a feature is the lower or the upper one, or that of its skewness: the sum of the most extreme choice
    counts. A row outside all training rows scores as the outermost one. Li, Zhao, Hu, Botta, Ionescu, Chen: ECOD,
    IEEE TKDE 2022. Written here, because PyOD's version ranks the scored rows together with the training rows: there
    the score of a row depends on the other rows.

    Example:
        >>> rows = np.arange(100.0)[:, None]
        >>> EmpiricalTails().fit(rows).score(np.array([[50.0], [98.0], [500.0]])).round(1).tolist()
        [0.7, 3.5, 4.6]
    """

    name = "ecod"
    label = N_("Tails of each feature (ECOD)")

    @override
    def fit(self, features: Floats) -> Self:
        self.sorted_ = np.sort(features, axis=0)
        centred = features - features.mean(axis=0)
        self.skewness_ = np.sign((centred**3).mean(axis=0))
        return self

    @override
    def score(self, features: Floats) -> Floats:
        lower, upper, skewed = (np.zeros(len(features)) for _ in range(3))
        count = len(self.sorted_)
        for column, values in enumerate(features.T):
            ordered = self.sorted_[:, column]
            below = np.searchsorted(ordered, values, side="right")
            above = count - np.searchsorted(ordered, values, side="left")
            low, high = (-np.log((1 + tail) / (1 + count)) for tail in (below, above))
            lower += low
            upper += high
            skewed += low if self.skewness_[column] < 0 else high
        scores: Floats = np.maximum(np.maximum(lower, upper), skewed)
        return scores
