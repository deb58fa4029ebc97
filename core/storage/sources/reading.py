"""Reading of any source: what is new since a cursor, everything, or whether it can be read at all."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from core.circuit_breaker import ServiceBreaker
from core.settings import Settings
from core.storage.sources.addresses import hide_query
from core.storage.sources.base import MAX_BYTES, NO_STATE, Arrivals, RowSource
from core.storage.sources.bucket import BucketReader
from core.storage.sources.database import DatabaseReader
from core.storage.sources.folder import FolderReader
from core.storage.sources.search import SearchReader
from core.storage.sources.web import WebReader
from core.watches.source import BucketSource, DatabaseSource, FolderSource, SearchSource, Source, WebSource

T = TypeVar("T")
READ_TIMEOUT_S, CHECK_TIMEOUT_S = 300.0, 30.0


def read_arrivals(
    source: Source,
    cursor: str,
    folder: Path,
    settings: Settings,
    *,
    max_bytes: int = MAX_BYTES,
    now: datetime | None = None,
) -> Arrivals:
    """Write what `source` has that is new since `cursor` to files in the empty folder `folder`.

    The cursor "" reads everything. So does one of another source, for instance after a change of the watch: rows that
    were judged are dropped later. `now` is the time of the call, the present by default.

    Raises AccessDeniedError, ServiceUnavailableError and InputError as `RowSource` does. Nothing is lost then: the
    same cursor reads the same rows later.
    """
    state = _parse_cursor(source, cursor)
    return _read(source, state, folder, settings, max_bytes, now or datetime.now(UTC))


def read_all(
    source: Source,
    folder: Path,
    settings: Settings,
    *,
    since: datetime | None = None,
    max_bytes: int = MAX_BYTES,
    now: datetime | None = None,
) -> Arrivals:
    """Write everything that `source` has to files in the empty folder `folder`, for a replay or another training.

    With `since`, a database and a search server leave out most older rows; files come as a whole. The cursor of the
    result continues after them. Raises the errors of `read_arrivals`.
    """
    instant = now or datetime.now(UTC)
    state = _open_reader(source, settings).start_late(since)
    files: list[tuple[Path, str]] = []
    notes: list[Any] = []
    while True:
        part_folder = folder / f"part-{len(files)}"
        part_folder.mkdir(parents=True)
        arrivals = _read(source, state, part_folder, settings, max_bytes, instant)
        files += arrivals.files
        notes += [note for note in arrivals.notes if note not in notes]
        if not arrivals.has_more:
            return replace(arrivals, files=tuple(files), notes=tuple(notes))
        if not arrivals.files:
            part_folder.rmdir()
        state = _parse_cursor(source, arrivals.cursor)


def check_source(source: Source, settings: Settings) -> None:
    """Make sure that the settings allow `source` and that it can be read; as little as possible is read.

    Raises OptionError, AccessDeniedError and ServiceUnavailableError.
    """
    _limit_time(source, CHECK_TIMEOUT_S, _open_reader(source, settings).check)


def describe_source(source: Source) -> str:
    """Return the address of a source in one line, without secrets.

    Example:
        >>> describe_source(WebSource(url="https://data.example.org/load.csv?token=hunter2"))
        'https://data.example.org/load.csv?…'
    """
    if isinstance(source, FolderSource):
        return f"{source.path.rstrip('/')}/{source.pattern}"
    if isinstance(source, BucketSource):
        return f"{source.address.rstrip('/')}/{source.pattern}"
    if isinstance(source, WebSource):
        return hide_query(source.url)
    if isinstance(source, SearchSource):
        return f"Elasticsearch: {source.index}" if source.index else "Elasticsearch"
    return f"SQL: {source.database}, {source.time_column}"


def _read(
    source: Source, state: Mapping[str, Any], folder: Path, settings: Settings, max_bytes: int, now: datetime
) -> Arrivals:
    reader = _open_reader(source, settings)
    portion = _limit_time(source, READ_TIMEOUT_S, lambda: reader.read(state, folder, max_bytes, now))
    cursor = json.dumps({"source": _compute_digest(source), "state": portion.state}, separators=(",", ":"))
    return Arrivals(portion.files, cursor, portion.has_more, portion.notes)


def _open_reader(source: Source, settings: Settings) -> RowSource:
    if isinstance(source, FolderSource):
        return FolderReader(source, settings)
    if isinstance(source, BucketSource):
        return BucketReader(source, settings)
    if isinstance(source, WebSource):
        return WebReader(source, settings)
    if isinstance(source, SearchSource):
        return SearchReader(source, settings)
    assert isinstance(source, DatabaseSource)
    return DatabaseReader(source, settings)


def _limit_time(source: Source, limit_s: float, work: Callable[[], T]) -> T:
    """Return the result of `work`. Raises ServiceUnavailableError after `limit_s`, as for a folder of a dead server."""
    return ServiceBreaker(describe_source(source), limit_s, reset_after_s=0).call(work, ())


def _parse_cursor(source: Source, cursor: str) -> Mapping[str, Any]:
    """Return the state in a cursor; the empty state for a cursor of another source, or that nobody can read."""
    try:
        parts = json.loads(cursor or "{}")
        state = parts["state"] if parts["source"] == _compute_digest(source) else NO_STATE
    except (ValueError, LookupError, TypeError):
        return NO_STATE
    return state if isinstance(state, dict) else NO_STATE


def _compute_digest(source: Source) -> str:
    return hashlib.sha256(source.model_dump_json().encode()).hexdigest()[:16]
