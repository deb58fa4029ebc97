"""Layout of tidy series: one row per timestamp and entity, one or more numeric columns."""

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.columns import Roles
from core.data.dataset import Dataset
from core.data.ingest.layouts.base import build_dataset, find_role_columns, require_roles
from core.data.ingest.layouts.general import GeneralLayout, find_common_unit
from core.data.ingest.readers import RawTable
from core.messages import N_

MAX_SAMPLE_STEPS = 500_000


class TidySeries(GeneralLayout):
    """Table with a column of dates and numeric columns; columns of words name the entity.

    Example:
        >>> calls = pd.DataFrame({"time": ["2024-01-01 00:00", "2024-01-01 01:00"], "city": ["Lyon", "Lyon"],
        ...                       "calls": [12, 15], "holiday": [True, True]})
        >>> TidySeries().detect_roles(calls)
        {'time': 'time', 'city': 'entity', 'calls': 'measure', 'holiday': 'covariate'}
        >>> TidySeries().detect_roles(calls.drop(columns="time")) is None  # no column of dates
        True
    """

    name = "tidy_series"
    label = N_("Series with timestamps")
    summary = N_(
        "One row per timestamp and series: a timestamp, one or more values, and a column of names "
        "if there are several series."
    )
    order = 30

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "time", "measure")
        measures = find_role_columns(roles, "measure")
        header_unit = find_common_unit(table, measures)
        dataset = build_dataset(table, roles, self, {column: column for column in measures})
        return dataset.replace(unit=unit or header_unit, step=compute_usual_step(dataset))


def compute_usual_step(dataset: Dataset) -> pd.Timedelta | None:
    """Return the most frequent time between consecutive rows of an entity, or None without two distinct times.

    Example:
        >>> times = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-07"])
        >>> index = pd.MultiIndex.from_product([["Lyon"], times], names=["entity", "time"])
        >>> compute_usual_step(Dataset(pd.DataFrame({"load": [1.0, 2.0, 3.0, 4.0]}, index=index), "demo"))
        Timedelta('1 days 00:00:00')
    """
    codes, times = dataset.entity_codes, pd.DatetimeIndex(dataset.time).as_unit("ns").asi8
    if (np.diff(codes) < 0).any() or ((np.diff(times) < 0) & (np.diff(codes) == 0)).any():
        order = np.lexsort((times, codes))
        codes, times = codes[order], times[order]
    steps = np.diff(times)[(np.diff(codes) == 0) & (np.diff(times) > 0)]
    if len(steps) > MAX_SAMPLE_STEPS:  # both ends: a regular sample could meet the same pause of every day
        steps = np.concatenate([steps[: MAX_SAMPLE_STEPS // 2], steps[-MAX_SAMPLE_STEPS // 2 :]])
    modes = pd.Series(steps).mode()
    return None if modes.empty else pd.Timedelta(modes.iloc[0], unit="ns")
