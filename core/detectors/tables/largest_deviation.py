"""Largest deviation: rows with one feature that is far outside its usual range."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.row_scaling import RowScaling
from core.messages import N_


@dataclass
class LargestDeviation(Detector):
    """Score rows by their largest distance to the median of a feature, in units that 1 % of the training rows exceed.

    One feature is enough for a high score, and the score names how often its usual range fits into the distance. Rows
    that are unusual in a combination of ordinary values are not found.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).uniform(-1, 1, (1000, 3))
        >>> LargestDeviation().fit(rows).score(np.array([[0.0, 0.0, 0.0], [0.0, 10.0, 0.0]])).round().tolist()
        [0.0, 10.0]
    """

    name = "largest-deviation"
    label = N_("Largest deviation")

    @override
    def fit(self, features: Floats) -> Self:
        self.scaling_ = RowScaling().fit(features)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        scores: Floats = self.scaling_.measure_distances(features).max(axis=1)
        return scores
