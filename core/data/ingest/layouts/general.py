"""Contract of layouts of any table: the roles come from the values of the columns, not from their names."""

from abc import ABC

import pandas as pd
from typing_extensions import override

from core.data.columns import Roles
from core.data.ingest.layouts.base import Layout
from core.data.ingest.number_parsing import find_cell_unit
from core.data.ingest.readers import RawTable
from core.data.ingest.role_inference import infer_roles
from core.data.ingest.units import parse_unit


class GeneralLayout(Layout, ABC):
    """Contract of a layout that `infer_roles` chooses."""

    @override
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        reading = infer_roles(table)
        return reading.roles if reading.layout == self.name else None


def find_common_unit(table: RawTable, measures: list[str]) -> str:
    """Return the unit of the measurements if all of them have the same, else "".

    It stands in the headers, in the cells, or in the lines above the table.
    """
    units = {parse_unit(column) or find_cell_unit(table.frame[column]) for column in measures}
    return (units.pop() or table.unit) if len(units) == 1 else ""
