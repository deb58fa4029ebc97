"""One-class support vector machine: vectors outside a smooth boundary around the training vectors."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from sklearn import svm
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.vectors.distances import compute_squared_distances, sample_rows, split_blocks
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


def declare_nu() -> Any:
    """Declare the share of the training data outside the boundary."""
    return hyperparameter(
        0.1, low=0.001, high=0.9, help=N_("Largest share of the training data outside the boundary (0–1).")
    )


def declare_gamma() -> Any:
    """Declare the width of the kernel."""
    return hyperparameter(
        "nearest",
        choices=("nearest", "scale"),
        help=N_(
            "Width of the kernel. nearest: γ = 1 / the median squared distance to the nearest neighbour. "
            "scale: γ = 1 / (columns × variance), the rule of scikit-learn."
        ),
    )


def declare_sample_seed() -> Any:
    """Declare the seed of the sample of a large training set."""
    return hyperparameter(0, low=0, high=2**31 - 1, help=N_("Random seed of the sample of more than 3,000 rows."))


@dataclass
class OneClassSVM(Detector):
    """Score vectors by how far outside the boundary of a one-class support vector machine they are; 0 is on it.

    The kernel is exp(−γ |a − b|²). Of more than 3,000 training vectors 3,000 are drawn with the seed, because time and
    memory grow with the square of their number. Schölkopf et al.: Estimating the support of a high-dimensional
    distribution, Neural Computation 13, 2001; the optimiser is scikit-learn's.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> scores = OneClassSVM(gamma="scale").fit(rows).score(np.array([[0.0, 0.0], [9.0, 9.0]]))
        >>> bool(scores[0] < 0 < scores[1])
        True
    """

    name = "one-class-svm"
    label = N_("One-class SVM")

    nu: float = declare_nu()
    gamma: Literal["nearest", "scale"] = declare_gamma()
    seed: int = declare_sample_seed()

    @override
    def fit(self, features: Floats) -> Self:
        rows = sample_rows(features, self.seed).astype(np.float64)
        distances = compute_squared_distances(rows, rows)
        self.gamma_ = self._choose_gamma(rows, distances)
        machine = svm.OneClassSVM(kernel="precomputed", nu=self.nu).fit(np.exp(-self.gamma_ * distances))
        self.vectors_, self.weights_ = rows[machine.support_], machine.dual_coef_[0].copy()
        self.offset_ = float(machine.offset_[0])
        return self

    @override
    def score(self, features: Floats) -> Floats:
        scores = np.empty(len(features))
        for block in split_blocks(len(features), len(self.vectors_)):
            distances = compute_squared_distances(features[block].astype(np.float64), self.vectors_)
            scores[block] = self.offset_ - np.exp(-self.gamma_ * distances) @ self.weights_
        return scores

    def _choose_gamma(self, rows: Floats, distances: Floats) -> float:
        """Return γ; 1 where the training rows do not differ."""
        if self.gamma == "scale":
            width = rows.shape[1] * float(rows.var())
        else:
            others = distances + np.diag(np.full(len(rows), np.inf))
            nearest = others.min(axis=1)
            width = float(np.median(nearest)) or float(distances.mean())
        return 1 / width if width > 0 else 1.0
