"""Numbers only: one row per moment, one column per KPI.

A column `part` may say what is for training and what for testing.
"""

import pandas as pd
from typing_extensions import override

from core.data.dataset import Dataset
from core.data.ingest.cells import numbers
from core.data.ingest.dates import looks_like_dates
from core.data.ingest.layouts.base import LABEL, TIME, Layout, Role, Roles, assembled, having, plain, require
from core.data.ingest.layouts.tidy_series import usual_step
from core.data.ingest.readers import Table
from core.messages import N_

PART = "part"
PARTS = ("train", "test")


class KpiMatrix(Layout):
    """Columns of numbers; the row number stands for time."""

    name = "kpi_matrix"
    label = N_("KPI matrix")
    summary = N_("Numbers only: one row per moment, one column per KPI, in the order of time.")
    order = 25

    @override
    def roles(self, table: pd.DataFrame) -> Roles | None:
        parted = PART in table.columns and _is_part(table[PART])
        roles: dict[str, Role] = {}
        for column in table.columns:
            cells = table[column]
            if parted and column == PART:
                roles[column] = "context"
            elif parted and plain(column) in TIME and looks_like_dates(cells):
                roles[column] = "time"
            elif plain(column) in LABEL and not len(numbers(cells)[1]):  # true and false are numbers, too
                roles[column] = "label"
            elif pd.api.types.is_numeric_dtype(cells):
                roles[column] = "measure"
            else:
                return None
        return roles if "measure" in roles.values() else None

    @override
    def build(self, table: Table, roles: Roles, unit: str) -> Dataset:
        require(table, roles, self, "measure")
        measures = {column: column for column in having(roles, "measure")}
        dataset = assembled(table, roles, self, measures)
        if dataset.context is not None and PART in dataset.context:
            part = pd.Categorical(dataset.context[PART], categories=list(PARTS))
            dataset = dataset.replace(context=dataset.context.assign(part=part))
        return dataset.replace(unit=unit, step=usual_step(dataset) if dataset.dated else None)


def _is_part(cells: pd.Series) -> bool:
    """Does every row say train or test?"""
    return not pd.api.types.is_numeric_dtype(cells) and bool(cells.isin(PARTS).all())
