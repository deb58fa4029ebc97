"""Layout of KPI matrices: numbers only, one row per timestamp, one column per KPI.

An optional column `part` separates training rows from test rows.
"""

import pandas as pd
from typing_extensions import override

from core.data.columns import Roles
from core.data.dataset import Dataset
from core.data.ingest.layouts.base import build_dataset, find_role_columns, require_roles
from core.data.ingest.layouts.general import GeneralLayout, find_common_unit
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.data.ingest.readers import RawTable
from core.data.ingest.role_inference import PART_COLUMN, PART_NAMES
from core.messages import N_


class KpiMatrix(GeneralLayout):
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
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "measure")
        measures = {column: column for column in find_role_columns(roles, "measure")}
        header_unit = find_common_unit(table, list(measures))
        dataset = build_dataset(table, roles, self, measures)
        if dataset.context is not None and PART_COLUMN in dataset.context:
            part = pd.Categorical(dataset.context[PART_COLUMN], categories=list(PART_NAMES))
            dataset = dataset.replace(context=dataset.context.assign(part=part))
        return dataset.replace(
            unit=unit or header_unit, step=compute_usual_step(dataset) if dataset.has_dates else None
        )
