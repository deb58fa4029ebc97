"""Layout of daily profiles: one row per day and entity, one column per hour, half-hour, quarter-hour … of the day."""

import pandas as pd
from typing_extensions import override

from core.data.columns import Role, Roles
from core.data.dataset import DAY, Dataset
from core.data.ingest.clock_columns import find_clock_columns
from core.data.ingest.date_parsing import looks_like_dates
from core.data.ingest.layouts.base import (
    ENTITY_NAMES,
    LABEL_NAMES,
    TIME_NAMES,
    Layout,
    build_dataset,
    find_role_columns,
    normalise_name,
    require_roles,
)
from core.data.ingest.readers import RawTable
from core.data.ingest.readers.base import NAMELESS_COLUMN
from core.data.ingest.units import parse_unit
from core.errors import UnknownLayoutError
from core.messages import N_


class DailyProfile(Layout):
    """Table with a date and the columns of one day; other columns are totals or context.

    Example:
        >>> hours = {f"{hour:02d}:00": [1.0, 2.0] for hour in range(24)}
        >>> days = pd.DataFrame({"date": ["2024-01-01", "2024-01-02"], "site": ["Nord", "Nord"], **hours})
        >>> layout = DailyProfile()
        >>> {column: role for column, role in layout.detect_roles(days).items() if role != "measure"}
        {'date': 'time', 'site': 'entity'}
        >>> layout.detect_roles(days.drop(columns="07:00")) is None  # an hour is missing
        True
    """

    name = "daily_profile"
    label = N_("Daily profiles")
    summary = N_(
        "One row per day and entity: a date, 24 hourly, 48 half-hourly or 96 quarter-hourly columns, and a column "
        "of names if there are several entities."
    )
    order = 20

    day_start = 0
    default_unit = ""
    names_by_role: dict[Role, tuple[str, ...]] = {
        "time": TIME_NAMES,
        "entity": ENTITY_NAMES,
        "label": LABEL_NAMES,
        "total": ("total",),
    }

    @override
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        time_by_column = find_clock_columns(list(table.columns))
        if not time_by_column:
            return None
        roles: dict[str, Role] = {}
        for column in table.columns:
            roles[column] = "measure" if column in time_by_column else self._find_role(column)
        if "time" not in roles.values():
            context_columns = [column for column, role in roles.items() if role == "context"]
            roles |= dict.fromkeys(
                [column for column in context_columns if looks_like_dates(table[column])][:1], "time"
            )
        return roles if "time" in roles.values() else None

    def _find_role(self, column: str) -> Role:
        if NAMELESS_COLUMN.fullmatch(column):
            return "ignore"
        name = normalise_name(column)
        exact_role = next((role for role, names in self.names_by_role.items() if name in names), None)
        return exact_role or (
            "total" if name.startswith(("total", "consommationjournaliere", "dailytotal")) else "context"
        )

    @override
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        require_roles(table, roles, self, "time", "measure")
        time_by_column = find_clock_columns(find_role_columns(roles, "measure"))
        if not time_by_column:
            raise UnknownLayoutError(
                N_(
                    "{file}: {count} column is a measurement. A daily profile has 24 (00:00 … 23:00), 48, "
                    "96, 144 or 288.",
                    "{file}: {count} columns are measurements. A daily profile has 24 (00:00 … 23:00), 48, "
                    "96, 144 or 288.",
                ),
                file=table.name,
                count=len(find_role_columns(roles, "measure")),
            )
        header_unit = next(filter(None, map(parse_unit, list(roles))), "")
        measures = dict(sorted(time_by_column.items(), key=lambda pair: pair[1]))
        dataset = build_dataset(table, roles, self, measures)
        return dataset.replace(
            profile=True,
            step=DAY / len(time_by_column),
            day_start=self.day_start,
            unit=unit or header_unit or self.default_unit,
        )
