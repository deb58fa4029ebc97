"""Contract of a file layout: it assigns a role to every column and builds a `Dataset` from columns with roles."""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset, clock_labels, keyed, when
from core.data.ingest.cells import decimal_mark, numbers
from core.data.ingest.dates import Moments, moments
from core.data.ingest.readers.base import Table, note_ambiguous_mark
from core.data.quality.findings import Finding
from core.errors import UnknownLayoutError, UnreadableFileError
from core.messages import N_, Text

Role = Literal["time", "entity", "measure", "total", "driver", "context", "label", "ignore"]
Roles = Mapping[str, Role]

TIME = ("date", "day", "jour", "time", "timestamp", "datetime", "dateheure", "horodatage", "ds", "forecasttimestamp")
ENTITY = ("entity", "entite", "id", "series", "serie", "site", "name", "nom", "region", "regname", "uniqueid")
LABEL = ("label", "labels", "isanomaly", "anomaly", "anomalie", "injected")
CLOCK = re.compile(r"(?:h|hour|heure)?[ _]?(\d{1,2})(?:[:h_](\d{2})?(?::00)?)?", re.IGNORECASE)
UNIT = re.compile(r"[(\[]\s*([kMGT]?(?:Wh|W|Nm3|m3)|°C|%|ms|s)\b[^)\]]*[)\]]", re.IGNORECASE)
UNITS = ("kWh", "MWh", "GWh", "TWh", "Wh", "kW", "MW", "GW", "TW", "W", "°C", "%", "ms", "s", "m3", "Nm3")


def plain(name: str) -> str:
    """Return a column name in lower case without accents and punctuation, for comparisons.

    Example:
        >>> plain("Consommation journalière (MWh)")
        'consommationjournalieremwh'
    """
    letters = unicodedata.normalize("NFKD", name.replace("œ", "oe")).casefold()
    return re.sub(r"[^a-z0-9]", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))


def clock_columns(columns: list[str]) -> dict[str, str]:
    """Return column → time of day if 24 or 96 columns name the times of one day, else an empty mapping.

    Example:
        >>> times = clock_columns(["date", *(f"{hour}h" for hour in range(24))])
        >>> len(times), times["7h"]
        (24, '07:00')
    """
    found = _clock_times(columns)
    for count in (24, 96):
        if sorted(found.values()) == clock_labels(count):
            return found
    return {}


def _clock_times(columns: list[str]) -> dict[str, str]:
    """Return column → time of day for the columns that name one; empty if a number exceeds 23."""
    found = {}
    for column in columns:
        match = CLOCK.fullmatch(column.strip())
        if match and int(match[1]) > 23:
            return {}
        if match:
            found[column] = f"{int(match[1]):02d}:{match[2] or '00'}"
    return found


def broken_day(columns: list[str]) -> tuple[list[str], list[str]] | None:
    """Return the missing and the repeated times of an incomplete day, or None.

    At least 12 columns must name a time of day; columns named by a plain number are not counted.
    """
    times = [time for column, time in _clock_times(columns).items() if not column.strip().isdigit()]
    if len(times) < 12 or clock_columns(columns):
        return None
    whole = clock_labels(24 if len(times) < 48 else 96)
    return [time for time in whole if time not in times], sorted({time for time in times if times.count(time) > 1})


def unit_in(name: str) -> str:
    """Return the unit in brackets in a column name ("consommation (MWh)" → "MWh"), or ""."""
    match = UNIT.search(name)
    return next((unit for unit in UNITS if match and unit.lower() == match[1].lower()), "")


class Layout(ABC):
    """Contract of a file layout. Every concrete subclass in this folder is registered; there is no list to edit."""

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    order: ClassVar[int] = 50  # lower values are tried first: the most specific layouts
    renamed: ClassVar[Mapping[str, str]] = {}  # normalised column name → name of the covariate or context in a dataset

    @abstractmethod
    def roles(self, table: pd.DataFrame) -> Roles | None:
        """Return the role of every column, or None if the table has another layout."""

    @abstractmethod
    def build(self, table: Table, roles: Roles, unit: str) -> Dataset:
        """Build the dataset of `table`. May remove columns from `table.frame` to save memory.

        Raises UnknownLayoutError for missing roles, UnreadableFileError for invalid dates or without any number.
        """


def having(roles: Roles, role: Role) -> list[str]:
    """Return the columns with the role `role`."""
    return [column for column, own in roles.items() if own == role]


def require(table: Table, roles: Roles, layout: Layout, *needed: Role) -> None:
    """Raise UnknownLayoutError with the name of the first role that no column has."""
    for role in needed:
        if not having(roles, role):
            raise UnknownLayoutError(
                N_("{file}: no column serves as {role} ({layout}). Columns found: {columns}."),
                file=table.name,
                role=role,
                layout=layout.name,
                columns=", ".join(map(str, list(table.frame)[:30])),
            )


