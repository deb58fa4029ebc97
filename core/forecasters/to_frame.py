"""Arrays of days, entities and slots as rows of a table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from core.array_types import AnyFloats
from core.data.panel import Panel


def to_frame(days: pd.DatetimeIndex, series: Panel, values: Mapping[str, AnyFloats]) -> pd.DataFrame:
    """Return arrays (days, entities, slots) as rows: entity, time and one column per array.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=2)
        >>> series = Panel(days, ("Lyon",), ("day",), np.zeros((2, 1, 1)))
        >>> to_frame(days, series, {"load": np.array([5.0, 6.0]).reshape(2, 1, 1)})
          entity       time  load
        0   Lyon 2024-01-01   5.0
        1   Lyon 2024-01-02   6.0
    """
    timestamps = series.make_timestamps(days)
    entity_count, slot_count = len(series.entities), len(series.slots)
    time = np.repeat(timestamps.to_numpy().reshape(len(days), 1, slot_count), entity_count, axis=1).ravel()
    entity_codes = np.tile(np.repeat(np.arange(entity_count), slot_count), len(days))
    return pd.DataFrame(
        {"entity": pd.Categorical.from_codes(entity_codes, list(series.entities)), "time": time}
        | {name: array.ravel() for name, array in values.items()}
    )
