"""Whole model for series: scaling, detector, scores of held-out rows, and threshold."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.compatibility import check_compatible
from core.data.dataset import DAY, Dataset, make_index
from core.data.series import split_by_entity
from core.detectors.base import SequenceDetector, SequenceScores
from core.detectors.scaling import Scaling
from core.errors import DataError
from core.evaluation.promises import fit_promise, number_parts
from core.evaluation.thresholds import Threshold
from core.messages import N_
from core.progress import Progress

CALIBRATION_SHARE = 0.2  # of each series, in four blocks: not trained on if the detector is fitted once
CALIBRATION_PARTS = 10  # parts of the time that the alarm rates of a promise are compared over
HELD_OUT_BLOCKS = 4
MIN_CONTEXT_ROWS = 200  # rows before and after a block that its scores may depend on, at least
MIN_TRAIN_ROWS = 10


@dataclass
class SequenceModel:
    """Sequence detector with its scaling, calibration scores and threshold, saved as one object.

    The detector is fitted on all rows. The scores that calibrate the threshold come from further fits, each without one
    fifth of the time (cross-conformal; Hennhöfer, Preisach: Leave-one-out-, bootstrap- and cross-conformal anomaly
    detectors, 2024). A detector that is slow to fit (`calibration_fits` is 1) is fitted once, without four blocks that
    are spread over the time, a fifth of the rows together.

    calibration_        (held-out rows,), scores of rows that the detector was not fitted on, one series after the other
                        in the order of time; thresholds are computed from them
    calibration_parts_  (held-out rows,), number of the part of the time
    threshold_          rows with a score above it are anomalies; the task sets it

    Example:
        >>> import numpy as np
        >>> from core.detectors.scaling import Scaling
        >>> from core.detectors.sequences.mean_distance import MeanDistance
        >>> series = np.sin(np.arange(50.0))[:, None]
        >>> model = SequenceModel(MeanDistance(), Scaling()).fit_series([series])
        >>> len(model.calibration_)  # every row, scored by a detector that was not fitted on it
        50
        >>> bool(model.score_series([np.array([[3.0]])])[0].score[0] > model.calibration_.max())
        True
    """

    detector: SequenceDetector
    scaling: Scaling

    calibration_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)
    calibration_parts_: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp), init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, dataset: Dataset, progress: Progress | None = None) -> Self:
        """Fit the model on the rows of `dataset`, and score rows that a fit left out for calibration.

        Raises DataError for fewer than 10 training rows, Cancelled if `progress` was cancelled.
        """
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None
        self.detector.step_seconds_ = DAY.total_seconds() if dataset.profile else self.step_seconds_
        return self.fit_series([series.values for series in split_by_entity(dataset)], progress)

    def fit_series(self, series: Sequence[NDArray[np.float64]], progress: Progress | None = None) -> Self:
        """Fit the model on arrays of shape (rows, columns), as `fit` does."""
        progress, series = progress or Progress(), [values for values in series if len(values)]
        _check_train_rows(sum(map(len, series)))
        fits = self.detector.calibration_fits
        if fits == 1:
            is_held_out = [_mark_held_out_rows(len(values)) for values in series]
            self.fit_detector(_cut_pieces(series, is_held_out), progress)
            series_scores = [result.score for result in self.score_series(series)]
            self._keep_calibration(series_scores, is_held_out, HELD_OUT_BLOCKS)
            return self
        scores = [np.zeros(len(values)) for values in series]
        for fold in range(fits):
            is_held_out = [number_parts(len(values), fits) == fold for values in series]
            pieces = _cut_pieces(series, is_held_out)
            if sum(map(len, pieces)) < 2:
                continue
            model = SequenceModel(copy(self.detector), copy(self.scaling))
            part = progress.create_part(fold, fits + 1)
            part.folder = None  # checkpoints belong to the last fit
            model.fit_detector(pieces, part)
            model._score_blocks(series, is_held_out, scores)
        self.fit_detector(series, progress.create_part(fits, fits + 1))
        self._keep_calibration(scores, [np.ones(len(values), dtype=bool) for values in series], CALIBRATION_PARTS)
        return self

    def fit_detector(self, series: Sequence[NDArray[np.float64]], progress: Progress | None = None) -> Self:
        """Fit scaling and detector on all rows of arrays of shape (rows, columns), without calibration scores."""
        self.scaling.fit(series)
        self.detector.fit([self.scaling.transform(values) for values in series], progress or Progress())
        return self

    def fit_promise(self, rate: float) -> Threshold:
        """Return the threshold above which at most the share `rate` of future normal rows lies.

        Raises the errors of `core.evaluation.promises.fit_promise`.
        """
        return fit_promise(self.calibration_, rate, vars(self).get("calibration_parts_"))  # absent in early models

    def _score_blocks(
        self,
        series: Sequence[NDArray[np.float64]],
        is_held_out: Sequence[NDArray[np.bool_]],
        scores: Sequence[NDArray[np.float64]],
    ) -> None:
        """Write the scores of the held-out block of every series into `scores`; rows around it are its context."""
        margin = max(MIN_CONTEXT_ROWS, 2 * getattr(self.detector, "window", 0))
        spans = [np.flatnonzero(held_out)[[0, -1]] if held_out.any() else None for held_out in is_held_out]
        contexts = [
            (values, target, span[0], span[1] + 1, max(span[0] - margin, 0))
            for values, target, span in zip(series, scores, spans, strict=True)
            if span is not None
        ]
        results = self.score_series([values[start : stop + margin] for values, _, _, stop, start in contexts])
        for (_, target, first, stop, start), result in zip(contexts, results, strict=True):
            target[first:stop] = result.score[first - start : stop - start]

    def _keep_calibration(
        self, scores: Sequence[NDArray[np.floating[Any]]], is_held_out: Sequence[NDArray[np.bool_]], parts: int
    ) -> None:
        pairs = list(zip(scores, is_held_out, strict=True))
        self.calibration_ = np.concatenate([values[held_out] for values, held_out in pairs]).astype(np.float64)
        self.calibration_parts_ = np.concatenate(
            [number_parts(len(held_out), parts)[held_out] for _, held_out in pairs]
        )

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


def _check_train_rows(rows: int) -> None:
    if rows < MIN_TRAIN_ROWS:
        raise DataError(
            N_("Too few rows for training: {count}. At least {accepted} are needed."),
            count=rows,
            accepted=MIN_TRAIN_ROWS,
        )


def _mark_held_out_rows(rows: int) -> NDArray[np.bool_]:
    """Return True for the last fifth of each quarter of a series, (rows,)."""
    fifths = round(1 / CALIBRATION_SHARE)
    return number_parts(rows, HELD_OUT_BLOCKS * fifths) % fifths == fifths - 1


def _cut_pieces(
    series: Sequence[NDArray[np.float64]], is_held_out: Sequence[NDArray[np.bool_]]
) -> list[NDArray[np.float64]]:
    """Return the pieces of the series between held-out rows."""
    pieces = []
    for values, held_out in zip(series, is_held_out, strict=True):
        borders = np.flatnonzero(np.diff(held_out)) + 1
        pieces += [
            piece
            for piece, is_out in zip(np.split(values, borders), np.split(held_out, borders), strict=True)
            if len(piece) and not is_out[0]
        ]
    return pieces
