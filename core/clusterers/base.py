"""What a clusterer is: it groups rows of features that are alike, and tells any other row's group."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

NOISE = -1


class Clusterer(ABC):
    """A dataclass whose fields are its hyper-parameters; what `fit` learns ends in an underscore.

    The contract, kept by one test over every clusterer: `labels_` has one number per fitted row, 0 … k-1 or -1 for
    noise;
    the same seed gives the same labels; `assign` gives fitted rows the label they have, but for rows within reach of
    several clusters; a row assigned alone gets what it gets among others; the features are left untouched.

    labels_    the cluster of every fitted row, shape (rows,)
    sampled_   how many rows drawn at random stood for all of them, 0 where all were used; `sampling` says to people how
    """

    name: ClassVar[str]
    label: ClassVar[str]
    sampling: ClassVar[str]
    by_density: ClassVar[bool] = False  # finds other clusters where rows are fewer

    labels_: Labels
    sampled_: int

    @abstractmethod
    def fit(self, features: Floats) -> Self:
        """Group `features`, shape (rows, columns), without missing values.

        Raises DataError where the rows are too few.
        """

    @abstractmethod
    def assign(self, features: Floats) -> Labels:
        """The cluster each row belongs to, shape (rows,); -1 where it belongs to none."""

    @abstractmethod
    def distance(self, features: Floats) -> Floats:
        """How far each row lies from what it is assigned by: the nearest centre, the nearest core row."""
