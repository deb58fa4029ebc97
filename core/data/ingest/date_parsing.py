"""Conversion of a column to timestamps.

One order of day and month is decided for the whole column. Dates with two possible readings are marked as ambiguous.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from core.data.ingest.number_parsing import parse_numbers
from core.data.ingest.numeric_times import EPOCH_FORMATS, read_numeric_times
from core.data.ingest.timestamp_text import ORDERS, TimestampParts, split_timestamps
from core.data.time_zones import check_zone, find_zone, has_clock_changes, mark_second_pass, to_instants, to_local_times
from core.errors import UnreadableFileError
from core.messages import N_

SAMPLE_TEXTS = 50
MIN_DATE_SHARE = 0.9
ISO_SHAPES = {"0000-00-00", "0000-00-00 00:00", "0000-00-00 00:00:00", "0000-00-00t00:00", "0000-00-00t00:00:00"}
NANOSECONDS_PER_MINUTE = 60 * 10**9
ACCEPTED_EXAMPLES = (
    "2024-03-31, 31/03/2024, 2024-03-31 14:00, 2024-03-31T14:00:00+01:00, 31.03.24 2:00 PM, 31 mars 2024, 2024-W13, "
    "20240331, 1711893600"
)


@dataclass(frozen=True)
class ParsedDates:
    """Timestamps of a column, and the shapes of its texts ("00/00/0000"), the most frequent first.

    `ambiguous` is True if every value is also a date with day, month and year in another order; `order` is the one that
    was taken. `zone` is the time zone of the clock of the times: a name, an offset ("+02:00"), or "" if unknown.
    `is_converted` is True where several offsets are those of no zone and the times were converted to UTC. `fold` is
    True in the second pass of an hour that a clock change repeats.
    """

    times: pd.DatetimeIndex
    formats: tuple[str, ...]
    ambiguous: bool = False
    zone: str = ""
    order: str = ""
    is_converted: bool = False
    fold: NDArray[np.bool_] | None = None


def looks_like_dates(column: pd.Series) -> bool:
    """Tell whether more than 90 % of the first 50 distinct texts are dates; a column of numbers is none.

    Example:
        >>> looks_like_dates(pd.Series(["31/03/2024", "01/04/2024"])), looks_like_dates(pd.Series(["12", "13"]))
        (True, False)
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    texts = pd.unique(column.dropna())[:SAMPLE_TEXTS]
    if not len(texts):
        return False
    days = split_timestamps(pa.array(list(map(_to_text, texts)))).days
    return bool(np.logical_or.reduce([~np.isnat(days[order]) for order in ORDERS]).mean() > MIN_DATE_SHARE)


def looks_like_numeric_times(column: pd.Series) -> bool:
    """Tell whether every number of a column is a date such as 20240331, a time since 1970 or a serial day of Excel.

    Example:
        >>> looks_like_numeric_times(pd.Series([20240130, 20240131])), looks_like_numeric_times(pd.Series([5, 6]))
        (True, False)
    """
    return _is_numeric(column) and bool(read_numeric_times(parse_numbers(column)[0])[0])


def _is_numeric(column: pd.Series) -> bool:
    """Tell whether a column holds numbers, or texts that nearly all are numbers with decimals: no compact dates."""
    if pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    sample = pd.Series(pd.unique(column.dropna())[:SAMPLE_TEXTS]).astype(str)
    is_decimal = sample.str.fullmatch(r"\s*\d{5,}([.,]\d+)?\s*")
    return len(sample) > 0 and bool(is_decimal.mean() > MIN_DATE_SHARE)


