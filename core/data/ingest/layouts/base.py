"""Contract of a file layout: it assigns a role to every column and builds a `Dataset` from columns with roles."""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.columns import TIME_PARTS, Role, Roles
from core.data.dataset import Dataset, format_timestamp, make_index
from core.data.ingest.date_parsing import ParsedDates, move_to_zone, parse_dates
from core.data.ingest.labels import read_labels
from core.data.ingest.number_parsing import detect_decimal_mark, parse_numbers
from core.data.ingest.readers.base import RawTable, note_ambiguous_mark
from core.data.ingest.time_parts import assemble_times
from core.data.nameless import SERIES
from core.data.quality.findings import Finding
from core.data.read_options import DATE_ORDERS
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_, Message

COLUMNS_PER_CACHE_LINE, TRANSPOSED_ROWS = 8, 8192  # columns become rows three times faster in such tiles
AMBIGUOUS_DATES = {
    "dmy": N_(
        "{file}: every date can be read with the day or the month first. The dates were read with the day first."
    ),
    "mdy": N_(
        "{file}: every date can be read with the day or the month first. The dates were read with the month first."
    ),
    "ymd": N_(
        "{file}: every date can be read with the day or the year first. The dates were read with the year first."
    ),
}
LOCAL_CLOCK = N_("{file}: the timestamps are in the local time of the file ({zone}).")
TIME_NAMES = (
    "date",
    "day",
    "jour",
    "time",
    "timestamp",
    "datetime",
    "dateheure",
    "horodatage",
    "ds",
    "forecasttimestamp",
    "temps",
    "zeit",
    "datum",
    "fecha",
    "period",
    "periode",
)
ENTITY_NAMES = ("entity", "entite", "id", "series", "serie", "site", "name", "nom", "region", "regname", "uniqueid")
LABEL_NAMES = (
    *("label", "labels", "isanomaly", "anomaly", "anomalie", "injected", "anomalous", "outlier", "isoutlier"),
    *("attack", "isattack", "normalattack", "fault", "isfault", "groundtruth"),
)


def normalise_name(name: str) -> str:
    """Return a column name in lower case without accents and punctuation, for comparisons.

    Example:
        >>> normalise_name("Consommation journalière (MWh)")
        'consommationjournalieremwh'
    """
    letters = unicodedata.normalize("NFKD", name.replace("œ", "oe")).casefold()
    return re.sub(r"[^a-z0-9]", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))


class Layout(ABC):
    """Contract of a file layout. Every concrete subclass in this folder is registered; there is no list to edit."""

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    order: ClassVar[int] = 50  # lower values are tried first: the most specific layouts
    standard_names: ClassVar[
        Mapping[str, str]
    ] = {}  # normalised column name → name of the covariate or context in a dataset

    @abstractmethod
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        """Return the role of every column, or None if the table has another layout."""

    @abstractmethod
    def build(self, table: RawTable, roles: Roles, unit: str) -> Dataset:
        """Build the dataset of `table`. May remove columns from `table.frame` to save memory.

        Raises UnknownLayoutError for missing roles, UnreadableFileError for invalid dates or without any number.
        """


def find_role_columns(roles: Roles, role: Role) -> list[str]:
    """Return the columns with the role `role`."""
    return [column for column, column_role in roles.items() if column_role == role]


def require_roles(table: RawTable, roles: Roles, layout: Layout, *required_roles: Role) -> None:
    """Raise UnknownLayoutError with the name of the first role that no column has."""
    for role in required_roles:
        if not (has_time(roles) if role == "time" else find_role_columns(roles, role)):
            raise UnknownLayoutError(
                N_("{file}: the layout {layout} requires a column with the role {role}. Columns found: {columns}."),
                file=table.name,
                role=role,
                layout=layout.name,
                columns=", ".join(map(str, list(table.frame)[:30])),
            )


def build_dataset(table: RawTable, roles: Roles, layout: Layout, measures: Mapping[str, str]) -> Dataset:
    """Build a dataset from columns with roles.

    `measures` maps each measurement column to its name in the dataset, in order. The entity is SERIES if no column
    names one. Without a time column, the rows are numbered.
    """
    notes = table.notes
    dates = _parse_times(table, roles, notes) if has_time(roles) else None
    index = make_index(
        _build_entities(table, find_role_columns(roles, "entity"), SERIES),
        pd.RangeIndex(len(table.frame)) if dates is None else dates.times,
    )
    covariates = _read_covariates(table, roles, layout, index, notes)
    context = _read_context(table, roles, layout, index, notes)
    label_columns = find_role_columns(roles, "label")
    labels = _read_labels(table, label_columns[0], notes) if label_columns else None
    values = _read_matrix(table, list(measures), notes, index)
    return Dataset(
        frame=pd.DataFrame(values, index=index, columns=pd.Index(list(measures.values())), copy=False),
        layout=layout.name,
        covariates=covariates,
        context=context,
        labels=None if labels is None else pd.Series(labels, index=index, name="label"),
        zone="" if dates is None else dates.zone,
        fold=None if dates is None or dates.fold is None else pd.Series(dates.fold, index=index, name="fold"),
        files=(table.name,),
        notes=tuple(notes),
    )


