"""Compared with what? A row is abnormal only against something; these say against what, and what a detector then sees.

Each comparison learns from one dataset what is usual, and turns rows of any dataset into features, into the values it
expected, and into deviations by which a row is explained.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from core.data.dataset import CACHED_ROWS, Dataset
from core.data.quality.expectation import Expectation
from core.messages import N_

Floats = NDArray[np.float64]

LEVEL = "level"
LEVEL_FLOOR = 0.02  # of the expected level: spreads below it are rounding, not steadiness
SHAPE_FLOOR = 0.01  # of the row's level, likewise
SMALL_LEVEL = 0.05  # of the entity's typical level: rows below it are scaled by it


class Comparison(ABC):
    """Learned from a dataset with `fit`.

    Afterwards `features`, `expected` and `deviations` treat each row by itself.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    needs_dates: ClassVar[bool] = False
    usual_: Expectation

    @abstractmethod
    def fit(self, dataset: Dataset) -> Self:
        """Learn what is usual from rows without missing values."""

    @abstractmethod
    def features(self, dataset: Dataset) -> Floats:
        """What the detector sees of every row, shape (rows, features)."""

    @abstractmethod
    def expected(self, dataset: Dataset) -> tuple[Floats, Floats]:
        """The value expected of every measurement and its spread (one standard deviation), each (rows, columns)."""

    def deviations(self, dataset: Dataset) -> pd.DataFrame:
        """How many spreads every measurement lies from what was expected; signed, shape (rows, columns)."""
        center, spread = self.expected(dataset)
        return pd.DataFrame(
            (dataset.values - center) / _floored(spread, center, self._widest()), columns=dataset.columns
        )

    def _widest(self) -> Floats:
        """The largest spread of every column among all that were learnt."""
        return np.nanmax(self.usual_.spread_, axis=0, initial=0.0)


class Everything(Comparison):
    """All rows alike: the raw measurements. Finds the largest entities in their highest season."""

    name = "everything"
    label = N_("All rows together")
    help = N_("Raw values, all entities together. Large entities stand out by their size alone.")

    @override
    def fit(self, dataset: Dataset) -> Self:
        everyone = dataset.replace(frame=dataset.frame.set_axis(_one_entity(dataset), axis=0))
        self.usual_ = Expectation("entity").fit(everyone)
        return self

    @override
    def features(self, dataset: Dataset) -> Floats:
        return dataset.values

    @override
    def expected(self, dataset: Dataset) -> tuple[Floats, Floats]:
        alike = np.zeros(len(dataset), dtype=np.intp)
        return self.usual_.median_[alike], self.usual_.spread_[alike]


def _one_entity(dataset: Dataset) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([np.repeat("", len(dataset)), dataset.time], names=["entity", "time"])


class OwnEntity(Comparison):
    """Every measurement against the same entity's median, in its spreads."""

    name = "entity"
    label = N_("Its own entity")
    help = N_("Each entity by its own median and spread; high season still stands out.")

    @override
    def fit(self, dataset: Dataset) -> Self:
        self.usual_ = Expectation("entity").fit(dataset)
        return self

    @override
    def features(self, dataset: Dataset) -> Floats:
        return self.deviations(dataset).to_numpy()

    @override
    def expected(self, dataset: Dataset) -> tuple[Floats, Floats]:
        return self.usual_.of(dataset)


