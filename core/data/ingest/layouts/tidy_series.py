"""Layout of tidy series: one row per timestamp and entity, one or more numeric columns."""

import pandas as pd
from typing_extensions import override

from core.data.dataset import Dataset
from core.data.ingest.date_parsing import looks_like_dates
from core.data.ingest.layouts.base import (
    ENTITY_NAMES,
    LABEL_NAMES,
    TIME_NAMES,
    Layout,
    Role,
    Roles,
    build_dataset,
    find_role_columns,
    normalise_name,
    parse_unit,
    require_roles,
)
from core.data.ingest.readers import RawTable
from core.messages import N_


class TidySeries(Layout):
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
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        time_columns = [column for column in table.columns if normalise_name(column) in TIME_NAMES]
        date_columns = [column for column in (*time_columns, *table.columns) if looks_like_dates(table[column])]
        if not date_columns:
            return None
        roles: dict[str, Role] = {column: self._find_role(table[column], column) for column in table.columns}
        roles[date_columns[0]] = "time"
        return roles if "measure" in roles.values() else None

    def _find_role(self, cells: pd.Series, column: str) -> Role:
        if normalise_name(column) in LABEL_NAMES:
            return "label"
        if normalise_name(column) in ENTITY_NAMES:
            return "entity"
        if pd.api.types.is_bool_dtype(cells):
            return "covariate"
        if pd.api.types.is_numeric_dtype(cells) or _is_mostly_numeric(cells):
            return "measure"
        return "context" if looks_like_dates(cells) or cells.nunique() > 0.5 * len(cells) else "entity"

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "time", "measure")
        measures = find_role_columns(roles, "measure")
        dataset = build_dataset(table, roles, self, {column: column for column in measures})
        units = {parse_unit(column) for column in measures}
        return dataset.replace(unit=unit or (units.pop() if len(units) == 1 else ""), step=compute_usual_step(dataset))


def _is_mostly_numeric(cells: pd.Series) -> bool:
    """Tell whether more than half of the first 500 filled cells are numbers."""
    from core.data.ingest.number_parsing import parse_numbers

    values, bad_rows = parse_numbers(cells.dropna().iloc[:500])
    return len(values) > 0 and len(bad_rows) < 0.5 * len(values)


def compute_usual_step(dataset: Dataset) -> pd.Timedelta | None:
    """Return the most frequent time between consecutive rows of an entity, or None without two distinct times.

    Example:
        >>> times = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-07"])
        >>> index = pd.MultiIndex.from_product([["Lyon"], times], names=["entity", "time"])
        >>> compute_usual_step(Dataset(pd.DataFrame({"load": [1.0, 2.0, 3.0, 4.0]}, index=index), "demo"))
        Timedelta('1 days 00:00:00')
    """
    order = pd.DataFrame({"entity": dataset.entity_codes, "time": dataset.time}).sort_values(["entity", "time"])
    steps = order["time"].diff()[order["entity"].diff() == 0]
    modes = steps[steps > pd.Timedelta(0)].mode()
    return None if modes.empty else pd.Timedelta(modes.iloc[0])
