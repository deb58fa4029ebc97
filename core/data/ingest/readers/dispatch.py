"""Selection of the reader by file type, and cleaning of column names, empty rows and index columns."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from core.data.ingest.files import Skipped, Source
from core.data.ingest.readers.base import Progress, Table, check_columns, no_progress
from core.data.ingest.readers.netmob import read_netmob
from core.data.ingest.readers.npz import read_npz
from core.data.ingest.readers.parquet import read_parquet
from core.data.ingest.readers.records import read_json
from core.data.ingest.readers.seq import read_seq
from core.data.ingest.readers.text import read_text
from core.data.ingest.readers.workbook import read_xlsx
from core.errors import UnreadableFileError
from core.messages import N_

NOT_KEPT = re.compile(r"(unnamed.*|_id|__index_level_\d+__|)", re.IGNORECASE)
MANY = 4  # minimum width of a matrix without column names
GARBLED = re.compile("[ÂÃ][\u0080-\u00bf\u0152-\u0178\u2013-\u2122]")

READERS: dict[str, Callable[[Source, Progress], Table]] = {
    "text": read_text,
    "xlsx": read_xlsx,
    "parquet": read_parquet,
    "json": read_json,
    "npz": read_npz,
}
BUNDLES: dict[str, Callable[[Sequence[Source], Progress, list[Skipped] | None], Table]] = {
    "seq": read_seq,
    "netmob": read_netmob,
}
EXACT = ("npz", *BUNDLES)  # written by programs: not cleaned, every row and column is data


def bundles(sources: Sequence[Source]) -> list[list[Source]]:
    """Group the files that form one table: the .seq windows of a folder, all NetMob23 files; others stay alone."""
    found: dict[tuple[object, ...], list[Source]] = {}
    for number, source in enumerate(sources):
        key = (source.kind, source.folder * (source.kind == "seq")) if source.kind in BUNDLES else (number,)
        found.setdefault(key, []).append(source)
    return list(found.values())


def read_bundle(
    sources: Sequence[Source], progress: Progress = no_progress, skipped: list[Skipped] | None = None
) -> Table:
    """Read the table of a group of files (see `bundles`).

    Unreadable windows and NetMob23 files are added to `skipped` if the list is given. Otherwise, and for other file
    types, they raise UnreadableFileError.
    """
    many = BUNDLES.get(sources[0].kind)
    return many(sources, progress, skipped) if many else read_table(sources[0], progress)


def read_table(source: Source, progress: Progress = no_progress) -> Table:
    """Read the table of one plain file.

    Raises UnreadableFileError with the file, the line and the value found.
    """
    if source.kind in BUNDLES:
        return read_bundle([source], progress)
    table = READERS[source.kind](source, progress)
    if source.kind in EXACT:
        return table
    table.frame.columns = pd.Index([str(column).strip().lstrip("\ufeff") for column in table.frame.columns])
    check_columns(list(table.frame.columns), source.name)
    _ungarble(table)
    _take_numbers_for_names(table)
    _drop_empty_rows(table)
    _drop_nameless(table)
    return table


def _take_numbers_for_names(table: Table) -> None:
    """Drop a first row 0, 1, 2 … above unnamed columns: a program exported the column numbers as header.

    A first column of row numbers is dropped as well.
    """
    frame = table.frame
    width = frame.shape[1]
    if width < MANY or len(frame) < 2 or list(frame.columns) != _numbered(width):
        return
    first = pd.to_numeric(frame.iloc[0], errors="coerce").to_numpy(dtype=float)
    index = int(np.isnan(first[0]))  # 1 if the rows are also numbered: that column has no number in the header
    if np.array_equal(first[index:], np.arange(width - index)):
        table.frame = frame.iloc[1:, index:].reset_index(drop=True).set_axis(_numbered(width - index), axis=1)
        if index:
            _note_nameless(table, index)


def _numbered(count: int) -> list[str]:
    """Return `count` names for unnamed columns: column_1, column_2, and so on."""
    return [f"column_{number}" for number in range(1, count + 1)]


def _drop_nameless(table: Table) -> None:
    """Drop index columns and unnamed columns, and note it; a matrix without any column name keeps all columns."""
    dropped = [column for column in table.frame.columns if NOT_KEPT.fullmatch(column)]
    if len(dropped) == table.frame.shape[1] >= MANY and len(table.frame):
        table.frame.columns = pd.Index(_numbered(len(dropped)))
        return
    if len(dropped) == table.frame.shape[1] or table.frame.empty:
        raise UnreadableFileError(N_("{file}: a header and no rows."), file=table.name)
    if dropped:
        table.frame = table.frame.drop(columns=dropped)
        _note_nameless(table, len(dropped))


def _note_nameless(table: Table, count: int) -> None:
    table.note("ignored_columns", count, N_("{file}: {count} columns without a name of their own were left out."))


def _drop_empty_rows(table: Table) -> None:
    """Drop rows without any filled cell; spreadsheets save formatted empty rows."""
    empty = np.ones(len(table.frame), dtype=bool)
    for column in table.frame.columns:
        empty &= table.frame[column].isna().to_numpy()
        if not empty.any():
            return
    table.frame = table.frame[~empty].reset_index(drop=True)
    table.note("empty_rows", int(empty.sum()), N_("{file}: {count} empty rows were left out."))


def _ungarble(table: Table) -> None:
    """Repair mojibake ("rÃ©gion" → "région") in column names and in categories, up to 1000 per column."""
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


__all__ = ["Progress", "Table", "bundles", "no_progress", "read_bundle", "read_table"]
