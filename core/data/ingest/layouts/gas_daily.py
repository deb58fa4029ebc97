"""Layout of French regional gas (ODRÉ open data): one row per gas day, operator and region, 24 hours in MWh.

Column names are French or English.
"""

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.columns import Role, Roles
from core.data.dataset import Dataset, format_timestamp
from core.data.ingest.layouts.base import LABEL_NAMES, find_role_columns, normalise_name
from core.data.ingest.layouts.daily_profile import DailyProfile
from core.data.ingest.readers import RawTable
from core.data.quality.findings import Finding
from core.messages import N_, Message


class GasDaily(DailyProfile):
    """Daily profiles with the entity operator × region; the gas day runs from 06:00 to 06:00.

    Example:
        >>> hours = {f"{hour:02d}:00": [1.0] for hour in range(24)}
        >>> days = {"date": ["2024-01-01"], "operateur": ["GRTgaz"], "region": ["Bretagne"], "mouvement_social": [0]}
        >>> columns = GasDaily().detect_roles(pd.DataFrame({**days, **hours}))
        >>> {column: role for column, role in columns.items() if role != "measure"}
        {'date': 'time', 'operateur': 'entity', 'region': 'entity', 'mouvement_social': 'covariate'}
    """

    name = "gas_daily"
    label = N_("Regional gas, daily")
    summary = N_("One row per gas day, operator and region: 24 hours in MWh and, if known, strikes.")
    order = 10

    day_start = 6
    default_unit = "MWh"
    names_by_role: dict[Role, tuple[str, ...]] = {
        "time": ("date", "day", "gasday", "jour", "dateheure"),
        "entity": ("operateur", "operator", "region", "regname"),
        "total": (
            "consommationjournaliere",
            "consojournalieremwhpcs0degc",
            "consommationjournalieremwhpcs0c",
            "dailyconsumption",
            "dailyconsumptionmwh",
            "dailyconsumptionmwhpcs0c",
            "dailytotal",
            "total",
        ),
        "covariate": ("movementsocial", "mouvementsocial", "strike", "greve"),
        "context": (
            "statut",
            "status",
            "motif",
            "reason",
            "strikereason",
            "secteurdactivite",
            "sector",
            "coderegion",
            "regioncode",
            "codeinseeregion",
        ),
        "label": LABEL_NAMES,
    }

    standard_names = {
        "movementsocial": "strike",
        "mouvementsocial": "strike",
        "greve": "strike",
        "strike": "strike",
        "motif": "reason",
        "strikereason": "reason",
        "reason": "reason",
        "statut": "status",
        "status": "status",
        "secteurdactivite": "sector",
        "sector": "sector",
        "coderegion": "region_code",
        "regioncode": "region_code",
        "codeinseeregion": "region_code",
    }

    @override
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        roles = super().detect_roles(table)
        if roles is None:
            return None
        names = {normalise_name(column) for column in find_role_columns(roles, "entity")}
        return roles if names & {"operateur", "operator"} and names & {"region", "regname"} else None

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        dataset = super().build(table, roles, unit)
        rows, columns = np.nonzero(dataset.values < 0)
        if not len(rows):
            return dataset
        locations = tuple(
            {
                "entity": dataset.entity[row],
                "time": format_timestamp(dataset.time[row]),
                "column": dataset.columns[column],
                "value": float(dataset.values[row, column]),
            }
            for row, column in zip(rows[: Finding.MAX_LOCATIONS], columns, strict=False)
        )
        message = Message(
            N_(
                "{file}: {count} hour has a negative consumption.", "{file}: {count} hours have a negative consumption."
            ),
            {"file": table.name, "count": len(rows)},
        )
        return dataset.replace(notes=(*dataset.notes, Finding("negative_values", len(rows), message, locations)))
