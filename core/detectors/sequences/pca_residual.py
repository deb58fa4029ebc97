"""PCA residual: columns that no longer move together as they did in training."""

from dataclasses import dataclass

from core.detectors.base import Floats32
from core.detectors.principal import principal_axes, projected
from core.detectors.window_residual import WindowResidual
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class PcaResidual(WindowResidual):
    """Score a row by its squared distance to the space that the first principal components of the training rows span.

    Works poorly where what is odd lies within that space: all columns high together is usual to it. The residual smears
    over columns that move together, so its shares tell where to look, not what is the cause.
    Jackson, Mudholkar: Control procedures for residuals associated with principal component analysis, Technometrics
    21, 1979.
    """

    name = "pca-residual"
    label = N_("PCA residual")
    mode = N_("every row alone")
    window = 1
    centred = True

    variance: float = hyperparameter(
        0.9, low=0.05, high=0.999, help=N_("Share of the variance that is taken as usual; the rest is residual.")
    )

    def _learn(self, learnt: Floats32) -> None:
        self.mean_, self.axes_ = principal_axes(learnt, self.variance)

    def _expect(self, given: Floats32) -> Floats32:
        return projected(given, self.mean_, self.axes_)
