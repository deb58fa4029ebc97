"""Layout of series merged from windows (.seq): a timestamp or a row number, unnamed KPIs or times of a day, labels."""

import re

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.columns import Role, Roles
from core.data.dataset import DAY, Dataset, make_clock_labels, make_index
from core.data.ingest.clock_columns import PROFILE_COLUMN_COUNTS
from core.data.ingest.layouts.base import Layout, build_dataset, find_role_columns, require_roles
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.data.ingest.readers import RawTable
from core.messages import N_


class SeqWindows(Layout):
    """Table with the columns ts, column_1 … column_n, or ts and the times of a day; ts holds dates or row numbers.

    Example:
        >>> SeqWindows().detect_roles(pd.DataFrame({"ts": [0, 1], "column_1": [0.1, 0.2], "label": [0.0, 1.0]}))
        {'ts': 'time', 'column_1': 'measure', 'label': 'label'}
    """

    name = "seq"
    label = N_("Windows of a series (.seq)")
    summary = N_(
        "One file per window, saved by torch: value (T, 1, n, 1), label and ts. The windows are merged into one series."
    )
    order = 15

    role_by_column: dict[str, Role] = {"ts": "time", "entity": "entity", "label": "label"}

    @override
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        if list(table.columns[:1]) != ["ts"]:
            return None
        roles: dict[str, Role] = {column: self.role_by_column.get(column, "measure") for column in table.columns}
        measures = find_role_columns(roles, "measure")
        is_numbered = all(re.fullmatch(r"column_\d+", column) for column in measures)
        return roles if measures and (is_numbered or _are_times_of_day(measures)) else None

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "time", "measure")
        row_numbers = None
        [ts] = find_role_columns(roles, "time")[:1]
        if pd.api.types.is_numeric_dtype(table.frame[ts]):
            row_numbers = table.frame.pop(ts)
            roles = {column: role for column, role in roles.items() if column != ts}
        measures = {column: column for column in find_role_columns(roles, "measure")}
        dataset = build_dataset(table, roles, self, measures).replace(unit=unit)
        if row_numbers is not None:
            return _set_row_numbers(dataset, row_numbers)
        if _are_times_of_day(list(measures)):
            return dataset.replace(profile=True, step=DAY / len(measures))
        return dataset.replace(step=compute_usual_step(dataset))


def _are_times_of_day(columns: list[str]) -> bool:
    return len(columns) in PROFILE_COLUMN_COUNTS and columns == make_clock_labels(len(columns))


def _set_row_numbers(dataset: Dataset, row_numbers: pd.Series) -> Dataset:
    """Return the dataset with the row numbers of the file instead of consecutive ones."""
    index = make_index(dataset.frame.index.get_level_values("entity"), pd.Index(row_numbers.to_numpy(dtype=np.int64)))
    labels = None if dataset.labels is None else dataset.labels.set_axis(index)
    return dataset.replace(frame=dataset.frame.set_axis(index, axis=0), labels=labels)
