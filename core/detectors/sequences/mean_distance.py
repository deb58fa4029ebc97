"""Distance to the mean: the simplest thing to say of a row, which every other detector has to beat."""

from dataclasses import dataclass

import numpy as np

from core.detectors.base import Floats32
from core.detectors.window_residual import WindowResidual
from core.messages import N_


@dataclass
class MeanDistance(WindowResidual):
    """Score a row by its squared distance to the mean of the training rows.

    Works poorly where the level wanders or follows the hour of the day: any hour far from the mean is far.
    """

    name = "mean-distance"
    label = N_("Distance to the mean")
    mode = N_("every row alone")
    window = 1
    centred = True

    def _learn(self, learnt: Floats32) -> None:
        pass  # the mean is known already

    def _expect(self, given: Floats32) -> Floats32:
        return np.tile(self.usual_, (len(given), 1))
