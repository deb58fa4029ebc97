"""The files below a folder, a room at a time: 100,000 of them are never held together."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.data.ingest.files import natural
from core.errors import UnreadableFileError
from core.messages import N_

WILD = re.compile(r"[*?]")
DAY = re.compile(r"20\d{6}")
NOT_MEASURED = re.compile(r"(^|/)[.](?![.]?/)|\.geojson$|(^|/)__MACOSX")


@dataclass(frozen=True)
class Found:
    """A file: its path below the folder, its bytes, and when it was written (nanoseconds)."""

    path: str
    size: int
    written: int

    @property
    def room(self) -> str:
        """The folder it lies in; "" for the outermost."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class Inventory:
    """How many files there are, their bytes, and the SHA-256 of their list: paths, sizes, when they were written."""

    files: int
    size: int
    digest: str


@dataclass(frozen=True)
class Folder:
    """A folder, and which of the files below it are meant.

    `pattern` is written as for a shell, with ** for any folders; "" is for all.
    """

    place: Path
    pattern: str = ""

    @classmethod
    def of(cls, given: Path) -> "Folder":
        """From a folder, a single file or a pattern. Raises UnreadableFileError where there is none."""
        if given.is_dir():
            return cls(given.resolve())
        if given.is_file():
            return cls(given.resolve().parent, re.sub(r"[*?\[]", "?", given.name))
        place = next((each for each in given.parents if not WILD.search(str(each))), Path())
        if not WILD.search(str(given)) or not place.is_dir():
            raise UnreadableFileError(N_("{file}: no such file or folder."), file=given.name)
        return cls(place.resolve(), given.relative_to(place).as_posix())

    def inventory(self) -> Inventory:
        """Looks at every file, reads none. Raises UnreadableFileError where there is none."""
        files, size, seen = 0, 0, hashlib.sha256()
        for room in self.rooms():
            for each in room:
                seen.update(f"{each.path}\0{each.size}\0{each.written}\n".encode(errors="surrogateescape"))
            files, size = files + len(room), size + sum(each.size for each in room)
        if not files:
            raise UnreadableFileError(N_("{file}: the folder holds no file."), file=str(self.place / self.pattern))
        return Inventory(files, size, seen.hexdigest())

    def rooms(self) -> Iterator[list[Found]]:
        """The files of one folder after the other, in natural order.

        Folders that are called after days (20190316) count as one with the folder they lie in: a tile's days lie in
        all of them.
        """
        yield from self._rooms("", _expression(self.pattern) if self.pattern else None)

    def _rooms(self, inside: str, meant: "re.Pattern[str] | None") -> Iterator[list[Found]]:
        files, folders = self._seen(inside)
        for day in [each for each in folders if DAY.fullmatch(each.rpartition("/")[2])]:
            own, deeper = self._seen(day)
            files += own
            folders = [each for each in folders if each != day] + deeper
        room = [each for each in files if meant is None or meant.fullmatch(each.path)]
        if room:
            yield sorted(room, key=lambda each: natural(each.path))
        for folder in sorted(folders, key=natural):
            yield from self._rooms(folder, meant)

    def _seen(self, inside: str) -> tuple[list[Found], list[str]]:
        """Files and folders right inside a folder; hidden ones, links to folders and maps do not count."""
        files, folders = [], []
        with os.scandir(self.place / inside) as entries:
            for entry in entries:
                path = f"{inside}/{entry.name}" if inside else entry.name
                if NOT_MEASURED.search(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file():
                    told = entry.stat()
                    files.append(Found(path, told.st_size, told.st_mtime_ns))
        return files, folders


def _expression(pattern: str) -> "re.Pattern[str]":
    """What a shell means by `pattern`."""
    meant = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(meant.get(part, re.escape(part)) for part in parts))
