"""Layout of daily profiles: one row per day and entity, 24 hourly or 96 quarter-hourly columns."""

import pandas as pd
from typing_extensions import override

from core.data.dataset import DAY, Dataset
from core.data.ingest.dates import looks_like_dates
from core.data.ingest.layouts.base import (
    ENTITY,
    LABEL,
    TIME,
    Layout,
    Role,
    Roles,
    assembled,
    clock_columns,
    having,
    plain,
    require,
    unit_in,
)
from core.data.ingest.readers import Table
from core.errors import UnknownLayoutError
from core.messages import N_


class DailyProfile(Layout):
    """Table with a date and 24 or 96 columns of one day; other columns are totals or context.

    Example:
        >>> hours = {f"{hour:02d}:00": [1.0, 2.0] for hour in range(24)}
        >>> days = pd.DataFrame({"date": ["2024-01-01", "2024-01-02"], "site": ["Nord", "Nord"], **hours})
        >>> layout = DailyProfile()
        >>> {column: role for column, role in layout.roles(days).items() if role != "measure"}
        {'date': 'time', 'site': 'entity'}
        >>> layout.roles(days.drop(columns="07:00")) is None  # an hour is missing
        True
    """

    name = "daily_profile"
    label = N_("Daily profiles")
    summary = N_("One row per day: a date, 24 hourly or 96 quarter-hourly columns, a name if there are several.")
    order = 20

    day_start = 0
    default_unit = ""
    aliases: dict[Role, tuple[str, ...]] = {"time": TIME, "entity": ENTITY, "label": LABEL, "total": ("total",)}

    @override
    def roles(self, table: pd.DataFrame) -> Roles | None:
        clock = clock_columns(list(table.columns))
        if not clock:
            return None
        roles: dict[str, Role] = {}
        for column in table.columns:
            roles[column] = "measure" if column in clock else self._role(column)
        if "time" not in roles.values():
            free = [column for column, role in roles.items() if role == "context"]
            roles |= dict.fromkeys([column for column in free if looks_like_dates(table[column])][:1], "time")
        return roles if "time" in roles.values() else None

    def _role(self, column: str) -> Role:
        name = plain(column)
        exact = next((role for role, names in self.aliases.items() if name in names), None)
        return exact or ("total" if name.startswith(("total", "consommationjournaliere", "dailytotal")) else "context")

    @override
    def build(self, table: Table, roles: Roles, unit: str) -> Dataset:
        require(table, roles, self, "time", "measure")
        clock = clock_columns(having(roles, "measure"))
        if not clock:
            raise UnknownLayoutError(
                N_("{file}: {count} columns are measurements; a daily profile has 24 (00:00 … 23:00) or 96."),
                file=table.name,
                count=len(having(roles, "measure")),
            )
        found = next(filter(None, map(unit_in, list(roles))), "")
        ordered = dict(sorted(clock.items(), key=lambda pair: pair[1]))
        dataset = assembled(table, roles, self, ordered)
        return dataset.replace(
            profile=True, step=DAY / len(clock), day_start=self.day_start, unit=unit or found or self.default_unit
        )
