"""Sub-PCA: short windows, all columns together, that no longer look like those of training."""

from dataclasses import dataclass

from core.detectors.base import Floats32
from core.detectors.pca import fit_pca_axes, project_on_axes
from core.detectors.reconstruction import ReconstructionDetector
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class SubPCA(ReconstructionDetector):
    """Score windows by their squared distance to the space of the first principal components of training windows.

    With one column it models the usual shapes in time, with several also how they move together. Works poorly with
    windows so wide that there are fewer windows than values in one. Aggarwal: Outlier Analysis, 2017 (single series).

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> wave = np.sin(np.arange(80) / 3, dtype=np.float32)[:, None]
        >>> detector = SubPCA(window=10).fit([wave], Progress())
        >>> wave[20:24] = 0.0
        >>> int(detector.score(wave).score.argmax())
        23
    """

    name = "sub-pca"
    label = N_("Sub-PCA (windows)")

    window: int = hyperparameter(
        0,
        low=0,
        high=1000,
        help=N_("Rows in a window. 0: 20 rows, or the rows of one day if these are fewer."),
        label=N_("Window, rows"),
    )
    variance: float = hyperparameter(
        0.95,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest is the residual."),
        label=N_("Share of the variance"),
    )
    centred: bool = hyperparameter(
        True,
        help=N_(
            "Score a row by all windows that contain it. If off, only by the window that ends on it, as in a stream."
        ),
        label=N_("All windows of a row"),
    )

    def _fit_windows(self, train_windows: Floats32) -> None:
        self.mean_, self.axes_ = fit_pca_axes(train_windows, self.variance)

    def _reconstruct(self, flat_windows: Floats32) -> Floats32:
        return project_on_axes(flat_windows, self.mean_, self.axes_)
