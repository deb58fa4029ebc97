"""Counts and traffic per interval and trunk, from call detail records that were summed into buckets.

A bucket holds the calls that begin in one interval and end in one interval, of one trunk, outcome and cause. Files and
Elasticsearch give the same buckets, so both give the same counts. From a bucket follow the exact seconds that its calls
spend in every interval, without the calls themselves.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset, make_index
from core.data.quality.findings import Finding
from core.data.regular_series import MAX_CELLS
from core.errors import DataError, OptionError
from core.messages import N_

ALL_TRUNKS = "all"
INTERVAL_PATTERN = re.compile(r"(?P<count>\d{0,5}) ?(?P<unit>s|min|h|d)", re.IGNORECASE | re.ASCII)
SECONDS_PER_UNIT = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
UNKNOWN = "unknown"
MAX_CAUSE_GROUPS = 100  # a column with more values holds no groups
BUCKET_COLUMNS = {
    "trunk": "str",
    "first": "datetime64[ns]",
    "last": "datetime64[ns]",
    "null_duration": "bool",
    "cause_group": "str",
    "calls": "int64",
    "first_seconds": "float64",
    "last_seconds": "float64",
}
"""Columns of a table of buckets and their types.

trunk          calling trunk, "unknown" if the records name none
first          start of the interval in which the calls begin (UTC)
last           start of the interval in which they end (UTC)
null_duration  True for attempts that were not answered
cause_group    group of release causes, "unknown" if the records name none
calls          number of calls
first_seconds  sum over the calls of (start − first), in s
last_seconds   sum over the calls of (end − last), in s
"""


def parse_interval(text: str) -> pd.Timedelta:
    """Return the length of an interval. Raises OptionError unless it divides a day into whole seconds.

    Example:
        >>> parse_interval("15min")
        Timedelta('0 days 00:15:00')
        >>> parse_interval("7min")
        Traceback (most recent call last):
        core.errors.OptionError: interval = '7min' is not accepted. Accepted: 5min, 15min, 1h, 1D.
    """
    match = INTERVAL_PATTERN.fullmatch(text.strip())
    seconds = int(match["count"] or 1) * SECONDS_PER_UNIT[match["unit"].lower()] if match else 0
    if not seconds or SECONDS_PER_UNIT["d"] % seconds:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="interval",
            value=text,
            accepted="5min, 15min, 1h, 1D",
        )
    return pd.Timedelta(seconds=seconds)


def sum_records(records: pd.DataFrame, interval: pd.Timedelta) -> pd.DataFrame:
    """Return the buckets of records that are in memory, with the columns of a call detail record.

    Example:
        >>> records = pd.DataFrame({"ORIG_T1T7": ["T1"], "null_duration": [False], "rc_group": ["HANG_UP"],
        ...     "Call_Start_Time": [pd.Timestamp("2020-08-30 22:43:32")],
        ...     "Call_End_Time": [pd.Timestamp("2020-08-30 22:56:00")]})
        >>> sum_records(records, pd.Timedelta("15min"))[["first_seconds", "last_seconds"]].values.tolist()
        [[812.0, 660.0]]
    """
    start, end = (records[name].astype("datetime64[ns]") for name in ("Call_Start_Time", "Call_End_Time"))
    first, last = start.dt.floor(interval), end.dt.floor(interval)
    table = pd.DataFrame(
        {
            "trunk": records["ORIG_T1T7"],
            "first": first,
            "last": last,
            "null_duration": records["null_duration"],
            "cause_group": records["rc_group"],
            "calls": 1,
            "first_seconds": (start - first).dt.total_seconds(),
            "last_seconds": (end - last).dt.total_seconds(),
        }
    )
    keys = ["trunk", "first", "last", "null_duration", "cause_group"]
    return table.groupby(keys, observed=True, as_index=False).sum().astype(BUCKET_COLUMNS)


def build_counts(
    buckets: pd.DataFrame,
    interval: pd.Timedelta,
    by_trunk: bool,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Return one row per trunk and interval, from the first interval with a call to the last one.

    Without `by_trunk` the rows are of the trunk "all". `start` and `end` (UTC, not included) replace the first and the
    last interval of the records; seconds of calls after `end` are left out.

    A trunk without a call in an interval counts 0. The rows of a trunk begin with its first call, because a trunk that
    was not yet in service did not fail. They continue to the end of the table, because a trunk that fell silent is what
    operators must see.

    Columns: timestamp (UTC); trunk; answered, null_duration, total (calls that begin in the interval); erlang (call
    seconds in the interval ÷ its seconds); ccr (answered ÷ total, NaN where total is 0); ko_<group> (attempts that
    failed, by group of causes).

    Raises DataError without calls, for too many groups of causes, and for dates too far apart.

    Example:
        >>> quarters = pd.to_datetime(["2020-08-30 22:30", "2020-08-30 22:45"])
        >>> buckets = pd.DataFrame({"trunk": ["T1"], "first": quarters[:1], "last": quarters[1:],
        ...     "null_duration": [False], "cause_group": ["HANG_UP"], "calls": [1], "first_seconds": [812.0],
        ...     "last_seconds": [660.0]})
        >>> build_counts(buckets, pd.Timedelta("15min"), by_trunk=True)[["total", "erlang", "ccr"]].round(4)
           total  erlang  ccr
        0      1  0.0978  1.0
        1      0  0.7333  NaN
    """
    if buckets.empty:
        raise DataError(N_("No call record lies in this period."))
    times = _make_grid(buckets, interval, start, end)
    trunks, trunk_codes = _number_trunks(buckets, by_trunk)
    if len(times) * len(trunks) > MAX_CELLS:
        raise DataError(
            N_("The records range from {first} to {last}, too long for intervals of {step}. Check the dates."),
            first=str(times[0]),
            last=str(times[-1]),
            step=str(interval),
        )
    first = _number_intervals(buckets["first"], times[0], interval)
    last = _number_intervals(buckets["last"], times[0], interval)
    cells = trunk_codes * len(times) + first
    calls = buckets["calls"].to_numpy()
    failed = buckets["null_duration"].to_numpy(dtype=bool)
    cell_count = len(trunks) * len(times)

    def count(selection: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(cells[selection], calls[selection], cell_count).astype(np.int64)

    answered, null_duration = count(~failed), count(failed)
    total = answered + null_duration
    table = {
        "timestamp": times[np.tile(np.arange(len(times)), len(trunks))].tz_localize("UTC"),
        "trunk": pd.Categorical.from_codes(np.repeat(np.arange(len(trunks)), len(times)), trunks),
        "answered": answered,
        "null_duration": null_duration,
        "total": total,
        "erlang": _sum_seconds(buckets, interval, trunk_codes, (first, last), (len(trunks), len(times))).ravel()
        / interval.total_seconds(),
        "ccr": np.divide(answered, total, out=np.full(cell_count, np.nan), where=total > 0),
    }
    groups = _name_groups(buckets["cause_group"])
    for name in sorted(groups[failed].unique()):
        table[name] = count(failed & (groups == name).to_numpy())
    counts = pd.DataFrame(table)
    if not by_trunk:
        return counts
    first_cells = np.full(len(trunks), len(times))
    np.minimum.at(first_cells, trunk_codes, first)
    in_service = np.arange(len(times)) >= first_cells[:, None]
    return counts[in_service.ravel()].reset_index(drop=True)


def to_dataset(
    counts: pd.DataFrame, interval: pd.Timedelta, files: Sequence[str] = (), notes: Sequence[Finding] = ()
) -> Dataset:
    """Return a table of counts as a dataset: entity = trunk, time = start of the interval, clock of UTC."""
    measures = counts.drop(columns=["timestamp", "trunk"]).astype("float64")
    times = pd.DatetimeIndex(counts["timestamp"]).tz_localize(None)
    frame = measures.set_axis(make_index(counts["trunk"].cat.remove_unused_categories(), times), axis=0)
    return Dataset(frame, "tidy_series", step=interval, zone="UTC", files=tuple(files), notes=tuple(notes))


def _make_grid(
    buckets: pd.DataFrame, interval: pd.Timedelta, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> pd.DatetimeIndex:
    """Return the intervals of the table; a call that ends with an interval does not need the next one."""
    last = buckets["last"].where(buckets["last_seconds"] > 0, buckets["last"] - interval)
    first_time = buckets["first"].min() if start is None else start.floor(interval)
    last_time = max(buckets["first"].max(), last.max()) if end is None else end.ceil(interval) - interval
    length = (last_time.value - first_time.value) // interval.value + 1
    if length > MAX_CELLS:
        raise DataError(
            N_("The records range from {first} to {last}, too long for intervals of {step}. Check the dates."),
            first=str(first_time),
            last=str(last_time),
            step=str(interval),
        )
    return pd.date_range(first_time, periods=length, freq=interval, unit="ns")


def _number_intervals(times: pd.Series, origin: pd.Timestamp, interval: pd.Timedelta) -> NDArray[np.int64]:
    """Return the position of every time among the intervals from `origin`."""
    instants = times.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    positions: NDArray[np.int64] = (instants - origin.as_unit("ns").value) // interval.value
    return positions


def _number_trunks(buckets: pd.DataFrame, by_trunk: bool) -> tuple[list[str], NDArray[np.intp]]:
    """Return the names of the trunks, sorted, and the position of every bucket's trunk among them."""
    if not by_trunk:
        return [ALL_TRUNKS], np.zeros(len(buckets), dtype=np.intp)
    codes, names = pd.factorize(buckets["trunk"])
    order = np.argsort(np.asarray(names, dtype=str), kind="stable")
    positions = np.empty(len(order), dtype=np.intp)
    positions[order] = np.arange(len(order))
    return [str(name) for name in names[order]], positions[codes]


def _sum_seconds(
    buckets: pd.DataFrame,
    interval: pd.Timedelta,
    trunk_codes: NDArray[np.intp],
    positions: tuple[NDArray[np.int64], NDArray[np.int64]],
    shape: tuple[int, int],
) -> Floats:
    """Return the seconds that calls spend in every interval, shape (trunks, intervals).

    Calls within one interval spend last_seconds − first_seconds in it. Others spend calls × interval − first_seconds
    in the first interval, a whole interval in each one between, and last_seconds in the last one.
    """
    (first, last), (trunk_count, step_count) = positions, shape
    lasting = (buckets["calls"] * interval.total_seconds()).to_numpy()  # s of calls that fill a whole interval
    width = step_count + 1  # calls that last beyond the table meet in its last column
    seconds, changes = np.zeros(trunk_count * width), np.zeros(trunk_count * width)
    row_starts = trunk_codes * width
    first_cells, last_cells = row_starts + first, row_starts + np.minimum(last, step_count)
    np.add.at(seconds, first_cells, -buckets["first_seconds"].to_numpy())
    np.add.at(seconds, last_cells, buckets["last_seconds"].to_numpy())
    np.add.at(changes, first_cells, lasting)
    np.add.at(changes, last_cells, -lasting)
    running = changes.reshape(trunk_count, width).cumsum(axis=1)
    total: Floats = (seconds.reshape(trunk_count, width) + running)[:, :step_count]
    return np.maximum(total, 0.0)


def _name_groups(cause_groups: pd.Series) -> pd.Series:
    """Return the column ko_<group> of every bucket. Raises DataError if the groups are too many."""
    names = {
        group: f"ko_{re.sub(r'[^a-z0-9]+', '_', str(group).lower()).strip('_') or UNKNOWN}"
        for group in cause_groups.unique()
    }
    if len(set(names.values())) > MAX_CAUSE_GROUPS:
        raise DataError(
            N_("The column of cause groups has {count} different values. At most {accepted} are accepted."),
            count=len(set(names.values())),
            accepted=MAX_CAUSE_GROUPS,
        )
    return cause_groups.map(names)
