"""Level shift: rows between which the level of a column changes, and stays changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.detectors.reconstruction import compute_known_means, compute_slice_means
from core.detectors.seasons import Seasons, compute_robust_spread
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

MIN_SPREAD = 0.02  # scaled units; a column that hardly changed in training gets no larger scores than this allows


@dataclass
class LevelShift(SequenceDetector):
    """Score a row by how much the mean of the rows from it on differs from the mean of the rows before it.

    The season is taken off first. The difference of a column is divided by the usual size of such differences in
    training, and the columns are added up. The score is highest at the change and falls to both sides within `window`
    rows: it shows a change of level, not the rows at the new level. It uses later rows. Works poorly where the level
    drifts steadily. Page: Continuous inspection schemes, Biometrika 41, 1954 (the two-window form).

    spread_  (columns,), robust standard deviation of the difference in training

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> level = np.random.default_rng(0).normal(0, 0.1, (200, 1)).astype(np.float32)
        >>> detector = LevelShift(window=10).fit([level], Progress())
        >>> level[120:] += 1.0
        >>> int(detector.score(level).score.argmax())
        120
    """

    name = "level-shift"
    label = N_("Level shift")
    mode = N_("each row as the border between two windows of rows")

    window: int = hyperparameter(
        20, low=2, high=10_001, help=N_("Rows on each side of a change of level."), label=N_("Rows on each side")
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
        differences = [after - before for before, after in map(self._compute_levels, series)]
        self.spread_ = np.maximum(compute_robust_spread(np.concatenate(differences)), np.float32(MIN_SPREAD))
        progress.report(1.0)
        return self

    @override
    def score(self, series: Floats32) -> SequenceScores:
        before, after = self._compute_levels(series)
        shares = np.nan_to_num(np.abs(after - before) / self.spread_)
        shares[np.isnan(series)] = 0.0
        return SequenceScores(shares.sum(axis=1), shares, before, np.broadcast_to(self.spread_, shares.shape))

    def _compute_levels(self, series: Floats32) -> tuple[Floats32, Floats32]:
        """Return the values of each row that the rows before it and from it on suggest.

        NaN where less than half of the `window` rows are known.
        """
        season = self.seasons_.compute_season(series)
        row, end = np.arange(len(series)), len(series)
        level = np.where(np.isnan(series), np.float32(np.nan), series - season)
        sides = (np.maximum(row - self.window, 0), np.maximum(row, 1)), (row, np.minimum(row + self.window, end))
        before, after = (
            season
            + np.where(self._count_known(level, *side) >= self.window / 2, compute_known_means(level, *side), np.nan)
            for side in sides
        )
        return before.astype(np.float32), after.astype(np.float32)

    @staticmethod
    def _count_known(level: Floats32, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats32:
        return compute_slice_means(~np.isnan(level), first, last) * (last - first)[:, None].astype(np.float32)
