"""PCA residual: columns that no longer move together as in training."""

from dataclasses import dataclass

from core.detectors.base import Floats32
from core.detectors.pca import fit_pca_axes, project_on_axes
from core.detectors.reconstruction import ReconstructionDetector
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class PcaResidual(ReconstructionDetector):
    """Score a row by its squared distance to the space of the first principal components of the training rows.

    Works poorly on anomalies within that space, for example when all columns are high together. The residual spreads
    over columns that move together, so its shares show where to look, not the cause.
    Jackson, Mudholkar: Control procedures for residuals associated with principal component analysis, Technometrics
    21, 1979.

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> load = np.arange(8, dtype=np.float32)
        >>> detector = PcaResidual().fit([np.column_stack([load, 2 * load])], Progress())
        >>> rows = np.array([[3.0, 6.0], [3.0, 1.0]], dtype=np.float32)  # the second row breaks y = 2 x
        >>> detector.score(rows).score.round(3).tolist()
        [0.0, 5.0]
    """

    name = "pca-residual"
    label = N_("PCA residual")
    mode = N_("each row by itself")
    window = 1
    centred = True

    variance: float = hyperparameter(
        0.9,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest is the residual."),
        label=N_("Share of the variance"),
    )

    def _fit_windows(self, train_windows: Floats32) -> None:
        self.mean_, self.axes_ = fit_pca_axes(train_windows, self.variance)

    def _reconstruct(self, flat_windows: Floats32) -> Floats32:
        return project_on_axes(flat_windows, self.mean_, self.axes_)
