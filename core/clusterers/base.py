"""Contract of a clusterer: it groups similar rows, and assigns other rows to the groups."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

Labels = NDArray[np.intp]

NOISE = -1


class Clusterer(ABC):
    """Contract of a clusterer.

    A clusterer is a dataclass whose fields are its hyper-parameters. Fitted attributes end in an underscore.
    One test checks the contract for every clusterer:

    - `labels_` has one number per fitted row: 0 … k-1, or -1 for noise.
    - The same seed gives the same labels.
    - `assign` gives a fitted row the label it has. The exception is a row within reach of several clusters.
    - The label of a row does not depend on the other assigned rows.
    - The features stay unchanged.

    labels_     cluster of every fitted row, shape (rows,)
    sampled_    number of rows drawn at random for the fit; 0 if all rows were used
    sampling    sentence that explains the sample to users; `{count}` is `sampled_`
    by_density  True if the clusters of a sample differ from those of all rows
    """

    name: ClassVar[str]
    label: ClassVar[str]
    sampling_note: ClassVar[str]
    is_density_based: ClassVar[bool] = False

    labels_: Labels
    sampled_: int

    @abstractmethod
    def fit(self, features: Floats) -> Self:
        """Group `features`, shape (rows, columns), without missing values.

        Raises DataError for too few rows.
        """

    @abstractmethod
    def assign(self, features: Floats) -> Labels:
        """Return the cluster of each row, shape (rows,); -1 for noise."""

    @abstractmethod
    def compute_distance(self, features: Floats) -> Floats:
        """Return the distance of each row to the nearest centre or core row, shape (rows,)."""
