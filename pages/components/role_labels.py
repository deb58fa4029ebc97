"""Names of the roles of columns in the language of the reader."""

from core.messages import N_
from pages.components.i18n import _

ROLE_LABELS = {
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
    "measure": N_("measurement"),
    "total": N_("declared total"),
    "covariate": N_("covariate"),
    "context": N_("context"),
    "label": N_("label"),
    "ignore": N_("ignore"),
}


def format_role(role: object) -> str:
    """Return the name of a role; a role without a name keeps its own."""
    return _(ROLE_LABELS.get(str(role), str(role)))
