"""Parts of timestamps written as text: date, clock time, offset from UTC.

Every step is a vectorised regular expression of Arrow on the distinct texts. The order of day and month is left open:
`core.data.ingest.date_parsing` decides it for a whole column.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from babel import Locale
from numpy.typing import NDArray

Days = NDArray[np.datetime64]

LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "nl")
ORDERS = ("dmy", "mdy", "ymd")
"""Orders of day, month and year; of equally good orders, the first is taken."""

NO_DAY: Any = np.datetime64("NaT", "D")
NANOSECONDS_PER_SECOND = 10**9
SHAPE_SAMPLE = 10_000
OFFSET_MINUTES = {"": np.nan, "z": 0, "utc": 0, "gmt": 0, "wet": 0, "cet": 60, "west": 60, "cest": 120, "eet": 120}
"""Text of an offset → minutes east of UTC; only names with a single meaning."""

RANGE = r"^(.*\d.*?)\s+(?:-|–|—|/|to|au|a|bis)\s+\d.*$|^([^/]*\d{1,2}:\d{2}[^/]*)/.*:.*$"
OFFSET = (
    r"^(?P<text>.*[:th ]\d{1,2}(?:[.,]\d+)?(?:\s*[ap]m)?)\s*"
    r"(?P<offset>z|utc|gmt|wet|west|cet|cest|eet|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?)(?:\[[a-z_/]+\])?$"
)
CLOCK = (
    r"^(?P<date>.*?[\d@])(?:\s*[t,:_]\s*|\s+)(?P<hour>\d{1,2})"
    r"(?:\s*[:h.]\s*(?P<minute>\d{1,2})?(?:\s*[:m.]\s*(?P<second>\d{1,2})?s?(?:[.,](?P<fraction>\d{1,9})\d*)?)?"
    r"\s*(?P<half>[ap]m)?|\s*(?P<half_only>[ap]m))$"
)
HOUR_ONLY = r"^(?P<date>\d{4}-\d{2}-\d{2})[t ](?P<hour>\d{2})$"
COMPACT_CLOCK = r"^(?P<date>\d{8})[t _]?(?P<hour>\d{2})(?P<minute>\d{2})?(?P<second>\d{2})?$"
NUMERIC_DATE = r"^(?P<a>\d{1,4})\s*[-/. ]\s*(?P<b>\d{1,2})\s*[-/. ]\s*(?P<c>\d{1,4})\.?$"
NAMED_MONTH = r"^(?P<a>\d{1,4})?\W*@(?P<m>\d{2})@\W*(?P<b>\d{1,4})?(?:\W+(?P<c>\d{4}))?$"
YEAR_MONTH = r"^(?P<y>\d{4})\s*[-/]?\s*(?P<m>\d{1,2})$"
MONTH_YEAR = r"^(?P<m>\d{1,2})\s*[-/]\s*(?P<y>\d{4})$"
COMPACT_DATE = r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})$"
ISO_WEEK = r"^(?P<y>\d{4})\s*-?\s*[ws]\s*(?P<w>\d{1,2})(?:-?(?P<d>[1-7]))?$"
QUARTER = r"^(?P<y>\d{4})\s*-?\s*[qt]\s*(?P<q>[1-4])$"
ORDINAL_DAY = r"^(?P<y>\d{4})-(?P<n>\d{3})$"


@dataclass(frozen=True)
class TimestampParts:
    """Parts of n timestamps.

    days     order of day, month and year → date of every text as datetime64[D], NaT where it is no date
    clock    time of the day in ns; 24:00 is a whole day
    offset   minutes east of UTC, NaN without an offset
    shapes   texts of a sample with their digits replaced, equal for equal formats: "00/00/0000 00:00"
    """

    days: dict[str, Days]
    clock: NDArray[np.int64]
    offset: NDArray[np.float64]
    shapes: NDArray[np.object_]


def split_timestamps(texts: pa.Array) -> TimestampParts:
    """Split timestamps into date, clock time and offset.

    A range ("10:00 - 11:00") counts as its start. Names of months and weekdays may be English, French, German, Spanish,
    Italian, Portuguese or Dutch.

    Example:
        >>> parts = split_timestamps(pa.array(["03/04/2024 1:30 PM", "3 avril 2024 24:00", "2024-W05", "n/a"]))
        >>> parts.days["dmy"].astype(str).tolist()
        ['2024-04-03', '2024-04-03', '2024-01-29', 'NaT']
        >>> parts.days["mdy"].astype(str).tolist()
        ['2024-03-04', '2024-04-03', '2024-01-29', 'NaT']
        >>> (parts.clock / 3.6e12).tolist()
        [13.5, 24.0, 0.0, 0.0]
    """
    cleaned = _clean(texts)
    cleaned, offset = _split_offset(cleaned)
    dates, clock = _split_clock(cleaned)
    days = _read_days(dates)
    for order in ORDERS:
        days[order][clock < 0] = NO_DAY
    return TimestampParts(days, np.maximum(clock, 0), offset, _describe_shapes(cleaned))


def _clean(texts: pa.Array) -> pa.Array:
    """Return the texts in lower case, without accents, with months as @MM@, and only the start of a range."""
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKD"), "[\u0300-\u036f]", "")
    texts = pc.utf8_trim_whitespace(pc.utf8_lower(texts))
    texts = _replace_where(texts, r"\s\s|[\t\n\x{a0}\x{2007}\x{2009}\x{202f}]", "[\\s\u00a0\u2007\u2009\u202f]+", " ")
    texts = _replace_where(texts, r"m\.?$", r"\b([ap])\.?\s?m\b\.?", r"\1m")
    texts = _replace_where(texts, r"\s(?:-|–|—|/|to|au|a|bis)\s|/.*:", RANGE, r"\1\2")
    return _replace_names(texts) if _has_match(texts, "[a-z]{3}") else texts


def _has_match(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())


def _replace_where(texts: pa.Array, condition: str, pattern: str, replacement: str) -> pa.Array:
    """Replace `pattern` if any text matches the cheaper `condition`."""
    return pc.replace_substring_regex(texts, pattern, replacement) if _has_match(texts, condition) else texts


def _replace_names(texts: pa.Array) -> pa.Array:
    """Remove the names of weekdays before a date, and write the names of months as @MM@."""
    weekdays, months = _list_names()
    texts = pc.replace_substring_regex(
        texts,
        rf"^(?:{'|'.join(weekdays)})[.,]*\s+(.*\b(?:{'|'.join(months)})\b.*|\d{{1,4}}[-/. ]\d{{1,2}}[-/. ].*)$",
        r"\1",
    )
    for name, number in months.items():
        texts = pc.replace_substring_regex(texts, rf"(^|[^a-z]){name}\.?([^a-z]|$)", rf"\1@{number:02d}@\2")
    return texts


@cache
def _list_names() -> tuple[list[str], dict[str, int]]:
    """Return the names of the weekdays, and of the months with their numbers; longer names first."""
    weekdays: set[str] = set()
    months: dict[str, int] = {}
    for language in LANGUAGES:
        locale = Locale.parse(language)
        for width in ("wide", "abbreviated"):
            weekdays |= {_plain(name) for name in locale.days["format"][width].values()}
            for number, name in locale.months["format"][width].items():
                months.setdefault(_plain(name), int(number))
    months |= {"sept": 9, "fev": 2, "aou": 8}
    return (
        sorted(weekdays, key=len, reverse=True),
        {name: months[name] for name in sorted(months, key=lambda name: (-len(name), name))},
    )


def _plain(name: str) -> str:
    plain: str = pc.replace_substring_regex(
        pc.utf8_normalize(pa.array([name.lower()]), "NFKD"), "[\u0300-\u036f.]", ""
    )[0].as_py()
    return plain


def _split_offset(texts: pa.Array) -> tuple[pa.Array, NDArray[np.float64]]:
    """Return the texts without their offset from UTC, and the offsets in minutes."""
    if not _has_match(texts, r"[\dm ](?:[a-z]{1,4}|[+-]\d[\d:]*|\])$"):
        return texts, np.full(len(texts), np.nan)
    groups = pc.extract_regex(texts, OFFSET)
    rest = pc.coalesce(pc.struct_field(groups, "text"), texts)
    codes, names = _factorize(pc.fill_null(pc.struct_field(groups, "offset"), ""))
    return rest, np.array([_parse_offset(name) for name in names])[codes]


def _factorize(texts: pa.Array) -> tuple[NDArray[np.intp], list[str]]:
    encoded = texts.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def _parse_offset(name: str) -> float:
    """Return the minutes east of UTC: "+02:00" → 120, "" → NaN."""
    if name in OFFSET_MINUTES:
        return float(OFFSET_MINUTES[name])
    digits = name.removeprefix("utc").removeprefix("gmt")
    sign, numbers = (-1 if digits[0] == "-" else 1), digits[1:].replace(":", "")
    hours, minutes = (numbers[:-2], numbers[-2:]) if len(numbers) > 2 else (numbers, "0")
    return float(sign * (60 * int(hours) + int(minutes)))


def _split_clock(texts: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the dates, and the clock times in ns; -1 for a time that does not exist."""
    clock = np.zeros(len(texts), dtype=np.int64)
    dates = texts
    remaining = np.ones(len(texts), dtype=bool)
    for pattern in (HOUR_ONLY, COMPACT_CLOCK, CLOCK):
        groups = pc.extract_regex(texts, pattern)
        matched = remaining & ~np.asarray(groups.is_null())
        if matched.any():
            dates = pc.if_else(pa.array(matched), pc.struct_field(groups, "date"), dates)
            clock[matched] = _read_clock(groups)[matched]
            remaining &= ~matched
    return dates, clock


