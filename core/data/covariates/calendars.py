"""Calendars from installed libraries, without a file: public holidays of any country, and French school breaks."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

import pandas as pd

from core.data.covariates.countries import split_calendar
from core.data.covariates.covariate_table import CovariateTable

LANGUAGE_CODES = {"en": "en_US"}
"""Language → its code in the library, where it has another."""


def load_public_holidays(days: pd.DatetimeIndex, calendars: Sequence[str]) -> CovariateTable:
    """Return the public holidays of the `calendars` ("FR", "DE-BY" …) in the years of `days`; a calendar is a place.

    Example:
        >>> import pandas as pd
        >>> holiday = load_public_holidays(pd.DatetimeIndex(["2024-05-01"]), ["FR", "US"]).frame["holiday"]
        >>> len(holiday), holiday.groupby("place").sum().to_dict()
        (732, {'FR': 11.0, 'US': 11.0})
    """
    import holidays

    years = range(days.min().year, days.max().year + 1)
    all_days = pd.date_range(f"{years[0]}-01-01", f"{years[-1]}-12-31", name="day")
    flags = {}
    for calendar in calendars:
        country, subdivision = split_calendar(calendar)
        public_days = holidays.country_holidays(country, subdiv=subdivision or None, years=years)
        flags[calendar] = pd.Series(all_days.isin(pd.to_datetime(sorted(public_days))).astype(float), index=all_days)
    frame = pd.concat(flags, names=["place", "day"]).to_frame("holiday").sort_index()
    return CovariateTable("holidays", frame, f"holidays {version('holidays')} ({', '.join(calendars)})")


def name_public_holidays(days: pd.DatetimeIndex, calendar: str, language: str = "en") -> dict[pd.Timestamp, str]:
    """Return day → name of the public holidays of a calendar in the years of `days`.

    A calendar without names in the language, "en" or "fr", gives those it has.

    Example:
        >>> names = name_public_holidays(pd.DatetimeIndex(["2024-05-01"]), "FR", "fr")
        >>> names[pd.Timestamp("2024-07-14")]
        'Fête nationale'
    """
    import holidays

    country, subdivision = split_calendar(calendar)
    years = range(days.min().year, days.max().year + 1)
    code = LANGUAGE_CODES.get(language, language)
    public_days = holidays.country_holidays(country, subdiv=subdivision or None, years=years, language=code)
    return {pd.Timestamp(day): name for day, name in public_days.items()}


def load_school_breaks(days: pd.DatetimeIndex) -> CovariateTable:
    """Return the school breaks of the zones A, B and C in the years of `days`; the library knows 1990 to 2028.

    Example:
        >>> import pandas as pd
        >>> table = load_school_breaks(pd.DatetimeIndex(["2024-02-20"]))
        >>> table.frame.xs("2024-02-20", level="day")["school_break"].to_dict()
        {'A': 1.0, 'B': 0.0, 'C': 1.0}
    """
    breaks = _load_all_school_breaks()
    in_years = breaks.index.get_level_values("day").year.isin(days.year.unique())
    file = f"vacances-scolaires-france {version('vacances-scolaires-france')}"
    return CovariateTable("school_breaks", breaks[in_years], file)


@cache
def _load_all_school_breaks() -> pd.DataFrame:
    """Load all school breaks of the library as one row per zone and day."""
    from vacances_scolaires_france import SchoolHolidayDates  # type: ignore[import-untyped]

    calendar = SchoolHolidayDates()
    rows = pd.DataFrame(list(calendar.data.values())).set_index("date")
    rows.index = pd.to_datetime(rows.index)
    days = pd.date_range(rows.index.min(), rows.index.max())
    zones = {zone: rows[f"vacances_zone_{zone.lower()}"].astype(float).reindex(days, fill_value=0.0) for zone in "ABC"}
    return pd.concat(zones, names=["place", "day"]).to_frame("school_break")
