"""Columns of call detail records: which are read, under which names, and which are never read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.errors import DataError, OptionError
from core.messages import N_

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("CDR_ID",),
    "trunk": ("ORIG_T1T7",),
    "start": ("Call_Start_Time", "@timestamp"),
    "end": ("Call_End_Time",),
    "duration": ("DURATION",),
    "null_duration": ("null_duration",),
    "cause": ("rc_group",),
}
"""Field of a record → its usual column names, the first one preferred."""

OPTIONAL_FIELDS = ("id", "end", "null_duration", "cause")
PRIVATE_COLUMN = re.compile(r"customer|client|caller|calling|called|masked|msisdn|number", re.IGNORECASE)
VALUE_CELL = re.compile(r"[-+\d.,:/ TZ]*\d[-+\d.,:/ TZ]*")
MAX_SHOWN_COLUMNS = 30


@dataclass(frozen=True)
class ColumnChoice:
    """Names of columns that replace the usual ones; "" for the usual one."""

    trunk: str = ""
    start: str = ""
    duration: str = ""
    cause: str = ""

    def check(self) -> None:
        """Raise OptionError for a column with customers or telephone numbers: these never leave the records."""
        for field, name in vars(self).items():
            if PRIVATE_COLUMN.search(name):
                raise OptionError(
                    N_("{name} = {value!r} is not accepted: names of customers and telephone numbers are never read."),
                    name=f"{field}_column",
                    value=name,
                )


def match_columns(file: str, columns: Iterable[str], choice: ColumnChoice, by_trunk: bool) -> dict[str, str]:
    """Return field → column of the file, without regard to case or to a prefix that ends with a dot.

    Raises DataError with the columns of the file for a missing column, and for two columns that match.

    Example:
        >>> columns = ["gini.orig_t1t7", "@timestamp", "gini.DURATION"]
        >>> match_columns("calls.csv", columns, ColumnChoice(), by_trunk=True)
        {'trunk': 'gini.orig_t1t7', 'start': '@timestamp', 'duration': 'gini.DURATION'}
    """
    columns = list(columns)
    matches = {}
    for field, names in COLUMN_NAMES.items():
        chosen = getattr(choice, field, "")
        column = next(
            filter(None, (_find_column(file, columns, name) for name in ((chosen,) if chosen else names))), ""
        )
        if column:
            matches[field] = column
        elif chosen or field == "start" or (field == "trunk" and by_trunk):
            raise _build_missing_error(file, columns, chosen or " / ".join(names))
    if "duration" not in matches and "end" not in matches:
        raise _build_missing_error(file, columns, "DURATION / Call_End_Time")
    if not by_trunk:
        matches.pop("trunk", None)
    return matches


def _find_column(file: str, columns: list[str], name: str) -> str:
    """Return the column `name`: the exact one, else the only one that differs in case or prefix, else ""."""
    if name in columns:
        return name
    folded = name.casefold()
    for candidates in (
        [column for column in columns if column.casefold() == folded],
        [column for column in columns if column.casefold().endswith(f".{folded}")],
    ):
        if len(candidates) > 1:
            raise DataError(
                N_("{file}: several columns match {name}: {columns}. Choose one with an option of the import."),
                file=file,
                name=name,
                columns=", ".join(candidates),
            )
        if candidates:
            return candidates[0]
    return ""


def _build_missing_error(file: str, columns: list[str], name: str) -> DataError:
    """Return the error for a missing column; cells of a file without header are not shown, they may be private."""
    if any(VALUE_CELL.fullmatch(column.strip()) for column in columns):
        return DataError(
            N_("{file}: the column {name} was not found. The first line holds values instead of column names."),
            file=file,
            name=name,
        )
    return DataError(
        N_("{file}: the column {name} was not found. Columns of the file: {columns}."),
        file=file,
        name=name,
        columns=", ".join(column[:60] for column in columns[:MAX_SHOWN_COLUMNS]),
    )
