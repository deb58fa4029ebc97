"""Median row of each entity and kind of day or hour, and the spread of the rows around it."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset
from core.errors import DataError
from core.messages import N_

Floats = NDArray[np.float64]

MIN_ROWS = 5  # a group with fewer rows uses the next coarser group
CACHED_CELLS = 2**16  # cells that fit into the processor's cache
LONG = 500  # number of values above which a partition is faster than a sort
TO_SIGMA = 1.4826  # median absolute deviation → standard deviation of a normal distribution


@dataclass
class Expectation:
    """Median and robust spread of every column, per entity and group of rows.

    group_by  "calendar": month × (working day, Saturday, Sunday), and × hour for a series; "entity": all rows of an
    entity

    Fitted: `median_` and `spread_`, shape (entities × groups, columns), and `entities_`. A group with few rows uses the
    next coarser group of the same entity. The spread is 1.4826 × the median absolute deviation.

    Example:
        >>> import pandas as pd
        >>> index = pd.MultiIndex.from_product([["north"], range(4)], names=["entity", "time"])
        >>> dataset = Dataset(pd.DataFrame({"power": [10.0, 12.0, 11.0, 90.0]}, index), "tidy_series")
        >>> expectation = Expectation(by="entity").fit(dataset)
        >>> expectation.median_, expectation.spread_
        (array([[11.5]]), array([[1.4826]]))
        >>> median, spread = expectation.of(dataset)
        >>> median.shape
        (4, 1)
    """

    by: Literal["calendar", "entity"] = "calendar"

    def fit(self, dataset: Dataset, values: Floats | None = None) -> Self:
        """Fit on `values` (default: the measurements), shape (rows, columns); NaN are ignored."""
        values = dataset.values if values is None else values
        self.entities_ = dataset.entities
        medians: list[Floats] = []
        spreads: list[Floats] = []
        for kinds, count in self._levels(dataset):
            if medians and not np.isnan(medians[-1]).any():
                break
            group = dataset.entity_codes * count + kinds
            median, spread = _by_group(values, group, len(self.entities_) * count, MIN_ROWS if count > 1 else 1)
            medians.append(median)
            spreads.append(TO_SIGMA * spread)
        self.median_, self.spread_ = _filled(medians, len(self.entities_)), _filled(spreads, len(self.entities_))
        return self

    def of(self, dataset: Dataset) -> tuple[Floats, Floats]:
        """Return the median and the spread for every measurement of `dataset`, each of shape (rows, columns).

        Raises DataError for an entity without fitted data: another entity never replaces it.
        """
        group = self.groups(dataset)
        return self.median_[group], self.spread_[group]

    def groups(self, dataset: Dataset) -> NDArray[np.intp]:
        """Return the group of every row of `dataset`: its row in `median_` and `spread_`.

        Raises DataError for an entity without fitted data.
        """
        place = {entity: number for number, entity in enumerate(self.entities_)}
        unknown = [entity for entity in dataset.entities if entity not in place]
        if unknown:
            raise DataError(
                N_("The model was fitted without {entity!r}; it knows: {accepted}."),
                entity=unknown[0],
                accepted=", ".join(self.entities_[:20]),
            )
        codes = np.array([place[entity] for entity in dataset.entities], dtype=np.intp)[dataset.entity_codes]
        kinds, count = self._levels(dataset)[0]
        return codes * count + kinds

    def _levels(self, dataset: Dataset) -> list[tuple[NDArray[np.intp], int]]:
        """Return the kind of every row and the number of kinds, for each level of grouping.

        The levels run from the calendar to one single kind.
        """
        anything = (np.zeros(len(dataset), dtype=np.intp), 1)
        if self.by == "entity" or not dataset.dated:
            return [anything]
        times = pd.DatetimeIndex(dataset.time)
        kind = np.clip(times.dayofweek.to_numpy() - 4, 0, 2).astype(np.intp)
        month = times.month.to_numpy().astype(np.intp) - 1
        if dataset.profile or dataset.step is None or dataset.step >= DAY:
            return [(month * 3 + kind, 36), (kind, 3), anything]
        slot = (times.hour.to_numpy() + times.minute.to_numpy() / 60).astype(np.intp)
        return [(month * 72 + kind * 24 + slot, 864), (kind * 24 + slot, 72), anything]


def _by_group(values: Floats, group: NDArray[np.intp], count: int, enough: int) -> tuple[Floats, Floats]:
    """Return the median of every column, and of the distances to it, per group; each of shape (count, columns).

    NaN where a column of a group has fewer than `enough` values.
    """
    medians, spreads = (np.full((count, values.shape[1]), np.nan) for _ in range(2))
    order = np.argsort(group, kind="stable")
    groups, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):  # groups of one size are sorted together, as many as the cache holds
        alike = np.flatnonzero(sizes == size)
        width = int(np.clip(CACHED_CELLS // size, 1, values.shape[1]))
        several = int(max(CACHED_CELLS // (size * width), 1))
        for first in range(0, len(alike), several):
            some = alike[first : first + several]
            rows = order[starts[some][:, None] + np.arange(size)]
            for column in range(0, values.shape[1], width):
                columns = slice(column, column + width)
                cells = values[:, columns][rows]
                medians[groups[some], columns] = middle = _medians(cells, enough)
                spreads[groups[some], columns] = _medians(np.abs(cells - middle[:, None]), enough)
    return medians, spreads


def _medians(values: Floats, enough: int) -> Floats:
    """Return medians along the second of three axes; NaN for fewer than `enough` known values."""
    lanes = values.swapaxes(1, 2)
    size = lanes.shape[2]
    known = (size - np.isnan(lanes).sum(axis=2))[:, :, None]
    if size > LONG and known.min() == size:
        ranked = np.partition(lanes, ((size - 1) // 2, size // 2), axis=2)
    else:
        ranked = np.sort(lanes, axis=2)  # NaN last
    low, high = (np.take_along_axis(ranked, (known - less) // 2, axis=2) for less in (1, 0))
    medians: Floats = np.where(known >= enough, (low + high) / 2, np.nan)[:, :, 0]
    return medians


def _filled(levels: list[Floats], entities: int) -> Floats:
    """Return the finest level, its gaps filled from coarser levels of the same entity.

    Shape (entities × kinds, columns).
    """
    finest = levels[0]
    kinds = len(finest) // entities
    for coarse in levels[1:]:
        fewer = len(coarse) // entities
        entity, kind = np.divmod(np.arange(len(finest)), kinds)
        finest = np.where(np.isnan(finest), coarse[entity * fewer + kind % fewer], finest)
    return finest
