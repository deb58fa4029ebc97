"""Overview of a dataset: what was read as which column and entity, for the first look after loading."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.columns import ColumnReading
from core.data.dataset import Dataset

MAX_LINES = 6


@dataclass(frozen=True)
class ColumnOverview:
    """Reading of a column, with the range of its values and the number of missing ones.

    `lowest`, `highest` and `missing` are None for a column that is neither the time nor a measurement.
    """

    reading: ColumnReading
    lowest: float | pd.Timestamp | None = None
    highest: float | pd.Timestamp | None = None
    missing: int | None = None


@dataclass(frozen=True)
class EntityOverview:
    """Rows of an entity: their number, first and last time, usual step, and the number of missing values."""

    entity: str
    rows: int
    start: pd.Timestamp | None
    end: pd.Timestamp | None
    step: pd.Timedelta | None
    missing: int


def describe_columns(dataset: Dataset) -> list[ColumnOverview]:
    """Return an overview of each column of the first file.

    Example:
        >>> from core.data.dataset import make_index
        >>> from core.messages import Message
        >>> index = make_index(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> dataset = Dataset(pd.DataFrame({"MW": [1.0, None, 3.0]}, index), "tidy_series")
        >>> dataset = dataset.replace(readings=(ColumnReading("MW", "measure", Message("numbers")),))
        >>> [(column.lowest, column.highest, column.missing) for column in describe_columns(dataset)]
        [(1.0, 3.0, 1)]
    """
    return [_describe_column(reading, dataset) for reading in dataset.readings]


def _describe_column(reading: ColumnReading, dataset: Dataset) -> ColumnOverview:
    if reading.role in ("time", "date") and dataset.has_dates and len(dataset):
        return ColumnOverview(reading, dataset.time.min(), dataset.time.max(), 0)
    if reading.role != "measure" or reading.name not in dataset.frame:
        return ColumnOverview(reading)
    values = dataset.frame[reading.name].to_numpy()
    missing = int(np.isnan(values).sum())
    if missing == len(values):
        return ColumnOverview(reading, missing=missing)
    return ColumnOverview(reading, float(np.nanmin(values)), float(np.nanmax(values)), missing)


def describe_entities(dataset: Dataset) -> list[EntityOverview]:
    """Return an overview of each entity, in the order of their names.

    Example:
        >>> from core.data.dataset import make_index
        >>> index = make_index(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> entity = describe_entities(Dataset(pd.DataFrame({"MW": [1.0, None, 3.0]}, index), "tidy_series"))[0]
        >>> entity.rows, str(entity.step), entity.missing
        (3, '1 days 00:00:00', 1)
    """
    codes = dataset.entity_codes
    count = len(dataset.entities)
    rows = np.bincount(codes, minlength=count)
    missing = np.bincount(codes, weights=np.isnan(dataset.values).sum(axis=1), minlength=count).astype(int)
    if not dataset.has_dates:
        return [
            EntityOverview(entity, int(rows[code]), None, None, None, int(missing[code]))
            for code, entity in enumerate(dataset.entities)
        ]
    order = np.lexsort((dataset.time.to_numpy(), codes))
    times, sorted_codes = pd.DatetimeIndex(dataset.time)[order], codes[order]
    ends = np.cumsum(rows)
    steps = _find_usual_steps(times, sorted_codes)
    return [
        EntityOverview(
            entity,
            int(rows[code]),
            times[ends[code] - rows[code]],
            times[ends[code] - 1],
            steps.get(code),
            int(missing[code]),
        )
        for code, entity in enumerate(dataset.entities)
    ]


def _find_usual_steps(times: pd.DatetimeIndex, codes: NDArray[np.intp]) -> dict[int, pd.Timedelta]:
    """Return the median time between the rows of each entity, from times sorted by entity."""
    steps = pd.Series(np.diff(times.asi8))[codes[1:] == codes[:-1]]
    medians = steps[steps > 0].groupby(codes[:-1][steps[steps > 0].index]).median()
    return {int(code): pd.Timedelta(value, unit=times.unit).round("s") for code, value in medians.items()}


def select_lines(dataset: Dataset) -> dict[str, pd.Series]:
    """Return up to six lines to look at, by name, each in the order of time.

    They are the first measurement of each entity, or the measurements of a single entity.
    """
    if len(dataset.entities) == 1 and not dataset.profile:
        table = dataset.frame.iloc[:, :MAX_LINES].droplevel("entity").sort_index(kind="stable")
        return {str(column): table[column] for column in table.columns}
    lines = {}
    for entity in dataset.entities[:MAX_LINES]:
        series = dataset.take_rows(np.asarray(dataset.entity == entity)).to_series()
        lines[entity] = series.frame.iloc[:, 0].droplevel("entity").sort_index(kind="stable")
    return lines


def count_lines(dataset: Dataset) -> int:
    """Return the number of lines that `select_lines` chooses from."""
    is_single = len(dataset.entities) == 1 and not dataset.profile
    return len(dataset.columns) if is_single else len(dataset.entities)