def _read_clock(groups: pa.Array) -> NDArray[np.int64]:
    names = [field.name for field in groups.type]

    def read(name: str) -> NDArray[np.int64]:
        return _to_numbers(pc.struct_field(groups, name)) if name in names else np.zeros(len(groups), np.int64)

    hour, minute, second = read("hour"), read("minute"), read("second")
    is_valid = (minute < 60) & (second < 60) & ((hour < 24) | ((hour == 24) & (minute == 0) & (second == 0)))
    if "half" in names:
        half = pc.coalesce(*(_blank_to_null(pc.struct_field(groups, name)) for name in ("half", "half_only")))
        is_pm, has_half = np.asarray(pc.fill_null(pc.equal(half, "pm"), False)), ~np.asarray(half.is_null())
        is_valid &= ~has_half | ((hour >= 1) & (hour <= 12))
        hour = np.where(has_half, hour % 12 + 12 * is_pm, hour)
    seconds = (hour * 60 + minute) * 60 + second
    fraction = np.zeros(len(groups), np.int64)
    if "fraction" in names:
        digits = pc.utf8_rpad(pc.fill_null(pc.struct_field(groups, "fraction"), "0"), 9, "0")
        fraction = _to_numbers(digits)
    return np.where(is_valid, seconds * NANOSECONDS_PER_SECOND + fraction, -1)


