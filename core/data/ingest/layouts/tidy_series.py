"""Layout of tidy series: one row per timestamp and entity, one or more numeric columns."""

import pandas as pd
from typing_extensions import override

from core.data.dataset import Dataset
from core.data.ingest.dates import looks_like_dates
from core.data.ingest.layouts.base import (
    ENTITY,
    LABEL,
    TIME,
    Layout,
    Role,
    Roles,
    assembled,
    having,
    plain,
    require,
    unit_in,
)
from core.data.ingest.readers import Table
from core.messages import N_


class TidySeries(Layout):
    """Table with a column of dates and numeric columns; columns of words name the entity.

    Example:
        >>> calls = pd.DataFrame({"time": ["2024-01-01 00:00", "2024-01-01 01:00"], "city": ["Lyon", "Lyon"],
        ...                       "calls": [12, 15], "holiday": [True, True]})
        >>> TidySeries().roles(calls)
        {'time': 'time', 'city': 'entity', 'calls': 'measure', 'holiday': 'driver'}
        >>> TidySeries().roles(calls.drop(columns="time")) is None  # no column of dates
        True
    """

    name = "tidy_series"
    label = N_("Series with timestamps")
    summary = N_("One row per moment: a timestamp, one or more values, a name if there are several series.")
    order = 30

    @override
    def roles(self, table: pd.DataFrame) -> Roles | None:
        named = [column for column in table.columns if plain(column) in TIME]
        dates = [column for column in (*named, *table.columns) if looks_like_dates(table[column])]
        if not dates:
            return None
        roles: dict[str, Role] = {column: self._role(table[column], column) for column in table.columns}
        roles[dates[0]] = "time"
        return roles if "measure" in roles.values() else None

    def _role(self, cells: pd.Series, column: str) -> Role:
        if plain(column) in LABEL:
            return "label"
        if plain(column) in ENTITY:
            return "entity"
        if pd.api.types.is_bool_dtype(cells):
            return "driver"
        if pd.api.types.is_numeric_dtype(cells) or _mostly_numbers(cells):
            return "measure"
        return "context" if looks_like_dates(cells) or cells.nunique() > 0.5 * len(cells) else "entity"

    @override
    def build(self, table: Table, roles: Roles, unit: str) -> Dataset:
        require(table, roles, self, "time", "measure")
        measures = having(roles, "measure")
        dataset = assembled(table, roles, self, {column: column for column in measures})
        found = {unit_in(column) for column in measures}
        return dataset.replace(unit=unit or (found.pop() if len(found) == 1 else ""), step=usual_step(dataset))


def _mostly_numbers(cells: pd.Series) -> bool:
    """Tell whether more than half of the first 500 filled cells are numbers."""
    from core.data.ingest.cells import numbers

    values, bad = numbers(cells.dropna().iloc[:500])
    return len(values) > 0 and len(bad) < 0.5 * len(values)


def usual_step(dataset: Dataset) -> pd.Timedelta | None:
    """Return the most frequent time between consecutive rows of an entity, or None without two distinct times.

    Example:
        >>> times = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-07"])
        >>> index = pd.MultiIndex.from_product([["Lyon"], times], names=["entity", "time"])
        >>> usual_step(Dataset(pd.DataFrame({"load": [1.0, 2.0, 3.0, 4.0]}, index=index), "demo"))
        Timedelta('1 days 00:00:00')
    """
    order = pd.DataFrame({"entity": dataset.entity_codes, "time": dataset.time}).sort_values(["entity", "time"])
    steps = order["time"].diff()[order["entity"].diff() == 0]
    usual = steps[steps > pd.Timedelta(0)].mode()
    return None if usual.empty else pd.Timedelta(usual.iloc[0])
