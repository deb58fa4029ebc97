"""Events as days: strikes from start to end, public holidays, school breaks."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.covariate_table import Places, aggregate_by_day
from core.data.ingest.readers import RawTable
from core.messages import N_

MAX_STRIKE_DAYS = 31
MAX_TERM_DAYS = 100  # no term of 1990 to 2026 is longer; longer means that the breaks are not decided yet


def expand_strikes(
    table: RawTable, start: pd.DatetimeIndex, end: pd.DatetimeIndex, rate: NDArray[np.float64], place: Places
) -> pd.DataFrame:
    """Return one row per place and day: `strike` 0 or 1, `strike_rate` in %, 0 without a strike.

    - Start and end are both included. The rate of a day is the largest of its strikes.
    - A strike without an end, or with an end before its start, lasts one day.
    - A strike of more than 31 days counts on its start day only. Such entries are notices ("préavis") that allow
      strikes for months, up to 276 days in the open data of SNCF, and not months of strike.
    - Other days between the first and the last strike have no strike. Days before and after are absent: unknown.
    """
    span_days = np.asarray((end - start).days, dtype=float)
    for kind, is_wrong, template in (
        (
            "end_before_start",
            span_days < 0,
            N_("{file}: {count} strikes end before they start. Only their first day is used."),
        ),
        (
            "long_strikes",
            span_days >= MAX_STRIKE_DAYS,
            N_(
                "{file}: {count} strikes last more than {limit} days. They are probably strike "
                "notices, so only their first day is used."
            ),
        ),
    ):
        if is_wrong.any():
            table.add_note(kind, int(is_wrong.sum()), template, limit=MAX_STRIKE_DAYS)
    day_counts = np.where((span_days >= 0) & (span_days < MAX_STRIKE_DAYS), span_days + 1, 1).astype(int)
    event = np.repeat(np.arange(len(start)), day_counts)
    offset = np.arange(len(event)) - np.repeat(np.cumsum(day_counts) - day_counts, day_counts)
    strike_rows = aggregate_by_day(
        pd.DataFrame({"strike": 1.0, "strike_rate": rate[event]}),
        start[event].normalize() + pd.to_timedelta(offset, unit="D"),
        place[event],
    )
    all_keys = pd.MultiIndex.from_product(
        [strike_rows.index.unique("place"), _build_day_range(strike_rows)], names=["place", "day"]
    )
    other_keys = all_keys.difference(strike_rows.index)
    return pd.concat([strike_rows, pd.DataFrame(0.0, index=other_keys, columns=strike_rows.columns)]).sort_index()


def mark_days(day: pd.DatetimeIndex, place: Places, column: str) -> pd.DataFrame:
    """Return 1 on the given days and 0 on all other days from the first to the last of their years."""
    marked = aggregate_by_day(pd.DataFrame({column: np.ones(len(day))}), day, place)
    years = pd.date_range(f"{day.min().year}-01-01", f"{day.max().year}-12-31")
    all_keys = pd.MultiIndex.from_product([marked.index.unique("place"), years], names=["place", "day"])
    return marked.reindex(all_keys, fill_value=0.0)


def drop_undecided_days(table: RawTable, breaks: pd.DataFrame) -> pd.DataFrame:
    """Return `breaks` without the days after the last break, if these exceed `MAX_TERM_DAYS`.

    Calendars are published one or two years in advance. Files that reach further say "no break" for undecided days.
    """
    parts = []
    for _, place_rows in breaks.groupby(level="place"):
        day = place_rows.index.get_level_values("day")
        break_rows = place_rows[place_rows["school_break"] > 0]
        last_break = break_rows.index.get_level_values("day").max() if len(break_rows) else day.min()
        parts.append(
            place_rows[day <= last_break] if day.max() - last_break > pd.Timedelta(days=MAX_TERM_DAYS) else place_rows
        )
    decided_rows = pd.concat(parts)
    dropped_days = breaks.index.unique("day").difference(decided_rows.index.unique("day"))
    if len(dropped_days):
        table.add_note(
            "unwritten_terms",
            len(dropped_days),
            N_(
                "{file}: the {count} days after the last school break are ignored. Later "
                "school breaks are probably not decided yet."
            ),
        )
    return decided_rows


def _build_day_range(frame: pd.DataFrame) -> pd.DatetimeIndex:
    day = frame.index.get_level_values("day")
    return pd.date_range(day.min(), day.max())
