"""The files below a folder, one folder at a time: 100,000 of them are never held together."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.data.ingest.files import natural
from core.data.quality.findings import Repair
from core.errors import UnreadableFileError
from core.messages import N_

WILDCARD = re.compile(r"[*?]")
DAY = re.compile(r"20\d{6}")
NOT_MEASURED = re.compile(r"(^|/)[.](?![.]?/)|\.geojson$|(^|/)__MACOSX")


@dataclass(frozen=True)
class FileEntry:
    """A file: its path below the root, its bytes, and when it was written (nanoseconds)."""

    path: str
    size: int
    modified_ns: int

    @property
    def folder(self) -> str:
        """The folder it lies in; "" for the outermost."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class Inventory:
    """How many files there are, their bytes, and the SHA-256 of their list: paths, sizes, when they were written."""

    files: int
    size: int
    digest: str


@dataclass(frozen=True)
class FileList:
    """Files that are never one dataset, as a run notes them (`core.runs.tracked_run.TrackedData`).

    digest   that of the list of files
    files    what a person calls them
    columns  those that the model knows; empty where each group of files has its own
    """

    digest: str
    files: tuple[str, ...]
    columns: tuple[str, ...] = ()
    recipe: tuple[Repair, ...] = ()


@dataclass(frozen=True)
class Folder:
    """A folder, and which files below it are meant: `pattern` as a shell has it, ** for any folders; "" for all."""

    root: Path
    pattern: str = ""

    @classmethod
    def parse(cls, path: Path) -> "Folder":
        """Return what a folder, a single file or a pattern means. Raises UnreadableFileError where there is none."""
        if path.is_dir():
            return cls(path.resolve())
        if path.is_file():
            return cls(path.resolve().parent, re.sub(r"[*?\[]", "?", path.name))
        root = next((parent for parent in path.parents if not WILDCARD.search(str(parent))), Path())
        if not WILDCARD.search(str(path)) or not root.is_dir():
            raise UnreadableFileError(N_("{file}: no such file or folder."), file=path.name)
        return cls(root.resolve(), path.relative_to(root).as_posix())

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "/".join(filter(None, (self.root.name, self.pattern)))

    def inventory(self) -> Inventory:
        """Look at every file, read none. Raises UnreadableFileError where there is none."""
        count, size, listed = 0, 0, hashlib.sha256()
        for files in self.iter_folders():
            for file in files:
                listed.update(f"{file.path}\0{file.size}\0{file.modified_ns}\n".encode(errors="surrogateescape"))
            count, size = count + len(files), size + sum(file.size for file in files)
        if not count:
            raise UnreadableFileError(N_("{file}: the folder holds no file."), file=str(self.root / self.pattern))
        return Inventory(count, size, listed.hexdigest())

    def iter_folders(self) -> Iterator[list[FileEntry]]:
        """Yield the files of one folder after the other, in natural order.

        Folders that are called after days (20190316) count as one with the folder they lie in: a tile's days lie in
        all of them.
        """
        yield from self._iter_below("", _compile_pattern(self.pattern) if self.pattern else None)

    def _iter_below(self, folder: str, pattern: "re.Pattern[str] | None") -> Iterator[list[FileEntry]]:
        files, folders = self._scan(folder)
        for day in [name for name in folders if DAY.fullmatch(name.rpartition("/")[2])]:
            files_of_day, deeper = self._scan(day)
            files += files_of_day
            folders = [name for name in folders if name != day] + deeper
        matching = [file for file in files if pattern is None or pattern.fullmatch(file.path)]
        if matching:
            yield sorted(matching, key=lambda file: natural(file.path))
        for name in sorted(folders, key=natural):
            yield from self._iter_below(name, pattern)

    def _scan(self, folder: str) -> tuple[list[FileEntry], list[str]]:
        """Return files and folders right inside a folder; hidden ones, links to folders and maps do not count."""
        files, folders = [], []
        with os.scandir(self.root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if NOT_MEASURED.search(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file():
                    status = entry.stat()
                    files.append(FileEntry(path, status.st_size, status.st_mtime_ns))
        return files, folders


def _compile_pattern(pattern: str) -> "re.Pattern[str]":
    """Return what a shell means by `pattern`."""
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(wildcards.get(part, re.escape(part)) for part in parts))