def assembled(table: Table, roles: Roles, layout: Layout, measures: Mapping[str, str], entity: str = "") -> Dataset:
    """Build a dataset from columns with roles.

    `measures` maps each measurement column to its name in the dataset, in order. `entity` is the name of the entity if
    no column names one; the default is the name of the file. Without a time column, the rows are numbered.
    """
    notes = table.notes
    column_time = having(roles, "time")
    time = _times(table, column_time, notes) if column_time else pd.RangeIndex(len(table.frame))
    index = keyed(_entities(table, having(roles, "entity"), entity or stem(table.name)), time)
    drivers = _drivers(table, roles, layout, index, notes)
    context = _context(table, roles, layout, index, notes)
    label_columns = having(roles, "label")
    labels = _numbers(table, label_columns[0], notes, index) > 0 if label_columns else None
    values = _matrix(table, list(measures), notes, index)
    return Dataset(
        frame=pd.DataFrame(values, index=index, columns=pd.Index(list(measures.values())), copy=False),
        layout=layout.name,
        drivers=drivers,
        context=context,
        labels=None if labels is None else pd.Series(labels, index=index, name="label"),
        files=(table.name,),
        notes=tuple(notes),
    )


def stem(name: str) -> str:
    """Return a file name without its extensions: the name of the entity of a file with one series.

    Example:
        >>> stem("paris.csv.gz")
        'paris'
    """
    return re.sub(r"(\.(csv|tsv|txt|json|xlsx|parquet|npz|seq|gz|zip))+$", "", name, flags=re.IGNORECASE) or name


def _times(table: Table, columns: list[str], notes: list[Finding]) -> pd.DatetimeIndex:
    read: Moments = moments(table.frame.pop(columns[0]), table.name)
    if read.ambiguous:
        notes.append(
            Finding(
                "ambiguous_dates",
                len(read.times),
                Text(
                    N_("{file}: day and month could be exchanged in every date; read with the day first."),
                    {"file": table.name},
                ),
            )
        )
    if len(read.formats) > 1:
        notes.append(
            Finding(
                "mixed_date_formats",
                len(read.formats),
                Text(
                    N_("{file}: dates are written in {count} ways."), {"file": table.name, "count": len(read.formats)}
                ),
            )
        )
    return read.times


def _entities(table: Table, columns: list[str], alone: str) -> pd.Categorical:
    """Return one entity name per row: the columns joined by a middle dot, or `alone` without columns."""
    if not columns:
        return pd.Categorical.from_codes(np.zeros(len(table.frame), dtype=np.int8), categories=[alone])
    parts = [_texts(table.frame.pop(column)) for column in columns]
    joined = parts[0]
    for part in parts[1:]:
        codes = joined.codes.astype(np.int64) * len(part.categories) + part.codes
        used, codes = np.unique(codes, return_inverse=True)
        names = [
            f"{joined.categories[code // len(part.categories)]} · {part.categories[code % len(part.categories)]}"
            for code in used
        ]
        joined = pd.Categorical.from_codes(codes, categories=names)
    return joined


def _texts(column: pd.Series) -> pd.Categorical:
    codes, values = pd.factorize(column.astype("object").where(column.notna(), "?"))
    names = pd.Index([str(int(v)) if isinstance(v, float) and v.is_integer() else str(v).strip() for v in values])
    unique, place = np.unique(np.asarray(names, dtype=object), return_inverse=True)
    return pd.Categorical.from_codes(place[codes], categories=unique)


def _drivers(
    table: Table, roles: Roles, layout: Layout, index: pd.MultiIndex, notes: list[Finding]
) -> pd.DataFrame | None:
    read = {_name(layout, column): _numbers(table, column, notes, index) for column in having(roles, "driver")}
    return pd.DataFrame(read, index=index) if read else None


def _name(layout: Layout, column: str) -> str:
    return layout.renamed.get(plain(column), column)


def _context(
    table: Table, roles: Roles, layout: Layout, index: pd.MultiIndex, notes: list[Finding]
) -> pd.DataFrame | None:
    kept: dict[str, object] = {}
    for column in having(roles, "total")[:1]:
        kept["total"] = _numbers(table, column, notes, index)
    for column in having(roles, "context"):
        kept[_name(layout, column)] = table.frame.pop(column).astype("category").to_numpy()
    return pd.DataFrame(kept, index=index) if kept else None


def _matrix(table: Table, columns: list[str], notes: list[Finding], index: pd.MultiIndex) -> NDArray[np.float64]:
    values = np.empty((len(table.frame), len(columns)))
    for place, column in enumerate(columns):
        values[:, place] = _numbers(table, column, notes, index)
    if len(values) and np.isnan(values).all():
        raise UnreadableFileError(
            N_("{file}: no number in the columns {columns}."), file=table.name, columns=", ".join(columns[:5])
        )
    return values


def _numbers(table: Table, column: str, notes: list[Finding], index: pd.MultiIndex) -> NDArray[np.float64]:
    cells = table.frame.pop(column)
    values, bad = numbers(cells, table.decimal)
    if not pd.api.types.is_numeric_dtype(cells) and not any(note.kind == "ambiguous_numbers" for note in notes):
        mark, ambiguous = decimal_mark(cells.dropna().astype(str).unique(), table.decimal or ",")
        if ambiguous:
            note_ambiguous_mark(table, mark)
    if len(bad):
        example = str(cells.iloc[bad[0]])[:60]
        where = [
            {"entity": index[row][0], "time": when(index[row][1]), "column": column, "value": str(cells.iloc[row])[:60]}
            for row in bad[: Finding.PLACES]
        ]
        notes.append(
            Finding(
                "unreadable_cells",
                len(bad),
                Text(
                    N_(
                        "{file}, column {column!r}: {count} cells are no usable number (first: row {row}, "
                        "{value!r}); read as missing."
                    ),
                    {"file": table.name, "column": column, "count": len(bad), "row": int(bad[0]) + 1, "value": example},
                ),
                tuple(where),
            )
        )
    return values
