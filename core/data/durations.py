"""Lengths of time in words, such as "36h" or "3 months", as a number of periods."""

import re

import pandas as pd

from core.data.dataset import DAY
from core.data.frequencies import WEEK, get_month_count, get_step
from core.errors import OptionError
from core.messages import N_

HOUR, MINUTE = pd.Timedelta(hours=1), pd.Timedelta(minutes=1)
FIXED_UNITS: dict[str, pd.Timedelta] = {
    **dict.fromkeys(("s", "sec", "second", "seconds", "seconde", "secondes"), pd.Timedelta(seconds=1)),
    **dict.fromkeys(("min", "mins", "mn", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours", "heure", "heures"), HOUR),
    **dict.fromkeys(("d", "day", "days", "j", "jour", "jours"), DAY),
    **dict.fromkeys(("w", "week", "weeks", "sem", "semaine", "semaines"), WEEK),
}
MONTH_UNITS: dict[str, int] = {
    **dict.fromkeys(("month", "months", "mois", "mo"), 1),
    **dict.fromkeys(("quarter", "quarters", "q", "trimestre", "trimestres"), 3),
    **dict.fromkeys(("y", "year", "years", "an", "ans", "année", "années"), 12),
}
FORM = re.compile(r"(\d+(?:[.,]\d+)?)\s*([^\W\d_]*)")
EXAMPLES = "7, 36h, 2w, 3 months"


def parse_duration(text: str, name: str = "horizon") -> tuple[float, str]:
    """Return the number and the unit of a length of time; the unit is "" for a number of periods.

    Raises OptionError, about the option `name`, for another form.

    Example:
        >>> parse_duration("36h"), parse_duration("2 semaines"), parse_duration("7")
        ((36.0, 'h'), (2.0, 'semaines'), (7.0, ''))
        >>> parse_duration("soon")
        Traceback (most recent call last):
        core.errors.OptionError: horizon = 'soon' is not accepted. Accepted: 7, 36h, 2w, 3 months.
    """
    match = FORM.fullmatch(text.strip().casefold())
    if match is None or match[2] not in ("", *FIXED_UNITS, *MONTH_UNITS):
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."), name=name, value=text, accepted=EXAMPLES
        )
    return float(match[1].replace(",", ".")), match[2]


def count_periods(length: int | str, last: pd.Timestamp, frequency: str, name: str = "horizon") -> int:
    """Return the whole periods of `frequency` in a length of time after the period `last`.

    Months and years count as in the calendar. Raises OptionError for another form, or a length that is no whole number
    of periods.

    Example:
        >>> last = pd.Timestamp("2024-01-31")
        >>> [count_periods(length, last, "D") for length in (7, "2w", "48h", "1 month")]
        [7, 14, 2, 29]
        >>> count_periods("1 year", last, "QS-JAN")
        4
        >>> count_periods("36h", last, "D")
        Traceback (most recent call last):
        core.errors.OptionError: horizon = '36h' is 1.5 periods of the data (D). Accepted: whole periods.
    """
    if isinstance(length, int):
        return length
    number, unit = parse_duration(length, name)
    months, step = get_month_count(frequency), get_step(frequency)
    is_calendar = unit in MONTH_UNITS
    if unit == "":
        count = number
    elif is_calendar and months:
        count = number * MONTH_UNITS[unit] / months
    elif is_calendar:
        end = last + pd.DateOffset(months=int(number * MONTH_UNITS[unit]))
        count = (end - last) / step
    else:
        count = number * FIXED_UNITS[unit] / step
    is_mixed = bool(months) and unit in FIXED_UNITS  # a month is no whole number of days
    is_split = is_calendar and (number * MONTH_UNITS[unit]) % 1 != 0
    if count % 1 or count < 1 or is_mixed or is_split:
        raise OptionError(
            N_("{name} = {value!r} is {count} periods of the data ({frequency}). Accepted: whole periods."),
            name=name,
            value=length,
            count=float(f"{count:.3g}"),
            frequency=frequency,
        )
    return int(count)
