"""Opening of untrusted files: folders, archives within limits, and text encodings."""

import codecs
import gzip
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from core.data.ingest.archives import CHUNK_BYTES, Budget, copy_within_budget, list_members, translate_archive_errors
from core.data.ingest.file_types import FileType, detect_file_type
from core.data.read_options import DETECT_ALL, ReadOptions
from core.errors import InputError, UnreadableFileError
from core.messages import N_, Message


@dataclass(frozen=True)
class Source:
    """Plain file on disk: path, name shown to the user, type, folder or archive ("" without one), reading options."""

    path: Path
    name: str
    file_type: FileType
    folder: str = ""
    options: ReadOptions = DETECT_ALL


@dataclass(frozen=True)
class SkippedFile:
    """File that was skipped, and the reason."""

    file: str
    reason: Message


def skip_or_raise(skipped: list[SkippedFile] | None, file: str, error: InputError) -> None:
    """Add the file and its `error` to `skipped`; raise `error` if `skipped` is None."""
    if skipped is None:
        raise error
    skipped.append(SkippedFile(file, error.message))


@dataclass(frozen=True)
class _InputFile:
    """File that may be an archive."""

    path: Path
    name: str
    folder: str = ""


@contextmanager
def open_sources(
    paths: "Sequence[Path | tuple[Path, str]]",
    skipped: list[SkippedFile] | None = None,
    options: ReadOptions = DETECT_ALL,
) -> Iterator[list[Source]]:
    """Yield the plain files of `paths`; folders are listed and archives are unpacked.

    Every file carries `options`. The unpacked files are deleted at the end of the context. A file that cannot be read
    is added to `skipped`; without this list, it raises UnreadableFileError.
    """
    with TemporaryDirectory(prefix="vigie-") as folder:
        sources = []
        for number, input_file in enumerate(input_file for path in paths for input_file in _list_files(path)):
            sources += _expand_file(input_file, Path(folder) / str(number), skipped)
        yield [replace(source, options=options) for source in sources]


def _list_files(file: "Path | tuple[Path, str]") -> list[_InputFile]:
    """Return the file itself, or the data files of a folder in natural order."""
    path, name = file if isinstance(file, tuple) else (Path(file), Path(file).name)
    if not path.is_dir():
        return [_InputFile(path, name)]
    file_paths = [
        file_path
        for file_path in path.rglob("*")
        if file_path.is_file() and _is_data_file(file_path.relative_to(path).as_posix())
    ]
    if not file_paths:
        raise UnreadableFileError(N_("{file}: the folder contains no data file."), file=name)
    return [
        _InputFile(file_path, file_path.name, _find_folder(file_path.relative_to(path).as_posix(), path.resolve().name))
        for file_path in sorted(file_paths, key=lambda file_path: natural_sort_key(file_path.as_posix()))
    ]


def _is_data_file(name: str) -> bool:
    """Tell whether the file may hold measurements: neither a hidden file nor a GeoJSON map."""
    hidden_part = re.search(r"(^|/)(\.[^./]|__MACOSX)", name)
    return not name.endswith(".geojson") and hidden_part is None


def _find_folder(name: str, outer: str) -> str:
    """Return the folder of the file `name` inside the folder or archive `outer`."""
    return name.rpartition("/")[0] or outer


def natural_sort_key(name: str) -> list[str | int]:
    """Return the sort key of natural order.

    Example:
        >>> sorted(["10.seq", "9.seq"], key=natural_sort_key)
        ['9.seq', '10.seq']
    """
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]


def _expand_file(
    input_file: _InputFile,
    unpack_folder: Path,
    skipped: list[SkippedFile] | None,
    depth: int = 0,
    budget: Budget | None = None,
) -> list[Source]:
    """Return the plain files in a file; archives are unpacked into the folder `room`."""
    try:
        file_type = detect_file_type(input_file.path, input_file.name)
        if file_type not in ("gzip", "zip"):
            return [Source(input_file.path, input_file.name, file_type, input_file.folder)]
        members = _extract_members(
            input_file, file_type, unpack_folder, depth, budget := budget or Budget.from_file(input_file.path)
        )
    except InputError as error:
        skip_or_raise(skipped, input_file.name, error)
        return []
    return [
        source
        for member in members
        for source in _expand_file(member, member.path.parent / "in", skipped, depth + 1, budget)
    ]


