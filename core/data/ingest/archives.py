"""Limits on archives (members, unpacked bytes) and errors for damaged archives."""

import gzip
import lzma
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import UnreadableFileError
from core.messages import N_

MAX_UNPACKED_BYTES = 4 * 2**30
MAX_UNPACK_RATIO = 200  # measured: real hourly CSV files shrink 3 to 10 times, a zip bomb 1,000 times
MAX_MEMBERS = 1000
MAX_SMALL_MEMBERS = 100_000  # a long series has tens of thousands of windows, a city thousands of tiles
SMALL_MEMBER_NAME = re.compile(r"(\.seq|_[DU]L(_Tile_\w+)?\.txt|\.geojson|/)$|__MACOSX|\.DS_Store")
CHUNK_BYTES = 2**20
ARCHIVE_ERRORS = (  # errors of zipfile and gzip; they depend on the damaged byte
    zlib.error,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    EOFError,
    IndexError,  # of a member without a name
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclass
class Budget:
    """Remaining number of bytes that the archives in one file may unpack to."""

    remaining_bytes: int

    @classmethod
    def from_file(cls, path: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> "Budget":
        """Return the budget of the file at `path`: `MAX_UNPACK_RATIO` times its size, at most `max_bytes`."""
        return cls(min(max_bytes, max(path.stat().st_size * MAX_UNPACK_RATIO, 10 * CHUNK_BYTES)))


@contextmanager
def translate_archive_errors(name: str) -> Iterator[None]:
    """Turn the errors of a damaged archive into UnreadableFileError with the name of the file."""
    try:
        yield
    except ARCHIVE_ERRORS as error:
        raise UnreadableFileError(
            N_("{file}: damaged or protected archive ({reason})."), file=name, reason=str(error)
        ) from error


def list_members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """Return the members of an archive. Raises UnreadableFileError for too many members."""
    infos = archive.infolist()
    only_small = all(SMALL_MEMBER_NAME.search(info.filename) for info in infos)
    max_members = MAX_SMALL_MEMBERS if only_small else MAX_MEMBERS
    if len(infos) > max_members:
        raise UnreadableFileError(
            N_("{file}: the archive contains {count} files. At most {accepted} are accepted."),
            file=name,
            count=len(infos),
            accepted=max_members,
        )
    return infos


def copy_within_budget(source: IO[bytes] | gzip.GzipFile, target: Path | None, name: str, budget: Budget) -> None:
    """Unpack `source` to `target` and subtract the unpacked bytes from `budget`.

    The unpacked bytes are counted because the declared sizes can be wrong. Without a target, nothing is written.
    Raises UnreadableFileError when the budget or the disk is exhausted.
    """
    max_bytes = budget.remaining_bytes
    with target.open("wb") if target else nullcontext() as output:
        while chunk := source.read(CHUNK_BYTES):
            budget.remaining_bytes -= len(chunk)
            if budget.remaining_bytes < 0 or (target and len(chunk) > shutil.disk_usage(target.parent).free):
                raise build_size_error(name, max_bytes)
            if output:
                output.write(chunk)


def build_size_error(name: str, max_bytes: int) -> UnreadableFileError:
    """Return the error for an archive that unpacks to more than `max_bytes` bytes."""
    return UnreadableFileError(
        N_(
            "{file}: the archive unpacks to more than {limit} MB and was rejected. An archive may "
            "unpack to at most {ratio} times its size."
        ),
        file=name,
        limit=max_bytes // 10**6,
        ratio=MAX_UNPACK_RATIO,
    )
