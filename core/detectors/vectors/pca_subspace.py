"""PCA subspace: vectors that lie outside the space in which the training vectors vary."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector, Floats32
from core.detectors.pca import fit_pca_axes, project_on_axes
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class PcaSubspace(Detector):
    """Score a vector by its squared distance to the space of the first principal components of the training vectors.

    Jackson, Mudholkar: Control procedures for residuals associated with principal component analysis, Technometrics
    21, 1979.

    Example:
        >>> detector = PcaSubspace(variance=0.8).fit(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]))
        >>> detector.score(np.array([[3.0, 6.0], [2.0, 1.5]])).round(3).tolist()
        [0.0, 1.25]
    """

    name = "pca-subspace"
    label = N_("PCA residual")

    variance: float = hyperparameter(
        0.7,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest is the residual."),
        label=N_("Share of the variance"),
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.mean_, self.axes_ = fit_pca_axes(features.astype(np.float32), self.variance)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        residual = features - self.project(features.astype(np.float32))
        return np.asarray(np.square(residual).sum(axis=1))

    def project(self, rows: Floats32) -> Floats32:
        """Return the nearest points of the space, shape unchanged."""
        return project_on_axes(rows, self.mean_, self.axes_)
