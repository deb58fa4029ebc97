"""A whole model for rows: what happens to missing hours, what rows are compared with, the detector, the threshold."""

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
    """Fitted as one piece and saved as one piece, so that fit and score can never treat a row differently.

    incomplete   rows with missing measurements are left out ("drop") or filled from the same entity ("impute")
    """

    detector: Detector
    comparison: Comparison
    incomplete: Incomplete = "drop"

    contamination_: float = field(default=float("nan"), init=False)
    risk_: float | None = field(default=None, init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, dataset: Dataset) -> Self:
        """Learn what is usual. Raises as `fit_score`."""
        self.fit_score(dataset)
        return self

    def fit_score(self, dataset: Dataset) -> tuple[Dataset, Floats]:
        """Learn what is usual from `dataset`; its scorable rows and their scores, without a second pass.

        Raises DataError where fewer than two complete rows are left, or dates are needed and absent.
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
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None  # plain, so that it can be saved
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
        """The rows that can be scored, without missing values.

        Raises DataError where the columns or the unit are not those the model was fitted on.
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
        """One score per row of `ready`, higher is more anomalous."""
        return self.detector.score(self.comparison.features(ready)) if len(ready) else np.zeros(0)

    def rarity(self, scores: Floats) -> NDArray[np.intp]:
        """0 … 3: below the top 1 %, in the top 1 %, 1 ‰, 1 in 10,000 of the rows the model was fitted on."""
        return np.searchsorted(self.rare_, scores, side="left")

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Score a plain table with the columns `entity`, `time` and the measurements: what MLflow serves."""
        index = keyed(table["entity"].to_numpy(), table["time"].to_numpy())
        frame = table[self.columns_].set_axis(index, axis=0)
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        dataset = Dataset(frame, layout="served", profile=self.profile_, step=step, unit=self.unit_)
        ready = self.ready(dataset)
        return pd.DataFrame({"entity": ready.entity, "time": ready.time, "score": self.score(ready)})
