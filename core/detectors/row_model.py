"""Whole model for rows: missing values, baseline, detector and threshold."""

from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset, keyed, require_like
from core.data.quality.expectation import Expectation
from core.data.quality.repairs import imputed
from core.detectors.base import Detector, Floats
from core.detectors.comparisons import Comparison
from core.errors import DataError
from core.messages import N_

Incomplete = Literal["drop", "impute"]
RARITIES = (0.99, 0.999, 0.9999)


@dataclass
class RowModel:
    """Row detector with its baseline, treatment of missing values and threshold, saved as one object.

    One object for `fit` and `score` guarantees that both treat a row in the same way.

    incomplete  "drop" leaves out rows with missing measurements; "impute" fills them from the same entity

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, keyed
        >>> from core.detectors.comparisons import OwnEntity
        >>> from core.detectors.tables.isolation_forest import IsolationForest
        >>> load = [10.0, 11.0, 9.0, 50.0, 100.0, 101.0, 99.0, np.nan]
        >>> frame = pd.DataFrame({"load": load}, index=keyed(["a"] * 4 + ["b"] * 4, list(range(4)) * 2))
        >>> model = RowModel(IsolationForest(n_estimators=20), OwnEntity())
        >>> rows, scores = model.fit_score(Dataset(frame, layout="demo"))
        >>> len(rows), int(scores.argmax())  # the row without a value is dropped
        (7, 3)
    """

    detector: Detector
    comparison: Comparison
    incomplete: Incomplete = "drop"

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
        if self.comparison.needs_dates and not dataset.dated:
            raise DataError(
                N_("Comparing with the calendar needs dates, and {file} has none; compare with the entity instead."),
                file=", ".join(dataset.files),
            )
        if dataset.complete.sum() < 2:
            raise DataError(
                N_("{count} complete rows are too few to learn from; at least 2 are needed."),
                count=int(dataset.complete.sum()),
            )
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None  # a float can be saved
        if self.incomplete == "impute":
            self.gaps_ = Expectation("calendar" if dataset.dated else "entity").fit(dataset)
        ready = self.ready(dataset)
        self.comparison.fit(ready)
        features = self.comparison.features(ready)
        self.detector.fit(features)
        scores = self.detector.score(features)
        self.rare_ = np.quantile(scores, RARITIES)
        return ready, scores

    def ready(self, dataset: Dataset) -> Dataset:
        """Return the rows that can be scored, without missing values.

        Raises DataError if the columns or the unit differ from those of the training data.
        """
        require_like(dataset, self.columns_, self.profile_, self.unit_)
        if self.incomplete == "drop":
            return dataset if dataset.complete.all() else dataset.rows(dataset.complete)
        if dataset.complete.all():
            return dataset
        return dataset.replace(
            frame=pd.DataFrame(
                imputed(dataset, self.gaps_), index=dataset.frame.index, columns=dataset.frame.columns, copy=False
            )
        )

    def score(self, ready: Dataset) -> Floats:
        """Return one score per row of `ready`, shape (rows,); higher is more anomalous."""
        return self.detector.score(self.comparison.features(ready)) if len(ready) else np.zeros(0)

    def rarity(self, scores: Floats) -> NDArray[np.intp]:
        """Return the rarity class of each score, 0 to 3, relative to the training rows.

        0 is below the top 1 %; 1, 2 and 3 are the top 1 %, 0.1 % and 0.01 %.
        """
        return np.searchsorted(self.rare_, scores, side="left")

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return scores for a table with the columns `entity`, `time` and the measurements; MLflow serves this."""
        index = keyed(table["entity"].to_numpy(), table["time"].to_numpy())
        frame = table[self.columns_].set_axis(index, axis=0)
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        dataset = Dataset(frame, layout="served", profile=self.profile_, step=step, unit=self.unit_)
        ready = self.ready(dataset)
        return pd.DataFrame({"entity": ready.entity, "time": ready.time, "score": self.score(ready)})
