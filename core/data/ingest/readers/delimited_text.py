"""Reader of delimited text (CSV, TSV …): the dialect is detected from the first lines.

Numeric columns are read as numbers. If a cell of them is not a number, the file is read again as text;
`core.data.ingest.number_parsing` then lists the unusable cells.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.data.ingest.files import Source, TextEncoding, detect_encoding
from core.data.ingest.number_parsing import MISSING_WORDS, NUMBER_PATTERNS, detect_decimal_mark
from core.data.ingest.readers.base import (
    MAX_PREAMBLE_LINES,
    ProgressCallback,
    RawTable,
    is_preamble,
    note_ambiguous_mark,
    split_header,
)
from core.errors import UnreadableFileError
from core.messages import N_

BLOCK_BYTES = 2**20  # fits the processor's cache: parsing is twice as fast as with 8 MB
SAMPLE_CHARACTERS = 256_000


@dataclass(frozen=True)
class Dialect:
    """Format of a delimited text file.

    `skip_rows` counts the lines before the first row of data, `preamble_lines` the non-empty lines above the header.
    `numeric_columns` holds the numeric columns. `ambiguous` is True if the decimal mark has two readings. `line_bytes`
    is the mean length of a line.
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
    table = RawTable(source.name, frame, decimal_mark="." if dialect.delimiter == "," else "")
    if dialect.preamble_lines:
        table.add_note(
            "skipped_lines", dialect.preamble_lines, N_("{file}: {count} lines above the header were skipped.")
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
        source.path,
        pyarrow.csv.ReadOptions(
            encoding=dialect.encoding.removesuffix("-sig"),
            column_names=dialect.names,
            skip_rows=dialect.skip_rows,
            block_size=BLOCK_BYTES,
        ),
        pyarrow.csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=dialect.has_quotes),
        pyarrow.csv.ConvertOptions(
            column_types={name: pa.float64() if name in numeric_columns else text_type for name in dialect.names},
            decimal_point=dialect.decimal_mark,
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
    skip_rows, preamble_lines, complete_lines = _split_preamble(complete_lines)
    delimiter = _detect_delimiter(complete_lines)
    rows = list(_split_rows(complete_lines, delimiter))
    names, body = split_header(rows, source.name)
    cells = [cell for row in body[:500] for cell in row][:20_000]
    decimal_mark, ambiguous = (".", False) if delimiter == "," else detect_decimal_mark(cells)
    return Dialect(
        encoding=text_encoding.encoding,
        delimiter=delimiter,
        decimal_mark=decimal_mark,
        names=names,
        skip_rows=skip_rows + (len(body) < len(rows)),
        preamble_lines=preamble_lines,
        numeric_columns=_find_numeric_columns(names, body, decimal_mark),
        ambiguous=ambiguous,
        line_bytes=len(complete_lines.encode()) / len(rows),
        has_quotes=text_encoding.quote_count > 0,
    )


def _split_preamble(sample: str) -> tuple[int, int, str]:
    """Return the number of lines above the header, how many of them are not empty, and the text below them.

    Such lines are empty lines, Excel's `sep=;`, comments and titles.
    """
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", sample[:64_000])
    preamble_lines = skip_rows = 0
    delimiter = _detect_delimiter("".join(lines[MAX_PREAMBLE_LINES:]) or sample[:64_000])
    usual_count = _find_usual_length(list(_split_rows("".join(lines), delimiter)))
    for line in lines[:MAX_PREAMBLE_LINES]:
        row = next(_split_rows(line, delimiter), [])
        filled_count = sum(bool(cell.strip()) for cell in row)
        if filled_count and not is_preamble(line, len(row), filled_count, usual_count):
            break
        preamble_lines, skip_rows = preamble_lines + bool(filled_count), skip_rows + 1
    return skip_rows, preamble_lines, sample[sum(map(len, lines[:skip_rows])) :]


def _find_usual_length(rows: list[list[str]]) -> int:
    lengths = [len(row) for row in rows[:200]]
    return max(set(lengths), key=lengths.count, default=1)


def _split_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    except csv.Error:
        yield from (line.split(delimiter) for line in text.splitlines() if line)


def _detect_delimiter(sample: str) -> str:
    """Return the delimiter that splits most lines into the same number of fields; a comma for a single column."""

    def measure_agreement(delimiter: str) -> tuple[float, int]:
        lengths = [len(row) for row in _split_rows(sample[:64_000], delimiter)][:100]
        common = max(set(lengths), key=lengths.count, default=1)
        return (lengths.count(common) / len(lengths) if common > 1 else 0.0, common)

    best_delimiter = max(";\t|,", key=measure_agreement)
    return best_delimiter if measure_agreement(best_delimiter)[1] > 1 else ","


def _find_numeric_columns(names: list[str], rows: list[list[str]], decimal: str) -> frozenset[str]:
    numeric = set()
    for number, name in enumerate(names):
        cells = [row[number].strip() for row in rows[:1000] if number < len(row)]
        filled = [cell for cell in cells if cell.lower() not in MISSING_WORDS]
        if filled and all(NUMBER_PATTERNS[decimal].fullmatch(cell) for cell in filled):
            numeric.add(name)
    return frozenset(numeric)
