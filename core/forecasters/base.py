"""What a forecaster is: it learns from several daily series and says what a day will bring, so many days ahead."""

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
    """A dataclass whose fields are its hyper-parameters; what `fit` learns ends in an underscore.

    The contract, kept by one test over every forecaster: a forecast `step` days ahead depends on nothing that is
    known later than `step` days before its day, drivers apart; the same seed gives the same forecasts; an unknown
    past gives NaN, never an invented number; the series are left untouched.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        """Learn to forecast the daily amounts of `series` 1 to `horizon` days ahead.

        Raises DataError where an entity has too little history.
        """

    @abstractmethod
    def predict(self, series: Panel, drivers: Known, step: int, first: int = 0) -> Floats:
        """The amount of every day from number `first` on, as forecast `step` days before: (days, entities).

        `series` is what is known now; days after its end, and days whose past is unknown, are asked for with NaN.
        """

    def importance(self, series: Panel, drivers: Known, step: int, first: int) -> dict[str, float]:
        """Return the mean absolute error that each group of features spares, `step` days ahead.

        It is measured on the days from `first` on, and may be empty.
        """
        return {}


@dataclass
class Direct(Forecaster):
    """A forecaster with a table of features.

    Every number of days ahead is answered directly, none from another's answer.
    """

    @abstractmethod
    def table(self, series: Panel, drivers: Known, step: int) -> Table:
        """The features of every day, `step` days ahead."""

    @abstractmethod
    def answer(self, table: Table, series: Panel, step: int, first: int) -> Floats:
        """Amounts for the days from `first` on, shape (days, entities), NaN where features are."""

    @override
    def predict(self, series: Panel, drivers: Known, step: int, first: int = 0) -> Floats:
        return self.answer(self.table(series, drivers, step), series, step, first)

    def importance(self, series: Panel, drivers: Known, step: int, first: int) -> dict[str, float]:
        """By permutation: every group of features in turn takes its values from other days of the same entity.

        Breiman: Random Forests, Machine Learning 45, 2001. Groups that say the same share their worth.
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
    """The error of a forecaster that has too little to learn from."""
    return DataError(
        N_("{entity}: {count} days can be learnt from; at least {accepted} are needed."),
        entity=", ".join(series.entities[:3]),
        count=days,
        accepted=needed,
    )


@dataclass(frozen=True)
class Growth:
    """Amounts as logarithms where they are never negative, else as multiples of the entity's spread.

    offset   added before the logarithm: a hundredth of the entity's mean, so that an empty day is a number
    """

    offset: Floats
    spread: Floats
    logarithm: bool

    @classmethod
    def of(cls, amounts: Floats) -> "Growth":
        """From amounts of shape (days, entities)."""
        table = pd.DataFrame(amounts)
        mean = table.abs().mean().replace(0, 1).fillna(1).to_numpy()
        spread = table.std().replace(0, 1).fillna(1).to_numpy()
        return cls(0.01 * mean, spread, logarithm=bool(np.nanmin(amounts, initial=0) >= 0))

    def of_amounts(self, amounts: Floats) -> Floats:
        """What falls below zero later, as nothing had in the past, counts as an empty day."""
        return np.log(np.maximum(amounts, 0) + self.offset) if self.logarithm else amounts / self.spread

    def to_amounts(self, growth: Floats) -> Floats:
        """Convert growth back to amounts."""
        return np.maximum(np.exp(growth) - self.offset, 0) if self.logarithm else growth * self.spread
