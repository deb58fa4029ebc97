"""Counting of call detail records in files: one pass of DuckDB in bounded memory, whatever the number of records."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.data.call_records.buckets import BUCKET_COLUMNS
from core.data.call_records.columns import ColumnChoice, match_columns
from core.data.call_records.relations import (
    STATUS_OK,
    STATUS_PERIOD,
    build_records_query,
    clean_name,
    name_orc_view,
    quote_text,
)
from core.data.call_records.sources import RecordFile, list_record_files, open_record_file
from core.errors import DataError, UnreadableFileError
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress

duckdb: Any = LazyModule("duckdb")

MEMORY_LIMIT = "250MB"  # of DuckDB; beyond it, its tables go to the temporary folder
MAX_THREADS = 4
POLL_S = 0.2  # between two reports of progress
REJECTIONS = {
    "line": N_(
        "{count} of {records} lines cannot be read and does not count.",
        "{count} of {records} lines cannot be read and do not count.",
    ),
    "time": N_(
        "{count} of {records} records has no readable time and does not count.",
        "{count} of {records} records have no readable time and do not count.",
    ),
    "duration": N_(
        "{count} of {records} records has a negative or no duration and does not count.",
        "{count} of {records} records have a negative or no duration and do not count.",
    ),
    "repeated": N_(
        "{count} of {records} records repeats the CDR_ID and the start of another one and does not count.",
        "{count} of {records} records repeat the CDR_ID and the start of another one and do not count.",
    ),
}
"""Reason why records do not count → message."""


@dataclass(frozen=True)
class RecordCount:
    """Calls of a set of records, summed into buckets, and what became of every record.

    buckets   see `core.data.call_records.buckets`
    records   records that were read
    outside   records that begin outside the chosen period
    rejected  reason → number of records that do not count (see `REJECTIONS`)
    """

    buckets: pd.DataFrame
    records: int
    outside: int
    rejected: Mapping[str, int]


def count_files(
    paths: Sequence[Path],
    interval: pd.Timedelta,
    *,
    by_trunk: bool = True,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    choice: ColumnChoice = ColumnChoice(),  # noqa: B008
    progress: Progress | None = None,
) -> RecordCount:
    """Count the calls of all records in files, or in the files of folders, that begin from `start` to before `end`.

    Times without an offset are UTC. A record without Call_Start_Time counts at its @timestamp; without Call_End_Time,
    it ends after its DURATION. Of records with the same CDR_ID and start, one counts.

    Raises UnreadableFileError for a damaged file or another format, DataError for missing columns, OptionError for a
    private column, and Cancelled.
    """
    choice.check()
    files = [open_record_file(path) for path in list_record_files(list(paths))]
    matched = [(file, match_columns(file.name, file.columns, choice, by_trunk)) for file in files]
    period_us = tuple(None if limit is None else limit.value // 1000 for limit in (start, end))
    query = build_records_query(matched, period_us)  # type: ignore[arg-type]
    has_ids = any("id" in matches for _, matches in matched)
    progress = progress or Progress()
    with _connect(files) as connection:
        parts = [progress.create_part(number, 1 + has_ids) for number in range(1 + has_ids)]
        connection.execute(f"CREATE TEMP VIEW records AS {query}")
        sums = _run(connection, _sum_query(interval, "FROM records"), parts[0])
        line_errors = _count_line_errors(connection) if any(file.format == "csv" for file in files) else 0
        repeated = _sum_repeated(connection, interval, parts[1]) if has_ids else sums.slice(0, 0)
    count = _build_count(sums, repeated, line_errors)
    if count.buckets.empty and count.rejected and not count.outside:
        reason, number = max(count.rejected.items(), key=lambda item: item[1])
        raise DataError(REJECTIONS[reason], count=number, records=count.records)
    return count


def _build_count(sums: Any, repeated: Any, line_errors: int) -> RecordCount:
    """Return the count from Arrow tables of sums: all records, and those to take away."""
    is_ok = pc.equal(sums["status"], STATUS_OK)
    totals = sums.filter(pc.invert(is_ok)).to_pandas().groupby("status")["calls"].sum()
    buckets, surplus = _to_frame(sums.filter(is_ok).drop_columns("status")), _to_frame(repeated)
    records = int(totals.sum()) + int(buckets["calls"].sum()) + line_errors
    if len(surplus):
        measures = ["calls", "first_seconds", "last_seconds"]
        surplus[measures] = -surplus[measures]
        keys = ["trunk", "first", "last", "null_duration", "cause_group"]
        texts = {"trunk": "str", "cause_group": "str"}
        both = pd.concat([buckets.astype(texts), surplus.astype(texts)])
        buckets = both.groupby(keys, as_index=False)[measures].sum()
        buckets = buckets[buckets["calls"] > 0]
    rejected = {reason: int(totals.get(reason, 0)) for reason in REJECTIONS}
    rejected["line"] += line_errors
    rejected["repeated"] = -int(surplus["calls"].sum()) if len(surplus) else 0
    return RecordCount(
        buckets[list(BUCKET_COLUMNS)].reset_index(drop=True),
        records,
        int(totals.get(STATUS_PERIOD, 0)),
        {reason: count for reason, count in rejected.items() if count},
    )


def _to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of buckets; each name of a trunk or cause is in memory once."""
    for name in ("trunk", "cause_group"):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    types = {name: kind for name, kind in BUCKET_COLUMNS.items() if kind != "str"}
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame.astype(types, copy=False)


