"""Conversion of text to timestamps.

The format is detected from the values. Dates with two possible readings are marked as ambiguous.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import UnreadableFileError
from core.messages import N_

DAY_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y%m%d", "%d/%m/%y")
TIME_FORMATS = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S.%f")
DATE_FORMATS = tuple(day + hour for hour in TIME_FORMATS for day in DAY_FORMATS)
ACCEPTED_EXAMPLES = "2024-03-31, 2024/03/31, 31/03/2024, 2024-03-31 14:00, 2024-03-31T14:00:00+01:00"


@dataclass(frozen=True)
class ParsedDates:
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
    return bool(sample.str.contains(r"\d\d").mean() > 0.9 and _parse_texts(sample)[0].notna().mean() > 0.9)


def parse_dates(column: pd.Series, file: str) -> ParsedDates:
    """Return the column as timestamps without time zone; timestamps with a time zone are converted to UTC.

    Raises UnreadableFileError with file, column, row and value for the first cell that is not a date, and for columns
    that mix "day first" with "month first".

    Example:
        >>> dates = parse_dates(pd.Series(["03/04/2024", "31/03/2024"], name="day"), "gas.csv")
        >>> dates.times.strftime("%Y-%m-%d").tolist(), dates.formats, dates.ambiguous
        (['2024-04-03', '2024-03-31'], ('%d/%m/%Y',), False)
        >>> parse_dates(pd.Series(["03/04/2024"]), "gas.csv").ambiguous  # 3 April or 4 March
        True
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        times = _drop_timezone(pd.DatetimeIndex(column))
        _check_all_dates(times.where((times >= pd.Timestamp.min) & (times <= pd.Timestamp.max)), column, file)
        return ParsedDates(times.as_unit("ns"), ("datetime",))
    codes, texts = pd.factorize(column, use_na_sentinel=True)
    timestamps, formats, ambiguous = _parse_texts(pd.Series(texts, dtype=object).map(_to_text))
    times = pd.DatetimeIndex(np.append(timestamps.to_numpy(), np.datetime64("NaT"))[codes])
    _check_all_dates(times, column, file)
    if {date_format[:5] for date_format in formats} >= {"%d/%m", "%m/%d"}:
        raise UnreadableFileError(
            N_("{file}, column {column!r}: some dates start with the day, others with the month. Use one date format."),
            file=file,
            column=str(column.name),
        )
    return ParsedDates(times, formats, ambiguous)


def _to_text(value: object) -> str:
    """Return the cell as text without surrounding blanks; 20240331.0 becomes "20240331"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _check_all_dates(times: pd.DatetimeIndex, column: pd.Series, file: str) -> None:
    bad_rows = np.flatnonzero(times.isna())
    if len(bad_rows):
        raise UnreadableFileError(
            N_(
                "{file}, column {column!r}, row {row}: {value!r} is not a date ({count} such cells). "
                "Accepted: {accepted}."
            ),
            file=file,
            column=str(column.name),
            row=int(bad_rows[0]) + 1,
            value="" if pd.isna(column.iloc[bad_rows[0]]) else str(column.iloc[bad_rows[0]]),
            count=len(bad_rows),
            accepted=ACCEPTED_EXAMPLES,
        )


def _drop_timezone(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times.tz_convert("UTC").tz_localize(None) if times.tz is not None else times


def _parse_texts(texts: pd.Series) -> tuple[pd.Series, tuple[str, ...], bool]:
    """Return the timestamps (NaT for other text), their formats, and True if day and month can be exchanged."""
    timestamps = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")
    formats: list[str] = []
    ambiguous = False
    while (remaining := texts[timestamps.isna()]).size:
        date_format, new_timestamps = _find_best_format(remaining)
        if date_format is None:
            utc_timestamps = pd.to_datetime(remaining, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)
            return (
                timestamps.fillna(utc_timestamps),
                (*formats, *(["ISO 8601"] if utc_timestamps.notna().any() else [])),
                ambiguous,
            )
        if date_format.startswith("%d/%m"):
            swapped = pd.to_datetime(remaining, format=date_format.replace("%d/%m", "%m/%d"), errors="coerce")
            ambiguous |= bool(
                swapped[new_timestamps.notna()].notna().all()
                and (swapped != new_timestamps)[new_timestamps.notna()].any()
            )
        timestamps = timestamps.fillna(new_timestamps)
        formats.append(date_format)
    return timestamps, tuple(formats), ambiguous


def _find_best_format(texts: pd.Series) -> tuple[str | None, pd.Series]:
    """Return the format that reads most of `texts`, and the timestamps read with it.

    Of two equally good formats, the first in `DATE_FORMATS` is taken: day before month.
    """
    sample = texts.iloc[:: len(texts) // 200 + 1]  # of the whole column: a first week has no day above 12
    best_format, best_share = None, 0.0
    for date_format in DATE_FORMATS:
        read_share = pd.to_datetime(sample, format=date_format, errors="coerce").notna().mean()
        if read_share > best_share:
            best_format, best_share = date_format, read_share
        if best_share == 1:
            break
    return best_format, texts if best_format is None else pd.to_datetime(texts, format=best_format, errors="coerce")
