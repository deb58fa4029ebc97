"""Contract of a file layout: it assigns a role to every column and builds a `Dataset` from columns with roles."""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset, format_timestamp, make_clock_labels, make_index
from core.data.ingest.date_parsing import ParsedDates, parse_dates
from core.data.ingest.number_parsing import detect_decimal_mark, parse_numbers
from core.data.ingest.readers.base import RawTable, note_ambiguous_mark
from core.data.quality.findings import Finding
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_, Message

Role = Literal["time", "entity", "measure", "total", "covariate", "context", "label", "ignore"]
Roles = Mapping[str, Role]

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
)
ENTITY_NAMES = ("entity", "entite", "id", "series", "serie", "site", "name", "nom", "region", "regname", "uniqueid")
LABEL_NAMES = ("label", "labels", "isanomaly", "anomaly", "anomalie", "injected")
CLOCK_PATTERN = re.compile(r"(?:h|hour|heure)?[ _]?(\d{1,2})(?:[:h_](\d{2})?(?::00)?)?", re.IGNORECASE)
UNIT_PATTERN = re.compile(r"[(\[]\s*([kMGT]?(?:Wh|W|Nm3|m3)|°C|%|ms|s)\b[^)\]]*[)\]]", re.IGNORECASE)
UNITS = ("kWh", "MWh", "GWh", "TWh", "Wh", "kW", "MW", "GW", "TW", "W", "°C", "%", "ms", "s", "m3", "Nm3")


def normalise_name(name: str) -> str:
    """Return a column name in lower case without accents and punctuation, for comparisons.

    Example:
        >>> normalise_name("Consommation journalière (MWh)")
        'consommationjournalieremwh'
    """
    letters = unicodedata.normalize("NFKD", name.replace("œ", "oe")).casefold()
    return re.sub(r"[^a-z0-9]", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))


def find_clock_columns(columns: list[str]) -> dict[str, str]:
    """Return column → time of day if 24 or 96 columns name the times of one day, else an empty mapping.

    Example:
        >>> times = find_clock_columns(["date", *(f"{hour}h" for hour in range(24))])
        >>> len(times), times["7h"]
        (24, '07:00')
    """
    time_by_column = _parse_clock_times(columns)
    for count in (24, 96):
        if sorted(time_by_column.values()) == make_clock_labels(count):
            return time_by_column
    return {}


def _parse_clock_times(columns: list[str]) -> dict[str, str]:
    """Return column → time of day for the columns that name one; empty if a number exceeds 23."""
    time_by_column = {}
    for column in columns:
        match = CLOCK_PATTERN.fullmatch(column.strip())
        if match and int(match[1]) > 23:
            return {}
        if match:
            time_by_column[column] = f"{int(match[1]):02d}:{match[2] or '00'}"
    return time_by_column


def find_incomplete_day(columns: list[str]) -> tuple[list[str], list[str]] | None:
    """Return the missing and the repeated times of an incomplete day, or None.

    At least 12 columns must name a time of day; columns named by a plain number are not counted.
    """
    times = [time for column, time in _parse_clock_times(columns).items() if not column.strip().isdigit()]
    if len(times) < 12 or find_clock_columns(columns):
        return None
    expected_times = make_clock_labels(24 if len(times) < 48 else 96)
    return [time for time in expected_times if time not in times], sorted(
        {time for time in times if times.count(time) > 1}
    )


def parse_unit(name: str) -> str:
    """Return the unit in brackets in a column name ("consommation (MWh)" → "MWh"), or ""."""
    match = UNIT_PATTERN.search(name)
    return next((unit for unit in UNITS if match and unit.lower() == match[1].lower()), "")


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
        if not find_role_columns(roles, role):
            raise UnknownLayoutError(
                N_("{file}: the layout {layout} requires a column with the role {role}. Columns found: {columns}."),
                file=table.name,
                role=role,
                layout=layout.name,
                columns=", ".join(map(str, list(table.frame)[:30])),
            )


