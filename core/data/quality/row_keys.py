"""Checks of the keys of rows: timestamps off the usual step, repeated keys."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset
from core.data.quality.checks import Rows

MAX_REPEAT_SHARE = 0.02  # of the rows, that a column leaves with the same key


def find_irregular_rows(dataset: Dataset) -> Rows:
    """Return rows of a series whose timestamp is not on the usual step of the entity.

    A series may start at any second: every five minutes at 53 seconds is a regular step.
    """
    return np.flatnonzero(compute_step_remainders(dataset))


def compute_step_remainders(dataset: Dataset) -> NDArray[np.int64]:
    """Return the time in ns from the usual step of the entity to every row, shape (rows,); 0 without a step.

    Steps are counted from the most frequent remainder of the timestamps, for steps over a day from the time of day.
    """
    if dataset.profile or not dataset.has_dates or dataset.step is None:
        return np.zeros(len(dataset), dtype=np.int64)
    step = pd.Timedelta(min(dataset.step, DAY)).value
    remainders = pd.DatetimeIndex(dataset.time).as_unit("ns").asi8 % step
    counts = pd.DataFrame({"code": dataset.entity_codes, "phase": remainders}).value_counts().reset_index()
    usual_phases = counts.drop_duplicates("code").set_index("code")["phase"]
    return (remainders - usual_phases.loc[dataset.entity_codes].to_numpy()) % step


def find_duplicates(dataset: Dataset) -> Rows:
    """Return rows whose entity and timestamp occur in an earlier row.

    The two passes of an hour that the autumn clock change repeats are no duplicates.
    """
    return np.flatnonzero(dataset.mark_duplicates())


def find_distinguishing_columns(dataset: Dataset) -> list[str]:
    """Return the columns that make entity and timestamp nearly unique: other context, or whole numbers."""
    keys = pd.DataFrame({"entity": dataset.entity_codes, "time": dataset.time.to_numpy()})
    columns: dict[str, object] = {} if dataset.context is None else dict(dataset.context.items())
    for column in () if dataset.profile else dataset.columns:
        values = dataset.frame[column]
        if (values.dropna() % 1 == 0).all() and values.nunique() < len(values) / 2:
            columns[column] = values
    repeats = {name: keys.assign(value=np.asarray(cells)).duplicated().mean() for name, cells in columns.items()}
    return [str(name) for name in sorted(repeats, key=lambda name: repeats[name]) if repeats[name] < MAX_REPEAT_SHARE]