def has_time(roles: Roles) -> bool:
    """Tell whether the roles name a time: one column, a date, or a year and a month."""
    given = set(roles.values())
    return bool(given & {"time", "date"}) or {"year", "month"} <= given


def _parse_times(table: RawTable, roles: Roles, notes: list[Finding]) -> ParsedDates:
    """Return the timestamps on the local clock; add notes about dates with two readings and about the time zone."""
    time_columns = find_role_columns(roles, "time")
    options = table.options
    order = DATE_ORDERS.get(options.date_order, "")
    dates: ParsedDates = (
        parse_dates(table.frame.pop(time_columns[0]), table.name, order)
        if time_columns
        else assemble_times(
            {role: table.frame.pop(columns[0]) for role in TIME_PARTS if (columns := find_role_columns(roles, role))},
            table.name,
            order,
        )
    )
    count = len(dates.times)
    table.date_order = "" if dates.ambiguous else dates.order
    if dates.ambiguous:
        table.add_note("ambiguous_dates", count, AMBIGUOUS_DATES[dates.order])
    if len(dates.formats) > 1:
        table.add_note(
            "mixed_date_formats", len(dates.formats), N_("{file}: the dates have {count} different formats.")
        )
    if dates.is_converted:
        template = N_("{file}: the timestamps have several offsets from UTC. They were converted to UTC.")
        table.add_note("time_zone", count, template)
    elif dates.zone not in ("", "UTC"):
        table.add_note("time_zone", count, LOCAL_CLOCK, zone=describe_zone(dates.zone))
    return move_to_zone(dates, options.zone) if options.zone else dates


def describe_zone(zone: str) -> str:
    """Return a zone as it is shown: Europe/Paris, UTC+02:00.

    Example:
        >>> describe_zone("Europe/Paris"), describe_zone("+02:00")
        ('Europe/Paris', 'UTC+02:00')
    """
    return f"UTC{zone}" if zone.startswith(("+", "-")) else zone


def _build_entities(table: RawTable, columns: list[str], default_name: str) -> pd.Categorical:
    """Return one entity name per row: the columns joined by a middle dot, or `default_name` without columns."""
    if not columns:
        return pd.Categorical.from_codes(np.zeros(len(table.frame), dtype=np.int8), categories=[default_name])
    parts = [_to_categorical(table.frame.pop(column)) for column in columns]
    entities = parts[0]
    for part in parts[1:]:
        codes = entities.codes.astype(np.int64) * len(part.categories) + part.codes
        used_codes, codes = _compact_codes(codes, len(entities.categories) * len(part.categories))
        names = [
            f"{entities.categories[code // len(part.categories)]} · {part.categories[code % len(part.categories)]}"
            for code in used_codes
        ]
        entities = pd.Categorical.from_codes(codes, categories=names)
    return entities


