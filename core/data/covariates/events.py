"""Events as days: strikes from start to end, public holidays, school breaks."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.covariate_table import Places, aggregate_by_day
from core.data.ingest.readers import RawTable
from core.messages import N_

MAX_STRIKE_DAYS = 31
MAX_EVENT_DAYS = 366
MAX_TERM_DAYS = 100  # no term of 1990 to 2026 is longer; longer means that the breaks are not decided yet
END_BEFORE_START = N_(
    "{file}: {count} event ends before it starts. Only its first day is used.",
    "{file}: {count} events end before they start. Only their first day is used.",
)
STRIKES_END_BEFORE_START = N_(
    "{file}: {count} strike ends before it starts. Only its first day is used.",
    "{file}: {count} strikes end before they start. Only their first day is used.",
)
LONG_STRIKES = N_(
    "{file}: {count} strike lasts more than {limit} days. It is probably a strike notice, so only its "
    "first day is used.",
    "{file}: {count} strikes last more than {limit} days. They are probably strike notices, so only their "
    "first day is used.",
)
LONG_EVENTS = N_(
    "{file}: {count} event lasts more than {limit} days. Only its first day is used.",
    "{file}: {count} events last more than {limit} days. Only their first day is used.",
)


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
    event, days = _expand_spans(
        table, start, end, MAX_STRIKE_DAYS, (STRIKES_END_BEFORE_START, "long_strikes", LONG_STRIKES)
    )
    strike_rows = aggregate_by_day(pd.DataFrame({"strike": 1.0, "strike_rate": rate[event]}), days, place[event])
    all_keys = pd.MultiIndex.from_product(
        [strike_rows.index.unique("place"), _build_day_range(strike_rows)], names=["place", "day"]
    )
    other_keys = all_keys.difference(strike_rows.index)
    return pd.concat([strike_rows, pd.DataFrame(0.0, index=other_keys, columns=strike_rows.columns)]).sort_index()


def expand_events(
    table: RawTable, start: pd.DatetimeIndex, end: pd.DatetimeIndex
) -> tuple[NDArray[np.intp], pd.DatetimeIndex]:
    """Return the number of the event and the day of every day of an event; start and end are both included.

    An event that ends before its start, or lasts more than a year, counts on its first day only; it is noted.
    """
    return _expand_spans(table, start, end, MAX_EVENT_DAYS, (END_BEFORE_START, "long_events", LONG_EVENTS))


def _expand_spans(
    table: RawTable, start: pd.DatetimeIndex, end: pd.DatetimeIndex, limit_days: int, notes: tuple[str, str, str]
) -> tuple[NDArray[np.intp], pd.DatetimeIndex]:
    """Return the number of the span and the day of every day; note spans that count on their first day only."""
    span_days = np.asarray((end - start).days, dtype=float)
    reversed_template, long_kind, long_template = notes
    for kind, is_wrong, template in (
        ("end_before_start", span_days < 0, reversed_template),
        (long_kind, span_days >= limit_days, long_template),
    ):
        if is_wrong.any():
            table.add_note(kind, int(is_wrong.sum()), template, limit=limit_days)
    day_counts = np.where((span_days >= 0) & (span_days < limit_days), span_days + 1, 1).astype(int)
    event = np.repeat(np.arange(len(start)), day_counts)
    offset = np.arange(len(event)) - np.repeat(np.cumsum(day_counts) - day_counts, day_counts)
    return event, start[event].normalize() + pd.to_timedelta(offset, unit="D")


def fill_years(flags: pd.DataFrame) -> pd.DataFrame:
    """Return flags of every place on all days from the first to the last of their years, 0 where they had none."""
    day = flags.index.get_level_values("day")
    years = pd.date_range(f"{day.min().year}-01-01", f"{day.max().year}-12-31")
    all_keys = pd.MultiIndex.from_product([flags.index.unique("place"), years], names=["place", "day"])
    return flags.reindex(all_keys).fillna(0.0)


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
                "{file}: the day after the last school break is ignored. Later school breaks are probably "
                "not decided yet.",
                "{file}: the {count} days after the last school break are ignored. Later school breaks are "
                "probably not decided yet.",
            ),
        )
    return decided_rows


def _build_day_range(frame: pd.DataFrame) -> pd.DatetimeIndex:
    day = frame.index.get_level_values("day")
    return pd.date_range(day.min(), day.max())
