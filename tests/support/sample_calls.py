"""Generated counts of calls per quarter-hour and trunk, for the tests of intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import Dataset, make_index

QUARTER = pd.Timedelta(minutes=15)
DAY_STEPS, WEEK_STEPS = 96, 672
START = "2024-01-01"  # a Monday


def make_calls(weeks: float = 5, trunks: int = 1, step: pd.Timedelta = QUARTER, seed: int = 0) -> Floats:
    """Return counts of calls, (steps, trunks): a weekly profile, and a noise that grows with the counts."""
    random = np.random.default_rng(seed)
    times = pd.date_range(START, periods=int(weeks * pd.Timedelta(days=7) / step), freq=step)
    hour = times.hour.to_numpy() + times.minute.to_numpy() / 60
    profile = 200 + 800 * np.exp(-(((hour - 13) / 4) ** 2)) * np.where(times.dayofweek < 5, 1.0, 0.4)
    levels = 1 + 0.5 * np.arange(trunks)
    expected = profile[:, None] * levels
    return np.asarray(random.poisson(random.gamma(400, expected / 400)), dtype=np.float64)


def make_call_dataset(
    values: Floats,
    start: str = START,
    step: pd.Timedelta = QUARTER,
    zone: str = "UTC",
    names: Sequence[str] = (),
    **columns: Floats,
) -> Dataset:
    """Return a dataset with one row per trunk ("T1" …) and step for the column `total`, and further `columns`.

    Values have the shape (steps, trunks). Rows without any value are left out.
    """
    count, trunks = values.shape
    names = names or [f"T{number + 1}" for number in range(trunks)]
    times = pd.date_range(start, periods=count, freq=step)
    fold = None
    if "/" in zone:
        local = times.tz_localize("UTC").tz_convert(zone)
        times = local.tz_localize(None)
        fold = np.tile(times.duplicated(), trunks)
    index = make_index(np.repeat(np.array(names, dtype=object), count), np.tile(times, trunks))
    frame = pd.DataFrame({"total": values.T.ravel(), **{name: grid.T.ravel() for name, grid in columns.items()}}, index)
    keep = frame.notna().any(axis=1).to_numpy()
    dataset = Dataset(
        frame,
        "tidy_series",
        step=step,
        zone=zone,
        files=("calls.csv",),
        fold=None if fold is None else pd.Series(fold, index),
    )
    return dataset.take_rows(keep)
