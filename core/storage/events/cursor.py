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

LINES = 500
BYTES = 1_000_000  # of a batch; also the longest line that is sent whole
SHOWN = 2000  # bytes of a refused line that are kept beside the reason
BLOCK = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line of the log, without its end where it is longer than BYTES; `end` is where the next one begins."""

    file: str
    end: int
    text: bytes

    @property
    def id(self) -> str:
        """The same for the same event, however often and by whomever it is sent."""
        return hashlib.sha256(self.text.strip()).hexdigest()[:32]


class Backlog:
    """What lies behind the cursor `folder/sent.json` (file → bytes that are done with).

    The log is the truth: a cursor that is lost, or does not fit the file, starts again at its beginning, and the ids
    of the lines keep anything from being stored twice.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sent = folder / "sent.json"
        self._refused = folder / "refused.jsonl"

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """False where another process or thread is at it."""
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

    def batch(self) -> list[Line]:
        """The next lines, at most LINES and about BYTES; a last line without its end is waited for, as somebody may
        be writing it.
        """
        found: list[Line] = []
        size = 0
        for line in self._waiting():
            found.append(line)
            size += len(line.text)
            if len(found) == LINES or size >= BYTES:
                break
        return found

    def advance(self, done: Iterable[Line]) -> None:
        """These lines are done with. Raises OSError where the disk cannot take it; nothing has changed then."""
        cursor = self._cursor() | {line.file: line.end for line in done}
        draft = self._sent.with_name(f".sent-{uuid.uuid4().hex}")
        try:
            draft.write_text(json.dumps(cursor), encoding="utf-8")
            draft.replace(self._sent)
        finally:
            draft.unlink(missing_ok=True)

    def refuse(self, line: Line, reason: str) -> None:
        """Write down a line that will never be taken, and why; twice where a crash comes before `advance`."""
        note = {
            "file": line.file,
            "id": line.id,
            "reason": reason[:SHOWN],
            "line": line.text[:SHOWN].decode(errors="replace"),
        }
        with self._refused.open("ab") as file:
            file.write(json.dumps(note).encode() + b"\n")

    def count(self) -> int:
        """How many whole lines wait."""
        cursor = self._cursor()
        return sum(_ends(path, _start(path, cursor)) for path in Events(self.folder).files())

    def refused(self) -> int:
        """How many lines were refused."""
        return _ends(self._refused, 0) if self._refused.is_file() else 0

    def _waiting(self) -> Iterator[Line]:
        cursor = self._cursor()
        for path in Events(self.folder).files():
            start = _start(path, cursor)
            if start < path.stat().st_size:
                with path.open("rb") as file:
                    file.seek(start)
                    while (line := _next(file, path.name)) is not None:
                        yield line

    def _cursor(self) -> dict[str, int]:
        try:
            found = json.loads(self._sent.read_text(encoding="utf-8"))
            return {str(name): int(place) for name, place in found.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _next(file: IO[bytes], name: str) -> Line | None:
    """The next whole line; None at the end."""
    text = file.readline(BYTES)
    rest = text
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(BYTES)
    return Line(name, file.tell(), text) if rest else None


def _start(path: Path, cursor: dict[str, int]) -> int:
    """Where to go on in `path`: at the cursor if that is the beginning of a line, else at the beginning of the file."""
    place = cursor.get(path.name, 0)
    if not 0 < place <= path.stat().st_size:
        return 0
    with path.open("rb") as file:
        file.seek(place - 1)
        return place if file.read(1) == b"\n" else 0


def _ends(path: Path, start: int) -> int:
    """How many lines end behind `start`."""
    with path.open("rb") as file:
        file.seek(start, os.SEEK_SET)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
