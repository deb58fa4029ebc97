"""Detection of the type of untrusted files from their bytes; the file extension is ignored."""

import codecs
import pickletools
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import IO, Literal

from core.data.ingest.archives import (
    CHUNK_BYTES,
    Budget,
    build_size_error,
    copy_within_budget,
    list_members,
    translate_archive_errors,
)
from core.errors import UnreadableFileError
from core.messages import N_

FileType = Literal["text", "json", "parquet", "xlsx", "npz", "seq", "netmob", "gzip", "zip"]

ACCEPTED_FORMATS = "CSV, TSV, XLSX, Parquet, JSON, NPZ, SEQ, NetMob23 TXT (.gz, .zip)"
HEAD_BYTES = 65_536
MAX_PICKLE_OPCODES = 10_000  # after so many opcodes, only the last byte of the file decides
CONTROL_BYTES = bytes(byte for byte in range(32) if byte not in b"\0\t\n\r\f\x1b")  # control characters
QUARTER_HOUR_LINE = re.compile(r"\d{1,9}(?: +(?:[-+.\deE]+|nan)){48,}\s*", re.IGNORECASE)
TILE_FILE_NAME = re.compile(r"(?P<service>.+)_(?P<direction>DL|UL)_Tile_(?P<tile>[^_]+)\.txt")
CITY_FILE_NAME = re.compile(r"(?P<city>[^_]+)_(?P<service>.+)_(?P<day>\d{8})_(?P<direction>DL|UL)\.txt")


def detect_file_type(path: Path, name: str) -> FileType:
    """Return the type of the file at `path`, detected from its first bytes.

    `name` is the name shown in errors; NetMob23 files are also recognised by it.
    Raises UnreadableFileError for a missing or empty file, a pickle, markup, and binaries that are not accepted.
    """
    if path.is_dir():
        raise UnreadableFileError(N_("{file}: this is a folder. Choose a file."), file=name)
    if not path.is_file():
        raise UnreadableFileError(N_("{file}: no such file."), file=name)
    with path.open("rb") as source:
        head = source.read(HEAD_BYTES)
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"PK"):
        return _detect_zip_type(path, name)
    if head.startswith(b"PAR1"):
        return "parquet"
    text = _decode_head(head)
    if not text.strip("\ufeff\0 \t\r\n"):
        raise UnreadableFileError(N_("{file}: the file is empty."), file=name)
    _reject_unsupported_type(path, name, head, text)
    if _is_netmob(text, name):
        return "netmob"
    return "json" if text[:1] in ("[", "{") else "text"


def _decode_head(head: bytes) -> str:
    """Decode the first bytes; only the ASCII characters of the result are reliable."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    return head.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")


def _reject_unsupported_type(path: Path, name: str, head: bytes, text: str) -> None:
    """Raise UnreadableFileError if the file is neither a table of text nor JSON."""
    if _is_pickle(path, head):
        raise UnreadableFileError(
            N_("{file}: this is a Python pickle. It could run code and is never opened. Accepted formats: {accepted}."),
            file=name,
            accepted=ACCEPTED_FORMATS,
        )
    if _is_binary(head):
        raise UnreadableFileError(
            N_("{file}: this is not a text file (first bytes: {value}). Accepted formats: {accepted}."),
            file=name,
            value=head[:4].hex(" "),
            accepted=ACCEPTED_FORMATS,
        )
    if text.startswith("<"):
        document_type = "HTML" if "<html" in text[:2000].lower() or "<!doctype html" in text[:2000].lower() else "XML"
        raise UnreadableFileError(
            N_("{file}: the content is {value}, not a table. Accepted formats: {accepted}."),
            file=name,
            value=document_type,
            accepted=ACCEPTED_FORMATS,
        )


def _is_pickle(path: Path, head: bytes) -> bool:
    """Tell whether the file is a sequence of pickle opcodes; they are listed, never executed."""
    if head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05":
        return True
    with path.open("rb") as source, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of escape sequences in bytes that are no pickle
        try:
            for number, (opcode, _, _) in enumerate(pickletools.genops(_BoundedReader(source))):  # type: ignore[arg-type]
                if opcode.name == "STOP":
                    return number > 1 and not source.read(CHUNK_BYTES).strip()  # "0.5" also begins with two opcodes
                if number == MAX_PICKLE_OPCODES:
                    source.seek(-1, 2)
                    return source.read() == b"."
        except (ValueError, struct.error, IndexError, OverflowError):
            return False
    return False


class _BoundedReader:
    """File for `pickletools`; an opcode states the length of its argument, which may be any number."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source

    def read(self, size: int) -> bytes:
        return self.source.read(min(size, CHUNK_BYTES))

    def readline(self) -> bytes:
        return self.source.readline(CHUNK_BYTES)


def _detect_zip_type(path: Path, name: str) -> FileType:
    """Return the type of a file that starts like a zip archive.

    XLSX, NPZ and SEQ files are checked against the limits here, because their libraries open them without limits.
    """
    with translate_archive_errors(name), zipfile.ZipFile(path) as archive:
        member_names = [member.filename for member in list_members(archive, name)]
        budget = Budget.from_file(path)
        if "[Content_Types].xml" in member_names:
            for member in member_names:
                with archive.open(member) as source:
                    copy_within_budget(source, None, name, budget)
            return "xlsx"
        if member_names and all(member.endswith(".npy") for member in member_names):
            file_type: FileType = "npz"
        elif any(re.fullmatch(r"[^/]+/data\.pkl", member) for member in member_names):
            file_type = "seq"
        else:
            return "zip"
        if (
            sum(member.file_size for member in archive.infolist()) > budget.remaining_bytes
        ):  # NPZ and SEQ readers read no more than the declared size
            raise build_size_error(name, budget.remaining_bytes)
        return file_type


def _is_netmob(text: str, name: str) -> bool:
    """Tell whether the first line is a tile or a day followed by the quarter-hours of one day."""
    line = text.partition("\n")[0][:8000]
    has_netmob_name = CITY_FILE_NAME.fullmatch(name) or TILE_FILE_NAME.fullmatch(name)
    return bool(QUARTER_HOUR_LINE.fullmatch(line) or (has_netmob_name and re.match(r"\d+(?: |$)", line)))


def _is_binary(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not head.startswith(codecs.BOM_UTF32_LE):
        return False
    return len(head) - len(head.translate(None, CONTROL_BYTES)) > len(head) // 100
