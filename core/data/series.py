"""Series of a dataset: the rows of each entity in the order of time."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset


@dataclass(frozen=True)
class EntitySeries:
    """Rows of one entity in the order of time.

    entity         name of the entity
    row_positions  positions of the rows in the dataset
    values         shape (rows, columns)
    """

    entity: str
    row_positions: NDArray[np.intp]
    values: NDArray[np.float64]


def split_by_entity(dataset: Dataset) -> list[EntitySeries]:
    """Return the series of every entity.

    Values are views where the rows of the dataset are already in this order, else copies.
    """
    codes = dataset.entity_codes
    order = np.lexsort((dataset.time.to_numpy(), codes))
    if (order == np.arange(len(order))).all():
        values = dataset.values
    else:
        values = dataset.values[order]
    ends = np.searchsorted(codes[order], np.arange(len(dataset.entities) + 1))
    return [
        EntitySeries(entity, order[first:last], values[first:last])
        for entity, (first, last) in zip(dataset.entities, pairwise(ends), strict=True)
    ]


def make_windows(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Return every window of `length` rows as a read-only view, shape (rows − length + 1, length, columns)."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0).swapaxes(1, 2)
