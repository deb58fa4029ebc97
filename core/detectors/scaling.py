"""Columns made comparable by statistics of the training rows.

They are kept with the model: nothing is fitted anew on what is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Floats32

Method = Literal["standard", "robust", "minmax"]
METHODS: tuple[Method, ...] = ("standard", "robust", "minmax")
MIN_WIDTH = 1e-6  # of a column's range, as a share of its largest value: below it, the column is constant
RARE = (1.0, 99.0)  # percentiles that the robust width spans at least


@dataclass
class Scaling:
    """(value − centre) / width, per column, cut off at ± `clamp`; NaN stays NaN.

    method  "minmax": the training range becomes −1 to 1, best on the labelled sets (docs/results/sgmvrnn.md): it
            makes little of columns that hardly move; "standard": mean and standard deviation; "robust": median and
            interquartile range, or where that is nothing the range of the middle 98 %, for training rows with a few
            absurd values
    counts  take log(1 + value) first, for columns that count and span several powers of ten; negative values are
            taken as 0
    clamp   in widths; a broken sensor's 10⁹ says no more than "far outside"

    A column that is constant in training has the width 1 in units of its own size, so that any change of it is seen.
    """

    method: Method = "minmax"
    counts: bool = False
    clamp: float = 10.0

    centre_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)
    width_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)

    def fit(self, series: Sequence[NDArray[np.float64]]) -> Self:
        """Learn centre and width of every column from arrays of shape (rows, columns)."""
        values = self._counted(np.concatenate(series) if len(series) > 1 else series[0])
        unknown = np.isnan(values).all(axis=0)
        values = np.where(unknown, 0.0, values) if unknown.any() else values
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        size = np.maximum(np.abs(low), np.abs(high))
        if self.method == "standard":
            centre, width = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        elif self.method == "robust":
            first, centre, third = np.nanpercentile(values, [25, 50, 75], axis=0)
            rare_low, rare_high = np.nanpercentile(values, RARE, axis=0)
            width = np.where(third - first > MIN_WIDTH * size, third - first, rare_high - rare_low)
        else:
            centre, width = (low + high) / 2, (high - low) / 2
        width = np.where(width > MIN_WIDTH * size, width, (high - low) / 2)
        self.centre_ = centre
        self.width_ = np.where(width > MIN_WIDTH * size, width, np.where(size > 0, size, 1.0))
        return self

    def transform(self, values: NDArray[np.float64]) -> Floats32:
        """Scaled values as float32, shape unchanged."""
        scaled = (self._counted(values) - self.centre_) / self.width_
        return np.clip(scaled, -self.clamp, self.clamp).astype(np.float32)

    def inverse(self, scaled: Floats32) -> NDArray[np.float64]:
        """Scaled values in the units of the data again."""
        values = scaled.astype(np.float64) * self.width_ + self.centre_
        return np.expm1(values) if self.counts else values

    def _counted(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log1p(np.maximum(values, 0.0)) if self.counts else values
