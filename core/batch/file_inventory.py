"""Inventory of the files in a folder, read one folder at a time: 100,000 files are never held in memory together."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.data.ingest.files import natural_sort_key
from core.data.quality.findings import Repair
from core.data.read_options import DETECT_ALL, ReadOptions
from core.errors import UnreadableFileError
from core.messages import N_

WILDCARD = re.compile(r"[*?]")
DAY_NAME = re.compile(r"20\d{6}")
IGNORED_PATHS = re.compile(r"(^|/)[.](?![.]?/)|\.geojson$|(^|/)__MACOSX")


@dataclass(frozen=True)
class FileEntry:
    """File: its path relative to the root, its size in bytes and its time of modification in nanoseconds."""

    path: str
    size: int
    modified_ns: int

    @property
    def folder(self) -> str:
        """Folder of the file, relative to the root; "" for the root."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class Inventory:
    """Number and bytes of the files, and the SHA-256 of their paths, sizes and times of modification."""

    files: int
    size: int
    digest: str


@dataclass(frozen=True)
class FileList:
    """Input files of a run that form no dataset (implements `core.runs.tracked_run.TrackedData`).

    digest   digest of the list of files
    files    names for display
    columns  columns of the model; empty if each group of files has its own
    """

    digest: str
    files: tuple[str, ...]
    columns: tuple[str, ...] = ()
    recipe: tuple[Repair, ...] = ()
    read_options: ReadOptions = DETECT_ALL


@dataclass(frozen=True)
class Folder:
    """Folder with a glob pattern for the files in it: ** matches any folders, "" all files."""

    root: Path
    pattern: str = ""

    @classmethod
    def parse(cls, path: Path) -> "Folder":
        """Return the folder that a path or glob pattern means. Raises UnreadableFileError if nothing exists."""
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
        """Name for display."""
        return "/".join(filter(None, (self.root.name, self.pattern)))

    @property
    def is_flat(self) -> bool:
        """True where no file in a folder below this one matches the pattern."""
        return bool(self.pattern) and "/" not in self.pattern and "**" not in self.pattern

    def covers(self, folder: Path) -> bool:
        """Tell whether files in `folder`, an absolute path, are files of this folder, or may be.

        Example:
            >>> Folder(Path("/data")).covers(Path("/data/out"))
            True
            >>> Folder(Path("/data"), "*.parquet").covers(Path("/data/out"))
            False
        """
        if folder == self.root:
            return True
        return self.root in folder.parents and not self.is_flat

    def build_inventory(self) -> Inventory:
        """Return the inventory without reading the files. Raises UnreadableFileError for a folder without files."""
        count, size, hasher = 0, 0, hashlib.sha256()
        for files in self.iter_folders():
            for file in files:
                hasher.update(f"{file.path}\0{file.size}\0{file.modified_ns}\n".encode(errors="surrogateescape"))
            count, size = count + len(files), size + sum(file.size for file in files)
        if not count:
            raise UnreadableFileError(
                N_("{file}: the folder contains no data file."), file=str(self.root / self.pattern)
            )
        return Inventory(count, size, hasher.hexdigest())

    def iter_folders(self) -> Iterator[list[FileEntry]]:
        """Yield the files folder by folder, in natural order.

        Folders named by a day (20190316) are merged with the folder that contains them, because the days of a tile are
        spread over them.
        """
        yield from self._iter_below("", _compile_pattern(self.pattern) if self.pattern else None)

    def _iter_below(self, folder: str, pattern: "re.Pattern[str] | None") -> Iterator[list[FileEntry]]:
        files, folders = self._scan_folder(folder)
        for day in [name for name in folders if DAY_NAME.fullmatch(name.rpartition("/")[2])]:
            day_files, deeper = self._scan_folder(day)
            files += day_files
            folders = [name for name in folders if name != day] + deeper
        matching = [file for file in files if pattern is None or pattern.fullmatch(file.path)]
        if matching:
            yield sorted(matching, key=lambda file: natural_sort_key(file.path))
        for name in () if self.is_flat else sorted(folders, key=natural_sort_key):
            yield from self._iter_below(name, pattern)

    def _scan_folder(self, folder: str) -> tuple[list[FileEntry], list[str]]:
        """Return the files and folders in a folder, without hidden ones, links to folders and maps (.geojson)."""
        files, folders = [], []
        with os.scandir(self.root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if IGNORED_PATHS.search(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file():
                    status = entry.stat()
                    files.append(FileEntry(path, status.st_size, status.st_mtime_ns))
        return files, folders


def _compile_pattern(pattern: str) -> "re.Pattern[str]":
    """Return the regular expression for a glob pattern."""
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(wildcards.get(part, re.escape(part)) for part in parts))
