"""The French calendar without a file: public holidays and school breaks, from libraries that carry them."""

from functools import cache
from importlib.metadata import version

import numpy as np
import pandas as pd

from core.data.covariates.events import listed_days
from core.data.covariates.tables import NATION, CovariateTable


def public_holidays(days: pd.DatetimeIndex) -> CovariateTable:
    """Public holidays of metropolitan France in the years of `days`."""
    import holidays

    years = range(days.min().year, days.max().year + 1)
    day = pd.DatetimeIndex(sorted(pd.to_datetime(list(holidays.country_holidays("FR", years=years)))))
    frame = listed_days(day, np.full(len(day), NATION, dtype=object), "holiday")
    return CovariateTable("holidays", frame, f"holidays {version('holidays')}")


def school_breaks(days: pd.DatetimeIndex) -> CovariateTable:
    """School breaks of the zones A, B and C in the years of `days`, as far as the library knows them (1990 to 2028)."""
    breaks = _every_school_break()
    near = breaks.index.get_level_values("day").year.isin(days.year.unique())
    file = f"vacances-scolaires-france {version('vacances-scolaires-france')}"
    return CovariateTable("school_breaks", breaks[near], file)


@cache
def _every_school_break() -> pd.DataFrame:
    from vacances_scolaires_france import SchoolHolidayDates  # type: ignore[import-untyped]

    known = SchoolHolidayDates()
    rows = pd.DataFrame(list(known.data.values())).set_index("date")
    rows.index = pd.to_datetime(rows.index)
    every = pd.date_range(rows.index.min(), rows.index.max())
    zones = {zone: rows[f"vacances_zone_{zone.lower()}"].astype(float).reindex(every, fill_value=0.0) for zone in "ABC"}
    return pd.concat(zones, names=["place", "day"]).to_frame("school_break")