def build_dataset(
    table: RawTable, roles: Roles, layout: Layout, measures: Mapping[str, str], entity: str = ""
) -> Dataset:
    """Build a dataset from columns with roles.

    `measures` maps each measurement column to its name in the dataset, in order. `entity` is the name of the entity if
    no column names one; the default is the name of the file. Without a time column, the rows are numbered.
    """
    notes = table.notes
    time_columns = find_role_columns(roles, "time")
    time = _parse_times(table, time_columns, notes) if time_columns else pd.RangeIndex(len(table.frame))
    index = make_index(
        _build_entities(table, find_role_columns(roles, "entity"), entity or strip_extensions(table.name)), time
    )
    covariates = _read_covariates(table, roles, layout, index, notes)
    context = _read_context(table, roles, layout, index, notes)
    label_columns = find_role_columns(roles, "label")
    labels = _read_numbers(table, label_columns[0], notes, index) > 0 if label_columns else None
    values = _read_matrix(table, list(measures), notes, index)
    return Dataset(
        frame=pd.DataFrame(values, index=index, columns=pd.Index(list(measures.values())), copy=False),
        layout=layout.name,
        covariates=covariates,
        context=context,
        labels=None if labels is None else pd.Series(labels, index=index, name="label"),
        files=(table.name,),
        notes=tuple(notes),
    )


def strip_extensions(name: str) -> str:
    """Return a file name without its extensions: the name of the entity of a file with one series.

    Example:
        >>> strip_extensions("paris.csv.gz")
        'paris'
    """
    return re.sub(r"(\.(csv|tsv|txt|json|xlsx|parquet|npz|seq|gz|zip))+$", "", name, flags=re.IGNORECASE) or name


def _parse_times(table: RawTable, columns: list[str], notes: list[Finding]) -> pd.DatetimeIndex:
    dates: ParsedDates = parse_dates(table.frame.pop(columns[0]), table.name)
    if dates.ambiguous:
        notes.append(
            Finding(
                "ambiguous_dates",
                len(dates.times),
                Message(
                    N_(
                        "{file}: every date can be read with the day or the month first. The dates "
                        "were read with the day first."
                    ),
                    {"file": table.name},
                ),
            )
        )
    if len(dates.formats) > 1:
        notes.append(
            Finding(
                "mixed_date_formats",
                len(dates.formats),
                Message(
                    N_("{file}: the dates have {count} different formats."),
                    {"file": table.name, "count": len(dates.formats)},
                ),
            )
        )
    return dates.times


def _build_entities(table: RawTable, columns: list[str], default_name: str) -> pd.Categorical:
    """Return one entity name per row: the columns joined by a middle dot, or `default_name` without columns."""
    if not columns:
        return pd.Categorical.from_codes(np.zeros(len(table.frame), dtype=np.int8), categories=[default_name])
    parts = [_to_categorical(table.frame.pop(column)) for column in columns]
    entities = parts[0]
    for part in parts[1:]:
        codes = entities.codes.astype(np.int64) * len(part.categories) + part.codes
        used_codes, codes = np.unique(codes, return_inverse=True)
        names = [
            f"{entities.categories[code // len(part.categories)]} · {part.categories[code % len(part.categories)]}"
            for code in used_codes
        ]
        entities = pd.Categorical.from_codes(codes, categories=names)
    return entities


def _to_categorical(column: pd.Series) -> pd.Categorical:
    codes, values = pd.factorize(column.astype("object").where(column.notna(), "?"))
    names = pd.Index([str(int(v)) if isinstance(v, float) and v.is_integer() else str(v).strip() for v in values])
    unique, name_codes = np.unique(np.asarray(names, dtype=object), return_inverse=True)
    return pd.Categorical.from_codes(name_codes[codes], categories=unique)


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
    values = np.empty((len(table.frame), len(columns)))
    for position, column in enumerate(columns):
        values[:, position] = _read_numbers(table, column, notes, index)
    if len(values) and np.isnan(values).all():
        raise UnreadableFileError(
            N_("{file}: the columns {columns} contain no number."), file=table.name, columns=", ".join(columns[:5])
        )
    return values


def _read_numbers(table: RawTable, column: str, notes: list[Finding], index: pd.MultiIndex) -> NDArray[np.float64]:
    cells = table.frame.pop(column)
    values, bad_rows = parse_numbers(cells, table.decimal_mark)
    if not pd.api.types.is_numeric_dtype(cells) and not any(note.kind == "ambiguous_numbers" for note in notes):
        mark, ambiguous = detect_decimal_mark(cells.dropna().astype(str).unique(), table.decimal_mark or ",")
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
                        "{file}, column {column!r}: {count} cells are not usable numbers "
                        "(first: row {row}, {value!r}). They are read as missing values."
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
