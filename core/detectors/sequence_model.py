"""Whole model for series: scaling, detector, scores of held-out rows, and threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.compatibility import check_compatible
from core.data.dataset import DAY, Dataset, make_index
from core.data.series import split_by_entity
from core.detectors.base import SequenceDetector, SequenceScores
from core.detectors.scaling import Scaling
from core.errors import DataError
from core.messages import N_
from core.progress import Progress

CALIBRATION_SHARE = 0.2  # last share of each series: not trained on, its scores calibrate the threshold
MIN_TRAIN_ROWS = 10


@dataclass
class SequenceModel:
    """Sequence detector with its scaling, calibration scores and threshold, saved as one object.

    calibration_  (held-out rows,), scores of the held-out rows in the order of time; thresholds are computed from them
    threshold_    rows with a score above it are anomalies; the task sets it

    Example:
        >>> import numpy as np
        >>> from core.detectors.scaling import Scaling
        >>> from core.detectors.sequences.mean_distance import MeanDistance
        >>> series = np.sin(np.arange(50.0))[:, None]
        >>> model = SequenceModel(MeanDistance(), Scaling()).fit_series([series])
        >>> len(model.calibration_)  # the last fifth of the series
        10
        >>> bool(model.score_series([np.array([[3.0]])])[0].score[0] > model.calibration_.max())
        True
    """

    detector: SequenceDetector
    scaling: Scaling

    calibration_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, dataset: Dataset, progress: Progress | None = None) -> Self:
        """Fit the model on every row of `dataset` but the last fifth of each series.

        Raises DataError if that leaves fewer than 10 rows, Cancelled if `progress` was cancelled.
        """
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None
        self.detector.step_seconds_ = DAY.total_seconds() if dataset.profile else self.step_seconds_
        return self.fit_series([series.values for series in split_by_entity(dataset)], progress)

    def fit_series(self, series: Sequence[NDArray[np.float64]], progress: Progress | None = None) -> Self:
        """Fit the model on arrays of shape (rows, columns), as `fit` does."""
        train_series = [values[: _count_train_rows(len(values))] for values in series]
        rows = sum(map(len, train_series))
        if rows < MIN_TRAIN_ROWS:
            raise DataError(
                N_("Too few rows for training: {count}. At least {accepted} are needed."),
                count=rows,
                accepted=MIN_TRAIN_ROWS,
            )
        self.scaling.fit(train_series)
        self.detector.fit([self.scaling.transform(values) for values in train_series], progress or Progress())
        series_scores = self.score_series(series)
        self.calibration_ = np.concatenate(
            [
                scores.score[_count_train_rows(len(values)) :]
                for scores, values in zip(series_scores, series, strict=True)
            ]
        ).astype(np.float64)
        return self

    def score_series(self, series: Sequence[NDArray[np.float64]]) -> list[SequenceScores]:
        """Return the scores of arrays of shape (rows, columns) in the units of the data."""
        return self.detector.score_many([self.scaling.transform(values) for values in series])

    def score(self, dataset: Dataset) -> list[SequenceScores]:
        """Return the scores of every series, in the order of `split_by_entity`.

        Raises DataError if the columns or the unit differ from those of the training data.
        """
        check_compatible(dataset, self.columns_, self.profile_, self.unit_, by_position=True)
        return self.score_series([series.values for series in split_by_entity(dataset)])

    def compute_expected_band(self, scores: SequenceScores) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the middle and the half-width of the expected band, in the units of the data.

        The half-width is two standard deviations; both have the shape (rows, columns). None for a detector without
        expectation.
        """
        if scores.expected is None or scores.spread is None:
            return None
        low, high = (self.scaling.inverse_transform(scores.expected + factor * scores.spread) for factor in (-2.0, 2.0))
        return (low + high) / 2, (high - low) / 2

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return scores for a table with the columns `entity`, `time` and the measurements; MLflow serves this."""
        frame = table[self.columns_].set_axis(make_index(table["entity"].to_numpy(), table["time"].to_numpy()), axis=0)
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        dataset = Dataset(frame.astype(float), layout="served", profile=self.profile_, step=step, unit=self.unit_)
        scores = np.empty(len(dataset))
        for series, series_scores in zip(split_by_entity(dataset), self.score(dataset), strict=True):
            scores[series.row_positions] = series_scores.score
        return pd.DataFrame({"entity": dataset.entity, "time": dataset.time, "score": scores})


def _count_train_rows(rows: int) -> int:
    """Return how many of the first rows of a series are training rows."""
    return max(rows - int(rows * CALIBRATION_SHARE), 1)
