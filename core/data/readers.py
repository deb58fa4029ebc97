"""Files → tables. One function per kind of file; a table is a DataFrame of numbers and text, nothing interpreted yet.

Delimiter, encoding, decimal mark and header of a CSV are found from its bytes. Numbers that a column of numbers cannot
hold stay text here: `numbers` converts them later and tells which cells it could not read.
"""

import csv
import io
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from core.data.files import Source, Writing, writing_of
from core.data.findings import Finding
from core.errors import UnreadableFile
from core.text import N_, Text

Progress = Callable[[float], None]

MAX_COLUMNS = 5000
MAX_CELLS = 400_000_000
MAX_WORKBOOK_CELLS = 30_000_000  # a sheet is read cell by cell; it holds a million rows at most
MAX_PREAMBLE = 50
BLOCK_BYTES = 8 * 2**20
MAX_MAGNITUDE = 1e30  # beyond any physical unit; single precision, which forests use, ends at 3e38
SAMPLE_CHARACTERS = 256_000
NUMBER = {mark: re.compile(rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?") for mark in ".,"}
DATE_LIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
NOT_KEPT = re.compile(r"(unnamed.*|_id|__index_level_\d+__|)", re.IGNORECASE)
GARBLED = re.compile("[ÂÃ][\u0080-\u00bf\u0152-\u0178\u2013-\u2122]")
MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "--", "#n/a", "nd", "n.d.")


def no_progress(share: float) -> None:
    """For callers who do not watch."""


@dataclass
class Table:
    """A file as read: its name, its columns (text as categories, numbers as float64) and what reading it found."""

    name: str
    frame: pd.DataFrame
    notes: list[Finding] = field(default_factory=list)
    decimal: str = ""

    def note(self, kind: str, count: int, template: str, **values: object) -> None:
        self.notes.append(Finding(kind, count, Text(template, {"file": self.name, "count": count, **values})))


def read_table(source: Source, progress: Progress = no_progress) -> Table:
    """The table in a plain file.

    Raises UnreadableFile with the file, the line and what was found.
    """
    table = READERS[source.kind](source, progress)
    table.frame.columns = pd.Index([str(column).strip().lstrip("\ufeff") for column in table.frame.columns])
    _check_columns(list(table.frame.columns), source.name)
    _ungarble(table)
    _drop_empty_rows(table)
    _drop_nameless(table)
    return table


def _check_columns(names: list[str], file: str) -> None:
    if len(names) > MAX_COLUMNS:
        raise UnreadableFile(
            N_("{file}: {count} columns; at most {accepted} are read."),
            file=file, count=len(names), accepted=MAX_COLUMNS,
        )  # fmt: skip
    repeated = pd.Index(names)[pd.Index(names).duplicated()].difference([""])
    if len(repeated):
        raise UnreadableFile(
            N_("{file}: the column {column!r} appears more than once; every column needs a name of its own."),
            file=file, column=repeated[0],
        )  # fmt: skip


def _drop_nameless(table: Table) -> None:
    """Index columns and columns nobody named go, and that is said."""
    dropped = [column for column in table.frame.columns if NOT_KEPT.fullmatch(column)]
    if len(dropped) == table.frame.shape[1] or table.frame.empty:
        raise UnreadableFile(N_("{file}: a header and no rows."), file=table.name)
    if dropped:
        table.frame = table.frame.drop(columns=dropped)
        table.note(
            "ignored_columns", len(dropped), N_("{file}: {count} columns without a name of their own were left out."),
        )  # fmt: skip


def _drop_empty_rows(table: Table) -> None:
    """Rows without any cell (a spreadsheet saves the formatted rest of its page)."""
    empty = np.ones(len(table.frame), dtype=bool)
    for column in table.frame.columns:
        empty &= table.frame[column].isna().to_numpy()
        if not empty.any():
            return
    table.frame = table.frame[~empty].reset_index(drop=True)
    table.note("empty_rows", int(empty.sum()), N_("{file}: {count} empty rows were left out."))


def _ungarble(table: Table) -> None:
    """Accents that went through the wrong encoding before ("rÃ©gion") are put right in names and short lists of words."""
    old = list(table.frame.columns)
    table.frame.columns = pd.Index([_ungarbled(column) for column in old])
    mended = sum(name != new for name, new in zip(old, table.frame.columns, strict=True))
    for column in table.frame.columns[table.frame.dtypes == "category"]:
        words = table.frame[column].cat.categories
        if len(words) <= 1000 and len(new := pd.Index([_ungarbled(str(word)) for word in words]).unique()) == len(
            words
        ):
            mended += int((new != words).sum())
            table.frame[column] = table.frame[column].cat.rename_categories(new)
    if mended:
        table.note(
            "garbled_text", mended, N_("{file}: {count} names had garbled accents (Ã© for é); they were put right.")
        )


def _ungarbled(text: str) -> str:
    if not GARBLED.search(text):
        return text
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


# ---- text -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dialect:
    """How a text file writes a table."""

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


def note_ambiguous_mark(table: Table, mark: str) -> None:
    text = N_("{file}: the commas could stand between thousands or before decimals; read as {mark}.")
    table.note("ambiguous_numbers", 1, text, mark=N_("decimals") if mark == "," else N_("thousands"))


def _parsed(source: Source, dialect: Dialect, numeric: frozenset[str], progress: Progress) -> pd.DataFrame:
    text = pa.dictionary(pa.int32(), pa.string())
    size = source.path.stat().st_size
    with pyarrow.csv.open_csv(
        source.path,
        pyarrow.csv.ReadOptions(
            encoding=dialect.encoding.removesuffix("-sig"), column_names=dialect.names,
            skip_rows=dialect.skip, block_size=BLOCK_BYTES,
        ),
        pyarrow.csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=dialect.quoted),
        pyarrow.csv.ConvertOptions(
            column_types={name: pa.float64() if name in numeric else text for name in dialect.names},
            decimal_point=dialect.decimal, strings_can_be_null=True, null_values=_null_values(),
        ),
    ) as reader:  # fmt: skip
        batches, rows = [], 0
        for batch in reader:
            batches.append(batch)
            rows += len(batch)
            progress(min(rows * dialect.line_bytes / size, 0.99))
        table = pa.Table.from_batches(batches, reader.schema).unify_dictionaries()
    del batches
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def _null_values() -> list[str]:
    return sorted({form for word in MISSING for form in (word, word.upper(), word.capitalize(), "NaN")})


