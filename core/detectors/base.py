"""Contracts of the detectors: `Detector` scores rows, `SequenceDetector` scores the rows of series."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.messages import N_
from core.progress import Progress

Floats32 = NDArray[np.float32]


class Detector(ABC):
    """Contract of a detector that scores rows, each by itself.

    A detector is a dataclass whose fields are its hyper-parameters. Fitted attributes end in an underscore.
    One test checks the contract for every detector:

    - `score` returns one finite number per row; higher is more anomalous.
    - The same seed gives the same scores.
    - The score of a row does not depend on the other scored rows.
    - The features stay unchanged.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()  # distributions that a saved model needs besides those of every model

    @abstractmethod
    def fit(self, features: Floats) -> Self:
        """Fit the detector on `features`, shape (rows, columns), without missing values."""

    @abstractmethod
    def score(self, features: Floats) -> Floats:
        """Return one score per row, shape (rows,); higher is more anomalous."""


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one series of shape (rows, columns), with their explanation.

    score       (rows,), finite; higher is more anomalous
    shares      (rows, columns), contribution of each column to the score; 0 where its value is missing
    expected    (rows, columns), expected values in the units of the input; None for a detector without expectation
    spread      (rows, columns), one standard deviation of `expected`
    categories  (rows, K), membership of each row in K modes; None for a detector without modes
    """

    score: Floats32
    shares: Floats32
    expected: Floats32 | None = None
    spread: Floats32 | None = None
    categories: Floats32 | None = None


class SequenceDetector(ABC):
    """Contract of a detector that scores the rows of series.

    Like a `Detector`, it is a dataclass of hyper-parameters. The rows of a series are in the order of time. Values are
    scaled (see `scaling`), float32, NaN where missing; a missing value is never imputed and adds nothing to a score.
    One test checks the contract for every detector:

    - `score` returns one finite number per row, the first row included.
    - The same seed gives the same scores.
    - The series stay unchanged.
    - A constant column and a missing value cause no error.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    mode: str = N_("in windows of rows")  # how rows are scored; shown with the result
    past_rows: int | None = None  # rows before a row that its score depends on; None where later rows count as well
    carries_state: bool = False  # True where a score depends a little on all earlier rows
    calibration_fits: ClassVar[int] = 5  # further fits, each without a part of the rows; 1 for detectors slow to fit
    step_seconds_: float | None = None  # seconds from row to row, set before `fit`; None for rows without dates

    @abstractmethod
    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        """Fit the detector on series of shape (rows, columns), at least 2 rows in all.

        All series have the same columns in the same order. Long training reports to `progress` and saves checkpoints in
        `progress.folder`. Raises Cancelled.
        """

    @abstractmethod
    def score(self, series: Floats32) -> SequenceScores:
        """Return the scores of every row of one series of shape (rows, columns)."""

    def score_many(self, series: Sequence[Floats32]) -> list[SequenceScores]:
        """Return the scores of several series, in their order.

        Detectors that score several series faster together than one by one override this method.
        """
        return [self.score(values) for values in series]
