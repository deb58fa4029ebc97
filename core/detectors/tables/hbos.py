"""HBOS: rows in rare bins of the histograms of the features."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.row_scaling import RowScaling
from core.lazy_import import LazyModule
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

pyod_hbos = LazyModule("pyod.models.hbos")


@dataclass
class Histograms(Detector):
    """Score rows by the sum over the features of −log(density of their bin), in histograms of equal width.

    The features are scaled first (see `RowScaling`), because densities depend on the unit and one extreme value would
    put all others into one bin. Goldstein, Dengel: Histogram-based outlier score, KI 2012; the
    implementation is PyOD's.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).normal(size=(500, 2))
        >>> scores = Histograms().fit(rows).score(np.array([[0.0, 0.0], [9.0, 9.0]]))
        >>> bool(scores[1] > scores[0])
        True
    """

    name = "hbos"
    label = N_("Histograms (HBOS)")
    libraries = ("pyod",)

    n_bins: int = hyperparameter(
        20, low=2, high=500, help=N_("Bins of the histogram of each feature."), label=N_("Bins")
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.scaling_ = RowScaling().fit(features)
        self.model_ = pyod_hbos.HBOS(n_bins=self.n_bins).fit(self.scaling_.transform(features))
        return self

    @override
    def score(self, features: Floats) -> Floats:
        scores: Floats = self.model_.decision_function(self.scaling_.transform(features))
        return scores
