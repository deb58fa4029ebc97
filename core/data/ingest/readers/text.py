"""Reader of delimited text (CSV, TSV …): the dialect is detected from the first lines.

Numeric columns are read as numbers. If a cell of them is not a number, the file is read again as text;
`core.data.ingest.cells` then lists the unusable cells.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.data.ingest.cells import MISSING, NUMBER, decimal_mark
from core.data.ingest.files import Source, Writing, writing_of
from core.data.ingest.readers.base import MAX_PREAMBLE, Progress, Table, headed, is_preamble, note_ambiguous_mark
from core.errors import UnreadableFileError
from core.messages import N_

BLOCK_BYTES = 2**20  # fits the processor's cache: parsing is twice as fast as with 8 MB
SAMPLE_CHARACTERS = 256_000


@dataclass(frozen=True)
class Dialect:
    """Format of a delimited text file.

    `skip` counts the lines before the first row of data, `told` the non-empty lines above the header. `numeric` holds
    the numeric columns. `ambiguous` is True if the decimal mark has two readings. `line_bytes` is the mean length of a
    line.
    """

    encoding: str
    delimiter: str
    decimal: str
    names: list[str]
    skip: int
    told: int
    numeric: frozenset[str]
    ambiguous: bool
    line_bytes: float
    quoted: bool


def read_text(source: Source, progress: Progress) -> Table:
    """Read a delimited text file. Raises UnreadableFileError with the line of the first error."""
    writing = writing_of(source)
    dialect = dialect_of(source, writing)
    if writing.quotes % 2:
        _refuse_open_quote(source, dialect)
    try:
        frame = _parsed(source, dialect, dialect.numeric, progress)
    except (pa.ArrowInvalid, UnicodeError) as error:
        if "conversion error" not in str(error):
            raise _explained(error, source, dialect) from error
        try:
            frame = _parsed(source, dialect, frozenset(), progress)
        except (pa.ArrowInvalid, UnicodeError) as second:
            raise _explained(second, source, dialect) from second
    table = Table(source.name, frame, decimal="." if dialect.delimiter == "," else "")
    if dialect.told:
        table.note("skipped_lines", dialect.told, N_("{file}: {count} lines above the header were skipped."))
    if dialect.ambiguous:
        note_ambiguous_mark(table, dialect.decimal)
    return table


def _parsed(source: Source, dialect: Dialect, numeric: frozenset[str], progress: Progress) -> pd.DataFrame:
    text = pa.dictionary(pa.int32(), pa.string())
    size = source.path.stat().st_size
    with pyarrow.csv.open_csv(
        source.path,
        pyarrow.csv.ReadOptions(
            encoding=dialect.encoding.removesuffix("-sig"),
            column_names=dialect.names,
            skip_rows=dialect.skip,
            block_size=BLOCK_BYTES,
        ),
        pyarrow.csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=dialect.quoted),
        pyarrow.csv.ConvertOptions(
            column_types={name: pa.float64() if name in numeric else text for name in dialect.names},
            decimal_point=dialect.decimal,
            strings_can_be_null=True,
            null_values=_null_values(),
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


def _null_values() -> list[str]:
    return sorted({form for word in MISSING for form in (word, word.upper(), word.capitalize(), "NaN")})


def _lines(source: Source, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row below the header; slow, used only to locate errors."""
    with source.path.open(encoding=dialect.encoding, newline="") as file:
        for _ in range(dialect.skip):
            file.readline()
        reader = csv.reader(file, delimiter=dialect.delimiter, strict=True)
        start = dialect.skip + 1
        try:
            for row in reader:
                yield start, row
                start = dialect.skip + reader.line_num + 1
        except csv.Error as error:
            if "limit" in str(error) and not dialect.quoted:
                raise UnreadableFileError(
                    N_("{file}, line {line}: a cell of more than {accepted} characters."),
                    file=source.name,
                    line=start,
                    accepted=csv.field_size_limit(),
                ) from error
            raise UnreadableFileError(
                N_('{file}, line {line}: a quotation mark (") is opened and not closed.'), file=source.name, line=start
            ) from error