class OwnCalendar(Comparison):
    """A row against what its entity usually shows in that month on that kind of day.

    A profile is split into its level (median of the row) and its shape (what is left, over the level). The detector
    sees five figures: how far the level is off, the largest deviation of the shape, the largest deviation of its
    roughness (each hour against the mean of its neighbours), that roughness itself, and the same against the entity.
    Twenty-four separate hours instead hide a single wrong hour: a forest of 24 features found 0 of 26 planted faults,
    these find all.
    """

    name = "calendar"
    label = N_("Its own calendar")
    help = N_("Each entity against its usual day for the month and the kind of day (working day, Saturday, Sunday).")
    needs_dates = True

    @override
    def fit(self, dataset: Dataset) -> Self:
        self.profile_ = dataset.profile
        if not dataset.profile:
            self.usual_ = Expectation().fit(dataset)
            return self
        level = dataset.row_median
        self.typical_ = pd.Series(np.abs(level)).groupby(dataset.entity_codes).median().to_numpy()
        self.entities_ = dataset.entities
        self.level_ = Expectation().fit(dataset, level[:, None])
        scale = self._scale(dataset, level)
        shape, rough = np.empty_like(dataset.values), np.empty_like(dataset.values)
        for rows, block in dataset.blocks(CACHED_ROWS):
            shape[rows] = (block - level[rows, None]) / scale[rows]
            rough[rows] = _roughness(block) / scale[rows]
        self.shape_ = Expectation().fit(dataset, shape)
        self.rough_ = Expectation().fit(dataset, rough)
        self.roughest_ = Expectation("entity").fit(dataset, rough.max(axis=1)[:, None])
        return self

    @override
    def features(self, dataset: Dataset) -> Floats:
        if not self.profile_:
            return self.deviations(dataset).to_numpy()
        level = dataset.row_median
        scale, group = self._scale(dataset, level), self.shape_.groups(dataset)
        seen = np.empty((len(dataset), 5))
        seen[:, 0] = np.abs(self._level_off(dataset, level))
        for rows, block in dataset.blocks(CACHED_ROWS):
            usual, rough = group[rows], _roughness(block) / scale[rows]
            shape = (block - level[rows, None]) / scale[rows]
            hours = _standardised(shape, self.shape_.median_[usual], self.shape_.spread_[usual], SHAPE_FLOOR)
            uneven = _standardised(rough, self.rough_.median_[usual], self.rough_.spread_[usual], SHAPE_FLOOR)
            seen[rows, 1] = np.abs(hours).max(axis=1)
            seen[rows, 2] = uneven.clip(min=0).max(axis=1)
            seen[rows, 3] = rough.max(axis=1)
        seen[:, 4] = _standardised(seen[:, [3]], *self.roughest_.of(dataset), SHAPE_FLOOR)[:, 0]
        return seen

    @override
    def deviations(self, dataset: Dataset) -> pd.DataFrame:
        if not self.profile_:
            return super().deviations(dataset)
        level = dataset.row_median
        shape = (dataset.values - level[:, None]) / self._scale(dataset, level)
        hours = _standardised(shape, *self.shape_.of(dataset), SHAPE_FLOOR)
        off = self._level_off(dataset, level)
        return pd.DataFrame(np.column_stack([off, hours]), columns=[LEVEL, *dataset.columns])

    @override
    def expected(self, dataset: Dataset) -> tuple[Floats, Floats]:
        if not self.profile_:
            return self.usual_.of(dataset)
        level, level_spread = self.level_.of(dataset)
        shape, shape_spread = self.shape_.of(dataset)
        scale = np.maximum(np.abs(level), SMALL_LEVEL * self._typical(dataset)[:, None])
        center = level + shape * scale
        return center, np.hypot((1 + shape) * level_spread, shape_spread * scale)

    def _level_off(self, dataset: Dataset, level: Floats) -> Floats:
        """How many spreads the level of every row lies from its usual one, signed, (rows,)."""
        usual, spread = self.level_.of(dataset)
        floor = np.maximum(spread, LEVEL_FLOOR * np.abs(usual)).clip(min=np.finfo(float).tiny)
        off: Floats = ((level[:, None] - usual) / floor)[:, 0]
        return off

    def _scale(self, dataset: Dataset, level: Floats) -> Floats:
        """What the shape of every row is measured in, (rows, 1)."""
        return np.maximum(np.abs(level), SMALL_LEVEL * self._typical(dataset)).clip(min=1e-12)[:, None]

    def _typical(self, dataset: Dataset) -> Floats:
        place = {entity: number for number, entity in enumerate(self.entities_)}
        codes = np.array([place.get(entity, 0) for entity in dataset.entities], dtype=np.intp)
        typical: Floats = self.typical_[codes][dataset.entity_codes]
        return typical


class ShapeOnly(Comparison):
    """A row over its own mean, whatever its size."""

    name = "shape"
    label = N_("Typical shape")
    help = N_("Each row divided by its mean: the form of the day counts, not its size.")

    @override
    def fit(self, dataset: Dataset) -> Self:
        shape = dataset.replace(frame=dataset.frame.set_axis(_one_entity(dataset), axis=0))
        self.usual_ = Expectation("entity").fit(shape, self.features(dataset))
        return self

    @override
    def features(self, dataset: Dataset) -> Floats:
        return dataset.values / self._mean(dataset)

    @override
    def expected(self, dataset: Dataset) -> tuple[Floats, Floats]:
        mean = self._mean(dataset)
        return self.usual_.median_[[0]] * mean, self.usual_.spread_[[0]] * np.abs(mean)

    def _widest(self) -> Floats:
        return np.zeros(1)  # spreads grow with the row's own mean: those of other rows say nothing of it

    def _mean(self, dataset: Dataset) -> Floats:
        mean = dataset.values.mean(axis=1, keepdims=True)
        return np.where(np.abs(mean) < 1e-12, 1.0, mean)


COMPARISONS: dict[str, type[Comparison]] = {each.name: each for each in (OwnCalendar, OwnEntity, ShapeOnly, Everything)}


def _standardised(values: Floats, center: Floats, spread: Floats, floor: float) -> Floats:
    result: Floats = (values - center) / np.maximum(spread, floor)
    return result


def _floored(spread: Floats, center: Floats, widest: Floats) -> Floats:
    """Spreads that are not zero: at least 2 % of what is expected, at least 1 % of the `widest` of the column."""
    return np.maximum(spread, np.maximum(LEVEL_FLOOR * np.abs(center), 0.01 * widest)).clip(min=1e-12)


def _roughness(values: Floats) -> Floats:
    """How far each column lies from the mean of its neighbours; 0 at both ends. Shape of `values`."""
    rough = np.zeros_like(values)
    rough[:, 1:-1] = np.abs(values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2)
    return rough
