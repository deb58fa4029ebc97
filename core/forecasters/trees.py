"""Common base of the tree forecasters."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from core.data.panel import Panel
from core.forecasters.base import Direct, Floats, Growth, too_short
from core.forecasters.features import Table, for_trees
from core.forecasters.known import Known, shifted
from core.progress import Progress

LEAST_ROWS = 200


@dataclass
class Trees(Direct):
    """Contract of a forecaster made of trees, fitted for all entities at once.

    Trees cannot extrapolate beyond the training data. The target is therefore the log-ratio of a day to the forecast
    origin.
    """

    rows: ClassVar[int] = 60_000  # of training, drawn evenly over entities, days and numbers of days ahead

    @abstractmethod
    def learner(self) -> Any:
        """Return an unfitted scikit-learn regressor."""

    @override
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        amounts = series.lessons
        self.growth_ = Growth.of(amounts)
        random = np.random.default_rng(0)
        features, targets = [], []
        for step in range(1, horizon + 1):
            table = self.table(series, drivers, step)
            target = self.growth_.of_amounts(amounts) - self._base(series, step)
            rows = np.flatnonzero((table.usable & np.isfinite(target)).ravel())
            rows = np.sort(random.permutation(rows)[: max(self.rows // horizon, 500)])
            features.append(table.values.reshape(-1, table.values.shape[2])[rows])
            targets.append(target.ravel()[rows])
            if progress is not None:
                progress.tell(0.3 * step / horizon)
        if sum(map(len, targets)) < LEAST_ROWS:
            raise too_short(series, len(targets[0]), LEAST_ROWS)
        self.learner_ = self.learner().fit(np.concatenate(features), np.concatenate(targets))
        if progress is not None:
            progress.tell(1.0)
        return self

    @override
    def table(self, series: Panel, drivers: Known, step: int) -> Table:
        recent = self.growth_.of_amounts(series.recent)
        return for_trees(series, drivers, recent, step)

    @override
    def answer(self, table: Table, series: Panel, step: int, first: int) -> Floats:
        usable = table.usable[first:]
        found = np.full(usable.shape, np.nan)
        if usable.any():
            found[usable] = self.learner_.predict(table.values[first:][usable])
        return self.growth_.to_amounts(self._base(series, step)[first:] + found)

    def _base(self, series: Panel, step: int) -> Floats:
        return shifted(self.growth_.of_amounts(series.recent), step)
