"""Layout of long series: one row per timestamp, entity and variable, and one column of values."""

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.columns import Roles
from core.data.dataset import Dataset
from core.data.ingest.layouts.base import build_dataset, find_role_columns, normalise_name, require_roles
from core.data.ingest.layouts.general import GeneralLayout, find_common_unit
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.data.ingest.readers import RawTable
from core.data.ingest.role_inference import UNIT_NAMES
from core.data.ingest.units import normalise_unit
from core.messages import N_

MISSING_VARIABLE = "?"


class LongSeries(GeneralLayout):
    """Table with a column of dates, a column of names of variables, and one column of values of all variables.

    The dataset has one column per variable. Units of a unit column are added to the names if they differ.

    Example:
        >>> times = ["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02"]
        >>> table = pd.DataFrame({"time": times, "metric": ["cpu", "mem", "cpu", "mem"], "value": [1.0, 8.0, 2.0, 9.0]})
        >>> LongSeries().detect_roles(table)
        {'time': 'time', 'metric': 'variable', 'value': 'measure'}
    """

    name = "long_series"
    label = N_("Series with one row per variable")
    summary = N_("One row per timestamp and variable: a timestamp, the name of the variable, and its value.")
    order = 34

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "time", "variable", "measure")
        measure = find_role_columns(roles, "measure")[0]
        variables = table.frame.pop(find_role_columns(roles, "variable")[0]).astype(object)
        variables = variables.where(variables.notna(), MISSING_VARIABLE).astype(str).str.strip()
        unit_column = next((name for name in table.frame if normalise_name(str(name)) in UNIT_NAMES), None)
        units = _find_units(variables, None if unit_column is None else table.frame[unit_column])
        header_unit = find_common_unit(table, [measure])
        if len(set(units.values())) == 1:
            header_unit, units = next(iter(units.values())) or header_unit, {}
        names = variables.map({name: f"{name} [{text}]" if text else name for name, text in units.items()})
        used_roles = {
            column: role
            for column, role in roles.items()
            if role not in ("variable", "measure", "total") and column != unit_column
        }
        long_table = build_dataset(table, {**used_roles, measure: "measure"}, self, {measure: "value"})
        dataset = _spread_variables(long_table, names.fillna(variables))
        return dataset.replace(unit=unit or header_unit, step=compute_usual_step(dataset))


def _find_units(variables: pd.Series, units: pd.Series | None) -> dict[str, str]:
    """Return the unit of every variable that the unit column gives; "" without one."""
    if units is None:
        return dict.fromkeys(variables.unique(), "")
    first = pd.Series(units.astype(object).to_numpy(), index=variables.to_numpy()).dropna()
    first = first[~first.index.duplicated()]
    return {name: normalise_unit(str(first.get(name, ""))) for name in variables.unique()}


def _spread_variables(long_table: Dataset, variables: pd.Series) -> Dataset:
    """Return one row per entity and timestamp, in the order of the file, and one column per variable.

    A variable that occurs again at the same timestamp gives a further row with this timestamp: the doctor reports it.
    """
    keys = pd.DataFrame(
        {
            "entity": long_table.entity_codes,
            "time": long_table.time.to_numpy(),
            "fold": long_table.is_second_pass,
            "variable": pd.factorize(variables)[0],
        }
    )
    occurrence = keys.groupby(["entity", "time", "fold", "variable"]).cumcount()
    rows = keys.assign(occurrence=occurrence).groupby(["entity", "time", "fold", "occurrence"], sort=False).ngroup()
    row_codes = rows.to_numpy()
    _, first_rows = np.unique(row_codes, return_index=True)
    names = list(pd.unique(variables))
    values = np.full((len(first_rows), len(names)), np.nan)
    values[row_codes, keys["variable"]] = long_table.values[:, 0]
    labels = None if long_table.labels is None else long_table.labels.groupby(row_codes).any().to_numpy()
    wide_table = long_table.take_rows(first_rows)
    frame = pd.DataFrame(values, index=wide_table.frame.index, columns=pd.Index(names))
    return wide_table.replace(
        frame=frame, labels=None if labels is None else pd.Series(labels, index=frame.index, name="label")
    )