def _blank_to_null(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _to_numbers(texts: pa.Array, default: int = 0) -> NDArray[np.int64]:
    """Return digits as integers; `default` for absent ones."""
    filled = pc.fill_null(_blank_to_null(texts), str(default))
    return pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)


def _read_days(texts: pa.Array) -> dict[str, Days]:
    """Return order → date of every text; dates with one possible reading are equal in all orders."""
    days: dict[str, Days] = {order: np.full(len(texts), NO_DAY) for order in ORDERS}
    remaining = np.ones(len(texts), dtype=bool)
    for pattern, read in PATTERN_READERS.items():
        groups = pc.extract_regex(texts, pattern)
        matched = remaining & ~np.asarray(groups.is_null())
        if not matched.any():
            continue
        remaining &= ~matched
        for order, order_days in read(groups.filter(pa.array(matched))).items():
            days[order][matched] = order_days
        if not remaining.any():
            break
    return days


def make_days(year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]) -> Days:
    """Return dates, NaT where the day does not exist or the year is outside 1700 to 2200."""
    is_valid = (month >= 1) & (month <= 12) & (year >= 1700) & (year <= 2200) & (day >= 1) & (day <= 31)
    months = (np.where(is_valid, year, 2000) - 1970) * 12 + np.where(is_valid, month, 1) - 1
    first_days = months.astype("datetime64[M]").astype("datetime64[D]")
    days = first_days + (np.where(is_valid, day, 1) - 1)
    is_valid &= days.astype("datetime64[M]") == months.astype("datetime64[M]")
    return np.where(is_valid, days, NO_DAY)


def _field(groups: pa.Array, name: str, default: int = 0) -> NDArray[np.int64]:
    return _to_numbers(pc.struct_field(groups, name), default)


def _count_digits(groups: pa.Array, name: str) -> NDArray[np.int64]:
    return pc.utf8_length(pc.fill_null(pc.struct_field(groups, name), "")).to_numpy(zero_copy_only=False)


