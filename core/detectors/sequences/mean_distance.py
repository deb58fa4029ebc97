"""Distance to the mean: the simplest detector, a baseline for all others."""

from dataclasses import dataclass

import numpy as np

from core.detectors.base import Floats32
from core.detectors.reconstruction import ReconstructionDetector
from core.messages import N_


@dataclass
class MeanDistance(ReconstructionDetector):
    """Score a row by its squared distance to the mean of the training rows.

    Works poorly where the level drifts or follows the hour of the day, because any value far from the mean scores high.

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> training = np.array([[0.0], [2.0]], dtype=np.float32)
        >>> detector = MeanDistance().fit([training], Progress())
        >>> detector.score(np.array([[1.0], [4.0], [np.nan]], dtype=np.float32)).score.tolist()
        [0.0, 9.0, 0.0]
    """

    name = "mean-distance"
    label = N_("Distance to the mean")
    mode = N_("each row by itself")
    window = 1
    centred = True

    def _fit_windows(self, train_windows: Floats32) -> None:
        pass  # the base class computes the mean

    def _reconstruct(self, flat_windows: Floats32) -> Floats32:
        return np.tile(self.column_mean_, (len(flat_windows), 1))