def parse_dates(column: pd.Series, file: str, order: str = "") -> ParsedDates:
    """Return the column as timestamps without time zone, on the local clock of the data.

    `order` is the order of day and month ("dmy", "mdy", "ymd") where a person decided it. Timestamps with several
    offsets are on the clock of the zone that has these offsets. Without such a zone they are converted to UTC, unless
    they are days. Raises UnreadableFileError with file, column, row and value for the first cell that is not a date,
    and for a column that mixes two orders of day and month.

    Example:
        >>> dates = parse_dates(pd.Series(["03/04/2024", "31/03/2024"], name="day"), "gas.csv")
        >>> dates.times.strftime("%Y-%m-%d").tolist(), dates.formats, dates.ambiguous
        (['2024-04-03', '2024-03-31'], ('00/00/0000',), False)
        >>> parse_dates(pd.Series(["03/04/2024"]), "gas.csv").ambiguous  # 3 April or 4 March
        True
        >>> parse_dates(pd.Series(["03/04/2024"]), "gas.csv", "mdy").times.strftime("%Y-%m-%d").tolist()
        ['2024-03-04']
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        times = pd.DatetimeIndex(column)
        _check_all_dates(times.where((times >= _limit(times, "min")) & (times <= _limit(times, "max"))), column, file)
        return _read_zoned(times.as_unit("ns"))
    if _is_numeric(column):
        name, numeric_times = read_numeric_times(parse_numbers(column)[0])
        times = pd.DatetimeIndex(numeric_times).as_unit("ns")
        _check_all_dates(times, column, file)
        return ParsedDates(times, (name,), zone="UTC" if name in EPOCH_FORMATS else "")
    codes, texts = pd.factorize(column, use_na_sentinel=True)
    return _parse_texts(codes, [_to_text(text) for text in texts], column, file, order)


def _limit(times: pd.DatetimeIndex, name: Literal["min", "max"]) -> pd.Timestamp:
    limit: pd.Timestamp = getattr(pd.Timestamp, name)
    return limit if times.tz is None else limit.tz_localize("UTC")


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


def _read_zoned(times: pd.DatetimeIndex) -> ParsedDates:
    """Return timestamps with a time zone on their local clock; those without one are on it already."""
    formats = ("datetime",)
    if times.tz is None:
        return ParsedDates(times, formats)
    local_times, instants = times.tz_localize(None), times.tz_convert("UTC").tz_localize(None)
    zone = str(times.tz)
    if has_clock_changes(zone):
        return ParsedDates(local_times, formats, zone=zone, fold=mark_second_pass(local_times, instants, zone))
    offsets = (local_times - instants) / pd.Timedelta(minutes=1)
    return ParsedDates(local_times, formats, zone=_format_offset(np.unique(offsets)))


def move_to_zone(dates: ParsedDates, zone: str) -> ParsedDates:
    """Return the timestamps on the clock of `zone`. Raises OptionError for a name that is no time zone.

    Days keep their date, and times without an offset are taken as local times of this zone.

    Example:
        >>> dates = parse_dates(pd.Series(["2024-07-01T22:00Z", "2024-07-02T02:00Z"]), "load.csv")
        >>> move_to_zone(dates, "Europe/Paris").times.strftime("%d %H:%M").tolist()
        ['02 00:00', '02 04:00']
    """
    check_zone(zone)
    if not dates.zone or _are_days(dates.times):
        return replace(dates, zone=zone)
    fold = np.zeros(len(dates.times), dtype=bool) if dates.fold is None else dates.fold
    times, fold = to_local_times(to_instants(dates.times, fold, dates.zone), zone)
    return replace(dates, times=times, zone=zone, fold=fold)


def _format_offset(minutes: NDArray[np.float64]) -> str:
    """Return offsets as text: "+02:00", "+01:00/+02:00", "UTC"."""
    texts = [f"{'-' if m < 0 else '+'}{int(abs(m)) // 60:02d}:{int(abs(m)) % 60:02d}" for m in minutes.tolist()]
    return "UTC" if texts == ["+00:00"] else "/".join(texts)


def _are_days(times: pd.DatetimeIndex) -> bool:
    """Tell whether all times are midnight: the date is meant, in any time zone."""
    return bool((times == times.normalize())[~times.isna()].all())


def _parse_texts(
    codes: NDArray[np.intp], texts: list[str], column: pd.Series, file: str, chosen_order: str
) -> ParsedDates:
    """Parse the distinct `texts`, at the positions `codes` in the column (−1 for an empty cell)."""
    array = pa.array(texts, pa.string())
    sample = split_timestamps(array.take(np.arange(0, len(texts), len(texts) // 200 + 1)))
    if (
        set(sample.shapes) <= ISO_SHAPES and np.isnan(sample.offset).all()
    ):  # the most frequent case, several times faster
        times = pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", errors="coerce")
        if times.dtype == "datetime64[ns]" and times.notna().all():
            return ParsedDates(_take(pd.DatetimeIndex(times), codes, column, file), _rank_shapes(sample.shapes))
    parts = split_timestamps(array)
    valid_by_order = {order: ~np.isnat(parts.days[order]) for order in ORDERS}
    best_count = max(int(valid.sum()) for valid in valid_by_order.values())
    is_date = np.logical_or.reduce(list(valid_by_order.values()))
    if is_date.all() and best_count < len(texts):
        raise UnreadableFileError(
            N_("{file}, column {column!r}: some dates start with the day, others with the month. Use one date format."),
            file=file,
            column=str(column.name),
        )
    orders = [order for order in ORDERS if valid_by_order[order].sum() == best_count]
    readings = {
        order: pd.DatetimeIndex(parts.days[order].astype("datetime64[ns]") + parts.clock.astype("timedelta64[ns]"))
        for order in ([chosen_order] if chosen_order else orders)
    }
    order = min(readings, key=lambda order: (_measure_disorder(readings[order], codes), ORDERS.index(order)))
    rivals = {"dmy", "mdy", order}  # a short year first is considered only where it makes the better series
    ambiguous = any(not readings[other].equals(readings[order]) for other in readings if other in rivals)
    _take(readings[order], codes, column, file)  # raises an error for a cell that is not a date
    localised = _localise(readings[order], parts)
    return replace(
        localised,
        times=_take(localised.times, codes, column, file),
        formats=_rank_shapes(parts.shapes),
        ambiguous=ambiguous,
        order=order if ambiguous or len(orders) == 1 else "",
        fold=None if localised.fold is None else localised.fold[codes],
    )


def _localise(local_times: pd.DatetimeIndex, parts: TimestampParts) -> ParsedDates:
    """Return the distinct timestamps with their zone: on the clock as written, or in UTC if no zone has the offsets."""
    has_offset = ~np.isnan(parts.offset)
    offsets = np.unique(parts.offset[has_offset])
    if not len(offsets):
        return ParsedDates(local_times, ())
    if len(offsets) == 1 and has_offset.all():
        return ParsedDates(local_times, (), zone=_format_offset(offsets))
    shift = np.nan_to_num(parts.offset).astype(np.int64) * NANOSECONDS_PER_MINUTE
    instants = local_times - pd.to_timedelta(shift, unit="ns")
    zone = find_zone(local_times.dropna(), instants.dropna()) if has_offset.all() else ""
    if zone:
        return ParsedDates(local_times, (), zone=zone, fold=mark_second_pass(local_times, instants, zone))
    if _are_days(local_times):
        return ParsedDates(local_times, (), zone=_format_offset(offsets))
    return ParsedDates(instants, (), zone="UTC", is_converted=True)


def _measure_disorder(times: pd.DatetimeIndex, codes: NDArray[np.intp]) -> float:
    """Return the share of rows that go back in time or jump further than usual: 0 for a regular series.

    Files list their rows in the order of time; the wrong order of day and month jumps back and forth.
    """
    steps = np.diff(times.asi8[codes[codes >= 0]])
    steps = steps[steps != 0]
    if not len(steps):
        return 0.0
    usual_step = np.median(np.abs(steps))
    return round(float(((steps < 0) | (steps > 20 * usual_step)).mean()), 3)


def _rank_shapes(shapes: NDArray[np.object_]) -> tuple[str, ...]:
    counts = pd.Series(shapes).value_counts(sort=True)
    return tuple(sorted(counts.index, key=lambda shape: (-counts[shape], shape)))


def _take(times: pd.DatetimeIndex, codes: NDArray[np.intp], column: pd.Series, file: str) -> pd.DatetimeIndex:
    """Return the time of every row. Raises UnreadableFileError for the first cell that is not a date."""
    with_missing = np.append(times.to_numpy(), np.datetime64("NaT", "ns"))
    row_times = pd.DatetimeIndex(with_missing[codes])
    _check_all_dates(row_times, column, file)
    return row_times