def _expand_year(year: NDArray[np.int64], digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return years with four digits; 00 to 68 are 2000 to 2068, as in POSIX. Three digits are no year."""
    expanded = np.where(year < 69, year + 2000, year + 1900)
    return np.where(digits == 4, year, np.where(digits == 2, expanded, -1))


def _repeat_for_orders(days: Days) -> dict[str, Days]:
    return dict.fromkeys(ORDERS, days)


def _read_numeric_date(groups: pa.Array) -> dict[str, Days]:
    a, b, c = (_field(groups, name) for name in "abc")
    a_digits, c_digits = _count_digits(groups, "a"), _count_digits(groups, "c")
    year_first = make_days(_expand_year(a, a_digits), b, np.where(c_digits <= 2, c, -1))
    year_last = _expand_year(c, c_digits)
    day_first = make_days(year_last, b, np.where(a_digits <= 2, a, -1))
    month_first = make_days(year_last, np.where(a_digits <= 2, a, -1), b)
    has_long_year = a_digits == 4
    return {
        "dmy": np.where(has_long_year, year_first, day_first),
        "mdy": np.where(has_long_year, year_first, month_first),
        "ymd": year_first,
    }


def _read_named_month(groups: pa.Array) -> dict[str, Days]:
    """Read "30 jan 2024", "jan 30, 2024", "2024 jan 30", "jan 2024" and "2024 jan"."""
    a, b, c = (_field(groups, name, -1) for name in "abc")
    a_digits, b_digits, c_digits = (_count_digits(groups, name) for name in "abc")
    month = _field(groups, "m")
    first, first_digits = np.where(a_digits > 0, a, b), np.where(a_digits > 0, a_digits, b_digits)
    last = np.where(c_digits > 0, c, b)
    last_digits = np.where(c_digits > 0, c_digits, b_digits)
    is_single = ((a_digits > 0).astype(int) + (b_digits > 0) + (c_digits > 0)) == 1
    month_start = make_days(_expand_year(first, first_digits), month, np.ones_like(month))
    day_first = make_days(_expand_year(last, last_digits), month, np.where(first_digits <= 2, first, -1))
    year_first = make_days(_expand_year(first, first_digits), month, np.where(last_digits <= 2, last, -1))
    is_year_first = (first_digits == 4) | np.isnat(day_first)
    is_year_last = (last_digits == 4) | np.isnat(year_first)
    return {
        "dmy": np.where(is_single, month_start, np.where(is_year_first, year_first, day_first)),
        "mdy": np.where(is_single, month_start, np.where(is_year_first, year_first, day_first)),
        "ymd": np.where(is_single, month_start, np.where(is_year_last, day_first, year_first)),
    }


def _read_week(groups: pa.Array) -> dict[str, Days]:
    """Read ISO weeks as their first day, Monday, or the given weekday (ISO 8601: 4 January is in week 1)."""
    year, week, weekday = _field(groups, "y"), _field(groups, "w"), _field(groups, "d", 1)
    fourth = make_days(year, np.ones_like(year), np.full_like(year, 4))
    monday = fourth - (fourth.astype(np.int64) + 3) % 7
    days = monday + (7 * (week - 1) + weekday - 1)
    next_fourth = make_days(year + 1, np.ones_like(year), np.full_like(year, 4))
    next_monday = next_fourth - (next_fourth.astype(np.int64) + 3) % 7
    return _repeat_for_orders(np.where((week >= 1) & (days < next_monday), days, NO_DAY))


def _read_ordinal_day(groups: pa.Array) -> dict[str, Days]:
    year, number = _field(groups, "y"), _field(groups, "n")
    days = make_days(year, np.ones_like(year), np.ones_like(year)) + (number - 1)
    is_valid = (number >= 1) & (days.astype("datetime64[Y]").astype(np.int64) + 1970 == year)
    return _repeat_for_orders(np.where(is_valid, days, NO_DAY))


def _read_fixed(day_name: str = "", month_factor: int = 1, month_name: str = "m") -> Any:
    """Return a reader of dates with a fixed order; without a day, the first of the month is meant."""

    def read(groups: pa.Array) -> dict[str, Days]:
        year = _field(groups, "y")
        month = _field(groups, month_name) * month_factor - (month_factor - 1)
        day = _field(groups, day_name) if day_name else np.ones_like(year)
        return _repeat_for_orders(make_days(year, month, day))

    return read


PATTERN_READERS: dict[str, Any] = {
    NUMERIC_DATE: _read_numeric_date,
    COMPACT_DATE: _read_fixed("d"),
    YEAR_MONTH: _read_fixed(),
    MONTH_YEAR: _read_fixed(),
    NAMED_MONTH: _read_named_month,
    ISO_WEEK: _read_week,
    QUARTER: _read_fixed(month_factor=3, month_name="q"),
    ORDINAL_DAY: _read_ordinal_day,
}


def _describe_shapes(texts: pa.Array) -> NDArray[np.object_]:
    texts = texts.take(np.arange(0, len(texts), len(texts) // SHAPE_SAMPLE + 1))
    shapes = pc.replace_substring_regex(texts, r"(:\d{2})[.,]\d+$", r"\1")
    for pattern, replacement in ((r"\d{3,4}", "#"), (r"\d{1,2}", "00"), ("#", "0000"), ("am$", "pm")):
        shapes = pc.replace_substring_regex(shapes, pattern, replacement)
    return shapes.to_numpy(zero_copy_only=False)
