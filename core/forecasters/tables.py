"""Arrays of days, entities and slots as rows of a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.panel import Panel

Floats = NDArray[np.floating[Any]]


def table_of(days: pd.DatetimeIndex, series: Panel, values: Mapping[str, Floats]) -> pd.DataFrame:
    """Return arrays (days, entities, slots) as rows: entity, time and one column per array.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=2)
        >>> series = Panel(days, ("Lyon",), ("day",), np.zeros((2, 1, 1)))
        >>> table_of(days, series, {"load": np.array([5.0, 6.0]).reshape(2, 1, 1)})
          entity       time  load
        0   Lyon 2024-01-01   5.0
        1   Lyon 2024-01-02   6.0
    """
    moments = series.moments(days)
    count, slots = len(series.entities), len(series.slots)
    time = np.repeat(moments.to_numpy().reshape(len(days), 1, slots), count, axis=1).ravel()
    entity = np.tile(np.repeat(np.arange(count), slots), len(days))
    return pd.DataFrame(
        {"entity": pd.Categorical.from_codes(entity, list(series.entities)), "time": time}
        | {name: array.ravel() for name, array in values.items()}
    )
