"""Selection of the reader by file type, and cleaning of column names, empty rows and index columns."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd

from core.data.ingest.date_parsing import looks_like_dates
from core.data.ingest.files import SkippedFile, Source
from core.data.ingest.readers.base import (
    NAMELESS_COLUMN,
    ProgressCallback,
    RawTable,
    check_columns,
    ignore_progress,
    make_unique,
)
from core.data.ingest.readers.delimited_text import read_text
from core.data.ingest.readers.json_records import read_json
from core.data.ingest.readers.netmob import read_netmob
from core.data.ingest.readers.npz import read_npz
from core.data.ingest.readers.parquet import read_parquet
from core.data.ingest.readers.seq import read_seq
from core.data.ingest.readers.xlsx import read_xlsx
from core.data.read_options import DECIMAL_MARKS
from core.errors import UnreadableFileError, VigieError
from core.messages import N_

logger = logging.getLogger(__name__)

MIN_MATRIX_COLUMNS = 4  # minimum width of a matrix without column names
MOJIBAKE_PATTERN = re.compile("[ÂÃ][\u0080-\u00bf\u0152-\u0178\u2013-\u2122]")

READERS: dict[str, Callable[[Source, ProgressCallback], RawTable]] = {
    "text": read_text,
    "xlsx": read_xlsx,
    "parquet": read_parquet,
    "json": read_json,
    "npz": read_npz,
}
GROUP_READERS: dict[str, Callable[[Sequence[Source], ProgressCallback, list[SkippedFile] | None], RawTable]] = {
    "seq": read_seq,
    "netmob": read_netmob,
}
TYPE_BY_EXTENSION = {
    "csv": "text",
    "tsv": "text",
    "gz": "gzip",
    "zip": "zip",
    "xlsx": "xlsx",
    "parquet": "parquet",
    "json": "json",
    "npz": "npz",
}
TIME_COLUMN = "time"
EXACT_FILE_TYPES = ("npz", *GROUP_READERS)  # written by programs: not cleaned, every row and column is data


def group_files(sources: Sequence[Source]) -> list[list[Source]]:
    """Group the files that form one table: the .seq windows of a folder, all NetMob23 files; others stay alone."""
    groups: dict[tuple[object, ...], list[Source]] = {}
    for number, source in enumerate(sources):
        key = (
            (source.file_type, source.folder * (source.file_type == "seq"))
            if source.file_type in GROUP_READERS
            else (number,)
        )
        groups.setdefault(key, []).append(source)
    return list(groups.values())


def read_group(
    sources: Sequence[Source], progress: ProgressCallback = ignore_progress, skipped: list[SkippedFile] | None = None
) -> RawTable:
    """Read the table of a group of files (see `group_files`).

    Unreadable windows and NetMob23 files are added to `skipped` if the list is given. Otherwise, and for other file
    types, they raise UnreadableFileError.
    """
    group_reader = GROUP_READERS.get(sources[0].file_type)
    if group_reader is None:
        return read_table(sources[0], progress)
    with _translate_errors(sources[0].name):
        return group_reader(sources, progress, skipped)


def read_table(source: Source, progress: ProgressCallback = ignore_progress) -> RawTable:
    """Read the table of one plain file.

    Raises UnreadableFileError with the file, the line and the value found.
    """
    if source.file_type in GROUP_READERS:
        return read_group([source], progress)
    with _translate_errors(source.name):
        table = READERS[source.file_type](source, progress)
        table.options = source.options
        table.decimal_mark = DECIMAL_MARKS.get(source.options.decimal_mark, table.decimal_mark)
        if source.file_type in EXACT_FILE_TYPES:
            return table
        _clean_table(table)
    _note_misleading_name(table, source)
    return table


@contextmanager
def _translate_errors(file: str) -> Iterator[None]:
    """Turn any error of a library into UnreadableFileError: damaged files raise errors of many types."""
    try:
        yield
    except (VigieError, MemoryError):
        raise
    except Exception as error:
        logger.warning("unexpected error while reading %s", file, exc_info=True)
        raise UnreadableFileError(
            N_("{file}: the file is damaged or has an unknown form ({reason})."),
            file=file,
            reason=f"{type(error).__name__}: {str(error)[:100]}",
        ) from error


def _clean_table(table: RawTable) -> None:
    table.frame.columns = pd.Index([str(column).strip().lstrip("\ufeff") for column in table.frame.columns])
    check_columns(list(table.frame.columns), table.name)
    _fix_mojibake(table)
    _drop_numeric_header(table)
    _drop_repeated_headers(table)
    _drop_empty_rows(table)
    _name_nameless_columns(table)
    _merge_repeated_columns(table)


def _note_misleading_name(table: RawTable, source: Source) -> None:
    """Add a note if the extension of the file names another type than its content."""
    extension = source.name.rpartition(".")[2].lower()
    if TYPE_BY_EXTENSION.get(extension, source.file_type) != source.file_type:
        table.add_note(
            "misleading_name",
            1,
            N_("{file}: the name ends with .{extension}, but the content is {type}. The content was read."),
            extension=extension,
            type=source.file_type,
        )


def _drop_repeated_headers(table: RawTable) -> None:
    """Drop rows that repeat the header: the file was glued from several files."""
    frame = table.frame
    is_repeated = np.ones(len(frame), dtype=bool)
    for column in frame.columns:
        if NAMELESS_COLUMN.fullmatch(column):
            continue
        if isinstance(frame[column].dtype, pd.CategoricalDtype) and column not in frame[column].cat.categories:
            return
        if pd.api.types.is_numeric_dtype(frame[column]) or pd.api.types.is_datetime64_any_dtype(frame[column]):
            return
        is_repeated &= (frame[column] == column).to_numpy(dtype=bool, na_value=False)
    if not is_repeated.any() or is_repeated.all():
        return
    table.frame = frame[~is_repeated].reset_index(drop=True)
    table.add_note(
        "repeated_headers",
        int(is_repeated.sum()),
        N_(
            "{file}: {count} row that repeats the header was ignored.",
            "{file}: {count} rows that repeat the header were ignored.",
        ),
    )


def _merge_repeated_columns(table: RawTable) -> None:
    """Drop the columns that repeat another one with the same name; keep the others under a numbered name."""
    for column in table.repeated:
        if column not in table.frame:
            continue
        name = column.rpartition(" (")[0]
        if name in table.frame and table.frame[column].astype(str).equals(table.frame[name].astype(str)):
            table.frame = table.frame.drop(columns=column)
            template = N_("{file}: the column {column!r} appears twice with the same values. One copy was kept.")
        else:
            template = N_("{file}: the column {column!r} appears more than once. The later one is called {renamed!r}.")
        table.add_note("repeated_columns", 1, template, column=name, renamed=column)


def _drop_numeric_header(table: RawTable) -> None:
    """Drop a first row 0, 1, 2 … above unnamed columns: a program exported the column numbers as header.

    A first column of row numbers is dropped as well.
    """
    frame = table.frame
    width = frame.shape[1]
    if width < MIN_MATRIX_COLUMNS or len(frame) < 2 or list(frame.columns) != _make_column_names(width):
        return
    first_row = pd.to_numeric(frame.iloc[0], errors="coerce").to_numpy(dtype=float)
    index_count = int(
        np.isnan(first_row[0])
    )  # 1 if the rows are also numbered: that column has no number in the header
    if np.array_equal(first_row[index_count:], np.arange(width - index_count)):
        table.frame = (
            frame.iloc[1:, index_count:]
            .reset_index(drop=True)
            .set_axis(_make_column_names(width - index_count), axis=1)
        )
        if index_count:
            _note_nameless_columns(table, index_count)


def _make_column_names(count: int) -> list[str]:
    """Return `count` names for unnamed columns: column_1, column_2, and so on."""
    return [f"column_{number}" for number in range(1, count + 1)]


def _name_nameless_columns(table: RawTable) -> None:
    """Name the columns without a name: one of dates is "time", the others are numbered; drop the empty ones.

    Programs export the index of a table as a column without a name: dates are the time, numbers only count the rows. A
    matrix without any column name keeps all columns. Other numbered columns are ignored unless a person gives them a
    role, and this is told.
    """
    nameless = [column for column in table.frame.columns if NAMELESS_COLUMN.fullmatch(column)]
    if len(nameless) == table.frame.shape[1] >= MIN_MATRIX_COLUMNS and len(table.frame):
        table.frame.columns = pd.Index(_make_column_names(len(nameless)))
        return
    if len(nameless) == table.frame.shape[1] or table.frame.empty:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=table.name)
    empty = [column for column in nameless if table.frame[column].isna().all()]
    filled = [column for column in nameless if column not in empty]
    dates = [column for column in filled if looks_like_dates(table.frame[column])]
    if dates and TIME_COLUMN not in table.frame:
        table.frame = table.frame.rename(columns={dates[0]: TIME_COLUMN})
        table.add_note("unnamed_time", 1, N_("{file}: the column without a name contains dates. It is called 'time'."))
        filled.remove(dates[0])
    if empty:  # dropping no column would copy the table
        table.frame = table.frame.drop(columns=empty)
    if filled:
        names = make_unique([*table.frame.columns, *(f"Unnamed {number}" for number in range(1, len(filled) + 1))])
        table.frame = table.frame.rename(columns=dict(zip(filled, names[-len(filled) :], strict=True)))
        _note_nameless_columns(table, len(filled))


def _note_nameless_columns(table: RawTable, count: int) -> None:
    table.add_note(
        "ignored_columns",
        count,
        N_(
            "{file}: {count} column without a name was ignored.", "{file}: {count} columns without a name were ignored."
        ),
    )


def _drop_empty_rows(table: RawTable) -> None:
    """Drop rows without any filled cell; spreadsheets save formatted empty rows."""
    empty = np.ones(len(table.frame), dtype=bool)
    for column in table.frame.columns:
        empty &= table.frame[column].isna().to_numpy()
        if not empty.any():
            return
    table.frame = table.frame[~empty].reset_index(drop=True)
    table.add_note(
        "empty_rows",
        int(empty.sum()),
        N_("{file}: {count} empty row was ignored.", "{file}: {count} empty rows were ignored."),
    )


def _fix_mojibake(table: RawTable) -> None:
    """Repair mojibake ("rÃ©gion" → "région") in column names and in categories, up to 1000 per column."""
    old_names = list(table.frame.columns)
    table.frame.columns = pd.Index([_fix_text(column) for column in old_names])
    repair_count = sum(name != new_words for name, new_words in zip(old_names, table.frame.columns, strict=True))
    for column in table.frame.columns[table.frame.dtypes == "category"]:
        words = table.frame[column].cat.categories
        if len(words) <= 1000 and len(new_words := pd.Index([_fix_text(str(word)) for word in words]).unique()) == len(
            words
        ):
            repair_count += int((new_words != words).sum())
            table.frame[column] = table.frame[column].cat.rename_categories(new_words)
    if repair_count:
        table.add_note(
            "garbled_text",
            repair_count,
            N_(
                "{file}: {count} name with garbled accents (Ã© instead of é) was repaired.",
                "{file}: {count} names with garbled accents (Ã© instead of é) were repaired.",
            ),
        )


def _fix_text(text: str) -> str:
    if not MOJIBAKE_PATTERN.search(text):
        return text
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


__all__ = ["ProgressCallback", "RawTable", "group_files", "ignore_progress", "read_group", "read_table"]
