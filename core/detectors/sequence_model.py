"""A whole model for series: scaling, detector, its scores on normal rows held out, and the threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset, keyed, require_like
from core.data.series import series_of
from core.detectors.base import Scored, SequenceDetector
from core.detectors.scaling import Scaling
from core.errors import DataError
from core.messages import N_
from core.progress import Progress

HELD_OUT = 0.2  # of each series, its end: not learnt from, to know what scores are usual
MIN_ROWS = 10


@dataclass
class SequenceModel:
    """Fitted as one piece and saved as one piece.

    calibration_  the scores of the rows held out, in the order of time: what thresholds are made from
    threshold_    the score above which a row is an anomaly; the analysis sets it
    """

    detector: SequenceDetector
    scaling: Scaling

    calibration_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, dataset: Dataset, progress: Progress | None = None) -> Self:
        """Learn from every row of `dataset` but the last fifth of each series.

        Raises DataError where that leaves fewer than 10 rows, Cancelled where `progress` was told to stop.
        """
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None
        return self.fit_series([series.values for series in series_of(dataset)], progress)

    def fit_series(self, series: Sequence[NDArray[np.float64]], progress: Progress | None = None) -> Self:
        """As `fit`, from arrays of shape (rows, columns)."""
        learnt = [each[: _learnt(len(each))] for each in series]
        rows = sum(map(len, learnt))
        if rows < MIN_ROWS:
            raise DataError(
                N_("{count} rows are too few to learn from; at least {accepted} are needed."),
                count=rows,
                accepted=MIN_ROWS,
            )
        self.scaling.fit(learnt)
        self.detector.fit([self.scaling.transform(each) for each in learnt], progress or Progress())
        scored = self.score_series(series)
        self.calibration_ = np.concatenate(
            [one.score[_learnt(len(each)) :] for one, each in zip(scored, series, strict=True)]
        ).astype(np.float64)
        return self

    def score_series(self, series: Sequence[NDArray[np.float64]]) -> list[Scored]:
        """What the detector says of arrays of shape (rows, columns) in the units of the data."""
        return self.detector.score_many([self.scaling.transform(each) for each in series])

    def score(self, dataset: Dataset) -> list[Scored]:
        """What the detector says of every series, in the order of `series_of`.

        Raises DataError where the columns or the unit are not those the model was fitted on.
        """
        require_like(dataset, self.columns_, self.profile_, self.unit_)
        return self.score_series([series.values for series in series_of(dataset)])

    def expected(self, scored: Scored) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The middle and half the width of the expected band (two spreads), in the units of the data."""
        if scored.expected is None or scored.spread is None:
            return None
        low, high = (self.scaling.inverse(scored.expected + side * scored.spread) for side in (-2.0, 2.0))
        return (low + high) / 2, (high - low) / 2

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Score a plain table with the columns `entity`, `time` and the measurements: what MLflow serves."""
        frame = table[self.columns_].set_axis(keyed(table["entity"].to_numpy(), table["time"].to_numpy()), axis=0)
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        dataset = Dataset(frame.astype(float), layout="served", profile=self.profile_, step=step, unit=self.unit_)
        scores = np.empty(len(dataset))
        for series, scored in zip(series_of(dataset), self.score(dataset), strict=True):
            scores[series.places] = scored.score
        return pd.DataFrame({"entity": dataset.entity, "time": dataset.time, "score": scores})


def _learnt(rows: int) -> int:
    """How many of the first rows of a series are learnt from."""
    return max(rows - int(rows * HELD_OUT), 1)
