"""Whole model for rows: missing values, baseline, detector and threshold."""

from copy import copy
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.compatibility import check_compatible
from core.data.dataset import Dataset, make_index
from core.data.quality.baseline import GroupMedian
from core.data.quality.fills import impute
from core.detectors.base import Detector
from core.detectors.baseline import Baseline
from core.errors import DataError
from core.evaluation.promises import number_parts
from core.evaluation.stand_out import measure_largest_deviations
from core.messages import N_

IncompletePolicy = Literal["drop", "impute"]
CALIBRATION_FITS, BLOCKS_PER_FIT = 5, 10  # a fit leaves out every fifth of 50 blocks of the time
RARITY_QUANTILES = (0.99, 0.999, 0.9999)


@dataclass
class RowModel:
    """Row detector with its baseline, treatment of missing values and threshold, saved as one object.

    One object for `fit` and `score` guarantees that both treat a row in the same way.

    incomplete  "drop" leaves out rows with missing measurements; "impute" fills them from the same entity

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> from core.detectors.baselines import EntityBaseline
        >>> from core.detectors.tables.isolation_forest import IsolationForest
        >>> load = [10.0, 11.0, 9.0, 50.0, 100.0, 101.0, 99.0, np.nan]
        >>> frame = pd.DataFrame({"load": load}, index=make_index(["a"] * 4 + ["b"] * 4, list(range(4)) * 2))
        >>> model = RowModel(IsolationForest(n_estimators=20), EntityBaseline())
        >>> rows, scores = model.fit_score(Dataset(frame, layout="demo"))
        >>> len(rows), int(scores.argmax())  # the row without a value is dropped
        (7, 3)
    """

    detector: Detector
    baseline: Baseline
    incomplete: IncompletePolicy = "drop"

    contamination_: float = field(default=float("nan"), init=False)
    risk_: float | None = field(default=None, init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, dataset: Dataset) -> Self:
        """Fit the model on `dataset`. Raises the errors of `fit_score`."""
        self.fit_score(dataset)
        return self

    def fit_score(self, dataset: Dataset) -> tuple[Dataset, Floats]:
        """Fit the model on `dataset`; return its scorable rows and their scores (rows,) without a second pass.

        Raises DataError if fewer than two complete rows are left, or if the baseline needs dates and there are none.
        """
        if self.baseline.needs_dates and not dataset.has_dates:
            raise DataError(
                N_("The calendar baseline needs dates. {file} has none. Choose the entity baseline instead."),
                file=", ".join(dataset.files),
            )
        if dataset.is_complete.sum() < 2:
            raise DataError(
                N_("Too few complete rows for training: {count}. At least 2 are needed."),
                count=int(dataset.is_complete.sum()),
            )
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None  # a float can be saved
        if self.incomplete == "impute":
            self.imputer_ = GroupMedian("calendar" if dataset.has_dates else "entity").fit(dataset)
        complete_rows = self.prepare_rows(dataset)
        features = self.baseline.fit_features(complete_rows)
        self.detector.fit(features)
        scores = self.detector.score(features)
        self.rarity_scores_ = np.quantile(scores, RARITY_QUANTILES)
        return complete_rows, scores

    def prepare_rows(self, dataset: Dataset) -> Dataset:
        """Return the rows that can be scored, without missing values.

        Raises DataError if the columns or the unit differ from those of the training data.
        """
        check_compatible(dataset, self.columns_, self.profile_, self.unit_)
        if self.incomplete == "drop":
            return dataset if dataset.is_complete.all() else dataset.take_rows(dataset.is_complete)
        if dataset.is_complete.all():
            return dataset
        return dataset.replace(
            frame=pd.DataFrame(
                impute(dataset, self.imputer_), index=dataset.frame.index, columns=dataset.frame.columns, copy=False
            )
        )

    def score(self, complete_rows: Dataset) -> Floats:
        """Return one score per row of `ready`, shape (rows,); higher is more anomalous."""
        return self.detector.score(self.baseline.compute_features(complete_rows)) if len(complete_rows) else np.zeros(0)

    def measure_deviations(self, complete_rows: Dataset) -> Floats:
        """Return the largest deviation of each row from what the baseline expects, in robust spreads, (rows, kinds).

        There is a column for every kind of feature, see `Baseline.group_features`.
        """
        groups = self.baseline.group_features(self.baseline.compute_features(complete_rows))
        return np.column_stack([measure_largest_deviations(features) for features in groups])

    def score_held_out(self, complete_rows: Dataset) -> tuple[Floats, NDArray[np.intp]]:
        """Return scores by fits that leave out the scored row and those near it in time, and its block of the time.

        Both have the shape (rows,) without the rows of entities that a fit does not know. Every fit leaves out every
        fifth of 50 blocks of the time, so that each knows all seasons.
        """
        blocks = _number_blocks(complete_rows)
        scores = np.full(len(complete_rows), np.nan)
        for fold in range(CALIBRATION_FITS):
            is_held_out = blocks % CALIBRATION_FITS == fold
            known = np.unique(complete_rows.entity_codes[~is_held_out])
            is_scored = is_held_out & np.isin(complete_rows.entity_codes, known)
            if not is_scored.any() or (~is_held_out).sum() < 2:
                continue
            model = RowModel(copy(self.detector), type(self.baseline)())
            model.detector.fit(model.baseline.fit_features(complete_rows.take_rows(~is_held_out)))
            scores[is_scored] = model.score(complete_rows.take_rows(is_scored))
        is_known = np.isfinite(scores)
        return scores[is_known], blocks[is_known]

    def classify_rarity(self, scores: Floats) -> NDArray[np.intp]:
        """Return the rarity class of each score, 0 to 3, relative to the training rows.

        0 is below the top 1 %; 1, 2 and 3 are the top 1 %, 0.1 % and 0.01 %.
        """
        return np.searchsorted(self.rarity_scores_, scores, side="left")

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return scores for a table with the columns `entity`, `time` and the measurements; MLflow serves this."""
        index = make_index(table["entity"].to_numpy(), table["time"].to_numpy())
        frame = table[self.columns_].set_axis(index, axis=0)
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        dataset = Dataset(frame, layout="served", profile=self.profile_, step=step, unit=self.unit_)
        complete_rows = self.prepare_rows(dataset)
        return pd.DataFrame(
            {"entity": complete_rows.entity, "time": complete_rows.time, "score": self.score(complete_rows)}
        )


def _number_blocks(dataset: Dataset) -> NDArray[np.intp]:
    """Return the block of the time of each row, (rows,); blocks of rows without dates have equally many rows."""
    count = CALIBRATION_FITS * BLOCKS_PER_FIT
    if not dataset.has_dates:
        return number_parts(len(dataset), count)
    time = dataset.time.to_numpy().astype("datetime64[s]").astype(np.int64)
    span = max(int(time.max() - time.min()) + 1, 1) if len(time) else 1
    return np.asarray((time - time.min()) * count // span, dtype=np.intp) if len(time) else np.zeros(0, dtype=np.intp)
