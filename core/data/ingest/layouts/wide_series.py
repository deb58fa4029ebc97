"""Layout of wide series: one row per timestamp, one numeric column per entity."""

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.columns import Roles
from core.data.dataset import Dataset, make_index
from core.data.ingest.layouts.base import build_dataset, find_role_columns, require_roles
from core.data.ingest.layouts.general import GeneralLayout, find_common_unit
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.data.ingest.readers import RawTable
from core.messages import N_

VALUE_COLUMN = "value"


class WideSeries(GeneralLayout):
    """Table with a column of dates and one numeric column per entity, all of one quantity.

    An entity exists from its first to its last number.

    Example:
        >>> times = ["2024-01-01 00:00", "2024-01-01 01:00"]
        >>> load = pd.DataFrame({"time": times, "NORTH": [None, 5.0], "SOUTH": [1.0, 2.0]})
        >>> WideSeries().detect_roles(load)
        {'time': 'time', 'NORTH': 'measure', 'SOUTH': 'measure'}
    """

    name = "wide_series"
    label = N_("Series with one column per entity")
    summary = N_("One row per timestamp, and one column per region, site or server with the same quantity.")
    order = 35

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "time", "measure")
        names = find_role_columns(roles, "measure")
        header_unit = find_common_unit(table, names)
        roles = {column: role for column, role in roles.items() if role not in ("entity", "total")}
        wide = build_dataset(table, roles, self, {name: name for name in names})
        return _stack_columns(wide).replace(unit=unit or header_unit)


def _stack_columns(wide: Dataset) -> Dataset:
    """Return one row per timestamp and column, each column from its first to its last number.

    Labels, covariates and context of a timestamp count for every entity.
    """
    rows, codes = [], []
    for code in range(len(wide.columns)):
        filled = np.flatnonzero(~np.isnan(wide.values[:, code]))
        if len(filled):
            rows.append(np.arange(filled[0], filled[-1] + 1))
            codes.append(np.full(len(rows[-1]), code))
    all_rows, all_codes = np.concatenate(rows), np.concatenate(codes)
    entities = pd.Categorical.from_codes(all_codes, categories=pd.Index(wide.columns))
    index = make_index(entities, wide.time[all_rows])
    stacked = wide.take_rows(all_rows)
    stacked = stacked.with_index(index).replace(
        frame=pd.DataFrame({VALUE_COLUMN: wide.values[all_rows, all_codes]}, index=index)
    )
    return stacked.replace(step=compute_usual_step(stacked))
