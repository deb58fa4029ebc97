"""What a detector is: it learns what is usual from rows of features and gives every row a score that goes up with oddness."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Detector(ABC):
    """A dataclass whose fields are its hyper-parameters; what `fit` learns ends in an underscore.

    The contract, kept by one test over every detector: one finite score per row, the higher the more anomalous; the same
    seed gives the same scores; a row scored alone gets the score it has among others; the features are left untouched.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def fit(self, features: Floats) -> Self:
        """Learn from `features`, shape (rows, columns), without missing values."""

    @abstractmethod
    def score(self, features: Floats) -> Floats:
        """Score rows, shape (rows,); higher is more anomalous."""
