"""Baselines: the normal values that a row is compared with.

Each baseline is fitted on one dataset. It turns the rows of any dataset into features for a detector, into expected
values, and into the deviations that explain a row.
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
LEVEL_FLOOR = 0.02  # share of the expected level: smaller spreads are rounding
SHAPE_FLOOR = 0.01  # share of the row's level: smaller spreads are rounding
SMALL_LEVEL = 0.05  # share of the entity's typical level: smallest unit of a row's shape


class Comparison(ABC):
    """Contract of a baseline.

    After `fit`, the methods `features`, `expected` and `deviations` treat each row by itself.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    needs_dates: ClassVar[bool] = False
    usual_: Expectation

    @abstractmethod
    def fit(self, dataset: Dataset) -> Self:
        """Fit the baseline on rows without missing values."""

    @abstractmethod
    def features(self, dataset: Dataset) -> Floats:
        """Return the input of the detector, shape (rows, features)."""

    @abstractmethod
    def expected(self, dataset: Dataset) -> tuple[Floats, Floats]:
        """Return the expected value and the spread of every measurement, each of shape (rows, columns).

        The spread is one standard deviation.
        """

    def deviations(self, dataset: Dataset) -> pd.DataFrame:
        """Return the signed deviation of every measurement in spreads, shape (rows, columns)."""
        center, spread = self.expected(dataset)
        return pd.DataFrame(
            (dataset.values - center) / _floored(spread, center, self._widest()), columns=dataset.columns
        )

    def _widest(self) -> Floats:
        """Return the largest spread of every column over all groups of the training data."""
        return np.nanmax(self.usual_.spread_, axis=0, initial=0.0)


class Everything(Comparison):
    """Baseline of all rows together; the features are the raw measurements.

    Large entities in their highest season get the highest scores.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, keyed
        >>> frame = pd.DataFrame({"load": [9.0, 10.0, 11.0, 99.0, 100.0, 101.0]},
        ...                      index=keyed(["a"] * 3 + ["b"] * 3, list(range(3)) * 2))
        >>> dataset = Dataset(frame, layout="demo")
        >>> Everything().fit(dataset).expected(dataset)[0].ravel().tolist()  # one median for both entities
        [55.0, 55.0, 55.0, 55.0, 55.0, 55.0]
    """

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
    """Baseline of each entity: deviations from the entity's median, in the entity's spreads.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, keyed
        >>> frame = pd.DataFrame({"load": [9.0, 10.0, 11.0, 99.0, 100.0, 101.0]},
        ...                      index=keyed(["a"] * 3 + ["b"] * 3, list(range(3)) * 2))
        >>> dataset = Dataset(frame, layout="demo")
        >>> baseline = OwnEntity().fit(dataset)
        >>> baseline.expected(dataset)[0].ravel().tolist()
        [10.0, 10.0, 10.0, 100.0, 100.0, 100.0]
        >>> baseline.features(dataset).round(2).ravel().tolist()
        [-0.67, 0.0, 0.67, -0.5, 0.0, 0.5]
    """

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
    """Baseline of each entity by month and kind of day (working day, Saturday, Sunday).

    A daily profile is split into its level (median of the row) and its shape (rest of the row, divided by the level).
    The detector gets five features:

    - the deviation of the level
    - the largest deviation of the shape
    - the largest deviation of the roughness (distance of each hour to the mean of its neighbours)
    - the largest roughness
    - the deviation of the largest roughness from that of the entity

    Twenty-four hourly features hide a single wrong hour: a forest on them found 0 of 26 injected faults, a forest on
    these five found all.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, keyed
        >>> days = pd.date_range("2024-03-01", periods=31)  # begins on a Friday
        >>> load = [10.0 if day < 5 else 4.0 for day in days.dayofweek]
        >>> load[4] = 4.0  # a Tuesday that looks like a Sunday
        >>> frame = pd.DataFrame({"load": load}, index=keyed(["a"] * 31, days))
        >>> dataset = Dataset(frame, layout="demo", step=pd.Timedelta(days=1))
        >>> baseline = OwnCalendar().fit(dataset)
        >>> baseline.expected(dataset)[0][:5].ravel().tolist()
        [10.0, 4.0, 4.0, 10.0, 10.0]
        >>> baseline.deviations(dataset)["load"].round(1).tolist()[:5]  # in spreads of at least 2 %
        [0.0, 0.0, 0.0, 0.0, -30.0]
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
        """Return the signed deviation of the level of every row, in spreads, (rows,)."""
        usual, spread = self.level_.of(dataset)
        floor = np.maximum(spread, LEVEL_FLOOR * np.abs(usual)).clip(min=np.finfo(float).tiny)
        off: Floats = ((level[:, None] - usual) / floor)[:, 0]
        return off

    def _scale(self, dataset: Dataset, level: Floats) -> Floats:
        """Return the unit of the shape of every row, (rows, 1)."""
        return np.maximum(np.abs(level), SMALL_LEVEL * self._typical(dataset)).clip(min=1e-12)[:, None]

    def _typical(self, dataset: Dataset) -> Floats:
        """Return the typical level of the entity of every row, (rows,)."""
        place = {entity: number for number, entity in enumerate(self.entities_)}
        codes = np.array([place.get(entity, 0) for entity in dataset.entities], dtype=np.intp)
        typical: Floats = self.typical_[codes][dataset.entity_codes]
        return typical


class ShapeOnly(Comparison):
    """Baseline of the shape: each row is divided by its own mean, so its size does not count.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, keyed
        >>> frame = pd.DataFrame([[1.0, 3.0], [10.0, 30.0], [3.0, 1.0]], columns=["00:00", "12:00"],
        ...                      index=keyed(["a", "b", "a"], [0, 0, 1]))
        >>> dataset = Dataset(frame, layout="demo", profile=True)
        >>> ShapeOnly().fit(dataset).features(dataset).tolist()  # the first two rows have the same shape
        [[0.5, 1.5], [0.5, 1.5], [1.5, 0.5]]
    """

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
        return np.zeros(1)  # the spread is proportional to the row's mean: other rows give no lower bound

    def _mean(self, dataset: Dataset) -> Floats:
        mean = dataset.values.mean(axis=1, keepdims=True)
        return np.where(np.abs(mean) < 1e-12, 1.0, mean)


COMPARISONS: dict[str, type[Comparison]] = {each.name: each for each in (OwnCalendar, OwnEntity, ShapeOnly, Everything)}


def _standardised(values: Floats, center: Floats, spread: Floats, floor: float) -> Floats:
    result: Floats = (values - center) / np.maximum(spread, floor)
    return result


def _floored(spread: Floats, center: Floats, widest: Floats) -> Floats:
    """Return spreads of at least 2 % of the expected value and 1 % of the `widest` spread of the column, never 0."""
    return np.maximum(spread, np.maximum(LEVEL_FLOOR * np.abs(center), 0.01 * widest)).clip(min=1e-12)


def _roughness(values: Floats) -> Floats:
    """Return the distance of each column to the mean of its neighbours, shape of `values`; 0 at both ends."""
    rough = np.zeros_like(values)
    rough[:, 1:-1] = np.abs(values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2)
    return rough
