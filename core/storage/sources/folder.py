"""Files of a folder of this machine: new ones and grown ones, also in folders below."""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError, VigieError
from core.messages import N_
from core.settings import Settings
from core.storage.sources.base import NO_STATE, Portion
from core.storage.sources.file_records import FileChangedError, FileState, ListedFile
from core.storage.sources.new_parts import take_new_parts
from core.storage.sources.places import check_place
from core.watches.source import FolderSource

MAX_ENTRIES = 200_000  # of a folder and the folders below, of any name
BLOCK_BYTES = 2**20
CLOCK_STEP_S = 2.0  # two changes within the step of a file system's clock may have the same time
TEMPORARY_ENDS = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".swp", ".draft", ".lock", "~")


@dataclass(frozen=True)
class FolderReader:
    """Reader of a folder."""

    source: FolderSource
    settings: Settings

    def read(self, state: Mapping[str, Any], folder: Path, max_bytes: int, now: datetime) -> Portion:
        """Read what was added; see `RowSource`. The clock of the machine decides how old a change is, not `now`."""
        max_file_bytes = self.settings.vigie_max_upload_mb * 2**20
        return take_new_parts(self._list_files(), FileState.parse(state), folder, max_bytes, max_file_bytes)

    def check(self) -> None:
        """List the folder itself; see `RowSource`."""
        with _translate_errors(self.source.path), os.scandir(self._find_root()) as entries:
            next(entries, None)

    def start_late(self, since: datetime | None) -> Mapping[str, Any]:
        """Return the empty state: files are read as a whole."""
        return NO_STATE

    def _find_root(self) -> Path:
        """Return the folder without links. Raises OptionError, AccessDeniedError and ServiceUnavailableError."""
        path = self.source.path
        if not Path(path).is_absolute() or "\0" in path:
            raise OptionError(
                N_("The folder {value!r} is not accepted. Accepted: a whole path, such as /srv/measurements."),
                value=path,
            )
        check_place(path, self.settings)
        with _translate_errors(path):
            root = Path(path).resolve(strict=True)
        if not root.is_dir():
            raise OptionError(N_("{value!r} is not a folder."), value=path)
        return root

    def _list_files(self) -> list[ListedFile]:
        root = self._find_root()
        with _translate_errors(self.source.path):
            return [
                _list_file(path, path.relative_to(root).as_posix(), status)
                for path, status in _walk(root)
                if matches_pattern(path.relative_to(root).as_posix(), self.source.pattern)
            ]


def matches_pattern(name: str, pattern: str) -> bool:
    """Compare the path below the folder with a pattern that has the sign /, and the name of the file with another."""
    return fnmatchcase(name if "/" in pattern else name.rpartition("/")[2], pattern)


def is_temporary(name: str) -> bool:
    """Tell whether a file is hidden, or one that a program is still writing, by its name.

    Example:
        >>> is_temporary("load.csv"), is_temporary(".load.csv"), is_temporary("load.csv.part"), is_temporary("~$a.xlsx")
        (False, True, True, True)
    """
    return name.startswith((".", "~$", "#")) or name.lower().endswith(TEMPORARY_ENDS)


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the regular files below `root`. Links to files outside are left out, and links to folders."""
    folders, count = [root], 0
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            if folder == root:
                raise
            continue  # removed in between
        for entry in entries:
            count += 1
            if count > MAX_ENTRIES:
                raise OptionError(
                    N_("The folder {value!r} has more than {accepted} entries. Choose a smaller one."),
                    value=str(root),
                    accepted=MAX_ENTRIES,
                )
            if is_temporary(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(folder / entry.name)
            elif (status := _find_status(folder / entry.name, root)) is not None:
                yield folder / entry.name, status


def _find_status(path: Path, root: Path) -> os.stat_result | None:
    """Return the status of a regular file inside `root`, behind a link too; None for anything else."""
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            return None
        status = path.stat()
    except (FileNotFoundError, RuntimeError):  # removed in between, a link to nothing or a circle of links
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _list_file(path: Path, name: str, status: os.stat_result) -> ListedFile:
    now_s = time.time()
    is_recent = now_s - max(status.st_mtime, status.st_ctime) < CLOCK_STEP_S
    stamp = "" if is_recent else f"{status.st_mtime_ns}-{status.st_ctime_ns}"

    def read(start: int, stop: int) -> Iterator[bytes]:
        with _translate_file_errors(name), _open_file(path, status) as file:
            file.seek(start)
            while start < stop:
                block = file.read(min(BLOCK_BYTES, stop - start))
                if not block:
                    raise FileChangedError(name)
                start += len(block)
                yield block

    return ListedFile(name, status.st_size, stamp, status.st_mtime, abs(now_s - status.st_mtime), read)


def _open_file(path: Path, status: os.stat_result) -> IO[bytes]:
    """Open the listed file; raises FileChangedError where another one has taken its place, or a part is gone."""
    file = os.fdopen(os.open(path.resolve(strict=True), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    opened = os.fstat(file.fileno())
    if (opened.st_dev, opened.st_ino) != (status.st_dev, status.st_ino) or opened.st_size < status.st_size:
        file.close()
        raise FileChangedError(str(path))
    return file


@contextmanager
def _translate_file_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, RuntimeError) as error:
        raise FileChangedError(name) from error
    except OSError as error:
        raise _make_error(name, error) from error


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise _make_error(path, error) from error


def _make_error(path: str, error: OSError | RuntimeError) -> VigieError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, PermissionError):
        return AccessDeniedError(
            N_("{value!r} may not be read ({reason}). Give the account of the workers the right to read it."),
            value=path,
            reason=reason,
        )
    return ServiceUnavailableError(N_("{value!r} cannot be read ({reason})."), value=path, reason=reason)
