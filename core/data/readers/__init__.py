"""Files → tables, one file a kind. A table holds numbers and text; layouts say later what the columns mean."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.files import Source
from core.data.readers.base import Progress, Table, check_columns, no_progress
from core.data.readers.parquet import read_parquet
from core.data.readers.records import read_json
from core.data.readers.text import read_text
from core.data.readers.workbook import read_xlsx
from core.errors import UnreadableFile
from core.text import N_

NOT_KEPT = re.compile(r"(unnamed.*|_id|__index_level_\d+__|)", re.IGNORECASE)
GARBLED = re.compile("[ÂÃ][\u0080-\u00bf\u0152-\u0178\u2013-\u2122]")

READERS: dict[str, Callable[[Source, Progress], Table]] = {
    "text": read_text, "xlsx": read_xlsx, "parquet": read_parquet, "json": read_json,
}  # fmt: skip


def read_table(source: Source, progress: Progress = no_progress) -> Table:
    """The table in a plain file.

    Raises UnreadableFile with the file, the line and what was found.
    """
    table = READERS[source.kind](source, progress)
    table.frame.columns = pd.Index([str(column).strip().lstrip("\ufeff") for column in table.frame.columns])
    check_columns(list(table.frame.columns), source.name)
    _ungarble(table)
    _drop_empty_rows(table)
    _drop_nameless(table)
    return table


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




__all__ = ["Progress", "Table", "no_progress", "read_table"]
