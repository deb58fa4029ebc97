"""Reader of delimited text (CSV, TSV …): the dialect is detected from the first lines.

Numeric columns are read as numbers. If a cell of them is not a number, the file is read again as text;
`core.data.ingest.number_parsing` then lists the unusable cells.
"""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.data.ingest.files import Source, TextEncoding, detect_encoding
from core.data.ingest.number_parsing import MISSING_WORDS, NUMBER_PATTERNS, detect_table_mark
from core.data.ingest.readers.base import (
    VALUE_START,
    ProgressCallback,
    RawTable,
    find_header,
    find_stated_unit,
    note_ambiguous_mark,
)
from core.data.ingest.readers.text_lines import count_header_lines, detect_delimiter, split_preamble, split_rows
from core.data.read_options import DECIMAL_MARKS
from core.errors import UnreadableFileError
from core.messages import N_

BLOCK_BYTES = 2**20  # fits the processor's cache: parsing is twice as fast as with 8 MB
SAMPLE_CHARACTERS = 256_000
FOOTER_BYTES = 65_536
MAX_FOOTER_LINES = 20
MIN_DIGIT_SHARE = 0.9  # of the first cells of the rows; a file of names has no recognisable footer


@dataclass(frozen=True)
class Dialect:
    """Format of a delimited text file.

    `skip_rows` counts the lines before the first row of data, `preamble_lines` the non-empty lines above the header,
    `footer` holds the lines below the table and `end_byte` the position of the first one. `unit` is the unit that the
    lines above state. `repeated` lists the columns whose name is used twice.
    `decimal_mark` is "" if no number has one, and `ambiguous` is True if it has two readings. `numeric_columns` holds
    the numeric columns. `line_bytes` is the mean length of a line.
    """

    encoding: str
    delimiter: str
    decimal_mark: str
    names: list[str]
    skip_rows: int
    preamble_lines: int
    numeric_columns: frozenset[str]
    ambiguous: bool
    line_bytes: float
    has_quotes: bool
    unit: str = ""
    repeated: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    end_byte: int = 0


def read_text(source: Source, progress: ProgressCallback) -> RawTable:
    """Read a delimited text file. Raises UnreadableFileError with the line of the first error."""
    text_encoding = detect_encoding(source)
    dialect = detect_dialect(source, text_encoding)
    if text_encoding.quote_count % 2:
        _check_quotes(source, dialect)
    try:
        frame = _read_arrow(source, dialect, dialect.numeric_columns, progress)
    except (pa.ArrowInvalid, UnicodeError) as error:
        if "conversion error" not in str(error):
            raise _translate_arrow_error(error, source, dialect) from error
        try:
            frame = _read_arrow(source, dialect, frozenset(), progress)
        except (pa.ArrowInvalid, UnicodeError) as second_error:
            raise _translate_arrow_error(second_error, source, dialect) from second_error
    table = RawTable(
        source.name,
        frame,
        decimal_mark="" if dialect.ambiguous else dialect.decimal_mark,
        unit=dialect.unit,
        repeated=dialect.repeated,
    )
    if dialect.preamble_lines:
        table.add_note(
            "skipped_lines",
            dialect.preamble_lines,
            N_(
                "{file}: {count} line above the header was skipped.",
                "{file}: {count} lines above the header were skipped.",
            ),
        )
    if dialect.footer:
        table.add_note(
            "skipped_footer",
            len(dialect.footer),
            N_(
                "{file}: {count} line below the table was skipped: {value!r}.",
                "{file}: {count} lines below the table were skipped: {value!r}.",
            ),
            value=" / ".join(dialect.footer)[:100],
        )
    if dialect.ambiguous:
        note_ambiguous_mark(table, dialect.decimal_mark)
    return table


