"""Cursor in the event log: the position up to which a service has the events. One process reads at a time."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from core.storage.durable_files import write_durably
from core.storage.events.log import EventLog

BATCH_LINES = 500
BATCH_BYTES = 1_000_000  # also the maximum length of a line that is sent complete
EXCERPT_BYTES = 2000  # stored part of a rejected line
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class LogLine:
    """One line of the log, cut after BATCH_BYTES; `end_offset` is the byte offset of the next line."""

    file: str
    end_offset: int
    text: bytes

    @property
    def id(self) -> str:
        """Hash of the line, so that an event that is sent twice is stored once."""
        return hashlib.sha256(self.text.strip()).hexdigest()[:32]


class LogCursor:
    """Position of a service in the log, stored in `folder/sent.json` (file → number of bytes sent or rejected).

    A cursor that is lost or does not fit the file restarts at the beginning of the file. The ids of the lines prevent
    duplicates in the service.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cursor_path = folder / "sent.json"
        self._rejected_path = folder / "refused.jsonl"

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the lock of the cursor; yield False if another process or thread holds it."""
        lock = FileLock(self.folder / ".sent.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def next_batch(self) -> list[LogLine]:
        """Return the next lines, at most BATCH_LINES and about BATCH_BYTES.

        A last line without a line break is not returned, because another process may be writing it.
        """
        batch: list[LogLine] = []
        size = 0
        for line in self._iter_pending():
            batch.append(line)
            size += len(line.text)
            if len(batch) == BATCH_LINES or size >= BATCH_BYTES:
                break
        return batch

    def commit(self, lines: Iterable[LogLine]) -> None:
        """Move the cursor behind these lines.

        Raises OSError if it cannot be written; the cursor is unchanged then.
        """
        offsets = self._load_offsets() | {line.file: line.end_offset for line in lines}
        write_durably(self._cursor_path, json.dumps(offsets).encode())

    def reject(self, line: LogLine, reason: str) -> None:
        """Store a line that the service rejects for good, with the reason.

        A crash before `commit` can store the line twice.
        """
        note = {
            "file": line.file,
            "id": line.id,
            "reason": reason[:EXCERPT_BYTES],
            "line": line.text[:EXCERPT_BYTES].decode(errors="replace"),
        }
        with self._rejected_path.open("ab") as file:
            file.write(json.dumps(note).encode() + b"\n")

    def count_pending(self) -> int:
        """Return the number of complete lines that wait to be sent."""
        offsets = self._load_offsets()
        return sum(_count_lines(path, _find_offset(path, offsets)) for path in EventLog(self.folder).list_files())

    def count_rejected(self) -> int:
        """Return the number of rejected lines."""
        return _count_lines(self._rejected_path, 0) if self._rejected_path.is_file() else 0

    def _iter_pending(self) -> Iterator[LogLine]:
        offsets = self._load_offsets()
        for path in EventLog(self.folder).list_files():
            start = _find_offset(path, offsets)
            if start < path.stat().st_size:
                with path.open("rb") as file:
                    file.seek(start)
                    while (line := _read_line(file, path.name)) is not None:
                        yield line

    def _load_offsets(self) -> dict[str, int]:
        try:
            offsets = json.loads(self._cursor_path.read_text(encoding="utf-8"))
            return {str(name): int(offset) for name, offset in offsets.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _read_line(file: IO[bytes], name: str) -> LogLine | None:
    """Return the next complete line, or None if there is none."""
    text = file.readline(BATCH_BYTES)
    rest = text
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(BATCH_BYTES)
    return LogLine(name, file.tell(), text) if rest else None


def _find_offset(path: Path, offsets: dict[str, int]) -> int:
    """Return the byte offset at which to continue in `path`: the cursor if a line begins there, or 0."""
    offset = offsets.get(path.name, 0)
    if not 0 < offset <= path.stat().st_size:
        return 0
    with path.open("rb") as file:
        file.seek(offset - 1)
        return offset if file.read(1) == b"\n" else 0


def _count_lines(path: Path, start: int) -> int:
    """Return the number of lines that end behind byte `start`."""
    with path.open("rb") as file:
        file.seek(start, os.SEEK_SET)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b""))
