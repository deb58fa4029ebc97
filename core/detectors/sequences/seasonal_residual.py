"""Seasonal residual: values that are unusual for the time of day and week, at the level of the days around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.detectors.reconstruction import compute_known_means
from core.detectors.seasons import Seasons, compute_robust_spread
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter


@dataclass
class SeasonalResidual(SequenceDetector):
    """Score a row by the distance of its values to their season and the level around them, averaged over the columns.

    Season and level come from a robust decomposition (see `core.detectors.seasons`), which uses later rows as well. The
    level is a moving mean of the values without their season. Works poorly on anomalies longer than the level's
    window, because they become the level. Cleveland et al.: STL, a seasonal-trend decomposition, 1990.

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> wave = np.sin(np.arange(120) * 2 * np.pi / 12).astype(np.float32)[:, None]
        >>> detector = SeasonalResidual(window=13).fit([wave], Progress())
        >>> wave[27] = 0.0  # a usual value, but not at this time: the wave is at its highest
        >>> int(detector.score(wave).score.argmax())
        27
    """

    name = "seasonal-residual"
    label = N_("Seasonal residual")
    mode = N_("each row compared with its season, which later rows show as well")

    window: int = hyperparameter(
        25,
        low=2,
        high=10_001,
        help=N_("Number of rows in the moving mean that gives the level."),
        label=N_("Window, rows"),
    )
    period: int = hyperparameter(
        0,
        low=0,
        high=100_000,
        help=N_("Rows in a season. 0: a day and a week, or found by autocorrelation."),
        label=N_("Season, rows"),
    )

    @override
    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        progress.report(0.0)
        self.seasons_ = Seasons().fit(series, self.step_seconds_, self.period)
        progress.report(0.5)
        residuals = np.concatenate([values - self._compute_expected(values) for values in series])
        self.spread_ = compute_robust_spread(residuals)
        progress.report(1.0)
        return self

    @override
    def score(self, series: Floats32) -> SequenceScores:
        expected = self._compute_expected(series)
        shares = np.nan_to_num(np.abs(series - expected)) / np.float32(series.shape[1])
        return SequenceScores(shares.sum(axis=1), shares, expected, np.broadcast_to(self.spread_, shares.shape))

    def _compute_expected(self, series: Floats32) -> Floats32:
        season = self.seasons_.compute_season(series)
        half = self.window // 2
        rows = np.arange(len(series))
        level = compute_known_means(
            series - season, np.maximum(rows - half, 0), np.minimum(rows + half + 1, len(series))
        )
        return season + level
