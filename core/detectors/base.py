"""What a detector is: it learns what is usual, and scores rows, or rows of series, by their oddness."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.messages import N_
from core.progress import Progress

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


class Detector(ABC):
    """A dataclass whose fields are its hyper-parameters; what `fit` learns ends in an underscore.

    The contract, kept by one test over every detector: one finite score per row, the higher the more anomalous; the
    same seed gives the same scores; a row scored alone gets the score it has among others; the features are left
    untouched.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def fit(self, features: Floats) -> Self:
        """Learn from `features`, shape (rows, columns), without missing values."""

    @abstractmethod
    def score(self, features: Floats) -> Floats:
        """Score rows, shape (rows,); higher is more anomalous."""


@dataclass(frozen=True)
class Scored:
    """What a sequence detector says of one series of shape (rows, columns).

    score       (rows,), finite, higher is more anomalous
    shares      (rows, columns), how much of the score each column brings; 0 where its value is missing
    expected    (rows, columns), what the detector would have expected, in the units it was given; None where it
                expects nothing
    spread      (rows, columns), one standard deviation of it
    categories  (rows, K), how much a row belongs to each of K modes; None where the detector knows none
    """

    score: Floats32
    shares: Floats32
    expected: Floats32 | None = None
    spread: Floats32 | None = None
    categories: Floats32 | None = None


class SequenceDetector(ABC):
    """A dataclass of hyper-parameters like `Detector` that looks at series.

    A series has rows in the order of time, and some columns each. Values come scaled (see `scaling`), float32, NaN
    where missing: a missing value says nothing and is never invented. The contract, kept by one test over every
    detector: one finite score per row, the first one included; the same seed gives the same scores; the series are
    left untouched; a column that never changes and a value that is missing do no harm.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    mode: str = N_("in windows of rows")  # how rows are scored, told with the result

    @abstractmethod
    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        """Learn from series of shape (rows, columns), each with columns of its own order and length ≥ 2 rows in all.

        Tells `progress`, and keeps checkpoints in `progress.folder` where that takes long. Raises Cancelled.
        """

    @abstractmethod
    def score(self, series: Floats32) -> Scored:
        """Score every row of one series."""

    def score_many(self, series: Sequence[Floats32]) -> list[Scored]:
        """Score several series; those that can do it faster together than one by one, do."""
        return [self.score(each) for each in series]
