"""Numbers only: one row per moment, one column per KPI, no dates."""

import pandas as pd

from core.data.dataset import Dataset
from core.data.layouts.base import LABEL, Layout, Role, Roles, assembled, having, plain, require
from core.data.readers import Table
from core.text import N_


class KpiMatrix(Layout):
    """Columns of numbers; the row number stands for time."""

    name = "kpi_matrix"
    label = N_("KPI matrix")
    summary = N_("Numbers only: one row per moment, one column per KPI, in the order of time.")
    order = 40

    def roles(self, table: pd.DataFrame) -> Roles | None:
        numeric = [column for column in table.columns if pd.api.types.is_numeric_dtype(table[column])]
        if len(numeric) < len(table.columns) or not numeric:
            return None
        roles: dict[str, Role] = {column: "label" if plain(column) in LABEL else "measure" for column in numeric}
        return roles if "measure" in roles.values() else None

    def build(self, table: Table, roles: Roles, unit: str) -> Dataset:
        require(table, roles, self, "measure")
        measures = having(roles, "measure")
        return assembled(table, roles, self, {column: column for column in measures}).replace(unit=unit)
