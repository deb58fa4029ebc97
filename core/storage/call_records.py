"""Counts of call records from Elasticsearch: the same buckets as from files of records.

Elasticsearch counts; no record, number or name of a customer leaves it. A composite aggregation gives the buckets in
order of time, page by page.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.call_records.buckets import BUCKET_COLUMNS, UNKNOWN
from core.data.call_records.columns import COLUMN_NAMES, ColumnChoice
from core.data.call_records.files import RecordCount
from core.errors import DataError, OptionError, ServiceUnavailableError
from core.messages import N_
from core.progress import Progress
from core.storage.page_store import PageStore
from core.storage.search_server import SearchConnection, SearchServer, make_index_error

PAGE_SIZE = 10_000  # buckets; Elasticsearch accepts at most 65,535 by default
CHECKPOINT_FOLDER = "call-records"
START, END, TRUNK, NULL_DURATION, CAUSE = "start", "end", "trunk", "null_duration", "cause"
TIME_TYPES, NAME_TYPES = ("date", "date_nanos"), ("keyword", "constant_keyword", "long", "integer")
FIELD_TYPES = {
    START: TIME_TYPES,
    END: TIME_TYPES,
    TRUNK: NAME_TYPES,
    NULL_DURATION: ("boolean", "keyword"),
    CAUSE: NAME_TYPES,
}
"""Field of a record (see `COLUMN_NAMES`) → accepted types in Elasticsearch."""
FLAGS = {"true": True, "1": True, "false": False, "0": False}
START_SUM, END_SUM, BUCKETS, IS_VALID = "start_sum", "end_sum", "buckets", "is_valid"


class NoRecordError(DataError):
    """Indices without a call record in a period."""


@dataclass(frozen=True)
class CallQuery:
    """Choice of the calls to count.

    interval    length of the intervals; they are counted from midnight UTC
    by_trunk    True counts every trunk, False all calls together
    start, end  the calls begin at `start` or later, and before `end` (UTC); None is no limit
    choice      names of fields that replace the usual ones
    """

    interval: pd.Timedelta
    by_trunk: bool = True
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None
    choice: ColumnChoice = field(default_factory=ColumnChoice)

    def __post_init__(self) -> None:
        """Raise OptionError for a period that ends before it starts, and for a field with customers or numbers."""
        self.choice.check()
        if self.start is not None and self.end is not None and _to_utc(self.start) >= _to_utc(self.end):
            raise OptionError(
                N_("The period ends at {end}, but it starts at {start}."), start=str(self.start), end=str(self.end)
            )


def count_records(server: SearchServer, query: CallQuery, progress: Progress | None = None) -> RecordCount:
    """Count the calls of the records in the indices of `server`, as `count_files` does for files.

    With a folder in `progress`, every page is kept there: a killed job continues after its last page. The job can be
    cancelled between two pages.

    Times are exact to the millisecond, as they are in Elasticsearch. Its sums are floating-point numbers of epoch
    milliseconds: exact up to 5,000 calls in a bucket, rounded by at most 0.02 s with 100,000 calls. Every document
    counts, also a second one with the same CDR_ID.

    Raises OptionError if no index matches. Raises NoRecordError without calls, and DataError for a missing or
    unsuitable field, and for calls whose outcome is unknown. Raises ServiceUnavailableError if the server fails after
    all retries, or if it gives incomplete results.
    """
    progress = progress or Progress()
    with server.connect(progress) as connection:
        fields = _find_fields(connection, query)
        survey = _survey_records(connection, query, fields)
        folder = progress.folder / CHECKPOINT_FOLDER if progress.folder else None
        store = PageStore(folder, _compute_digest(server, query, fields))
        _fetch_pages(connection, query, fields, survey, store)
    if not store.pages:
        raise _make_empty_error(server, query)
    pages = pd.concat(store.pages, ignore_index=True)
    store.clear()
    rejected = {"time": survey.timeless, "duration": int(pages["calls"][~pages[IS_VALID]].sum())}
    return RecordCount(
        pages.loc[pages[IS_VALID], list(BUCKET_COLUMNS)].reset_index(drop=True),
        survey.records,
        survey.outside,
        {reason: count for reason, count in rejected.items() if count},
    )


# ---- fields --------------------------------------------------------------------------------------------------------


def _find_fields(connection: SearchConnection, query: CallQuery) -> dict[str, str]:
    """Return the paths of the fields that the query needs. Raises OptionError if no index matches."""
    index = connection.server.index

    def read_fields(response: Mapping[str, Any]) -> dict[str, Any] | None:
        return dict(response["fields"]) if response["indices"] else None

    capabilities = connection.ask(lambda client: client.field_caps(index=index, fields="*"), read_fields)
    if capabilities is None:
        raise make_index_error(index)
    paths = {}
    for name, types in FIELD_TYPES.items():
        chosen = getattr(query.choice, name, "")
        names = (chosen,) if chosen else COLUMN_NAMES[name]
        is_optional = name == CAUSE and not chosen
        if (name == TRUNK and not query.by_trunk) or (is_optional and not _list_paths(capabilities, names[0])):
            continue
        paths[name] = _find_field(capabilities, index, names, types)
    return paths


def _find_field(capabilities: Mapping[str, Any], index: str, names: Sequence[str], types: Sequence[str]) -> str:
    """Return the path of the first name that the index has: the field, or its keyword sub-field.

    Raises DataError for a missing field, one of another type, and one below several prefixes.
    """
    paths: list[str] = next(filter(None, (_list_paths(capabilities, name) for name in names)), [])
    if not paths:
        raise DataError(N_("The records in {index} have no field {name}."), index=index, name=" / ".join(names))
    if len({_strip_keyword(path) for path in paths}) > 1:
        raise DataError(
            N_("{file}: several columns match {name}: {columns}. Choose one with an option of the import."),
            file=index,
            name=" / ".join(names),
            columns=", ".join(paths),
        )
    suitable = [path for path in paths if _is_suitable(capabilities[path], types)]
    if not suitable:
        raise DataError(
            N_("The field {name} in {index} has the type {value}. Accepted: {accepted}."),
            index=index,
            name=paths[0],
            value=", ".join(sorted(capabilities[paths[0]])),
            accepted=", ".join(types),
        )
    return suitable[0]


def _list_paths(capabilities: Mapping[str, Any], name: str) -> list[str]:
    """Return the paths of the field `name` and its keyword sub-field: exact, in other case, or below a prefix."""
    folded = name.casefold()
    plain = {path: _strip_keyword(path) for path in capabilities}
    for paths in (
        [path for path in plain if plain[path] == name],
        [path for path in plain if plain[path].casefold() == folded],
        [path for path in plain if plain[path].casefold().endswith(f".{folded}")],
    ):
        if paths:
            return sorted(paths, key=len)
    return []


def _strip_keyword(path: str) -> str:
    """Return the path of a field without the name of its keyword sub-field."""
    return path.removesuffix(".keyword")


def _is_suitable(capability: Mapping[str, Any], types: Sequence[str]) -> bool:
    """Tell whether a field has an accepted type in every index, and can be aggregated."""
    return all(name in types and kind.get("aggregatable") for name, kind in capability.items())


# ---- pages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Survey:
    """Number of records: all, begun outside the period, without a begin; first and last begin, in epoch ms."""

    records: int
    outside: int
    timeless: int
    first_ms: float
    last_ms: float


def _survey_records(connection: SearchConnection, query: CallQuery, fields: Mapping[str, str]) -> _Survey:
    """Count the records in the indices, and find the period of the calls."""
    start = {"field": fields[START]}
    aggregations = {
        "inside": {"filter": _make_selection(query, fields), "aggs": {"first": {"min": start}, "last": {"max": start}}},
        "timeless": {"missing": start},
    }

    def read_survey(response: Mapping[str, Any]) -> _Survey:
        records = int(response["hits"]["total"]["value"])
        inside, timeless = response["aggregations"]["inside"], int(response["aggregations"]["timeless"]["doc_count"])
        limits = (float(inside[name]["value"] or 0) for name in ("first", "last"))
        return _Survey(records, records - timeless - int(inside["doc_count"]), timeless, *limits)

    return connection.ask(
        lambda client: _search(client, connection.server, aggregations, track_total_hits=True), read_survey
    )


def _fetch_pages(
    connection: SearchConnection, query: CallQuery, fields: Mapping[str, str], survey: _Survey, store: PageStore
) -> None:
    """Fetch the pages after the last one in `store`, until an empty page."""
    selection = _make_selection(query, fields)
    sums = {START_SUM: {"sum": {"field": fields[START]}}, END_SUM: {"sum": {"field": fields[END]}}}
    composite: dict[str, Any] = {"size": PAGE_SIZE, "sources": _make_sources(query, fields)}
    aggregation = {BUCKETS: {"composite": composite, "aggs": sums}}
    while True:
        if store.after is not None:
            composite["after"] = store.after
            share = (store.after[START] - survey.first_ms) / max(survey.last_ms - survey.first_ms, 1.0)
            connection.progress.report(min(max(share, 0.0), 1.0), N_("Reading the records"))
        page, after = connection.ask(
            lambda client: _search(client, connection.server, aggregation, query=selection), _read_page
        )
        if after is None:
            return
        if store.after is not None and (after == store.after or after[START] < store.after[START]):
            raise ServiceUnavailableError(
                N_("Elasticsearch repeats a page of results ({after}), so the counts would be wrong."), after=str(after)
            )
        store.append(page, after)


def _make_sources(query: CallQuery, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the sources of the composite aggregation, time first. Records without a value have buckets too."""
    step = {"fixed_interval": f"{int(query.interval.total_seconds())}s"}
    terms = [name for name in (TRUNK, NULL_DURATION, CAUSE) if name in fields]
    return [
        {START: {"date_histogram": {"field": fields[START], **step}}},
        {END: {"date_histogram": {"field": fields[END], "missing_bucket": True, **step}}},
        *({name: {"terms": {"field": fields[name], "missing_bucket": True}}} for name in terms),
    ]


