"""Contracts of the forecasters: `Forecaster`, and `Direct` for forecasters with a feature matrix."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from core.data.panel import Panel
from core.errors import DataError
from core.evaluation.forecasts import mae
from core.forecasters.features import Table
from core.forecasters.known import Known
from core.messages import N_
from core.progress import Progress

Floats = NDArray[np.float64]


class Forecaster(ABC):
    """Contract of a forecaster of daily series.

    A forecaster is a dataclass whose fields are its hyper-parameters. Fitted attributes end in an underscore.
    One test checks the contract for every forecaster:

    - A forecast `step` days ahead uses nothing that becomes known later than `step` days before its day. Covariates are
      the exception: they are known in advance.
    - The same seed gives the same forecasts.
    - Missing history gives NaN, never an invented number.
    - The series stay unchanged.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        """Fit the forecaster on the daily amounts of `series`, for 1 to `horizon` days ahead.

        Raises DataError if an entity has too little history.
        """

    @abstractmethod
    def predict(self, series: Panel, drivers: Known, step: int, first: int = 0) -> Floats:
        """Return the forecast of every day from index `first` on, made `step` days before it, (days, entities).

        `series` ends with the forecast origin. Later days, and days with missing history, are rows of NaN in `series`.
        """

    def importance(self, series: Panel, drivers: Known, step: int, first: int) -> dict[str, float]:
        """Return the growth of the mean absolute error when a group of features is shuffled, by group.

        It is measured `step` days ahead, on the days from index `first` on. A forecaster without features returns {}.
        """
        return {}


@dataclass
class Direct(Forecaster):
    """Contract of a forecaster with a feature matrix.

    Each number of days ahead has features of its own (direct strategy). No forecast is an input of another one.
    """

    @abstractmethod
    def table(self, series: Panel, drivers: Known, step: int) -> Table:
        """Return the features of every day, `step` days ahead."""

    @abstractmethod
    def answer(self, table: Table, series: Panel, step: int, first: int) -> Floats:
        """Return the amounts of the days from index `first` on, (days, entities); NaN where a feature is NaN."""

    @override
    def predict(self, series: Panel, drivers: Known, step: int, first: int = 0) -> Floats:
        return self.answer(self.table(series, drivers, step), series, step, first)

    def importance(self, series: Panel, drivers: Known, step: int, first: int) -> dict[str, float]:
        """Return the permutation importance of every group of features, in units of the amounts.

        The features of a group take the values of other days of the same entity. Groups that carry the same information
        share their importance. Breiman: Random Forests, Machine Learning 45, 2001.
        """
        table = self.table(series, drivers, step)
        amounts = series.amounts[first:]
        order = np.random.default_rng(0).permutation(np.arange(first, len(series)))

        def error(values: Floats) -> float:
            answers = self.answer(Table(values, table.names, table.groups), series, step, first)
            return mae(amounts, answers)

        usual, found = error(table.values), {}
        for group in dict.fromkeys(table.groups):
            mixed, own = table.values.copy(), np.array(table.groups) == group
            mixed[first:, :, own] = table.values[order][:, :, own]
            found[group] = error(mixed) - usual
        return found


def too_short(series: Panel, days: int, needed: int) -> DataError:
    """Return the error for training data that are too short.

    Example:
        >>> import numpy as np
        >>> series = Panel(pd.date_range("2024-01-01", periods=3), ("Lyon",), ("day",), np.ones((3, 1, 1)))
        >>> too_short(series, 3, 90).args[1]["entity"]
        'Lyon'
    """
    return DataError(
        N_("{entity}: {count} days can be learnt from; at least {accepted} are needed."),
        entity=", ".join(series.entities[:3]),
        count=days,
        accepted=needed,
    )


@dataclass(frozen=True)
class Growth:
    """Transform of daily amounts to the target of a regression, and back.

    Amounts that are never negative become logarithms. Other amounts become multiples of the entity's standard
    deviation.

    offset          added before the logarithm: 1 % of the entity's mean, so that a day without consumption is finite
    scale           standard deviation of every entity
    is_logarithmic  True for amounts that are never negative

    Example:
        >>> load = np.array([[100.0], [0.0], [200.0]])
        >>> log_transform = Growth.of(load)
        >>> log_transform.of_amounts(load).round(2).ravel().tolist()
        [4.62, 0.0, 5.3]
        >>> log_transform.to_amounts(log_transform.of_amounts(load)).round(6).ravel().tolist()
        [100.0, 0.0, 200.0]
    """

    offset: Floats
    spread: Floats
    logarithm: bool

    @classmethod
    def of(cls, amounts: Floats) -> "Growth":
        """Return the transform for amounts of shape (days, entities)."""
        table = pd.DataFrame(amounts)
        mean = table.abs().mean().replace(0, 1).fillna(1).to_numpy()
        spread = table.std().replace(0, 1).fillna(1).to_numpy()
        return cls(0.01 * mean, spread, logarithm=bool(np.nanmin(amounts, initial=0) >= 0))

    def of_amounts(self, amounts: Floats) -> Floats:
        """Return the transformed amounts, shape unchanged.

        If the training data had no negative amount, a later negative amount counts as 0.
        """
        return np.log(np.maximum(amounts, 0) + self.offset) if self.logarithm else amounts / self.spread

    def to_amounts(self, growth: Floats) -> Floats:
        """Return the amounts of transformed values, shape unchanged; the inverse of `of_amounts`."""
        return np.maximum(np.exp(growth) - self.offset, 0) if self.logarithm else growth * self.spread
