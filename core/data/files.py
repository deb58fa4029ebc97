"""Untrusted files: what the bytes are (never what the name says), and archives opened within limits."""

import codecs
import gzip
import lzma
import pickletools
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Literal

from core.errors import UnreadableFile
from core.text import N_

Kind = Literal["text", "json", "parquet", "xlsx", "gzip", "zip"]

ACCEPTED = "CSV, TSV, XLSX, Parquet, JSON (.gz, .zip)"
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_RATIO = 200  # measured: real hourly CSV files shrink 3 to 10 times, a bomb 1,000 times
MAX_MEMBERS = 1000
CHUNK = 2**20
HEAD_BYTES = 65_536
PICKLE_OPCODES = 10_000  # read before a file without an end in sight is judged by its last byte
DAMAGED = (  # what zipfile and gzip raise, depending on the byte that is wrong
    zlib.error, lzma.LZMAError, struct.error, zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError,
    ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A plain file on disk, the name the user knows it by, and what it is."""

    path: Path
    name: str
    kind: Kind


@dataclass
class Budget:
    """How many bytes the archives in one file may still unpack to."""

    left: int

    @classmethod
    def of(cls, path: Path) -> "Budget":
        return cls(min(MAX_UNPACKED_BYTES, max(path.stat().st_size * MAX_RATIO, 10 * CHUNK)))


@contextmanager
def unpacked(paths: "Sequence[Path | tuple[Path, str]]") -> Iterator[list[Source]]:
    """The plain files behind `paths`; archives are unpacked to a folder that lives as long as the context."""
    with TemporaryDirectory(prefix="vigie-") as folder:
        sources = []
        for number, given in enumerate(paths):
            path, name = given if isinstance(given, tuple) else (given, Path(given).name)
            inside = Path(folder) / str(number)
            inside.mkdir()
            sources += _open(Path(path), name, inside, depth=0, budget=None)
        yield sources


def _open(path: Path, name: str, folder: Path, depth: int, budget: Budget | None) -> list[Source]:
    kind = kind_of(path, name)
    if kind not in ("gzip", "zip"):
        return [Source(path, name, kind)]
    if depth == 2:
        raise UnreadableFile(N_("{file}: an archive inside an archive inside an archive is not opened."), file=name)
    budget = budget or Budget.of(path)
    with _damage_named(name):
        plain = (_gunzip if kind == "gzip" else _unzip)(path, name, folder, budget)
    return [source for file, label in plain for source in _open(file, label, file.parent, depth + 1, budget)]


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise UnreadableFile(N_("{file}: damaged or protected archive ({reason})."), file=name, reason=error) from error


def _gunzip(path: Path, name: str, folder: Path, budget: Budget) -> list[tuple[Path, str]]:
    target = folder / "unpacked"
    with gzip.open(path) as source:
        _copy(source, target, name, budget)
    return [(target, name.removesuffix(".gz"))]


def _unzip(path: Path, name: str, folder: Path, budget: Budget) -> list[tuple[Path, str]]:
    with zipfile.ZipFile(path) as archive:
        members = [each for each in _members(archive, name) if not each.is_dir() and "__MACOSX" not in each.filename]
        if not members:
            raise UnreadableFile(N_("{file}: the archive is empty."), file=name)
        found = []
        for number, member in enumerate(members):
            inside = folder / f"member-{number}"  # never the name in the archive: it may point anywhere
            inside.mkdir()
            with archive.open(member) as source:
                _copy(source, inside / "unpacked", name, budget)
            found.append((inside / "unpacked", Path(member.filename).name))
        return found


def _members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise UnreadableFile(
            N_("{file}: {count} files in one archive; at most {accepted} are read."),
            file=name, count=len(members), accepted=MAX_MEMBERS,
        )  # fmt: skip
    return members


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path | None, name: str, budget: Budget) -> None:
    """Unpack, counting what really comes out: the sizes an archive declares may lie. Without a target it only counts."""
    limit = budget.left
    with target.open("wb") if target else nullcontext() as out:
        while chunk := source.read(CHUNK):
            budget.left -= len(chunk)
            if budget.left < 0 or (target and len(chunk) > shutil.disk_usage(target.parent).free):
                raise UnreadableFile(
                    N_("{file}: the archive unpacks to more than {limit} MB, {ratio} times its size; refused."),
                    file=name, limit=limit // 10**6, ratio=MAX_RATIO,
                )  # fmt: skip
            if out:
                out.write(chunk)


def kind_of(path: Path, name: str) -> Kind:
    """What the first bytes say the file is.

    Raises UnreadableFile for an empty file, a pickle, and every binary that is not accepted.
    """
    if path.is_dir():
        raise UnreadableFile(N_("{file}: a folder, not a file."), file=name)
    if not path.is_file():
        raise UnreadableFile(N_("{file}: no such file."), file=name)
    with path.open("rb") as source:
        head = source.read(HEAD_BYTES)
    text = _first_text(head)
    if not text.strip("\ufeff\0 \t\r\n"):
        raise UnreadableFile(N_("{file}: the file is empty."), file=name)
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"PK"):
        return "xlsx" if _is_workbook(path, name) else "zip"
    if head.startswith(b"PAR1"):
        return "parquet"
    _refuse_others(path, name, head, text)
    return "json" if text[:1] in ("[", "{") else "text"


def _first_text(head: bytes) -> str:
    """The first bytes as text; only ASCII in it is to be relied upon."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    return head.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")


