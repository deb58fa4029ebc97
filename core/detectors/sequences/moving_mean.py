"""Moving mean: values far from the level of the neighbouring rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.detectors.reconstruction import compute_known_means
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter


@dataclass
class MovingMean(SequenceDetector):
    """Score a row by the absolute distance of its values to their moving mean, averaged over the columns.

    `fit` only estimates the spread. With `centred` the window looks (window − 1) / 2 rows ahead, as published results
    do; a stream needs `centred=False`, where the window ends on the row. Works poorly on anomalies longer than the
    window, because they become the level. Near the ends of a series the window is shorter.

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> series = np.zeros((6, 1), dtype=np.float32)
        >>> detector = MovingMean(window=3).fit([series], Progress())
        >>> series[3] = 3.0
        >>> detector.score(series).score.tolist()
        [0.0, 0.0, 1.0, 2.0, 1.0, 0.0]
    """

    name = "moving-mean"
    label = N_("Moving mean")

    window: int = hyperparameter(
        21, low=2, high=10_001, help=N_("Number of rows in the moving mean."), label=N_("Window, rows")
    )
    centred: bool = hyperparameter(
        True,
        help=N_(
            "Centre the window on the row: half of it comes later. If off, the window ends on the row, as in a stream."
        ),
        label=N_("Centred window"),
    )

    @property
    def past_rows(self) -> int | None:  # type: ignore[override]
        """Rows before a row that its score depends on; None for a centred window."""
        return None if self.centred else self.window - 1

    @override
    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        progress.report(0.0)
        squares, counts = np.zeros(series[0].shape[1]), np.zeros(series[0].shape[1])
        for values in series:
            squares += np.nansum(np.square(values - self._compute_level(values)), axis=0, dtype=np.float64)
            counts += (~np.isnan(values)).sum(axis=0)
        self.spread_ = np.sqrt(squares / np.maximum(counts, 1)).astype(np.float32)
        progress.report(1.0)
        return self

    @override
    def score(self, series: Floats32) -> SequenceScores:
        level = self._compute_level(series)
        shares = np.abs(series - level)
        np.nan_to_num(shares, copy=False)
        shares /= series.shape[1]
        return SequenceScores(shares.sum(axis=1), shares, level, np.broadcast_to(self.spread_, shares.shape))

    def _compute_level(self, series: Floats32) -> Floats32:
        """Return the mean of the known values in the window of each row, (rows, columns); NaN without any."""
        ends = np.arange(len(series)) + 1 + ((self.window - 1) // 2 if self.centred else 0)
        first, last = np.maximum(ends - self.window, 0), np.minimum(ends, len(series))
        return compute_known_means(series, first, last)
