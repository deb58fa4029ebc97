"""What a service has not got yet of the event log: read from a cursor, a batch at a time, by one process at a time."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from core.storage.events.log import Events

BATCH_LINES = 500
BATCH_BYTES = 1_000_000  # also the longest line that is sent whole
EXCERPT_BYTES = 2000  # of a rejected line, kept beside the reason
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class LogLine:
    """One line of the log, without its end where it is longer than BATCH_BYTES; `end` is where the next one begins."""

    file: str
    end: int
    text: bytes

    @property
    def id(self) -> str:
        """The same for the same event, however often and by whomever it is sent."""
        return hashlib.sha256(self.text.strip()).hexdigest()[:32]


class LogCursor:
    """How far a service has got in the log: `folder/sent.json` (file → bytes that are done with).

    The log is the truth: a cursor that is lost, or does not fit the file, starts again at its beginning, and the ids
    of the lines keep anything from being stored twice.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sent = folder / "sent.json"
        self._rejected = folder / "refused.jsonl"

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Keep others away; False where another process or thread does."""
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

        A last line without its end is waited for, as somebody may be writing it.
        """
        batch: list[LogLine] = []
        size = 0
        for line in self._pending():
            batch.append(line)
            size += len(line.text)
            if len(batch) == BATCH_LINES or size >= BATCH_BYTES:
                break
        return batch

    def commit(self, done: Iterable[LogLine]) -> None:
        """Move behind these lines. Raises OSError where the disk cannot take it; nothing has changed then."""
        offsets = self._offsets() | {line.file: line.end for line in done}
        draft = self._sent.with_name(f".sent-{uuid.uuid4().hex}")
        try:
            draft.write_text(json.dumps(offsets), encoding="utf-8")
            draft.replace(self._sent)
        finally:
            draft.unlink(missing_ok=True)

    def reject(self, line: LogLine, reason: str) -> None:
        """Write down a line that will never be taken, and why; twice where a crash comes before `commit`."""
        note = {
            "file": line.file,
            "id": line.id,
            "reason": reason[:EXCERPT_BYTES],
            "line": line.text[:EXCERPT_BYTES].decode(errors="replace"),
        }
        with self._rejected.open("ab") as file:
            file.write(json.dumps(note).encode() + b"\n")

    def pending_count(self) -> int:
        """Count the whole lines that wait."""
        offsets = self._offsets()
        return sum(_count_lines(path, _offset(path, offsets)) for path in Events(self.folder).files())

    def rejected_count(self) -> int:
        """Count the lines that were rejected."""
        return _count_lines(self._rejected, 0) if self._rejected.is_file() else 0

    def _pending(self) -> Iterator[LogLine]:
        offsets = self._offsets()
        for path in Events(self.folder).files():
            start = _offset(path, offsets)
            if start < path.stat().st_size:
                with path.open("rb") as file:
                    file.seek(start)
                    while (line := _read_line(file, path.name)) is not None:
                        yield line

    def _offsets(self) -> dict[str, int]:
        try:
            stored = json.loads(self._sent.read_text(encoding="utf-8"))
            return {str(name): int(offset) for name, offset in stored.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _read_line(file: IO[bytes], name: str) -> LogLine | None:
    """Read the next whole line; None at the end."""
    text = file.readline(BATCH_BYTES)
    rest = text
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(BATCH_BYTES)
    return LogLine(name, file.tell(), text) if rest else None


def _offset(path: Path, offsets: dict[str, int]) -> int:
    """Where to go on in `path`: at the cursor if that is the beginning of a line, else at the beginning of the file."""
    offset = offsets.get(path.name, 0)
    if not 0 < offset <= path.stat().st_size:
        return 0
    with path.open("rb") as file:
        file.seek(offset - 1)
        return offset if file.read(1) == b"\n" else 0


def _count_lines(path: Path, start: int) -> int:
    """Count the lines that end behind `start`."""
    with path.open("rb") as file:
        file.seek(start, os.SEEK_SET)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b""))