def _refuse_others(path: Path, name: str, head: bytes, text: str) -> None:
    """Raises UnreadableFile for everything that is neither a table of text nor JSON."""
    if _is_pickle(path, head):
        raise UnreadableFile(
            N_("{file}: a Python pickle; it could run code and is never opened. Accepted: {accepted}."),
            file=name, accepted=ACCEPTED,
        )  # fmt: skip
    if _is_binary(head):
        raise UnreadableFile(
            N_("{file}: not a table of text (first bytes {value}). Accepted: {accepted}."),
            file=name, value=head[:4].hex(" "), accepted=ACCEPTED,
        )  # fmt: skip
    if text.startswith("<"):
        page = "HTML" if "<html" in text[:2000].lower() or "<!doctype html" in text[:2000].lower() else "XML"
        raise UnreadableFile(
            N_("{file}: {value}, a web page or document, not a table. Accepted: {accepted}."),
            file=name, value=page, accepted=ACCEPTED,
        )  # fmt: skip


def _is_pickle(path: Path, head: bytes) -> bool:
    """Does the whole file parse as pickle opcodes? Nothing is executed: they are only listed."""
    if head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05":
        return True
    with path.open("rb") as source:
        try:
            for number, (opcode, _, _) in enumerate(pickletools.genops(source)):
                if opcode.name == "STOP":
                    return number > 1 and not source.read(CHUNK).strip()  # "0.5" begins with two opcodes, too
                if number == PICKLE_OPCODES:
                    source.seek(-1, 2)
                    return source.read() == b"."
        except (ValueError, struct.error, IndexError, OverflowError):
            return False
    return False


def _is_workbook(path: Path, name: str) -> bool:
    with _damage_named(name), zipfile.ZipFile(path) as archive:
        if "[Content_Types].xml" not in archive.namelist():
            return False
        budget = Budget.of(path)
        for member in _members(archive, name):  # a workbook is read by a library without limits
            with archive.open(member) as source:
                _copy(source, None, name, budget)
        return True


def _is_binary(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not head.startswith(codecs.BOM_UTF32_LE):
        return False
    return sum(byte < 32 and byte not in b"\0\t\n\r\f\x1b" for byte in head) > len(head) // 100


@dataclass(frozen=True)
class Writing:
    """How the bytes of a text file are written, and how many quotation marks they hold."""

    encoding: str
    quotes: int


def writing_of(source: Source) -> Writing:
    """utf-8, utf-8-sig or utf-16 where the bytes are that; else cp1252, or latin-1 where cp1252 has no such byte.

    Raises UnreadableFile with the line for NUL bytes and for two encodings in one file.
    """
    with source.path.open("rb") as file:
        head = file.read(4)
        wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and head != codecs.BOM_UTF32_LE
        file.seek(0)
        quotes = _quotes(file, source.name, zeros=wide)
        if wide:
            if not _decodes(file, "utf-16"):
                raise UnreadableFile(N_("{file}: starts like UTF-16 but is not valid UTF-16."), file=source.name)
            return Writing("utf-16", quotes)
        if _decodes(file, "utf-8"):
            return Writing("utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8", quotes)
        _refuse_two_encodings(file, source.name)
        return Writing("cp1252" if _decodes(file, "cp1252") else "latin-1", quotes)


def _quotes(file: IO[bytes], name: str, zeros: bool) -> int:
    """The number of quotation marks; a NUL byte is refused where `zeros` are not part of the encoding."""
    quotes = lines = 0
    while chunk := file.read(CHUNK):
        if not zeros and (at := chunk.find(0)) >= 0:
            raise UnreadableFile(
                N_("{file}, line {line}: a NUL byte; text in UTF-8, UTF-16 with its mark, or Latin-1 has none."),
                file=name, line=lines + chunk[:at].count(b"\n") + 1,
            )  # fmt: skip
        quotes += chunk.count(b'"')
        lines += chunk.count(b"\n")
    return quotes


def _refuse_two_encodings(file: IO[bytes], name: str) -> None:
    """A file with accents in UTF-8 in some lines and bytes that are not UTF-8 in others."""
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
            raise UnreadableFile(
                N_("{file}, line {line}: not UTF-8, although line {other} is; save the file in one encoding."),
                file=name, line=broken, other=valid,
            )  # fmt: skip


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
