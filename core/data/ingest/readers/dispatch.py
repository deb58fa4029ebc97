"""Selection of the reader by file type, and cleaning of column names, empty rows and index columns."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from core.data.ingest.files import SkippedFile, Source
from core.data.ingest.readers.base import ProgressCallback, RawTable, check_columns, ignore_progress
from core.data.ingest.readers.delimited_text import read_text
from core.data.ingest.readers.json_records import read_json
from core.data.ingest.readers.netmob import read_netmob
from core.data.ingest.readers.npz import read_npz
from core.data.ingest.readers.parquet import read_parquet
from core.data.ingest.readers.seq import read_seq
from core.data.ingest.readers.xlsx import read_xlsx
from core.errors import UnreadableFileError
from core.messages import N_

NAMELESS_COLUMN = re.compile(r"(unnamed.*|_id|__index_level_\d+__|)", re.IGNORECASE)
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
    return group_reader(sources, progress, skipped) if group_reader else read_table(sources[0], progress)


def read_table(source: Source, progress: ProgressCallback = ignore_progress) -> RawTable:
    """Read the table of one plain file.

    Raises UnreadableFileError with the file, the line and the value found.
    """
    if source.file_type in GROUP_READERS:
        return read_group([source], progress)
    table = READERS[source.file_type](source, progress)
    if source.file_type in EXACT_FILE_TYPES:
        return table
    table.frame.columns = pd.Index([str(column).strip().lstrip("\ufeff") for column in table.frame.columns])
    check_columns(list(table.frame.columns), source.name)
    _fix_mojibake(table)
    _drop_numeric_header(table)
    _drop_empty_rows(table)
    _drop_nameless_columns(table)
    return table


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


def _drop_nameless_columns(table: RawTable) -> None:
    """Drop index columns and unnamed columns, and note it; a matrix without any column name keeps all columns."""
    nameless = [column for column in table.frame.columns if NAMELESS_COLUMN.fullmatch(column)]
    if len(nameless) == table.frame.shape[1] >= MIN_MATRIX_COLUMNS and len(table.frame):
        table.frame.columns = pd.Index(_make_column_names(len(nameless)))
        return
    if len(nameless) == table.frame.shape[1] or table.frame.empty:
        raise UnreadableFileError(N_("{file}: the file has a header but no rows."), file=table.name)
    if nameless:
        table.frame = table.frame.drop(columns=nameless)
        _note_nameless_columns(table, len(nameless))


def _note_nameless_columns(table: RawTable, count: int) -> None:
    table.add_note("ignored_columns", count, N_("{file}: {count} columns without a name were ignored."))


def _drop_empty_rows(table: RawTable) -> None:
    """Drop rows without any filled cell; spreadsheets save formatted empty rows."""
    empty = np.ones(len(table.frame), dtype=bool)
    for column in table.frame.columns:
        empty &= table.frame[column].isna().to_numpy()
        if not empty.any():
            return
    table.frame = table.frame[~empty].reset_index(drop=True)
    table.add_note("empty_rows", int(empty.sum()), N_("{file}: {count} empty rows were ignored."))


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
            N_("{file}: {count} names with garbled accents (Ã© instead of é) were repaired."),
        )


def _fix_text(text: str) -> str:
    if not MOJIBAKE_PATTERN.search(text):
        return text
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


__all__ = ["ProgressCallback", "RawTable", "group_files", "ignore_progress", "read_group", "read_table"]
