"""Scaling of the features of rows: every column in units of its own rare distances."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

UNIT_QUANTILE = 0.99  # share of the training rows that are nearer to the median than one unit
MIN_UNIT_SHARE = 1e-3  # share of the median: the unit of a column that hardly varies
ROUNDING_SHARE = 1e-9  # share of the median: a smaller unit is rounding
MIN_RARE_SHARE = 0.01  # share of the largest distance: smallest unit of a column where fewer than 1 % of the rows vary
MAX_SAMPLE_ROWS = 5000  # rows that a detector with quadratic cost learns from


@dataclass
class RowScaling:
    """Scaling of columns with heavy tails: the distance to the median, in units that 1 % of the rows exceed.

    `transform` grows with the logarithm of the distance, so that one column with extreme values does not hide the
    others. Where fewer than 1 % of the rows differ from the median, the smallest difference is the unit. A column that
    is constant in training has the unit 0.1 % of its value, or 1 for the value 0.

    Example:
        >>> rows = np.append(np.linspace(-1.0, 1.0, 1001), 1000.0)[:, None]
        >>> scaling = RowScaling().fit(rows)
        >>> scaling.measure_distances(np.array([[0.0], [0.99], [9.9]])).round(1).ravel().tolist()
        [0.0, 1.0, 10.0]
        >>> scaling.transform(np.array([[-0.99], [1000.0]])).round(1).ravel().tolist()
        [-0.9, 7.6]
    """

    def fit(self, rows: Floats) -> Self:
        """Fit on `rows`, shape (rows, columns), without missing values."""
        self.center_ = np.median(rows, axis=0)
        distances = np.abs(rows - self.center_)
        unit = np.quantile(distances, UNIT_QUANTILE, axis=0)
        largest = distances.max(axis=0)
        smallest = np.where(distances > 0, distances, np.inf).min(axis=0)
        rare_unit = np.maximum(np.minimum(smallest, largest), MIN_RARE_SHARE * largest)
        unit = np.where(unit > 0, unit, rare_unit)
        constant_unit = np.where(self.center_ == 0, 1.0, MIN_UNIT_SHARE * np.abs(self.center_))
        self.unit_ = np.where(unit > ROUNDING_SHARE * np.abs(self.center_), unit, constant_unit)
        return self

    def measure_distances(self, rows: Floats) -> Floats:
        """Return the distances of `rows` to the medians, in units, shape unchanged; never negative."""
        distances: Floats = np.abs(rows - self.center_) / self.unit_
        return distances

    def transform(self, rows: Floats) -> Floats:
        """Return the scaled `rows`, shape unchanged: about linear up to one unit, then logarithmic."""
        scaled: Floats = np.arcsinh((rows - self.center_) / self.unit_)
        return scaled


def sample_rows(rows: Floats, seed: int) -> Floats:
    """Return at most 5,000 of `rows`, drawn with `seed`, in their order.

    Example:
        >>> sample_rows(np.zeros((9000, 2)), seed=0).shape, sample_rows(np.zeros((3, 2)), seed=0).shape
        ((5000, 2), (3, 2))
    """
    if len(rows) <= MAX_SAMPLE_ROWS:
        return rows
    positions: NDArray[np.intp] = np.random.default_rng(seed).choice(len(rows), MAX_SAMPLE_ROWS, replace=False)
    return rows[np.sort(positions)]
