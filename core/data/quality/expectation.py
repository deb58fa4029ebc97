"""What is usual for an entity: the median row of its kind of moment, and how far rows stray from it."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset
from core.errors import DataError
from core.messages import N_

Floats = NDArray[np.float64]

MIN_ROWS = 5  # a kind of moment seen less often is judged by the next coarser kind
CACHED_CELLS = 2**16  # worked on at once
LONG = 500  # values from which sorting all of them costs more than finding the middle
TO_SIGMA = 1.4826  # median absolute deviation → standard deviation of a normal distribution


@dataclass
class Expectation:
    """Median and robust spread of every column, per entity and kind of moment.

    by   "calendar": month × working day, Saturday, Sunday (× time of day for a series); "entity": all rows of the
         entity
    Learned: `median_` and `spread_`, one row per (entity, kind); coarser kinds stand in where there were few rows.
    """

    by: Literal["calendar", "entity"] = "calendar"

    def fit(self, dataset: Dataset, values: Floats | None = None) -> Self:
        """Learn from `values` (default: the measurements), shape (rows, columns); NaN are left out."""
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
        """Expected value and spread of every measurement of `dataset`, each of shape (rows, columns).

        Raises DataError for an entity that was not there when this was fitted: another entity never stands in.
        """
        group = self.groups(dataset)
        return self.median_[group], self.spread_[group]

    def groups(self, dataset: Dataset) -> NDArray[np.intp]:
        """The row of `median_` and `spread_` that each row of `dataset` is judged by."""
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
        """Kind of moment of every row and the number of kinds, finest first, from the calendar to "any"."""
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
    """Per group the median of every column and of the distances to it, each (count, columns).

    NaN where a column of a group has fewer than `enough` values.
    """
    medians, spreads = (np.full((count, values.shape[1]), np.nan) for _ in range(2))
    order = np.argsort(group, kind="stable")
    groups, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):  # groups of one size are sorted together, as many as stay in the processor's cache
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
    """Medians along the second of three axes, NaN where fewer than `enough` values are known."""
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
    """The finest level, its gaps filled from the coarser ones of the same entity; (entities × kinds, columns)."""
    finest = levels[0]
    kinds = len(finest) // entities
    for coarse in levels[1:]:
        fewer = len(coarse) // entities
        entity, kind = np.divmod(np.arange(len(finest)), kinds)
        finest = np.where(np.isnan(finest), coarse[entity * fewer + kind % fewer], finest)
    return finest