def _compact_codes(codes: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes that occur, sorted, and the position of each code among them; all codes are below `limit`."""
    if limit > 4 * len(codes):
        return np.unique(codes, return_inverse=True)
    is_used = np.bincount(codes, minlength=limit) > 0
    positions = np.cumsum(is_used) - 1
    return np.flatnonzero(is_used), positions[codes]


def _to_categorical(column: pd.Series) -> pd.Categorical:
    if isinstance(column.dtype, pd.CategoricalDtype):
        used, codes = _compact_codes(column.cat.codes.to_numpy(dtype=np.int64) + 1, len(column.cat.categories) + 1)
        values = np.array(["?", *column.cat.categories], dtype=object)[used]
    elif pd.api.types.is_numeric_dtype(column):
        codes, numbers = pd.factorize(column)
        codes, values = codes + 1, np.array(["?", *numbers], dtype=object)
    else:
        codes, values = pd.factorize(column.astype("object").where(column.notna(), "?"))
    names = pd.Index([str(int(v)) if isinstance(v, float) and v.is_integer() else str(v).strip() for v in values])
    unique, name_codes = np.unique(np.asarray(names, dtype=object), return_inverse=True)
    return pd.Categorical.from_codes(name_codes[codes], categories=unique)


def _read_labels(table: RawTable, column: str, notes: list[Finding]) -> NDArray[np.bool_]:
    """Return True for every abnormal row. Raises UnreadableFileError where it is open which value is abnormal."""
    cells = table.frame.pop(column)
    answer = read_labels(cells)
    if answer is None:
        raise UnreadableFileError(
            N_(
                "{file}, column {column!r}: it is not clear which label is abnormal. Accepted: 0 and 1, 1 and −1 with "
                "−1 as the rarer value, words such as normal and anomaly."
            ),
            file=table.name,
            column=column,
        )
    labels, is_negative = answer
    if is_negative:
        message = Message(
            N_(
                "{file}, column {column!r}: −1 marks {count} abnormal row, as in scikit-learn.",
                "{file}, column {column!r}: −1 marks {count} abnormal rows, as in scikit-learn.",
            ),
            {"file": table.name, "column": column, "count": int(labels.sum())},
        )
        notes.append(Finding("negative_labels", int(labels.sum()), message))
    return labels


def _read_covariates(
    table: RawTable, roles: Roles, layout: Layout, index: pd.MultiIndex, notes: list[Finding]
) -> pd.DataFrame | None:
    covariates = {
        _standardise_name(layout, column): _read_numbers(table, column, notes, index)
        for column in find_role_columns(roles, "covariate")
    }
    return pd.DataFrame(covariates, index=index) if covariates else None


def _standardise_name(layout: Layout, column: str) -> str:
    return layout.standard_names.get(normalise_name(column), column)


def _read_context(
    table: RawTable, roles: Roles, layout: Layout, index: pd.MultiIndex, notes: list[Finding]
) -> pd.DataFrame | None:
    context: dict[str, object] = {}
    for column in find_role_columns(roles, "total")[:1]:
        context["total"] = _read_numbers(table, column, notes, index)
    for column in find_role_columns(roles, "context"):
        context[_standardise_name(layout, column)] = table.frame.pop(column).astype("category").to_numpy()
    return pd.DataFrame(context, index=index) if context else None


def _read_matrix(
    table: RawTable, columns: list[str], notes: list[Finding], index: pd.MultiIndex
) -> NDArray[np.float64]:
    row_count = len(table.frame)
    values = np.empty((row_count, len(columns)))
    for first in range(0, len(columns), COLUMNS_PER_CACHE_LINE):
        group = [
            _read_numbers(table, column, notes, index) for column in columns[first : first + COLUMNS_PER_CACHE_LINE]
        ]
        for start in range(0, row_count, TRANSPOSED_ROWS):
            rows = slice(start, start + TRANSPOSED_ROWS)
            values[rows, first : first + len(group)] = np.array([column[rows] for column in group]).T
    if len(values) and np.isnan(values).all():
        raise UnreadableFileError(
            N_("{file}: the columns {columns} contain no number."), file=table.name, columns=", ".join(columns[:5])
        )
    return values


def _read_numbers(table: RawTable, column: str, notes: list[Finding], index: pd.MultiIndex) -> NDArray[np.float64]:
    cells = table.frame.pop(column)
    values, bad_rows = parse_numbers(cells, table.decimal_mark)
    if (
        not table.decimal_mark
        and not pd.api.types.is_numeric_dtype(cells)
        and not any(note.kind == "ambiguous_numbers" for note in notes)
    ):
        mark, ambiguous = detect_decimal_mark(cells.dropna().astype(str).unique())
        if ambiguous:
            note_ambiguous_mark(table, mark)
    if len(bad_rows):
        example = str(cells.iloc[bad_rows[0]])[:60]
        locations = [
            {
                "entity": index[row][0],
                "time": format_timestamp(index[row][1]),
                "column": column,
                "value": str(cells.iloc[row])[:60],
            }
            for row in bad_rows[: Finding.MAX_LOCATIONS]
        ]
        notes.append(
            Finding(
                "unreadable_cells",
                len(bad_rows),
                Message(
                    N_(
                        "{file}, column {column!r}: {count} cell is not a usable number (row {row}, "
                        "{value!r}). It is read as a missing value.",
                        "{file}, column {column!r}: {count} cells are not usable numbers (first: row "
                        "{row}, {value!r}). They are read as missing values.",
                    ),
                    {
                        "file": table.name,
                        "column": column,
                        "count": len(bad_rows),
                        "row": int(bad_rows[0]) + 1,
                        "value": example,
                    },
                ),
                tuple(locations),
            )
        )
    return values
