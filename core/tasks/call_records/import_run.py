"""Count call records from files or from Elasticsearch as one run, and store the counts as a dataset."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from core.actor import Actor
from core.batch.file_inventory import FileList
from core.data.call_records.buckets import build_counts, parse_interval, to_dataset
from core.data.call_records.files import REJECTIONS, RecordCount, count_files
from core.data.call_records.sources import list_record_files
from core.data.quality.findings import Finding
from core.messages import N_, Message
from core.progress import Progress
from core.runs.tracked_run import Run, track_run
from core.tasks.call_records.import_result import ImportResult
from core.tasks.call_records.import_spec import ImportSpec
from core.workspace import Workspace

TASK = "call_records"
MAX_SHOWN_FILES = 20
SHORT_IMPORT = pd.Timedelta(days=1)  # up to this length the counts show the rest of running calls, too


def import_records(
    spec: ImportSpec, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[ImportResult, Run]:
    """Count the records and store the counts as a dataset.

    Raises OptionError for a value that is not accepted, UnreadableFileError for a file that cannot be read, DataError
    for missing columns and without calls, ServiceUnavailableError if Elasticsearch fails, and Cancelled.
    """
    spec.check()
    spec, progress = spec.fill_defaults(), progress or Progress()
    data = _list_data(spec, workspace)
    with track_run(TASK, "Call records", spec.to_params(), data, actor, workspace) as run:
        started_s = time.perf_counter()
        count = _count_records(spec, workspace, progress)
        seconds = time.perf_counter() - started_s
        result = _build_result(spec, data, count, count.records / max(seconds, 1e-9), workspace)
        run.details = {"successful_predictions": int(result.metrics()["calls"])}
        run.add_result(result, TASK)
    return result, run


def _count_records(spec: ImportSpec, workspace: Workspace, progress: Progress) -> RecordCount:
    interval, (start, end) = parse_interval(spec.interval), spec.period
    if spec.records:
        paths = [Path(path) for path in spec.records]
        return count_files(
            paths, interval, by_trunk=spec.by_trunk, start=start, end=end, choice=spec.columns, progress=progress
        )
    from core.storage.call_records import CallQuery, count_records
    from core.storage.search_server import SearchServer

    server = SearchServer.from_address(spec.elasticsearch, workspace.settings)
    server = replace(server, index=spec.index) if spec.index else server
    return count_records(server, CallQuery(interval, spec.by_trunk, start, end, spec.columns), progress)


def _build_result(
    spec: ImportSpec, data: FileList, count: RecordCount, records_per_second: float, workspace: Workspace
) -> ImportResult:
    interval, (start, end) = parse_interval(spec.interval), spec.period
    counts = build_counts(count.buckets, interval, spec.by_trunk, start, end)
    rest = pd.Series(dtype="datetime64[ns, UTC]")
    if end is None:
        counts, rest = _cut_rest(counts, count.buckets)
    notes = tuple(_list_notes(count, rest))
    findings = [Finding("call_records", 1, note) for note in notes]
    dataset = to_dataset(counts, interval, data.files, findings)
    return ImportResult(
        spec,
        counts,
        workspace.datasets.save(dataset),
        data,
        records=count.records,
        outside=count.outside,
        rejected=count.rejected,
        trunks=len(dataset.entities),
        intervals=counts["timestamp"].nunique(),
        first=str(counts["timestamp"].min()),
        last=str(counts["timestamp"].max()),
        records_per_second=records_per_second,
        notes=notes,
    )


def _cut_rest(counts: pd.DataFrame, buckets: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return the counts without the intervals after the last call began, and the times of these intervals.

    No record tells what happened there: an outage would be seen that did not take place. A short import keeps them.
    """
    last = buckets["first"].max().tz_localize("UTC")
    is_rest = counts["timestamp"] > last
    if last - counts["timestamp"].min() < SHORT_IMPORT:
        return counts, counts["timestamp"].iloc[:0]
    return counts[~is_rest].reset_index(drop=True), counts.loc[is_rest, "timestamp"].drop_duplicates()


def _list_notes(count: RecordCount, rest: pd.Series) -> Iterator[Message]:
    """Yield what the user must know about the counts."""
    for reason, number in count.rejected.items():
        yield Message(REJECTIONS[reason], {"count": number, "records": count.records})
    if count.outside:
        yield Message(
            N_("{count} record begins outside the chosen period.", "{count} records begin outside the chosen period."),
            {"count": count.outside},
        )
    if len(rest):
        yield Message(
            N_(
                "The last interval, from {start}, is left out: calls went on, but no record begins in it.",
                "The last {count} intervals, from {start}, are left out: calls went on, but no record begins in them.",
            ),
            {"count": len(rest), "start": str(rest.min())},
        )


def _list_data(spec: ImportSpec, workspace: Workspace) -> FileList:
    """Return the names of the files with the digest of their sizes and dates, or the index."""
    hasher = hashlib.sha256()
    if spec.elasticsearch:
        index = spec.index or workspace.settings.call_records_index
        name = f"{index} ({urlsplit(spec.elasticsearch).hostname})"
        hasher.update("\0".join((name, spec.start, spec.end)).encode())
        return FileList(hasher.hexdigest(), (name,))
    paths = list_record_files([Path(path) for path in spec.records])
    for path in paths:
        status = path.stat()
        hasher.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    names = [path.name for path in paths[:MAX_SHOWN_FILES]]
    more = [f"… ({len(paths)} files)"] if len(paths) > MAX_SHOWN_FILES else []
    return FileList(hasher.hexdigest(), (*names, *more))
