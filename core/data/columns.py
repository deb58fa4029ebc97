"""Roles of the columns of a file, and how each column was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from core.messages import N_, Message

Role = Literal[
    "time",
    "date",
    "time_of_day",
    "year",
    "month",
    "day",
    "hour",
    "hour_ending",
    "minute",
    "second",
    "entity",
    "variable",
    "measure",
    "total",
    "covariate",
    "context",
    "label",
    "ignore",
]
Roles = Mapping[str, Role]
ROLES: tuple[Role, ...] = get_args(Role)
TIME_PARTS: tuple[Role, ...] = ROLES[1:10]
"""Roles of columns that make the time together: a date and a time of day, or a year, a month and a day."""

ROLE_LABELS: Mapping[str, str] = {
    "time": N_("time"),
    "date": N_("date"),
    "time_of_day": N_("time of day"),
    "year": N_("year"),
    "month": N_("month"),
    "day": N_("day"),
    "hour": N_("hour (0–23)"),
    "hour_ending": N_("hour (1–24)"),
    "minute": N_("minute"),
    "second": N_("second"),
    "entity": N_("entity"),
    "variable": N_("variable"),
    "measure": N_("measurement"),
    "total": N_("declared total"),
    "covariate": N_("covariate"),
    "context": N_("context"),
    "label": N_("label"),
    "ignore": N_("ignored"),
}
"""Role → its name on screen."""


@dataclass(frozen=True)
class ColumnReading:
    """Role of a column, its unit, the reason for the role, and the first cells as text.

    `is_certain` is False where another role is possible; the person is told.
    """

    name: str
    role: Role
    reason: Message
    unit: str = ""
    is_certain: bool = True
    first_cells: tuple[str, ...] = ()
