"""Files of call detail records as relations of DuckDB: CSV, Parquet, ORC and JSON lines, also compressed by gzip."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from core.data.ingest.files import natural_sort_key
from core.errors import UnreadableFileError
from core.messages import N_

RecordFormat = Literal["csv", "parquet", "orc", "json"]
ACCEPTED_FORMATS = "CSV, Parquet, ORC, JSON lines (CSV and JSON also as .gz)"
HEAD_BYTES = 1 << 20
SAMPLE_LINES = 1000  # JSON lines whose keys are looked at
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class RecordFile:
    """File of records: its path, shown name, format, and column → kind.

    columns      column → "text", "number", "time" (UTC), "instant" (time with an offset) or "flag"
    paths        column → path in the JSON of a line; empty for other formats
    delimiter    mark between cells of a CSV file
    compression  "gzip" or "none"
    encoding     encoding of a CSV file, as DuckDB names it
    is_array     True for a JSON file with one list of records
    """

    path: Path
    name: str
    format: RecordFormat
    columns: Mapping[str, str]
    paths: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    compression: str = "none"
    encoding: str = "utf-8"
    is_array: bool = False


def list_record_files(paths: "list[Path]") -> list[Path]:
    """Return the files, and those in folders in natural order, without hidden ones.

    Raises UnreadableFileError for a path that does not exist, and without any file.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UnreadableFileError(N_("{file}: no such file or folder."), file=path.name)
        if path.is_dir():
            files += sorted(_iter_folder(path), key=lambda file: natural_sort_key(file.as_posix()))
        else:
            files.append(path)
    if not files:
        raise UnreadableFileError(N_("{file}: the folder contains no data file."), file=paths[0].name if paths else "")
    return files


def _iter_folder(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; names with a dot or an underscore in front belong to other programs."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "_")) for part in parts):
            yield path


def open_record_file(path: Path) -> RecordFile:
    """Return the format and the columns of a file, detected from its first bytes.

    Raises UnreadableFileError for an empty or damaged file and for another format.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    try:
        if magic == b"PAR1":
            import pyarrow.parquet

            return _open_typed(path, "parquet", pyarrow.parquet.read_schema(path))
        if magic[:3] == b"ORC":
            import pyarrow.orc

            return _open_typed(path, "orc", pyarrow.orc.ORCFile(path).schema)
        head, compression = _read_head(path, magic)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise UnreadableFileError(N_("{file}: damaged file ({reason})."), file=path.name, reason=error) from error
    text, encoding = _decode_head(head)
    if not text.strip():
        raise UnreadableFileError(N_("{file}: the file is empty."), file=path.name)
    if "\0" in text:
        raise UnreadableFileError(
            N_("{file}: this is not a file of call records. Accepted formats: {accepted}."),
            file=path.name,
            accepted=ACCEPTED_FORMATS,
        )
    if text.lstrip()[0] in "{[":
        return _open_json(path, text, compression, is_whole=len(head) < HEAD_BYTES)
    delimiter, header = _read_header(text)
    return RecordFile(
        path,
        path.name,
        "csv",
        dict.fromkeys(header, "text"),
        delimiter=delimiter,
        compression=compression,
        encoding=encoding,
    )


def _open_typed(path: Path, file_format: RecordFormat, schema: pa.Schema) -> RecordFile:
    return RecordFile(path, path.name, file_format, {item.name: _find_kind(item.type) for item in schema})


def _find_kind(kind: pa.DataType) -> str:
    """Return the kind of a column by its Arrow type; the text of a dictionary is text."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_timestamp(value) and value.tz:
        return "instant"
    if pa.types.is_timestamp(value) or pa.types.is_date(value):
        return "time"
    if pa.types.is_boolean(value):
        return "flag"
    is_number = pa.types.is_integer(value) or pa.types.is_floating(value) or pa.types.is_decimal(value)
    return "number" if is_number else "text"


def _read_head(path: Path, magic: bytes) -> tuple[bytes, str]:
    is_gzip = magic[:2] == b"\x1f\x8b"
    with gzip.open(path) if is_gzip else path.open("rb") as file:
        return file.read(HEAD_BYTES), "gzip" if is_gzip else "none"


def _decode_head(head: bytes) -> tuple[str, str]:
    """Return the text of the first bytes and the encoding: UTF-8, UTF-16 with a byte order mark, else Latin-1."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", errors="replace"), "utf-16"
    for cut in range(4):  # the last character may be incomplete
        try:
            return head[: len(head) - cut].decode("utf-8-sig"), "utf-8"
        except UnicodeDecodeError:
            continue
    return head.decode("latin-1"), "latin-1"


def _read_header(text: str) -> tuple[str, list[str]]:
    """Return the delimiter that divides the first line into the most cells, and these cells."""
    line = text.splitlines()[0]
    headers = {mark: next(csv.reader(io.StringIO(line), delimiter=mark)) for mark in DELIMITERS}
    delimiter = max(headers, key=lambda mark: len(headers[mark]))
    return delimiter, [cell.strip() for cell in headers[delimiter]]


# ---- JSON -----------------------------------------------------------------------------------------------------------


def _open_json(path: Path, text: str, compression: str, is_whole: bool) -> RecordFile:
    """Return a file of one JSON object per line, or of one list of objects, with the keys of its first records."""
    is_array = text.lstrip().startswith("[")
    paths: dict[str, str] = {}
    for record in _iter_array(text) if is_array else _iter_lines(text, is_whole):
        for keys, _ in _iter_leaves(record):
            paths.setdefault(_name_column(keys), _format_path(keys))
    if not paths:
        raise UnreadableFileError(
            N_("{file}: the JSON does not hold one record per line. Accepted: {{…}} on each line."), file=path.name
        )
    return RecordFile(
        path, path.name, "json", dict.fromkeys(paths, "text"), paths, compression=compression, is_array=is_array
    )


def _iter_lines(text: str, is_whole: bool) -> Iterator[dict[str, Any]]:
    lines = text.splitlines()
    for line in lines[: SAMPLE_LINES if is_whole or len(lines) == 1 else min(len(lines) - 1, SAMPLE_LINES)]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _iter_array(text: str) -> Iterator[dict[str, Any]]:
    """Yield the first objects of a JSON list whose end may be cut off."""
    decoder, position = json.JSONDecoder(), text.index("[") + 1
    for _ in range(SAMPLE_LINES):
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        try:
            record, position = decoder.raw_decode(text, position)
        except ValueError:
            return
        if isinstance(record, dict):
            yield record


def _iter_leaves(record: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _iter_leaves(value, (*above, key))
        elif '"' not in key:
            yield (*above, key), value


def _name_column(keys: tuple[str, ...]) -> str:
    """Return the name of a value: its keys joined by dots, without the `_source` of an Elasticsearch hit."""
    return ".".join(keys[1:] if keys[0] == "_source" and len(keys) > 1 else keys)


def _format_path(keys: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{key}"' for key in keys)
