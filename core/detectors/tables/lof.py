"""LOF: rows in a sparser neighbourhood than their neighbours are anomalous."""

from dataclasses import dataclass
from typing import Self

from sklearn import neighbors
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.row_scaling import RowScaling, sample_rows
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

DECIMALS = 9


@dataclass
class LocalOutlierFactor(Detector):
    """Score rows by how sparse their neighbourhood is, compared with that of their neighbours, after `RowScaling`.

    Finds rows at the edge of dense groups, and works poorly where anomalies form a group of their own. More than 5,000
    training rows are sub-sampled with the seed. Breunig, Kriegel, Ng, Sander: LOF, SIGMOD 2000; the implementation is
    scikit-learn's.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> scores = LocalOutlierFactor().fit(rows).score(np.array([[0.0, 0.0], [9.0, 9.0]]))
        >>> bool(scores[1] > scores[0])
        True
    """

    name = "lof"
    label = N_("Local outlier factor (LOF)")

    n_neighbors: int = hyperparameter(
        20, low=2, high=500, help=N_("Neighbours to compare with."), label=N_("Neighbours")
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
        reference = sample_rows(self.scaling_.transform(features), self.random_state)
        neighbour_count = min(self.n_neighbors, len(reference) - 1)
        # brute: a fitted tree could not be saved
        self.model_ = neighbors.LocalOutlierFactor(n_neighbors=neighbour_count, algorithm="brute", novelty=True)
        self.model_.fit(reference)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        scores: Floats = -self.model_.score_samples(self.scaling_.transform(features))
        return scores.round(DECIMALS)  # a row alone and among others differ by rounding only