def _read_arrow(
    source: Source, dialect: Dialect, numeric_columns: frozenset[str], progress: ProgressCallback
) -> pd.DataFrame:
    text_type = pa.dictionary(pa.int32(), pa.string())
    size = source.path.stat().st_size
    with pyarrow.csv.open_csv(
        _open_table(source, dialect),
        pyarrow.csv.ReadOptions(
            encoding=dialect.encoding.removesuffix("-sig"),
            column_names=dialect.names,
            skip_rows=dialect.skip_rows,
            block_size=BLOCK_BYTES,
        ),
        pyarrow.csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=dialect.has_quotes),
        pyarrow.csv.ConvertOptions(
            column_types={name: pa.float64() if name in numeric_columns else text_type for name in dialect.names},
            decimal_point=dialect.decimal_mark or ".",
            strings_can_be_null=True,
            null_values=_list_null_values(),
        ),
    ) as reader:
        batches, rows = [], 0
        for batch in reader:
            batches.append(batch)
            rows += len(batch)
            progress(min(rows * dialect.line_bytes / size, 0.99))
        table = pa.Table.from_batches(batches, reader.schema).unify_dictionaries()
    del batches
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    pa.default_memory_pool().release_unused()  # otherwise Arrow keeps more memory than the size of the file
    return frame


def _open_table(source: Source, dialect: Dialect) -> "pa.NativeFile":
    """Open the file up to the lines below its table; Arrow would unpack a file by its name."""
    if not dialect.end_byte:
        return pa.OSFile(str(source.path), "rb")
    return pa.BufferReader(pa.memory_map(str(source.path)).read_buffer(dialect.end_byte))


def _list_null_values() -> list[str]:
    return sorted({spelling for word in MISSING_WORDS for spelling in (word, word.upper(), word.capitalize(), "NaN")})


