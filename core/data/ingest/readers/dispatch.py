"""Choose the reader of a file by its kind, and tidy up what every reader returns: names, headings, stray columns."""

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
MANY = 4  # columns of numbers that could be a matrix
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
EXACT = ("npz", *BUNDLES)  # written by programs: every row and column of them is meant


def bundles(sources: Sequence[Source]) -> list[list[Source]]:
    """The files that make one table: windows that lie in one folder, all tiles, and each other file by itself."""
    found: dict[tuple[object, ...], list[Source]] = {}
    for number, source in enumerate(sources):
        key = (source.kind, source.folder * (source.kind == "seq")) if source.kind in BUNDLES else (number,)
        found.setdefault(key, []).append(source)
    return list(found.values())


def read_bundle(
    sources: Sequence[Source], progress: Progress = no_progress, skipped: list[Skipped] | None = None
) -> Table:
    """The table in files that belong together (see `bundles`).

    Raises UnreadableFileError; files of which it would be raised join `skipped` where such a list is given.
    """
    many = BUNDLES.get(sources[0].kind)
    return many(sources, progress, skipped) if many else read_table(sources[0], progress)


def read_table(source: Source, progress: Progress = no_progress) -> Table:
    """The table in a plain file.

    Raises UnreadableFileError with the file, the line and what was found.
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
    """A first row 0, 1, 2 … above columns without names is what a program wrote that numbers its columns."""
    frame = table.frame
    width = frame.shape[1]
    if width < MANY or len(frame) < 2 or list(frame.columns) != _numbered(width):
        return
    first = pd.to_numeric(frame.iloc[0], errors="coerce").to_numpy(dtype=float)
    index = int(np.isnan(first[0]))  # rows numbered as well: a column above which there is no number
    if np.array_equal(first[index:], np.arange(width - index)):
        table.frame = frame.iloc[1:, index:].reset_index(drop=True).set_axis(_numbered(width - index), axis=1)
        if index:
            _note_nameless(table, index)


def _numbered(count: int) -> list[str]:
    """Names for columns without any."""
    return [f"column_{number}" for number in range(1, count + 1)]


def _drop_nameless(table: Table) -> None:
    """Index columns and columns nobody named go, and that is said; a matrix without any name keeps all of them."""
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
    """Rows without any cell (a spreadsheet saves the formatted rest of its page)."""
    empty = np.ones(len(table.frame), dtype=bool)
    for column in table.frame.columns:
        empty &= table.frame[column].isna().to_numpy()
        if not empty.any():
            return
    table.frame = table.frame[~empty].reset_index(drop=True)
    table.note("empty_rows", int(empty.sum()), N_("{file}: {count} empty rows were left out."))


def _ungarble(table: Table) -> None:
    """Repair accents that went through the wrong encoding before ("rÃ©gion"), in names and short word lists."""
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
