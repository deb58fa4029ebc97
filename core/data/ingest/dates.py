"""Conversion of text to timestamps.

The format is detected from the values. Dates with two possible readings are marked as ambiguous.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import UnreadableFileError
from core.messages import N_

DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y%m%d", "%d/%m/%y")
HOURS = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S.%f")
FORMATS = tuple(day + hour for hour in HOURS for day in DAYS)
ACCEPTED = "2024-03-31, 2024/03/31, 31/03/2024, 2024-03-31 14:00, 2024-03-31T14:00:00+01:00"


@dataclass(frozen=True)
class Moments:
    """Timestamps of a column and their formats, the most frequent format first.

    `ambiguous` is True if every value is also a date with month and day exchanged.
    """

    times: pd.DatetimeIndex
    formats: tuple[str, ...]
    ambiguous: bool = False


def looks_like_dates(column: pd.Series) -> bool:
    """Tell whether more than 90 % of the first 50 distinct values are dates.

    Example:
        >>> looks_like_dates(pd.Series(["31/03/2024", "01/04/2024"])), looks_like_dates(pd.Series(["12", "13"]))
        (True, False)
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    sample = pd.Series(pd.unique(column.dropna())[:50]).astype(str)
    return bool(sample.str.contains(r"\d\d").mean() > 0.9 and _parsed(sample)[0].notna().mean() > 0.9)


def moments(column: pd.Series, file: str) -> Moments:
    """Return the column as timestamps without time zone; timestamps with a time zone are converted to UTC.

    Raises UnreadableFileError with file, column, row and value for the first cell that is not a date, and for columns
    that mix "day first" with "month first".

    Example:
        >>> dates = moments(pd.Series(["03/04/2024", "31/03/2024"], name="day"), "gas.csv")
        >>> dates.times.strftime("%Y-%m-%d").tolist(), dates.formats, dates.ambiguous
        (['2024-04-03', '2024-03-31'], ('%d/%m/%Y',), False)
        >>> moments(pd.Series(["03/04/2024"]), "gas.csv").ambiguous  # 3 April or 4 March
        True
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        times = _naive(pd.DatetimeIndex(column))
        _check(times.where((times >= pd.Timestamp.min) & (times <= pd.Timestamp.max)), column, file)
        return Moments(times.as_unit("ns"), ("datetime",))
    codes, texts = pd.factorize(column, use_na_sentinel=True)
    parsed, formats, ambiguous = _parsed(pd.Series(texts, dtype=object).map(_as_text))
    times = pd.DatetimeIndex(np.append(parsed.to_numpy(), np.datetime64("NaT"))[codes])
    _check(times, column, file)
    if {form[:5] for form in formats} >= {"%d/%m", "%m/%d"}:
        raise UnreadableFileError(
            N_("{file}, column {column!r}: some dates put the day first, others the month; write them in one way."),
            file=file,
            column=str(column.name),
        )
    return Moments(times, formats, ambiguous)


def _as_text(value: object) -> str:
    """Return the cell as text without surrounding blanks; 20240331.0 becomes "20240331"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _check(times: pd.DatetimeIndex, column: pd.Series, file: str) -> None:
    bad = np.flatnonzero(times.isna())
    if len(bad):
        raise UnreadableFileError(
            N_(
                "{file}, column {column!r}, row {row}: {value!r} is not a date ({count} such cells). "
                "Accepted: {accepted}."
            ),
            file=file,
            column=str(column.name),
            row=int(bad[0]) + 1,
            value="" if pd.isna(column.iloc[bad[0]]) else str(column.iloc[bad[0]]),
            count=len(bad),
            accepted=ACCEPTED,
        )


def _naive(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times.tz_convert("UTC").tz_localize(None) if times.tz is not None else times


def _parsed(texts: pd.Series) -> tuple[pd.Series, tuple[str, ...], bool]:
    """Return the timestamps (NaT for other text), their formats, and True if day and month can be exchanged."""
    left = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")
    used: list[str] = []
    ambiguous = False
    while (todo := texts[left.isna()]).size:
        name, found = _best(todo)
        if name is None:
            zoned = pd.to_datetime(todo, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)
            return left.fillna(zoned), (*used, *(["ISO 8601"] if zoned.notna().any() else [])), ambiguous
        if name.startswith("%d/%m"):
            swapped = pd.to_datetime(todo, format=name.replace("%d/%m", "%m/%d"), errors="coerce")
            ambiguous |= bool(swapped[found.notna()].notna().all() and (swapped != found)[found.notna()].any())
        left = left.fillna(found)
        used.append(name)
    return left, tuple(used), ambiguous


def _best(texts: pd.Series) -> tuple[str | None, pd.Series]:
    """Return the format that reads most of `texts`, and the timestamps read with it.

    Of two equally good formats, the first in `FORMATS` is taken: day before month.
    """
    sample = texts.iloc[:: len(texts) // 200 + 1]  # of the whole column: a first week has no day above 12
    best, share = None, 0.0
    for name in FORMATS:
        read = pd.to_datetime(sample, format=name, errors="coerce").notna().mean()
        if read > share:
            best, share = name, read
        if share == 1:
            break
    return best, texts if best is None else pd.to_datetime(texts, format=best, errors="coerce")
