"""Counts of call records from Elasticsearch: the same buckets as from files of records.

Elasticsearch counts; no record, number or name of a customer leaves it. A composite aggregation gives the buckets in
order of time, page by page.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.call_records.buckets import ALL_TRUNKS, BUCKET_COLUMNS, UNKNOWN
from core.errors import DataError, OptionError, ServiceUnavailableError
from core.messages import N_
from core.progress import Progress
from core.storage.page_store import PageStore
from core.storage.search_server import SearchConnection, SearchServer, make_index_error

PAGE_SIZE = 10_000  # buckets; Elasticsearch accepts at most 65,535 by default
CHECKPOINT_FOLDER = "call-records"
TIME_TYPES, FLAG_TYPES = ("date", "date_nanos"), ("boolean", "keyword")
NAME_TYPES = ("keyword", "constant_keyword", "long", "integer")
FLAGS = {"true": True, "1": True, "false": False, "0": False}
FIRST, LAST, TRUNK, NULL_DURATION, CAUSE_GROUP = "first", "last", "trunk", "null_duration", "cause_group"
START_SUM, END_SUM, BUCKETS = "start_sum", "end_sum", "buckets"


@dataclass(frozen=True)
class CallFields:
    """Names of the fields of a record. A prefix such as `gini.` is found in the index.

    start          begin of the call; the first of these names that the index has
    end            end of the call
    trunk          calling trunk
    null_duration  True for an attempt that was not answered
    cause_group    group of release causes; optional
    """

    start: tuple[str, ...] = ("Call_Start_Time", "@timestamp")
    end: tuple[str, ...] = ("Call_End_Time",)
    trunk: tuple[str, ...] = ("ORIG_T1T7",)
    null_duration: tuple[str, ...] = ("null_duration",)
    cause_group: tuple[str, ...] = ("rc_group",)


@dataclass(frozen=True)
class CallQuery:
    """Choice of the calls to count.

    interval    length of the intervals; they are counted from midnight UTC
    by_trunk    True counts every trunk, False all calls together
    start, end  the calls begin at `start` or later, and before `end` (UTC); None is no limit
    """

    interval: pd.Timedelta
    by_trunk: bool = True
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None
    fields: CallFields = field(default_factory=CallFields)

    def __post_init__(self) -> None:
        """Raise OptionError for a period that ends before it starts."""
        if self.start is not None and self.end is not None and _to_utc(self.start) >= _to_utc(self.end):
            raise OptionError(
                N_("The period ends at {end}, but it starts at {start}."), start=str(self.start), end=str(self.end)
            )


def fetch_buckets(server: SearchServer, query: CallQuery, progress: Progress | None = None) -> pd.DataFrame:
    """Return the buckets of the calls, columns as in `BUCKET_COLUMNS`.

    With a folder in `progress`, every page is kept there: a killed job continues after its last page. The job can be
    cancelled between two pages.

    Times are exact to the millisecond, as they are in Elasticsearch. Its sums are floating-point numbers of epoch
    milliseconds: exact up to 5,000 calls in a bucket, rounded by at most 0.02 s with 100,000 calls.

    Raises OptionError if no index matches. Raises DataError without calls, for a missing or unsuitable field, and for
    calls whose end or outcome is unknown. Raises ServiceUnavailableError if the server fails after all retries, or if
    it gives incomplete results.
    """
    progress = progress or Progress()
    with server.connect(progress) as connection:
        fields = _find_fields(connection, query)
        period = _find_period(connection, query, fields)
        folder = progress.folder / CHECKPOINT_FOLDER if progress.folder else None
        store = PageStore(folder, _compute_digest(server, query, fields))
        _fetch_pages(connection, query, fields, period, store)
    buckets = pd.concat(store.pages, ignore_index=True) if store.pages else pd.DataFrame()
    if buckets.empty:
        raise _make_empty_error(server, query)
    store.clear()
    return buckets


# ---- fields --------------------------------------------------------------------------------------------------------


def _find_fields(connection: SearchConnection, query: CallQuery) -> dict[str, str]:
    """Return the paths of the fields that the query needs. Raises OptionError if no index matches."""
    index, fields = connection.server.index, query.fields
    names = [name for candidates in asdict(fields).values() for name in candidates]
    patterns = [pattern for name in names for pattern in (f"*{name}", f"*{name}.keyword")]

    def read_fields(response: Mapping[str, Any]) -> dict[str, Any] | None:
        return dict(response["fields"]) if response["indices"] else None

    capabilities = connection.ask(lambda client: client.field_caps(index=index, fields=patterns), read_fields)
    if capabilities is None:
        raise make_index_error(index)
    paths = {
        FIRST: _find_field(capabilities, index, fields.start, TIME_TYPES),
        LAST: _find_field(capabilities, index, fields.end, TIME_TYPES),
        NULL_DURATION: _find_field(capabilities, index, fields.null_duration, FLAG_TYPES),
    }
    if query.by_trunk:
        paths[TRUNK] = _find_field(capabilities, index, fields.trunk, NAME_TYPES)
    if any(_list_paths(capabilities, name) for name in fields.cause_group):
        paths[CAUSE_GROUP] = _find_field(capabilities, index, fields.cause_group, NAME_TYPES)
    return paths


def _find_field(capabilities: Mapping[str, Any], index: str, names: Sequence[str], types: Sequence[str]) -> str:
    """Return the path of the first name that the index has: itself, below a prefix, or its keyword sub-field.

    Raises DataError for a missing field, one of another type, and one below several prefixes.
    """
    name = next((name for name in names if _list_paths(capabilities, name)), None)
    if name is None:
        raise DataError(N_("The records in {index} have no field {name}."), index=index, name=" / ".join(names))
    paths = _list_paths(capabilities, name)
    suitable = [path for path in paths if _is_suitable(capabilities[path], types)]
    choices = [path for path in suitable if _strip_keyword(path) == name] or suitable
    if not choices:
        raise DataError(
            N_("The field {name} in {index} has the type {value}. Accepted: {accepted}."),
            index=index,
            name=paths[0],
            value=", ".join(sorted(capabilities[paths[0]])),
            accepted=", ".join(types),
        )
    if len({_strip_keyword(path) for path in choices}) > 1:
        raise DataError(
            N_("The records in {index} have the field {name} several times: {value}. Choose indices with one of them."),
            index=index,
            name=name,
            value=", ".join(choices),
        )
    return choices[0]


def _list_paths(capabilities: Mapping[str, Any], name: str) -> list[str]:
    """Return the paths of the field `name`, the plain ones before keyword sub-fields."""
    paths = (path for path in capabilities if f".{_strip_keyword(path)}".endswith(f".{name}"))
    return sorted(paths, key=lambda path: (path.endswith(".keyword"), path))


def _strip_keyword(path: str) -> str:
    """Return the path of a field without the name of its keyword sub-field."""
    return path.removesuffix(".keyword")


def _is_suitable(capability: Mapping[str, Any], types: Sequence[str]) -> bool:
    """Tell whether a field has an accepted type in every index, and can be aggregated."""
    return all(name in types and kind.get("aggregatable") for name, kind in capability.items())


# ---- pages ---------------------------------------------------------------------------------------------------------


def _find_period(connection: SearchConnection, query: CallQuery, fields: Mapping[str, str]) -> tuple[float, float]:
    """Return the period of the calls in epoch milliseconds, for the progress; NaN without calls."""
    limits = {name: {name: {"field": fields[FIRST]}} for name in ("min", "max")}

    def read_limits(response: Mapping[str, Any]) -> tuple[float, float]:
        values = (response["aggregations"][name]["value"] for name in limits)
        first, last = (float("nan") if value is None else float(value) for value in values)
        return first, last

    return connection.ask(lambda client: _search(client, connection.server, query, fields, limits), read_limits)


def _fetch_pages(
    connection: SearchConnection,
    query: CallQuery,
    fields: Mapping[str, str],
    period: tuple[float, float],
    store: PageStore,
) -> None:
    """Fetch the pages after the last one in `store`, until an empty page."""
    first_ms, last_ms = period
    sums = {START_SUM: {"sum": {"field": fields[FIRST]}}, END_SUM: {"sum": {"field": fields[LAST]}}}
    composite: dict[str, Any] = {"size": PAGE_SIZE, "sources": _make_sources(query, fields)}
    aggregation = {BUCKETS: {"composite": composite, "aggs": sums}}
    while True:
        if store.after is not None:
            composite["after"] = store.after
            share = (store.after[FIRST] - first_ms) / max(last_ms - first_ms, 1.0)
            connection.progress.report(min(max(share, 0.0), 1.0))
        page, after = connection.ask(
            lambda client: _search(client, connection.server, query, fields, aggregation),
            lambda response: _read_page(response, query),
        )
        if after is None:
            return
        if store.after is not None and (after == store.after or after[FIRST] < store.after[FIRST]):
            raise ServiceUnavailableError(
                N_("Elasticsearch repeats a page of results ({after}), so the counts would be wrong."), after=str(after)
            )
        store.append(page, after)


def _make_sources(query: CallQuery, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the sources of the composite aggregation, time first. Records without a value have buckets too."""
    step = {"fixed_interval": f"{int(query.interval.total_seconds())}s"}
    terms = [name for name in (TRUNK, NULL_DURATION, CAUSE_GROUP) if name in fields]
    return [
        {FIRST: {"date_histogram": {"field": fields[FIRST], **step}}},
        {LAST: {"date_histogram": {"field": fields[LAST], "missing_bucket": True, **step}}},
        *({name: {"terms": {"field": fields[name], "missing_bucket": True}}} for name in terms),
    ]


