"""Outline of a dataset for a small picture: the range of its first series in consecutive parts of the time."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.array_types import Floats
from core.data.dataset import Dataset

PARTS = 120


@dataclass(frozen=True)
class Outline:
    """Lowest and highest value of consecutive parts of a series; parts without a value are left out."""

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def outline_dataset(dataset: Dataset) -> Outline:
    """Return the outline of the first entity: of all times of a daily profile, else of the first column.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import make_index
        >>> index = make_index(["north", "south", "north"], pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-01"]))
        >>> outline_dataset(Dataset(pd.DataFrame({"MW": [2.0, 9.0, 1.0]}, index), "tidy_series"))
        Outline(low=(1.0, 2.0), high=(1.0, 2.0))
    """
    columns = dataset.values if dataset.profile else dataset.values[:, :1]
    return outline_first_entity(dataset.entity_codes, np.asarray(dataset.time), columns)


def outline_first_entity(entities: Any, times: Any, values: Floats) -> Outline:
    """Return the outline of the rows of the first entity, in the order of time; `values` is (rows, columns)."""
    if not values.size:
        return Outline()
    entities = np.asarray(entities)
    is_first = entities == entities[0]
    order = np.argsort(np.asarray(times)[is_first], kind="stable")
    return outline_values(values[is_first][order])


def outline_values(values: Floats, parts: int = PARTS) -> Outline:
    """Return the outline of values (rows, columns) in the order of time, in at most `parts` parts."""
    if not values.size:
        return Outline()
    finite = np.where(np.isfinite(values), values, np.nan)
    starts = np.linspace(0, len(values), min(parts, len(values)) + 1).astype(int)[:-1]
    low = np.fmin.reduceat(np.fmin.reduce(finite, axis=1), starts)
    high = np.fmax.reduceat(np.fmax.reduce(finite, axis=1), starts)
    has_value = ~np.isnan(low)
    return Outline(tuple(map(float, low[has_value])), tuple(map(float, high[has_value])))
