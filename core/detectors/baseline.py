"""Contract of the baselines: the normal values that a row is compared with."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality.baseline import GroupMedian

BAND_HALF_WIDTH = 2.0  # half width of the expected band, in spreads
MIN_LEVEL_SPREAD_SHARE = 0.02  # share of the expected level: smaller spreads are rounding


@dataclass(frozen=True)
class RowLevels:
    """Levels of the rows of daily profiles, in the unit of the data.

    measured, expected, spread  (rows,); the spread is one standard deviation of the measured level
    cell_shift                  (rows, columns), the part of measured − expected values that the level causes; the shape
                                of the row causes the rest
    """

    measured: Floats
    expected: Floats
    spread: Floats
    cell_shift: Floats

    @property
    def is_unusual(self) -> NDArray[np.bool_]:
        """True for the rows whose level is outside the expected band, (rows,)."""
        return np.abs(self.measured - self.expected) > BAND_HALF_WIDTH * self.spread


class Baseline(ABC):
    """Contract of a baseline.

    After `fit`, the methods `compute_features`, `compute_deviations` and those that predict treat each row by itself.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    needs_dates: ClassVar[bool] = False
    needs_profile: ClassVar[bool] = False
    group_median_: GroupMedian

    @abstractmethod
    def fit(self, dataset: Dataset) -> Self:
        """Fit the baseline on rows without missing values."""

    @abstractmethod
    def compute_features(self, dataset: Dataset) -> Floats:
        """Return the input of the detector, shape (rows, features)."""

    def fit_features(self, dataset: Dataset) -> Floats:
        """Fit the baseline on `dataset` and return the features of its rows, as `fit` and `compute_features` do."""
        return self.fit(dataset).compute_features(dataset)

    def group_features(self, features: Floats) -> list[Floats]:
        """Return the features by kind, each (rows, …). Rows stand out by one kind, whatever the tails of the others."""
        return [features]

    @abstractmethod
    def predict_values(self, dataset: Dataset) -> tuple[Floats, Floats]:
        """Return the expected value and the spread of every measurement, each of shape (rows, columns).

        The spread is one standard deviation, never 0. Bands and deviations use it.
        """

    def predict_levels(self, dataset: Dataset) -> RowLevels | None:
        """Return the levels of the rows; None for a baseline that does not tell the level of a row from its shape."""
        return None

    def predict_jumps(self, dataset: Dataset) -> tuple[Floats, Floats] | None:
        """Return the distance of every value to the mean of its neighbours, and its largest usual distance.

        Both have the shape (rows, columns). None for a baseline that does not compare neighbours.
        """
        return None

    def predict_patterns(self, dataset: Dataset) -> tuple[Floats, Floats] | None:
        """Return the longest run of equal values and the gain of a shift of every row, and their largest usual sizes.

        Both have the shape (rows, 2). None for a baseline that does not look for repeats and shifts.
        """
        return None

    def compute_deviations(self, dataset: Dataset) -> pd.DataFrame:
        """Return the signed deviation of every measurement in the spreads of `predict_values`, (rows, columns)."""
        center, spread = self.predict_values(dataset)
        return pd.DataFrame((dataset.values - center) / spread, columns=dataset.columns)

    def _widen_spread(self, center: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Return `center`, and spreads of at least 1 % of the largest spread of their column."""
        max_spread = np.nanmax(self.group_median_.spread_, axis=0, initial=0.0)
        return center, apply_spread_floor(spread, center, 0.01 * max_spread)


def apply_spread_floor(spread: Floats, center: Floats, min_spread: Floats | float) -> Floats:
    """Return spreads of at least 2 % of the expected value and at least `min_spread`, never 0."""
    return np.maximum(spread, np.maximum(MIN_LEVEL_SPREAD_SHARE * np.abs(center), min_spread)).clip(min=1e-12)
