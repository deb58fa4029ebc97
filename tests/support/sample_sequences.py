"""Small sequences for detectors."""

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, make_index


def make_series(entities: int = 3, rows: int = 400, dated: bool = True) -> Dataset:
    """Make series of two correlated columns, each with one outlying stretch near its end."""
    random = np.random.default_rng(5)
    parts, names = [], [f"s{number}" for number in range(entities)]
    for _ in names:
        base = np.sin(np.arange(rows) / 9) + random.normal(0, 0.05, rows)
        values = np.column_stack([base, 2 * base + random.normal(0, 0.05, rows)])
        values[rows - 30 : rows - 20, 1] += 5
        parts.append(values)
    times = pd.date_range("2024-01-01", periods=rows, freq="h") if dated else pd.RangeIndex(rows)
    index = make_index(np.repeat(names, rows), np.tile(times.to_numpy(), entities))
    frame = pd.DataFrame(np.concatenate(parts), index=index, columns=["a", "b"])
    step = pd.Timedelta(hours=1) if dated else None
    return Dataset(frame, layout="tidy_series", step=step, files=("several.csv",))
