"""Events as days: strikes from start to end, public holidays, school breaks."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.tables import Places, by_day
from core.data.ingest.readers import Table
from core.messages import N_

MAX_STRIKE_DAYS = 31
MAX_TERM_DAYS = 100  # no term of 1990 to 2026 is longer; longer means that the breaks are not decided yet


def strike_days(
    table: Table, start: pd.DatetimeIndex, end: pd.DatetimeIndex, rate: NDArray[np.float64], place: Places
) -> pd.DataFrame:
    """Return one row per place and day: `strike` 0 or 1, `strike_rate` in %, 0 without a strike.

    - Start and end are both included. The rate of a day is the largest of its strikes.
    - A strike without an end, or with an end before its start, lasts one day.
    - A strike of more than 31 days counts on its start day only. Such entries are notices ("préavis") that allow
      strikes for months, up to 276 days in the open data of SNCF, and not months of strike.
    - Other days between the first and the last strike have no strike. Days before and after are absent: unknown.
    """
    length = np.asarray((end - start).days, dtype=float)
    for kind, wrong, template in (
        (
            "end_before_start",
            length < 0,
            N_("{file}: {count} strikes end before they start; only the day they start counts."),
        ),
        (
            "long_strikes",
            length >= MAX_STRIKE_DAYS,
            N_(
                "{file}: {count} strikes last more than {limit} days: notices rather than strikes; only the "
                "day they start counts."
            ),
        ),
    ):
        if wrong.any():
            table.note(kind, int(wrong.sum()), template, limit=MAX_STRIKE_DAYS)
    days = np.where((length >= 0) & (length < MAX_STRIKE_DAYS), length + 1, 1).astype(int)
    event = np.repeat(np.arange(len(start)), days)
    offset = np.arange(len(event)) - np.repeat(np.cumsum(days) - days, days)
    on = by_day(
        pd.DataFrame({"strike": 1.0, "strike_rate": rate[event]}),
        start[event].normalize() + pd.to_timedelta(offset, unit="D"),
        place[event],
    )
    every = pd.MultiIndex.from_product([on.index.unique("place"), _span(on)], names=["place", "day"])
    off = every.difference(on.index)
    return pd.concat([on, pd.DataFrame(0.0, index=off, columns=on.columns)]).sort_index()


def listed_days(day: pd.DatetimeIndex, place: Places, column: str) -> pd.DataFrame:
    """Return 1 on the given days and 0 on all other days from the first to the last of their years."""
    listed = by_day(pd.DataFrame({column: np.ones(len(day))}), day, place)
    years = pd.date_range(f"{day.min().year}-01-01", f"{day.max().year}-12-31")
    every = pd.MultiIndex.from_product([listed.index.unique("place"), years], names=["place", "day"])
    return listed.reindex(every, fill_value=0.0)


def without_unwritten_terms(table: Table, breaks: pd.DataFrame) -> pd.DataFrame:
    """Return `breaks` without the days after the last break, if these exceed `MAX_TERM_DAYS`.

    Calendars are published one or two years in advance. Files that reach further say "no break" for undecided days.
    """
    kept = []
    for _, own in breaks.groupby(level="place"):
        day = own.index.get_level_values("day")
        known = own[own["school_break"] > 0]
        last = known.index.get_level_values("day").max() if len(known) else day.min()
        kept.append(own[day <= last] if day.max() - last > pd.Timedelta(days=MAX_TERM_DAYS) else own)
    written = pd.concat(kept)
    lost = breaks.index.unique("day").difference(written.index.unique("day"))
    if len(lost):
        table.note(
            "unwritten_terms",
            len(lost),
            N_(
                "{file}: the {count} days after the last school break are left out: a break that is not yet "
                "decided is not known to be none."
            ),
        )
    return written


def _span(frame: pd.DataFrame) -> pd.DatetimeIndex:
    day = frame.index.get_level_values("day")
    return pd.date_range(day.min(), day.max())
