"""Median row of each entity and kind of day or hour, and the spread of the rows around it."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import DAY, Dataset
from core.data.nameless import code_fitted_entities
from core.errors import DataError
from core.messages import N_

MIN_GROUP_ROWS = 5  # a group with fewer rows uses the next coarser group
CACHE_CELLS = 2**16  # cells that fit into the processor's cache
MIN_PARTITION_VALUES = 500  # number of values above which a partition is faster than a sort
MAD_TO_SIGMA = 1.4826  # median absolute deviation → standard deviation of a normal distribution


@dataclass
class GroupMedian:
    """Median and robust spread of every column, per entity and group of rows.

    group_by  "calendar": month × (working day, Saturday, Sunday), and × hour for a series; "entity": all rows of an
    entity

    Fitted: `median_` and `spread_`, shape (entities × groups, columns), and `entities_`. A group with few rows uses the
    next coarser group of the same entity. The spread is 1.4826 × the median absolute deviation.

    Example:
        >>> import pandas as pd
        >>> index = pd.MultiIndex.from_product([["north"], range(4)], names=["entity", "time"])
        >>> dataset = Dataset(pd.DataFrame({"power": [10.0, 12.0, 11.0, 90.0]}, index), "tidy_series")
        >>> expectation = GroupMedian(group_by="entity").fit(dataset)
        >>> expectation.median_, expectation.spread_
        (array([[11.5]]), array([[1.4826]]))
        >>> median, spread = expectation.predict(dataset)
        >>> median.shape
        (4, 1)
    """

    group_by: Literal["calendar", "entity"] = "calendar"

    def fit(self, dataset: Dataset, values: Floats | None = None) -> Self:
        """Fit on `values` (default: the measurements), shape (rows, columns); NaN are ignored."""
        values = dataset.values if values is None else values
        self.entities_ = dataset.entities
        medians: list[Floats] = []
        spreads: list[Floats] = []
        for kinds, count in self._list_groupings(dataset):
            if medians and not np.isnan(medians[-1]).any():
                break
            group = dataset.entity_codes * count + kinds
            median, spread = _compute_group_medians(
                values, group, len(self.entities_) * count, MIN_GROUP_ROWS if count > 1 else 1
            )
            medians.append(median)
            spreads.append(MAD_TO_SIGMA * spread)
        self.median_, self.spread_ = (
            _fill_from_coarser(medians, len(self.entities_)),
            _fill_from_coarser(spreads, len(self.entities_)),
        )
        return self

    def predict(self, dataset: Dataset) -> tuple[Floats, Floats]:
        """Return the median and the spread for every measurement of `dataset`, each of shape (rows, columns).

        Raises DataError for an entity without fitted data: another entity never replaces it.
        """
        group = self.assign_groups(dataset)
        return self.median_[group], self.spread_[group]

    def assign_groups(self, dataset: Dataset) -> NDArray[np.intp]:
        """Return the group of every row of `dataset`: its row in `median_` and `spread_`.

        Raises DataError for an entity without fitted data.
        """
        fitted_codes = code_fitted_entities(dataset, self.entities_)
        if (fitted_codes < 0).any():
            raise DataError(
                N_("The model was trained without the entity {entity!r}. Known entities: {accepted}."),
                entity=dataset.entities[int(np.argmin(fitted_codes))],
                accepted=", ".join(self.entities_[:20]),
            )
        codes = fitted_codes[dataset.entity_codes]
        kinds, count = self._list_groupings(dataset)[0]
        return codes * count + kinds

    def _list_groupings(self, dataset: Dataset) -> list[tuple[NDArray[np.intp], int]]:
        """Return the kind of every row and the number of kinds, for each level of grouping.

        The levels run from the calendar to one single kind.
        """
        single_kind = (np.zeros(len(dataset), dtype=np.intp), 1)
        if self.group_by == "entity" or not dataset.has_dates:
            return [single_kind]
        times, (month, day_kind) = pd.DatetimeIndex(dataset.time), dataset.calendar_kinds
        if dataset.profile or dataset.step is None or dataset.step >= DAY:
            return [(month * 3 + day_kind, 36), (day_kind, 3), single_kind]
        hour = (times.hour.to_numpy() + times.minute.to_numpy() / 60).astype(np.intp)
        return [(month * 72 + day_kind * 24 + hour, 864), (day_kind * 24 + hour, 72), single_kind]


def _compute_group_medians(
    values: Floats, group: NDArray[np.intp], count: int, min_values: int
) -> tuple[Floats, Floats]:
    """Return the median of every column, and of the distances to it, per group; each of shape (count, columns).

    NaN where a column of a group has fewer than `min_values` values.
    """
    medians, spreads = (np.full((count, values.shape[1]), np.nan) for _ in range(2))
    order = np.argsort(group, kind="stable")
    groups, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):  # groups of one size are sorted together, as many as the cache holds
        group_indices = np.flatnonzero(sizes == size)
        width = int(np.clip(CACHE_CELLS // size, 1, values.shape[1]))
        groups_per_batch = int(max(CACHE_CELLS // (size * width), 1))
        for first in range(0, len(group_indices), groups_per_batch):
            batch = group_indices[first : first + groups_per_batch]
            rows = order[starts[batch][:, None] + np.arange(size)]
            for column in range(0, values.shape[1], width):
                columns = slice(column, column + width)
                cells = values[:, columns][rows]
                medians[groups[batch], columns] = batch_medians = _compute_medians(cells, min_values)
                spreads[groups[batch], columns] = _compute_medians(np.abs(cells - batch_medians[:, None]), min_values)
    return medians, spreads


def _compute_medians(values: Floats, min_values: int) -> Floats:
    """Return medians along the second of three axes; NaN for fewer than `min_values` known values."""
    transposed = np.ascontiguousarray(values.swapaxes(1, 2))
    size = transposed.shape[2]
    if size >= min_values and not np.isnan(transposed).any():
        middle_ranks = ((size - 1) // 2, size // 2)
        is_large = size > MIN_PARTITION_VALUES
        ordered = np.partition(transposed, middle_ranks, axis=2) if is_large else np.sort(transposed, axis=2)
        middle: Floats = (ordered[:, :, middle_ranks[0]] + ordered[:, :, middle_ranks[1]]) / 2
        return middle
    known_count = (size - np.isnan(transposed).sum(axis=2))[:, :, None]
    ordered = np.sort(transposed, axis=2)  # NaN last
    low, high = (np.take_along_axis(ordered, (known_count - offset) // 2, axis=2) for offset in (1, 0))
    medians: Floats = np.where(known_count >= min_values, (low + high) / 2, np.nan)[:, :, 0]
    return medians


def _fill_from_coarser(levels: list[Floats], entities: int) -> Floats:
    """Return the finest level, its gaps filled from coarser levels of the same entity.

    Shape (entities × kinds, columns).
    """
    finest = levels[0]
    kinds = len(finest) // entities
    for coarse in levels[1:]:
        coarse_kinds = len(coarse) // entities
        entity, kind = np.divmod(np.arange(len(finest)), kinds)
        finest = np.where(np.isnan(finest), coarse[entity * coarse_kinds + kind % coarse_kinds], finest)
    return finest