def _make_selection(query: CallQuery, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the query of the calls that begin in the period."""
    limits = {
        name: _to_utc(time).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for name, time in (("gte", query.start), ("lt", query.end))
        if time is not None
    }
    return {"range": {fields[START]: limits}} if limits else {"exists": {"field": fields[START]}}


def _search(client: Any, server: SearchServer, aggregations: Mapping[str, Any], **options: Any) -> Any:
    """Ask for aggregations of the calls, and for no record."""
    options = {"track_total_hits": False} | options
    return client.search(index=server.index, size=0, allow_partial_search_results=False, aggs=aggregations, **options)


def _read_page(response: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Return the buckets of a page and the position after it; None if the page is empty.

    The column IS_VALID is False for calls that end before they begin, and for answered calls without an end.
    """
    result = response["aggregations"][BUCKETS]
    entries = result["buckets"]
    if not entries:
        return pd.DataFrame(), None
    keys = pd.DataFrame([entry["key"] for entry in entries], dtype=object)
    keys[NULL_DURATION] = [FLAGS.get(str(value).lower()) for value in keys[NULL_DURATION]]
    calls = np.array([entry["doc_count"] for entry in entries], dtype=np.int64)
    _check_outcomes(keys, calls)
    is_open = keys[END].isna()  # an attempt without an end ends where it begins
    keys[END] = keys[END].where(~is_open, keys[START])
    end_sums = [entry[START_SUM if lacks_end else END_SUM] for entry, lacks_end in zip(entries, is_open, strict=True)]
    page = pd.DataFrame(
        {
            "trunk": _read_names(keys, TRUNK),
            "first": pd.to_datetime(keys[START].astype("int64"), unit="ms"),
            "last": pd.to_datetime(keys[END].astype("int64"), unit="ms"),
            "null_duration": keys[NULL_DURATION].astype(bool),
            "cause_group": _read_names(keys, CAUSE),
            "calls": calls,
            "first_seconds": _sum_offsets([entry[START_SUM] for entry in entries], keys[START], calls),
            "last_seconds": _sum_offsets(end_sums, keys[END], calls),
        }
    ).astype(BUCKET_COLUMNS)
    page[IS_VALID] = (page["last"] >= page["first"]) & (page["null_duration"] | ~is_open)
    _check_order(page)
    return page, dict(result.get("after_key") or entries[-1]["key"])


def _read_names(keys: pd.DataFrame, column: str) -> list[str]:
    """Return the names in a column, UNKNOWN where a record has none; equal names share their memory."""
    names = keys[column] if column in keys else [None] * len(keys)
    return [sys.intern(str(name).strip() if name is not None else "") or UNKNOWN for name in names]


def _sum_offsets(sums: Sequence[Mapping[str, float]], starts_ms: pd.Series, calls: NDArray[np.int64]) -> Floats:
    """Return the sums of (time − start of its interval), in s, from sums of epoch milliseconds."""
    parts = zip(sums, starts_ms.tolist(), calls.tolist(), strict=True)
    offsets = [int(total["value"]) - int(start) * count for total, start, count in parts]  # beyond 64 bits
    return np.array(offsets, dtype=np.float64) / 1000


def _check_outcomes(keys: pd.DataFrame, calls: NDArray[np.int64]) -> None:
    """Raise DataError for calls of which nobody knows whether they were answered."""
    selection = keys[NULL_DURATION].isna()
    if selection.any():
        raise DataError(
            N_(
                "{count} call has no valid value in the field {name}, in the interval of {time}.",
                "{count} calls have no valid value in the field {name}, the first in the interval of {time}.",
            ),
            count=int(calls[selection].sum()),
            name=COLUMN_NAMES[NULL_DURATION][0],
            time=str(pd.Timestamp(keys[START][selection.idxmax()], unit="ms")),
        )


def _check_order(page: pd.DataFrame) -> None:
    """Raise DataError for a bucket whose calls end before they begin in sum: nobody knows which of them do."""
    rounding_s = 1e-3 + 1e-6 * page["calls"]
    is_reversed = (page["last"] == page["first"]) & (page["last_seconds"] < page["first_seconds"] - rounding_s)
    if is_reversed.any():
        raise DataError(
            N_("Among {count} calls in the interval of {time}, some end before they begin."),
            count=int(page["calls"][is_reversed].iloc[0]),
            time=str(page["first"][is_reversed].iloc[0]),
        )


def _compute_digest(server: SearchServer, query: CallQuery, fields: Mapping[str, str]) -> str:
    """Return the digest of everything that the buckets depend on except the records."""
    limits = [None if time is None else _to_utc(time).isoformat() for time in (query.start, query.end)]
    parts = [server.url, server.index, str(query.interval), query.by_trunk, limits, dict(fields), PAGE_SIZE]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _make_empty_error(server: SearchServer, query: CallQuery) -> NoRecordError:
    return NoRecordError(
        N_("{index} has no call record between {start} and {end}."),
        index=server.index,
        start=str(query.start or "…"),
        end=str(query.end or "…"),
    )


def _to_utc(time: pd.Timestamp) -> pd.Timestamp:
    """Return a time with its zone; one without a zone is in UTC."""
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