def _lines(source: Source, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row below the header, slowly: only to say where a file is wrong."""
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
                raise UnreadableFile(
                    N_("{file}, line {line}: a cell of more than {accepted} characters."),
                    file=source.name, line=start, accepted=csv.field_size_limit(),
                ) from error  # fmt: skip
            raise UnreadableFile(
                N_('{file}, line {line}: a quotation mark (") is opened and not closed.'), file=source.name, line=start
            ) from error


def _refuse_open_quote(source: Source, dialect: Dialect) -> None:
    """Raises UnreadableFile where a quotation mark swallows the rest of the file."""
    for _ in _lines(source, dialect):
        pass


def _explained(error: Exception, source: Source, dialect: Dialect) -> UnreadableFile:
    """Arrow's complaint as ours: the line, the fields found and the fields expected."""
    for line, row in _lines(source, dialect):
        if row and len(row) != len(dialect.names):
            return UnreadableFile(
                N_("{file}, line {line}: {value} fields where the header has {accepted}."),
                file=source.name, line=line, value=len(row), accepted=len(dialect.names),
            )  # fmt: skip
    return UnreadableFile(
        N_("{file}: damaged text ({reason})."), file=source.name, reason=str(error).splitlines()[0][:200]
    )


def dialect_of(source: Source, writing: Writing) -> Dialect:
    """Delimiter, decimal mark, header and numeric columns, from the first lines of the file."""
    with source.path.open(encoding=writing.encoding, newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
    sample = sample.lstrip("\ufeff")
    complete = sample
    if len(sample) >= SAMPLE_CHARACTERS - 2:
        complete = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1]
    if not complete.strip():
        raise UnreadableFile(
            N_("{file}, line 1: a line of more than {accepted} characters."),
            file=source.name, accepted=SAMPLE_CHARACTERS,
        )  # fmt: skip
    skip, told, complete = _without_preamble(complete)
    delimiter = _delimiter(complete)
    rows = list(_rows(complete, delimiter))
    names, body = headed(rows, source.name)
    cells = [cell for row in body[:500] for cell in row][:20_000]
    decimal, ambiguous = (".", False) if delimiter == "," else decimal_mark(cells)
    return Dialect(
        encoding=writing.encoding, delimiter=delimiter, decimal=decimal, names=names,
        skip=skip + (len(body) < len(rows)), told=told,
        numeric=_numeric_columns(names, body, decimal), ambiguous=ambiguous,
        line_bytes=len(complete.encode()) / len(rows), quoted=writing.quotes > 0,
    )  # fmt: skip


def headed(rows: list[list[str]], file: str) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows below them; numbered names where the first row is already data."""
    if not rows:
        raise UnreadableFile(N_("{file}: the file is empty."), file=file)
    header = _is_header(rows[0])
    if header and len(rows) == 1:
        raise UnreadableFile(N_("{file}: a header and no rows."), file=file)
    names = rows[0] if header else [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    names = [name.strip().lstrip("\ufeff") for name in names]
    names[0] = re.sub(r"^#\s*", "", names[0])
    _check_columns(names, file)
    return [name or f"Unnamed {number}" for number, name in enumerate(names)], rows[header:]


def _without_preamble(sample: str) -> tuple[int, int, str]:
    """Lines above the header and how many of them say something: blank lines, Excel's `sep=;`, comments, titles."""
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


def is_preamble(line: str, cells: int, filled: int, usual: int) -> bool:
    """Is this a line above the header? `cells` and `filled` count its cells, `usual` those of most rows."""
    if re.fullmatch(r"sep=.", line.strip()):
        return True
    if line.startswith("#"):
        return usual == 1 or cells != usual
    return (cells < usual and cells <= max(1, usual // 2)) or (filled == 1 and usual > 2)


def _usual_length(rows: list[list[str]]) -> int:
    lengths = [len(row) for row in rows[:200]]
    return max(set(lengths), key=lengths.count, default=1)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    except csv.Error:
        yield from (line.split(delimiter) for line in text.splitlines() if line)


def _delimiter(sample: str) -> str:
    """The mark that cuts most lines into the same number of at least two fields; a comma for a single column."""

    def agreement(delimiter: str) -> tuple[float, int]:
        lengths = [len(row) for row in _rows(sample[:64_000], delimiter)][:100]
        common = max(set(lengths), key=lengths.count, default=1)
        return (lengths.count(common) / len(lengths) if common > 1 else 0.0, common)

    best = max(";\t|,", key=agreement)
    return best if agreement(best)[1] > 1 else ","


def _is_header(row: list[str]) -> bool:
    """A header has a word in it; a first row of numbers and dates is already data."""
    cells = [cell.strip().lstrip("\ufeff") for cell in row if cell.strip()]
    data = [any(form.fullmatch(cell) for form in NUMBER.values()) or DATE_LIKE.match(cell) for cell in cells]
    return not all(data) and not (DATE_LIKE.match(cells[0]) if cells else False)


def _numeric_columns(names: list[str], rows: list[list[str]], decimal: str) -> frozenset[str]:
    numeric = set()
    for number, name in enumerate(names):
        cells = [row[number].strip() for row in rows[:1000] if number < len(row)]
        filled = [cell for cell in cells if cell.lower() not in MISSING]
        if filled and all(NUMBER[decimal].fullmatch(cell) for cell in filled):
            numeric.add(name)
    return frozenset(numeric)


# ---- other kinds ----------------------------------------------------------------------------------------------------


def read_xlsx(source: Source, progress: Progress) -> Table:
    """The first sheet that holds anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that openpyxl does not know
            rows = _first_filled_sheet(source)
    except UnreadableFile:
        raise
    except Exception as error:  # openpyxl raises whatever the broken part of the file makes it raise
        raise UnreadableFile(N_("{file}: damaged workbook ({reason})."), file=source.name, reason=error) from error
    if not rows:
        raise UnreadableFile(N_("{file}: a header and no rows."), file=source.name)
    width = max(map(len, rows))
    written = [["" if cell is None else str(cell) for cell in row] for row in rows[:MAX_PREAMBLE]]
    told = 0
    for row in written:
        filled = sum(map(bool, row))
        if not is_preamble("", len(row), filled, width) or told == len(rows) - 1:
            break
        told += 1
    names, _ = headed([[*each, *[""] * (width - len(each))] for each in written[told:]], source.name)
    body = rows[told + _is_header(written[told]) :]
    table = Table(source.name, pd.DataFrame([[*row, *[None] * (width - len(row))] for row in body], columns=names))
    if told:
        table.note("skipped_lines", told, N_("{file}: {count} lines above the header were skipped."))
    return table


def _first_filled_sheet(source: Source) -> list[tuple[Any, ...]]:
    """The rows of the sheet that hold a cell, each up to its last one; the size a sheet declares is not believed."""
    with source.path.open("rb") as stream, closing(
        openpyxl.load_workbook(stream, read_only=True, data_only=True)
    ) as book:  # fmt: skip
        sheets = (_filled_rows(sheet, source.name) for sheet in book.worksheets)
        return next(filter(None, sheets), [])


def _filled_rows(sheet: Any, file: str) -> list[tuple[Any, ...]]:
    sheet.reset_dimensions()
    rows, cells = [], 0
    for padded in sheet.iter_rows(values_only=True):
        row = padded[: max((number for number, cell in enumerate(padded, start=1) if cell is not None), default=0)]
        cells += len(row)
        if len(row) > MAX_COLUMNS:
            _check_columns([str(number) for number in range(len(row))], file)
        if cells > MAX_WORKBOOK_CELLS:
            raise UnreadableFile(
                N_("{file}: {count} cells; at most {accepted} are read."),
                file=file, count=cells, accepted=MAX_WORKBOOK_CELLS,
            )  # fmt: skip
        if row:
            rows.append(row)
    return rows


def read_parquet(source: Source, progress: Progress) -> Table:
    try:
        schema = pyarrow.parquet.read_schema(source.path)
        _refuse_nested(schema, source.name)
        words = [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)]
        with pyarrow.parquet.ParquetFile(source.path, read_dictionary=words) as file:
            if file.metadata.num_rows * file.metadata.num_columns > MAX_CELLS:
                raise UnreadableFile(
                    N_("{file}: {count} cells; at most {accepted} are read."),
                    file=source.name, count=file.metadata.num_rows * file.metadata.num_columns, accepted=MAX_CELLS,
                )  # fmt: skip
            frame: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(N_("{file}: damaged Parquet ({reason})."), file=source.name, reason=error) from error
    return Table(source.name, frame)


def _refuse_nested(schema: pa.Schema, file: str) -> None:
    for each in schema:
        if pa.types.is_nested(each.type):
            raise UnreadableFile(
                N_("{file}, column {column!r}: nested values ({value}); a column holds numbers, dates or words."),
                file=file, column=each.name, value=str(each.type)[:80],
            )  # fmt: skip


def read_json(source: Source, progress: Progress) -> Table:
    """A list of records, an object holding one such list, or one record per line."""
    text = source.path.read_text(encoding=writing_of(source).encoding)
    try:
        records = _records(text, source.name)
    except RecursionError as error:
        raise UnreadableFile(N_("{file}: JSON nested too deep."), file=source.name) from error
    if isinstance(records, dict):
        lists = [value for value in records.values() if isinstance(value, list)]
        records = lists[0] if len(lists) == 1 else [records]
    flat = isinstance(records, list) and all(isinstance(record, dict) for record in records)
    if not flat or any(isinstance(value, dict | list) for record in records for value in record.values()):
        raise UnreadableFile(
            N_("{file}: JSON is read as a list of flat records, [{{…}}, {{…}}]; this one is something else."),
            file=source.name,
        )
    return Table(source.name, pd.DataFrame.from_records(records))


def _records(text: str, file: str) -> Any:
    """What the text says: one document, or a list of one document per line."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            _check_columns([name for name, _ in pairs], file)
        return record

    try:
        return json.loads(text, object_pairs_hook=unique)
    except ValueError as error:
        line, reason = getattr(error, "lineno", 1), getattr(error, "msg", str(error))
    records = []
    for number, written in enumerate(text.split("\n"), start=1):
        try:
            if written.strip():
                records.append(json.loads(written, object_pairs_hook=unique))
        except ValueError as error:
            line, reason = (number, getattr(error, "msg", str(error))) if records else (line, reason)
            raise UnreadableFile(
                N_("{file}, line {line}: not valid JSON ({reason})."), file=file, line=line, reason=reason
            ) from error
    return records


READERS: dict[str, Callable[[Source, Progress], Table]] = {
    "text": read_text, "xlsx": read_xlsx, "parquet": read_parquet, "json": read_json,
}  # fmt: skip


# ---- cells ----------------------------------------------------------------------------------------------------------


def decimal_mark(texts: Iterable[str], usual: str = ",") -> tuple[str, bool]:
    """The mark before decimals in `texts`, and whether it could as well stand between thousands.

    Judged by the cells that read in one way only: 1,234.5 and 1,234,567 and 12.5 have a decimal point. `usual` decides
    where there is none of them: 1,234 alone.
    """
    cells = [text for text in map(_compact, texts) if "," in text or "." in text or text.isdigit()]
    points, commas = (sum(bool(CLEAR[mark].fullmatch(cell)) for cell in cells) for mark in ".,")
    if points != commas or not any("," in cell for cell in cells):
        return ("," if commas > points else "."), False
    if any(cell.isdigit() and len(cell) < 4 for cell in cells):  # decimals would not come and go, always three
        return ".", True
    return usual, True


def _clear(mark: str, other: str) -> re.Pattern[str]:
    """Numbers in which `mark` can only be the decimal mark and `other` only stand between thousands."""
    mark, other = re.escape(mark), re.escape(other)
    grouped = rf"\d{{1,3}}(?:{other}\d{{3}})+{mark}\d*|\d{{1,3}}(?:{other}\d{{3}}){{2,}}"
    return re.compile(rf"[+-]?(?:{grouped}|(?:0*|\d{{4,}}){mark}\d+|\d+{mark}(?:\d{{1,2}}|\d{{4,}}))(?:e[+-]?\d+)?")


CLEAR = {".": _clear(".", ","), ",": _clear(",", ".")}


def numbers(column: pd.Series, decimal: str = "") -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The column as float64, and the rows whose cell is neither a number nor missing (they become NaN).

    Understands decimal commas, spaces, commas and dots between thousands (one convention for the whole column; where
    the cells leave it open, `decimal` is the decimal mark), and true/false words.
    """
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        beyond = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~np.isnan(values))
    else:
        codes, texts = pd.factorize(column, use_na_sentinel=True)
        mark, _ = decimal_mark(map(str, texts), decimal or ",")
        parsed = np.array([_number(str(text), mark) for text in texts] + [np.nan])
        missing = np.array([str(text).strip().lower() in MISSING for text in texts] + [True])
        values = parsed[codes]
        beyond = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE) & ~missing[codes])
    if len(beyond):
        values = values.copy()
        values[beyond] = np.nan
    return values, beyond


def _compact(text: str) -> str:
    return re.sub(r"[\s\u00a0\u202f']", "", text).lower()


def _number(text: str, mark: str) -> float:
    word, other = _compact(text), "," if mark == "." else "."
    if word in ("true", "vrai", "oui", "yes", "false", "faux", "non", "no"):
        return float(word in ("true", "vrai", "oui", "yes"))
    if re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(other)}\d{{3}})+({re.escape(mark)}\d*)?(e[+-]?\d+)?", word):
        word = word.replace(other, "")
    word = word.replace(",", ".")
    return float(word) if NUMBER["."].fullmatch(word) else np.nan