def _extract_members(
    input_file: _InputFile, file_type: FileType, unpack_folder: Path, depth: int, budget: Budget
) -> list[_InputFile]:
    if depth == 2:
        raise UnreadableFileError(
            N_("{file}: the archives are nested too deep. At most two levels are opened."), file=input_file.name
        )
    unpack_folder.mkdir()
    with translate_archive_errors(input_file.name):
        return (_extract_gzip if file_type == "gzip" else _extract_zip)(input_file, unpack_folder, budget)


def _extract_gzip(input_file: _InputFile, unpack_folder: Path, budget: Budget) -> list[_InputFile]:
    target = unpack_folder / "unpacked"
    with gzip.open(input_file.path) as source:
        copy_within_budget(source, target, input_file.name, budget)
    return [_InputFile(target, input_file.name.removesuffix(".gz"), input_file.folder)]


def _extract_zip(input_file: _InputFile, unpack_folder: Path, budget: Budget) -> list[_InputFile]:
    with zipfile.ZipFile(input_file.path) as archive:
        data_members = [
            info
            for info in list_members(archive, input_file.name)
            if not info.is_dir() and _is_data_file(info.filename)
        ]
        if not data_members:
            raise UnreadableFileError(N_("{file}: the archive is empty."), file=input_file.name)
        input_files = []
        for number, member in enumerate(data_members):
            member_folder = unpack_folder / f"member-{number}"  # the name in the archive may point anywhere
            member_folder.mkdir()
            with archive.open(member) as source:
                copy_within_budget(source, member_folder / "unpacked", input_file.name, budget)
            folder = _find_folder(member.filename, Path(input_file.name).stem)
            input_files.append(_InputFile(member_folder / "unpacked", Path(member.filename).name, folder))
        return input_files


@dataclass(frozen=True)
class TextEncoding:
    """Encoding of a text file and its number of quotation marks."""

    encoding: str
    quote_count: int


def detect_encoding(source: Source) -> TextEncoding:
    """Detect the encoding of a text file: utf-8, utf-8-sig, utf-16, else cp1252, else latin-1.

    latin-1 is used for bytes that cp1252 does not define. Raises UnreadableFileError for invalid UTF-16, and with the
    line for NUL bytes and for two encodings in one file.
    """
    with source.path.open("rb") as file:
        head = file.read(4)
        is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and head != codecs.BOM_UTF32_LE
        file.seek(0)
        quote_count = _count_quotes(file, source.name, allows_nul=is_utf16)
        if is_utf16:
            if not _can_decode(file, "utf-16"):
                raise UnreadableFileError(
                    N_("{file}: the file starts with a UTF-16 byte order mark but is not valid UTF-16."),
                    file=source.name,
                )
            return TextEncoding("utf-16", quote_count)
        if _can_decode(file, "utf-8"):
            return TextEncoding("utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8", quote_count)
        _reject_mixed_encodings(file, source.name)
        return TextEncoding("cp1252" if _can_decode(file, "cp1252") else "latin-1", quote_count)


def _count_quotes(file: IO[bytes], name: str, allows_nul: bool) -> int:
    """Count the quotation marks. Raises UnreadableFileError for a NUL byte unless `allows_nul` is True (UTF-16)."""
    quote_count = byte_count = 0
    while chunk := file.read(CHUNK_BYTES):
        if not allows_nul and (offset := chunk.find(0)) >= 0:
            file.seek(0)
            raise UnreadableFileError(
                N_(
                    "{file}, line {line}: the text contains a NUL byte. Accepted encodings: UTF-8, "
                    "UTF-16 with a byte order mark, Latin-1."
                ),
                file=name,
                line=file.read(byte_count + offset).count(b"\n") + 1,
            )
        quote_count += chunk.count(b'"')
        byte_count += len(chunk)
    return quote_count


def _reject_mixed_encodings(file: IO[bytes], name: str) -> None:
    """Raise UnreadableFileError if some lines have UTF-8 accents and other lines are not UTF-8."""
    file.seek(0)
    utf8_line, other_line = 0, 0
    for number, line in enumerate(file, start=1):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            utf8_line = utf8_line or number
        except UnicodeDecodeError:
            other_line = other_line or number
        if utf8_line and other_line:
            raise UnreadableFileError(
                N_("{file}, line {line}: this line is not UTF-8, but line {other} is. Save the file in one encoding."),
                file=name,
                line=other_line,
                other=utf8_line,
            )


def _can_decode(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(CHUNK_BYTES):
            if encoding == "utf-16" or not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
