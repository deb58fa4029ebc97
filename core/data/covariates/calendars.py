"""Calendars from installed libraries, without a file: public holidays of any country, and French school breaks."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

import numpy as np
import pandas as pd

from core.data.covariates.countries import split_calendar
from core.data.covariates.covariate_table import CovariateTable
from core.data.covariates.events import mark_days


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
    rows = [
        (calendar, day)
        for calendar in calendars
        for country, subdivision in [split_calendar(calendar)]
        for day in sorted(holidays.country_holidays(country, subdiv=subdivision or None, years=years))
    ]
    place, day = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    frame = mark_days(pd.DatetimeIndex(pd.to_datetime(day)), place, "holiday")
    return CovariateTable("holidays", frame, f"holidays {version('holidays')} ({', '.join(calendars)})")


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
