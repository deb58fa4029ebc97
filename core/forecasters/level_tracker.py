"""Detection of a new level from the errors of smoothing, one period after another."""

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

LARGE_ERROR = 4.0  # times the usual size of an error; two in a row on one side are a new level
SIZE_MEMORY = 0.05  # share of an error that moves the usual size
MIN_ERRORS = 8  # known errors before the first one that can be large
MAX_AGE = 20  # periods after a jump in which the level is their mean


class LevelTracker:
    """Count of the periods since a jump of the level, and the share of an error that the level has to follow.

    How fast a series follows its noise does not tell how fast it has to follow a jump. A single large error may be a
    fault that ends at once; after a second one in a row, on the same side, the level is the mean of the amounts since
    then. Another jump, such as the end of a longer fault, begins anew. Trigg, Leach: Exponential Smoothing with an
    Adaptive Response Rate, Operational Research Quarterly 18, 1967, is the same idea with a continuous rate.

    Example:
        >>> tracker = LevelTracker(np.array([True]))
        >>> known, usual, large = np.array([True]), np.array([1.0]), np.array([9.0])
        >>> [tracker.follow(each, known) for each in [usual, -usual] * 5 + [large]][-1]  # one large error: nothing yet
        >>> [float(tracker.follow(each, known)[0].round(2)) for each in [large, usual, -usual]]
        [1.0, 0.5, 0.33]
    """

    def __init__(self, is_used: NDArray[np.bool_]) -> None:
        """`is_used` has the shape of the errors of a period; where it is False nothing is followed."""
        self.is_used = is_used
        self.size = np.zeros(is_used.shape)
        self.count = np.zeros(is_used.shape)
        self.side = np.zeros(is_used.shape)
        self.age = np.zeros(is_used.shape)

    def follow(self, error: Floats, is_known: NDArray[np.bool_]) -> Floats | None:
        """Return the least share of this error that the level follows, 1 at a jump; None for 0 everywhere.

        `error` is 0 where it is not known.
        """
        size = np.abs(error)
        is_large = (size > LARGE_ERROR * self.size) & (self.count >= MIN_ERRORS)
        side = np.where(is_large, np.sign(error), 0.0)
        is_jump = self.is_used & is_large & (side == self.side)
        self.side = np.where(is_known, side, self.side)
        self.count += is_known
        rate = np.where(is_known, np.maximum(SIZE_MEMORY, 1 / np.maximum(self.count, 1)), 0.0)
        self.size += rate * (np.where(is_large, LARGE_ERROR * self.size, size) - self.size)
        self.age += (self.age > 0) & is_known
        self.age[is_jump] = 1
        self.age[self.age > MAX_AGE] = 0
        return np.where(self.age > 0, 1 / np.maximum(self.age, 1), 0.0) if self.age.any() else None