# ---- DuckDB ---------------------------------------------------------------------------------------------------------


@contextmanager
def _connect(files: Sequence[RecordFile]) -> Iterator[Any]:
    """Yield a connection that can read these files and nothing else; its temporary files are deleted at the end.

    Raises UnreadableFileError where DuckDB cannot read a file.
    """
    import pyarrow.dataset

    with TemporaryDirectory(prefix="vigie-calls-") as folder:
        config = {
            "memory_limit": MEMORY_LIMIT,
            "threads": min(MAX_THREADS, os.cpu_count() or 1),
            "temp_directory": folder,
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": False,
        }
        connection = duckdb.connect(config=config)
        try:
            paths = ", ".join(quote_text(str(file.path)) for file in files if file.format != "orc")
            for statement in (
                "SET TimeZone = 'UTC'",
                "SET enable_progress_bar = true",  # it counts the share
                "SET enable_progress_bar_print = false",
                f"SET allowed_paths = [{paths}]",
                "SET enable_external_access = false",
                "SET lock_configuration = true",
            ):
                connection.execute(statement)
            for file in files:
                if file.format == "orc":
                    dataset = pyarrow.dataset.dataset(str(file.path), format="orc")
                    connection.register(name_orc_view(file), dataset)
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                N_("The counts need more than {limit} of memory. Choose a longer interval, or all trunks in one."),
                limit=MEMORY_LIMIT,
            ) from error
        except (duckdb.InvalidInputException, duckdb.IOException, duckdb.DataError, pa.ArrowException) as error:
            names = ", ".join(dict.fromkeys(file.name for file in files))
            raise UnreadableFileError(
                N_("{file}: damaged file ({reason})."), file=names[:200], reason=type(error).__name__
            ) from error
        finally:
            connection.close()


def _run(connection: Any, query: str, progress: Progress) -> Any:
    """Return the Arrow table of a query. Reports its progress; stops it at a request to cancel."""
    with ThreadPoolExecutor(1, "vigie-calls") as pool:
        future = pool.submit(lambda: connection.sql(query).to_arrow_table())
        try:
            while not wait([future], POLL_S).done:
                progress.report(max(connection.query_progress(), 0.0) / 100, N_("Reading the records"))
        except BaseException:
            connection.interrupt()
            raise
    progress.report(1.0)
    return future.result()


def _sum_query(interval: pd.Timedelta, source: str) -> str:
    """Return the query of the buckets of `source`; records that do not count share one line per status.

    The names of trunks and causes are cleaned after the sums, when they are few.
    """
    step_us = interval.value // 1000
    is_ok = f"status = '{STATUS_OK}'"
    return f"""
        SELECT status,
               CASE WHEN {is_ok} THEN {clean_name("trunk")} END AS trunk,
               CASE WHEN {is_ok} THEN {clean_name("cause")} END AS cause_group,
               failed AS null_duration,
               make_timestamp_ns(first * 1000) AS first,
               make_timestamp_ns(last * 1000) AS last,
               CAST(sum(calls) AS BIGINT) AS calls,
               CAST(sum(first_us) AS DOUBLE) / 1e6 AS first_seconds,
               CAST(sum(last_us) AS DOUBLE) / 1e6 AS last_seconds
        FROM (
            SELECT status, trunk, cause,
                   CASE WHEN {is_ok} THEN failed END AS failed,
                   CASE WHEN {is_ok} THEN s - s % {step_us} END AS first,
                   CASE WHEN {is_ok} THEN e - e % {step_us} END AS last,
                   count(*) AS calls,
                   sum(s % {step_us}) AS first_us,
                   sum(e % {step_us}) AS last_us
            {source}
            GROUP BY ALL
        )
        GROUP BY ALL
    """


def _count_line_errors(connection: Any) -> int:
    """Return the number of lines that have not the cells of the header."""
    query = "SELECT count(DISTINCT (scan_id, file_id, line)) FROM reject_errors"
    return int(connection.execute(query).fetchall()[0][0])


def _sum_repeated(connection: Any, interval: pd.Timedelta, progress: Progress) -> Any:
    """Return the buckets of the records beyond the first with the same id and start."""
    keys = _run(
        connection,
        "SELECT h FROM (SELECT hash(id, s) AS h FROM records WHERE id IS NOT NULL) GROUP BY h HAVING count(*) > 1",
        progress,
    )
    connection.register("repeated_keys", keys)
    source = f"""
        FROM (
            SELECT *, row_number() OVER (PARTITION BY id, s ORDER BY e, trunk, failed, cause) AS occurrence
            FROM records WHERE status = '{STATUS_OK}' AND hash(id, s) IN (SELECT h FROM repeated_keys)
        ) WHERE occurrence > 1
    """
    return _run(connection, _sum_query(interval, source if len(keys) else "FROM records WHERE false"), progress)