def _refuse_open_quote(source: Source, dialect: Dialect) -> None:
    """Raise UnreadableFileError if a quotation mark is never closed."""
    for _ in _lines(source, dialect):
        pass


def _explained(error: Exception, source: Source, dialect: Dialect) -> UnreadableFileError:
    """Translate an error of Arrow: the line, the number of fields found and the number expected."""
    for line, row in _lines(source, dialect):
        if row and len(row) != len(dialect.names):
            return UnreadableFileError(
                N_("{file}, line {line}: {value} fields where the header has {accepted}."),
                file=source.name,
                line=line,
                value=len(row),
                accepted=len(dialect.names),
            )
    return UnreadableFileError(
        N_("{file}: damaged text ({reason})."), file=source.name, reason=str(error).splitlines()[0][:200]
    )


def dialect_of(source: Source, writing: Writing) -> Dialect:
    """Detect delimiter, decimal mark, header and numeric columns from the first 256,000 characters."""
    with source.path.open(encoding=writing.encoding, newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
    sample = sample.lstrip("\ufeff")
    complete = sample
    if len(sample) >= SAMPLE_CHARACTERS - 2:
        complete = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1]
    if not complete.strip():
        raise UnreadableFileError(
            N_("{file}, line 1: a line of more than {accepted} characters."),
            file=source.name,
            accepted=SAMPLE_CHARACTERS,
        )
    skip, told, complete = _without_preamble(complete)
    delimiter = _delimiter(complete)
    rows = list(_rows(complete, delimiter))
    names, body = headed(rows, source.name)
    cells = [cell for row in body[:500] for cell in row][:20_000]
    decimal, ambiguous = (".", False) if delimiter == "," else decimal_mark(cells)
    return Dialect(
        encoding=writing.encoding,
        delimiter=delimiter,
        decimal=decimal,
        names=names,
        skip=skip + (len(body) < len(rows)),
        told=told,
        numeric=_numeric_columns(names, body, decimal),
        ambiguous=ambiguous,
        line_bytes=len(complete.encode()) / len(rows),
        quoted=writing.quotes > 0,
    )


def _without_preamble(sample: str) -> tuple[int, int, str]:
    """Return the number of lines above the header, how many of them are not empty, and the text below them.

    Such lines are empty lines, Excel's `sep=;`, comments and titles.
    """
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", sample[:64_000])
    told = skipped = 0
    delimiter = _delimiter("".join(lines[MAX_PREAMBLE:]) or sample[:64_000])
    usual = _usual_length(list(_rows("".join(lines), delimiter)))
    for line in lines[:MAX_PREAMBLE]:
        row = next(_rows(line, delimiter), [])
        filled = sum(bool(cell.strip()) for cell in row)
        if filled and not is_preamble(line, len(row), filled, usual):
            break
        told, skipped = told + bool(filled), skipped + 1
    return skipped, told, sample[sum(map(len, lines[:skipped])) :]


def _usual_length(rows: list[list[str]]) -> int:
    lengths = [len(row) for row in rows[:200]]
    return max(set(lengths), key=lengths.count, default=1)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    except csv.Error:
        yield from (line.split(delimiter) for line in text.splitlines() if line)


def _delimiter(sample: str) -> str:
    """Return the delimiter that splits most lines into the same number of fields; a comma for a single column."""

    def agreement(delimiter: str) -> tuple[float, int]:
        lengths = [len(row) for row in _rows(sample[:64_000], delimiter)][:100]
        common = max(set(lengths), key=lengths.count, default=1)
        return (lengths.count(common) / len(lengths) if common > 1 else 0.0, common)

    best = max(";\t|,", key=agreement)
    return best if agreement(best)[1] > 1 else ","


def _numeric_columns(names: list[str], rows: list[list[str]], decimal: str) -> frozenset[str]:
    numeric = set()
    for number, name in enumerate(names):
        cells = [row[number].strip() for row in rows[:1000] if number < len(row)]
        filled = [cell for cell in cells if cell.lower() not in MISSING]
        if filled and all(NUMBER[decimal].fullmatch(cell) for cell in filled):
            numeric.add(name)
    return frozenset(numeric)
