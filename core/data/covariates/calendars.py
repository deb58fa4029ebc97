"""French calendar from installed libraries, without a file: public holidays and school breaks."""

from functools import cache
from importlib.metadata import version

import numpy as np
import pandas as pd

from core.data.covariates.covariate_table import NATION, CovariateTable
from core.data.covariates.events import mark_days


def load_public_holidays(days: pd.DatetimeIndex) -> CovariateTable:
    """Return the public holidays of metropolitan France in the years of `days`.

    Example:
        >>> import pandas as pd
        >>> holiday = load_public_holidays(pd.DatetimeIndex(["2024-05-01"])).frame["holiday"]
        >>> len(holiday), int(holiday.sum())
        (366, 11)
    """
    import holidays

    years = range(days.min().year, days.max().year + 1)
    day = pd.DatetimeIndex(sorted(pd.to_datetime(list(holidays.country_holidays("FR", years=years)))))
    frame = mark_days(day, np.full(len(day), NATION, dtype=object), "holiday")
    return CovariateTable("holidays", frame, f"holidays {version('holidays')}")


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