def _iter_rows(source: Source, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row below the header; slow, used only to locate errors."""
    with source.path.open(encoding=dialect.encoding, newline="") as file:
        for _ in range(dialect.skip_rows):
            file.readline()
        reader = csv.reader(file, delimiter=dialect.delimiter, strict=True)
        start = dialect.skip_rows + 1
        try:
            for row in reader:
                yield start, row
                start = dialect.skip_rows + reader.line_num + 1
        except csv.Error as error:
            if "limit" in str(error) and not dialect.has_quotes:
                raise UnreadableFileError(
                    N_("{file}, line {line}: a cell has more than {accepted} characters."),
                    file=source.name,
                    line=start,
                    accepted=csv.field_size_limit(),
                ) from error
            raise UnreadableFileError(
                N_('{file}, line {line}: a quotation mark (") is not closed.'), file=source.name, line=start
            ) from error


def _check_quotes(source: Source, dialect: Dialect) -> None:
    """Raise UnreadableFileError if a quotation mark is never closed."""
    for _ in _iter_rows(source, dialect):
        pass


def _translate_arrow_error(error: Exception, source: Source, dialect: Dialect) -> UnreadableFileError:
    """Translate an error of Arrow: the line, the number of fields found and the number expected."""
    for line, row in _iter_rows(source, dialect):
        if row and len(row) != len(dialect.names):
            return UnreadableFileError(
                N_("{file}, line {line}: the line has {value} fields but the header has {accepted}."),
                file=source.name,
                line=line,
                value=len(row),
                accepted=len(dialect.names),
            )
    return UnreadableFileError(
        N_("{file}: damaged text file ({reason})."), file=source.name, reason=str(error).splitlines()[0][:200]
    )


def detect_dialect(source: Source, text_encoding: TextEncoding) -> Dialect:
    """Detect delimiter, decimal mark, header and numeric columns from the first 256,000 characters."""
    with source.path.open(encoding=text_encoding.encoding, newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
    sample = sample.lstrip("\ufeff")
    complete_lines = sample
    if len(sample) >= SAMPLE_CHARACTERS - 2:
        complete_lines = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1]
    if not complete_lines.strip():
        raise UnreadableFileError(
            N_("{file}, line 1: the line has more than {accepted} characters."),
            file=source.name,
            accepted=SAMPLE_CHARACTERS,
        )
    skip_rows, preamble_lines, table_lines = split_preamble(complete_lines)
    lines_above = complete_lines[: len(complete_lines) - len(table_lines)]
    delimiter = detect_delimiter(complete_lines := table_lines)
    rows = list(split_rows(complete_lines, delimiter))
    header = find_header(rows, source.name)
    body = rows[header.row_count :]
    names = _add_trailing_column(header.names, body)
    footer, end_byte = _find_footer(source, text_encoding, delimiter, body)
    body = body[: len(body) - len(footer)] if len(sample) < SAMPLE_CHARACTERS - 2 else body
    if not body:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=source.name)
    sample_rows = body[: max(20, min(500, 20_000 // len(names)))]
    decimal_mark, ambiguous = detect_table_mark(list(column) for column in zip_longest(*sample_rows, fillvalue=""))
    if source.options.decimal_mark:
        decimal_mark, ambiguous = DECIMAL_MARKS[source.options.decimal_mark], False
    return Dialect(
        encoding=text_encoding.encoding,
        delimiter=delimiter,
        decimal_mark=decimal_mark,
        names=names,
        skip_rows=skip_rows + count_header_lines(table_lines, delimiter, header.row_count),
        preamble_lines=preamble_lines,
        numeric_columns=_find_numeric_columns(names, body, decimal_mark or "."),
        ambiguous=ambiguous,
        line_bytes=len(complete_lines.encode()) / len(rows),
        has_quotes=text_encoding.quote_count > 0,
        unit=find_stated_unit(list(split_rows(lines_above, delimiter))),
        repeated=header.repeated,
        footer=footer,
        end_byte=end_byte,
    )


def _add_trailing_column(names: list[str], body: list[list[str]]) -> list[str]:
    """Return the names with one for the empty cell behind a delimiter at the end of every line, where there is one."""
    rows = [row for row in body[:200] if VALUE_START.match(row[0]) or len(row) > 1]  # without a line below the table
    has_trailing_cell = bool(rows) and all(len(row) == len(names) + 1 and not row[-1].strip() for row in rows)
    return [*names, f"Unnamed {len(names)}"] if has_trailing_cell else names


def _find_footer(
    source: Source, text_encoding: TextEncoding, delimiter: str, body: list[list[str]]
) -> tuple[tuple[str, ...], int]:
    """Return the lines below the table, such as "End of file" or a total, and the position of the first one.

    They do not start with a digit, as nearly all rows do. Without such lines, the position is 0.
    """
    is_number_first = [bool(VALUE_START.match(row[0])) for row in body[:200]]
    while is_number_first and not is_number_first[-1]:
        is_number_first.pop()
    if not is_number_first or np.mean(is_number_first) < MIN_DIGIT_SHARE:
        return (), 0
    footer: list[str] = []
    end_byte = source.path.stat().st_size
    for text, byte_count in _read_last_lines(source, text_encoding.encoding):
        if text.count('"') % 2:  # the end of a cell in quotation marks
            return (), 0
        first_cell = next(split_rows(text, delimiter), [""])[0]
        if text.strip(delimiter) and (VALUE_START.match(first_cell) or not first_cell.strip()):
            break
        end_byte -= byte_count
        footer += [text] if text.strip(delimiter) else []
    return (tuple(reversed(footer)), end_byte) if footer else ((), 0)


def _read_last_lines(source: Source, encoding: str) -> Iterator[tuple[str, int]]:
    """Yield the last lines of a file, the last one first, without line ends, with their lengths in bytes."""
    size = source.path.stat().st_size
    start = max(0, size - FOOTER_BYTES) // 2 * 2
    with source.path.open("rb") as file:
        is_big_endian = file.read(2) == codecs.BOM_UTF16_BE
        file.seek(start)
        tail = file.read()
    exact_encoding = ("utf-16-be" if is_big_endian else "utf-16-le") if encoding == "utf-16" else encoding
    lines = tail.decode(exact_encoding, errors="surrogateescape" if encoding != "utf-16" else "replace").splitlines(
        True
    )
    for line in reversed(lines[1:][-MAX_FOOTER_LINES:]):
        errors = "surrogateescape" if encoding != "utf-16" else "replace"
        yield line.strip(), len(line.encode(exact_encoding.removesuffix("-sig"), errors=errors))


def _find_numeric_columns(names: list[str], rows: list[list[str]], decimal: str) -> frozenset[str]:
    numeric = set()
    for number, name in enumerate(names):
        cells = [row[number].strip() for row in rows[:1000] if number < len(row)]
        filled = [cell for cell in cells if cell.lower() not in MISSING_WORDS]
        if filled and all(NUMBER_PATTERNS[decimal].fullmatch(cell) for cell in filled):
            numeric.add(name)
    return frozenset(numeric)
