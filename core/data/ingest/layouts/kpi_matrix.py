"""Layout of KPI matrices: numbers only, one row per timestamp, one column per KPI.

An optional column `part` separates training rows from test rows.
"""

import pandas as pd
from typing_extensions import override

from core.data.dataset import Dataset
from core.data.ingest.date_parsing import looks_like_dates
from core.data.ingest.layouts.base import (
    LABEL_NAMES,
    TIME_NAMES,
    Layout,
    Role,
    Roles,
    build_dataset,
    find_role_columns,
    normalise_name,
    require_roles,
)
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.data.ingest.number_parsing import parse_numbers
from core.data.ingest.readers import RawTable
from core.messages import N_

PART_COLUMN = "part"
PART_NAMES = ("train", "test")


class KpiMatrix(Layout):
    """Table of numeric columns; the row number is the time.

    With a `part` column, a time column is accepted as well.

    Example:
        >>> servers = pd.DataFrame({"cpu": [0.1, 0.2], "memory": [0.5, 0.6], "label": [0, 1]})
        >>> KpiMatrix().detect_roles(servers)
        {'cpu': 'measure', 'memory': 'measure', 'label': 'label'}
        >>> KpiMatrix().detect_roles(servers.assign(host=["web", "db"])) is None  # a column of words
        True
    """

    name = "kpi_matrix"
    label = N_("KPI matrix")
    summary = N_("Numbers only: one row per timestamp in chronological order, one column per KPI.")
    order = 25

    @override
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        has_part = PART_COLUMN in table.columns and _is_part_column(table[PART_COLUMN])
        roles: dict[str, Role] = {}
        for column in table.columns:
            cells = table[column]
            if has_part and column == PART_COLUMN:
                roles[column] = "context"
            elif has_part and normalise_name(column) in TIME_NAMES and looks_like_dates(cells):
                roles[column] = "time"
            elif normalise_name(column) in LABEL_NAMES and not len(
                parse_numbers(cells)[1]
            ):  # true and false are also numbers
                roles[column] = "label"
            elif pd.api.types.is_numeric_dtype(cells):
                roles[column] = "measure"
            else:
                return None
        return roles if "measure" in roles.values() else None

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "measure")
        measures = {column: column for column in find_role_columns(roles, "measure")}
        dataset = build_dataset(table, roles, self, measures)
        if dataset.context is not None and PART_COLUMN in dataset.context:
            part = pd.Categorical(dataset.context[PART_COLUMN], categories=list(PART_NAMES))
            dataset = dataset.replace(context=dataset.context.assign(part=part))
        return dataset.replace(unit=unit, step=compute_usual_step(dataset) if dataset.has_dates else None)


def _is_part_column(cells: pd.Series) -> bool:
    """Tell whether every cell is "train" or "test"."""
    return not pd.api.types.is_numeric_dtype(cells) and bool(cells.isin(PART_NAMES).all())
