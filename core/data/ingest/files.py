"""Opening of untrusted files: folders, archives within limits, and text encodings."""

import codecs
import gzip
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from core.data.ingest.archives import CHUNK, Budget, copy, damage_named, members
from core.data.ingest.file_types import Kind, kind_of
from core.errors import InputError, UnreadableFileError
from core.messages import N_, Text


@dataclass(frozen=True)
class Source:
    """Plain file on disk: path, name shown to the user, type, and folder or archive ("" without one)."""

    path: Path
    name: str
    kind: Kind
    folder: str = ""


@dataclass(frozen=True)
class Skipped:
    """File that was skipped, and the reason."""

    file: str
    reason: Text


def skip(skipped: list[Skipped] | None, file: str, error: InputError) -> None:
    """Add the file and its `error` to `skipped`; raise `error` if `skipped` is None."""
    if skipped is None:
        raise error
    skipped.append(Skipped(file, error.text))


@dataclass(frozen=True)
class _Found:
    """File that may be an archive."""

    path: Path
    name: str
    folder: str = ""


@contextmanager
def unpacked(
    paths: "Sequence[Path | tuple[Path, str]]", skipped: list[Skipped] | None = None
) -> Iterator[list[Source]]:
    """Yield the plain files of `paths`; folders are listed and archives are unpacked.

    The unpacked files are deleted at the end of the context. A file that cannot be read is added to `skipped`; without
    this list, it raises UnreadableFileError.
    """
    with TemporaryDirectory(prefix="vigie-") as room:
        sources = []
        for number, found in enumerate(found for given in paths for found in _listed(given)):
            sources += _open(found, Path(room) / str(number), skipped)
        yield sources


def _listed(given: "Path | tuple[Path, str]") -> list[_Found]:
    """Return the file itself, or the data files of a folder in natural order."""
    path, name = given if isinstance(given, tuple) else (Path(given), Path(given).name)
    if not path.is_dir():
        return [_Found(path, name)]
    inside = [each for each in path.rglob("*") if each.is_file() and _counts(each.relative_to(path).as_posix())]
    if not inside:
        raise UnreadableFileError(N_("{file}: the folder holds no file."), file=name)
    return [
        _Found(each, each.name, _folder(each.relative_to(path).as_posix(), path.resolve().name))
        for each in sorted(inside, key=lambda each: natural(each.as_posix()))
    ]


def _counts(name: str) -> bool:
    """Tell whether the file may hold measurements: neither a hidden file nor a GeoJSON map."""
    hidden = re.search(r"(^|/)(\.[^./]|__MACOSX)", name)
    return not name.endswith(".geojson") and hidden is None


def _folder(name: str, outer: str) -> str:
    """Return the folder of the file `name` inside the folder or archive `outer`."""
    return name.rpartition("/")[0] or outer


def natural(name: str) -> list[str | int]:
    """Return the sort key of natural order.

    Example:
        >>> sorted(["10.seq", "9.seq"], key=natural)
        ['9.seq', '10.seq']
    """
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split(r"([0-9]+)", name))]


def _open(
    found: _Found, room: Path, skipped: list[Skipped] | None, depth: int = 0, budget: Budget | None = None
) -> list[Source]:
    """Return the plain files in a file; archives are unpacked into the folder `room`."""
    try:
        kind = kind_of(found.path, found.name)
        if kind not in ("gzip", "zip"):
            return [Source(found.path, found.name, kind, found.folder)]
        plain = _members_of(found, kind, room, depth, budget := budget or Budget.of(found.path))
    except InputError as error:
        skip(skipped, found.name, error)
        return []
    return [source for each in plain for source in _open(each, each.path.parent / "in", skipped, depth + 1, budget)]


def _members_of(found: _Found, kind: Kind, room: Path, depth: int, budget: Budget) -> list[_Found]:
    if depth == 2:
        raise UnreadableFileError(
            N_("{file}: an archive inside an archive inside an archive is not opened."), file=found.name
        )
    room.mkdir()
    with damage_named(found.name):
        return (_gunzip if kind == "gzip" else _unzip)(found, room, budget)


def _gunzip(found: _Found, room: Path, budget: Budget) -> list[_Found]:
    target = room / "unpacked"
    with gzip.open(found.path) as source:
        copy(source, target, found.name, budget)
    return [_Found(target, found.name.removesuffix(".gz"), found.folder)]


def _unzip(found: _Found, room: Path, budget: Budget) -> list[_Found]:
    with zipfile.ZipFile(found.path) as archive:
        kept = [each for each in members(archive, found.name) if not each.is_dir() and _counts(each.filename)]
        if not kept:
            raise UnreadableFileError(N_("{file}: the archive is empty."), file=found.name)
        inside = []
        for number, member in enumerate(kept):
            place = room / f"member-{number}"  # the name in the archive may point anywhere
            place.mkdir()
            with archive.open(member) as source:
                copy(source, place / "unpacked", found.name, budget)
            folder = _folder(member.filename, Path(found.name).stem)
            inside.append(_Found(place / "unpacked", Path(member.filename).name, folder))
        return inside


@dataclass(frozen=True)
class Writing:
    """Encoding of a text file and its number of quotation marks."""

    encoding: str
    quotes: int


def writing_of(source: Source) -> Writing:
    """Detect the encoding of a text file: utf-8, utf-8-sig, utf-16, else cp1252, else latin-1.

    latin-1 is used for bytes that cp1252 does not define. Raises UnreadableFileError for invalid UTF-16, and with the
    line for NUL bytes and for two encodings in one file.
    """
    with source.path.open("rb") as file:
        head = file.read(4)
        wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and head != codecs.BOM_UTF32_LE
        file.seek(0)
        quotes = _quotes(file, source.name, zeros=wide)
        if wide:
            if not _decodes(file, "utf-16"):
                raise UnreadableFileError(N_("{file}: starts like UTF-16 but is not valid UTF-16."), file=source.name)
            return Writing("utf-16", quotes)
        if _decodes(file, "utf-8"):
            return Writing("utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8", quotes)
        _refuse_two_encodings(file, source.name)
        return Writing("cp1252" if _decodes(file, "cp1252") else "latin-1", quotes)


def _quotes(file: IO[bytes], name: str, zeros: bool) -> int:
    """Count the quotation marks. Raises UnreadableFileError for a NUL byte unless `zeros` is True (UTF-16)."""
    quotes = lines = 0
    while chunk := file.read(CHUNK):
        if not zeros and (at := chunk.find(0)) >= 0:
            raise UnreadableFileError(
                N_("{file}, line {line}: a NUL byte; text in UTF-8, UTF-16 with its mark, or Latin-1 has none."),
                file=name,
                line=lines + chunk[:at].count(b"\n") + 1,
            )
        quotes += chunk.count(b'"')
        lines += chunk.count(b"\n")
    return quotes


def _refuse_two_encodings(file: IO[bytes], name: str) -> None:
    """Raise UnreadableFileError if some lines have UTF-8 accents and other lines are not UTF-8."""
    file.seek(0)
    valid, broken = 0, 0
    for number, line in enumerate(file, start=1):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            valid = valid or number
        except UnicodeDecodeError:
            broken = broken or number
        if valid and broken:
            raise UnreadableFileError(
                N_("{file}, line {line}: not UTF-8, although line {other} is; save the file in one encoding."),
                file=name,
                line=broken,
                other=valid,
            )


def _decodes(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(CHUNK):
            if encoding == "utf-16" or not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
