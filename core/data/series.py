"""A dataset as series: the rows of each entity in the order of time."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset


@dataclass(frozen=True)
class Series:
    """One entity: its rows' places in the dataset, in the order of time, and their values, shape (rows, columns)."""

    entity: str
    places: NDArray[np.intp]
    values: NDArray[np.float64]


def series_of(dataset: Dataset) -> list[Series]:
    """The series of every entity; values are a view where the dataset holds one entity already in order."""
    codes = dataset.entity_codes
    order = np.lexsort((dataset.time.to_numpy(), codes))
    if (order == np.arange(len(order))).all():
        values = dataset.values
    else:
        values = dataset.values[order]
    ends = np.searchsorted(codes[order], np.arange(len(dataset.entities) + 1))
    return [
        Series(entity, order[first:last], values[first:last])
        for entity, (first, last) in zip(dataset.entities, pairwise(ends), strict=True)
    ]


def windows(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Every run of `length` rows as a read-only view without copies, shape (rows − length + 1, length, columns)."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0).swapaxes(1, 2)
