"""Layout of KPI matrices: numbers only, one row per timestamp, one column per KPI.

An optional column `part` separates training rows from test rows.
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
    """Table of numeric columns; the row number is the time.

    With a `part` column, a time column is accepted as well.

    Example:
        >>> servers = pd.DataFrame({"cpu": [0.1, 0.2], "memory": [0.5, 0.6], "label": [0, 1]})
        >>> KpiMatrix().roles(servers)
        {'cpu': 'measure', 'memory': 'measure', 'label': 'label'}
        >>> KpiMatrix().roles(servers.assign(host=["web", "db"])) is None  # a column of words
        True
    """

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
            elif plain(column) in LABEL and not len(numbers(cells)[1]):  # true and false are also numbers
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
    """Tell whether every cell is "train" or "test"."""
    return not pd.api.types.is_numeric_dtype(cells) and bool(cells.isin(PARTS).all())
