"""Scaling of columns by statistics of the training rows.

The statistics are saved with the model; nothing is fitted on the scored rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from core.detectors.base import Floats32

ScalingMethod = Literal["standard", "robust", "minmax"]
SCALING_METHODS: tuple[ScalingMethod, ...] = ("standard", "robust", "minmax")
MIN_WIDTH_SHARE = 1e-6  # share of a column's largest value: with a smaller range the column is constant
TAIL_PERCENTILES = (1.0, 99.0)  # percentiles of the robust width where the interquartile range is 0


@dataclass
class Scaling:
    """(value − centre) / width per column, clipped at ± `clamp`; NaN stays NaN.

    method  "minmax": the training range becomes −1 to 1. Best on the labelled data sets (docs/results/sgmvrnn.md),
            because columns that hardly move weigh little.
            "standard": mean and standard deviation.
            "robust": median and interquartile range, for training rows with a few outliers. If the interquartile range
            is 0, the range of the middle 98 %.
    counts  take log(1 + value) first, for counts that span several powers of ten; negative values become 0
    clamp   in widths; limits the effect of a broken sensor (10⁹)

    A column that is constant in training gets its own size as width, so that any change stays visible.

    Example:
        >>> import numpy as np
        >>> scaling = Scaling().fit([np.array([[0.0, 10.0], [4.0, 30.0]])])
        >>> scaling.transform(np.array([[2.0, 30.0], [8.0, np.nan]])).tolist()
        [[0.0, 1.0], [3.0, nan]]
    """

    method: ScalingMethod = "minmax"
    counts: bool = False
    clamp: float = 10.0

    centre_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)
    width_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)

    def fit(self, series: Sequence[NDArray[np.float64]]) -> Self:
        """Fit centre and width of every column on arrays of shape (rows, columns)."""
        values = self._apply_log(np.concatenate(series) if len(series) > 1 else series[0])
        is_empty = np.isnan(values).all(axis=0)
        values = np.where(is_empty, 0.0, values) if is_empty.any() else values
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        size = np.maximum(np.abs(low), np.abs(high))
        if self.method == "standard":
            centre, width = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        elif self.method == "robust":
            lower_quartile, centre, upper_quartile = np.nanpercentile(values, [25, 50, 75], axis=0)
            low_percentile, high_percentile = np.nanpercentile(values, TAIL_PERCENTILES, axis=0)
            width = np.where(
                upper_quartile - lower_quartile > MIN_WIDTH_SHARE * size,
                upper_quartile - lower_quartile,
                high_percentile - low_percentile,
            )
        else:
            centre, width = (low + high) / 2, (high - low) / 2
        width = np.where(width > MIN_WIDTH_SHARE * size, width, (high - low) / 2)
        self.centre_ = centre
        self.width_ = np.where(width > MIN_WIDTH_SHARE * size, width, np.where(size > 0, size, 1.0))
        return self

    def transform(self, values: NDArray[np.float64]) -> Floats32:
        """Return scaled values as float32, shape unchanged."""
        scaled = (self._apply_log(values) - self.centre_) / self.width_
        return np.clip(scaled, -self.clamp, self.clamp).astype(np.float32)

    def inverse_transform(self, scaled: Floats32) -> NDArray[np.float64]:
        """Return scaled values in the units of the data, shape unchanged."""
        values = scaled.astype(np.float64) * self.width_ + self.centre_
        return np.expm1(values) if self.counts else values

    def _apply_log(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log1p(np.maximum(values, 0.0)) if self.counts else values