def _search(
    client: Any, server: SearchServer, query: CallQuery, fields: Mapping[str, str], aggregations: Mapping[str, Any]
) -> Any:
    """Ask for aggregations of the calls, and for no record."""
    limits = {
        name: _to_utc(time).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for name, time in (("gte", query.start), ("lt", query.end))
        if time is not None
    }
    selection = {"range": {fields[FIRST]: limits}} if limits else {"exists": {"field": fields[FIRST]}}
    return client.search(
        index=server.index,
        size=0,
        track_total_hits=False,
        allow_partial_search_results=False,
        query=selection,
        aggs=aggregations,
    )


def _read_page(response: Mapping[str, Any], query: CallQuery) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Return the buckets of a page and the position after it; None if the page is empty."""
    result = response["aggregations"][BUCKETS]
    entries = result["buckets"]
    if not entries:
        return pd.DataFrame(), None
    keys = pd.DataFrame([entry["key"] for entry in entries], dtype=object)
    keys[NULL_DURATION] = [FLAGS.get(str(value).lower()) for value in keys[NULL_DURATION]]
    calls = np.array([entry["doc_count"] for entry in entries], dtype=np.int64)
    _check_values(keys, calls)
    is_open = keys[LAST].isna()  # an attempt without an end ends where it begins
    keys[LAST] = keys[LAST].where(~is_open, keys[FIRST])
    end_sums = [entry[START_SUM if lacks_end else END_SUM] for entry, lacks_end in zip(entries, is_open, strict=True)]
    page = pd.DataFrame(
        {
            "trunk": _read_names(keys, TRUNK, UNKNOWN if query.by_trunk else ALL_TRUNKS),
            "first": pd.to_datetime(keys[FIRST].astype("int64"), unit="ms"),
            "last": pd.to_datetime(keys[LAST].astype("int64"), unit="ms"),
            "null_duration": keys[NULL_DURATION].astype(bool),
            "cause_group": _read_names(keys, CAUSE_GROUP, UNKNOWN),
            "calls": calls,
            "first_seconds": _sum_offsets([entry[START_SUM] for entry in entries], keys[FIRST], calls),
            "last_seconds": _sum_offsets(end_sums, keys[LAST], calls),
        }
    ).astype(BUCKET_COLUMNS)
    _check_order(page)
    return page, dict(result.get("after_key") or entries[-1]["key"])


def _read_names(keys: pd.DataFrame, column: str, default: str) -> list[str]:
    """Return the names in a column, `default` where a record has none; equal names share their memory."""
    names = keys[column] if column in keys else [None] * len(keys)
    return [default if name is None else sys.intern(str(name)) for name in names]


def _sum_offsets(sums: Sequence[Mapping[str, float]], starts_ms: pd.Series, calls: NDArray[np.int64]) -> Floats:
    """Return the sums of (time − start of its interval), in s, from sums of epoch milliseconds."""
    parts = zip(sums, starts_ms.tolist(), calls.tolist(), strict=True)
    offsets = [int(total["value"]) - int(start) * count for total, start, count in parts]  # beyond 64 bits
    return np.array(offsets, dtype=np.float64) / 1000


def _check_values(keys: pd.DataFrame, calls: NDArray[np.int64]) -> None:
    """Raise DataError for calls without an outcome, and for answered calls without an end."""
    for name, selection in (
        (NULL_DURATION, keys[NULL_DURATION].isna()),
        ("Call_End_Time", keys[LAST].isna() & keys[NULL_DURATION].eq(False)),
    ):
        if selection.any():
            raise DataError(
                N_("{count} calls have no valid value in the field {name}, the first in the interval of {time}."),
                count=int(calls[selection].sum()),
                name=name,
                time=str(pd.Timestamp(keys[FIRST][selection.idxmax()], unit="ms")),
            )


def _check_order(page: pd.DataFrame) -> None:
    """Raise DataError for calls that end before they begin."""
    rounding_s = 1e-3 + 1e-6 * page["calls"]
    is_back = page["last_seconds"] < page["first_seconds"] - rounding_s
    selection = (page["last"] < page["first"]) | (page["last"] == page["first"]) & is_back
    if selection.any():
        raise DataError(
            N_("{count} calls end before they begin, the first in the interval of {time}."),
            count=int(page["calls"][selection].sum()),
            time=str(page["first"][selection].iloc[0]),
        )


def _compute_digest(server: SearchServer, query: CallQuery, fields: Mapping[str, str]) -> str:
    """Return the digest of everything that the buckets depend on except the records."""
    limits = [None if time is None else _to_utc(time).isoformat() for time in (query.start, query.end)]
    parts = [server.url, server.index, str(query.interval), query.by_trunk, limits, dict(fields), PAGE_SIZE]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _make_empty_error(server: SearchServer, query: CallQuery) -> DataError:
    return DataError(
        N_("{index} has no call record between {start} and {end}."),
        index=server.index,
        start=str(query.start or "…"),
        end=str(query.end or "…"),
    )


def _to_utc(time: pd.Timestamp) -> pd.Timestamp:
    """Return a time with its zone; one without a zone is in UTC."""
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
