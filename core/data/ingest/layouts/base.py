"""What a layout is: it gives every column of a table a role, and makes a `Dataset` from columns with roles."""

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
    """A column name without case, accents and punctuation: what names are compared by."""
    letters = unicodedata.normalize("NFKD", name.replace("œ", "oe")).casefold()
    return re.sub(r"[^a-z0-9]", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))


def clock_columns(columns: list[str]) -> dict[str, str]:
    """Column → time of day ("07:00") where 24 or 96 columns name the times of one day; else empty."""
    found = _clock_times(columns)
    for count in (24, 96):
        if sorted(found.values()) == clock_labels(count):
            return found
    return {}


def _clock_times(columns: list[str]) -> dict[str, str]:
    """Column → time of day for the columns that name one; empty where numbers go on beyond 23."""
    found = {}
    for column in columns:
        match = CLOCK.fullmatch(column.strip())
        if match and int(match[1]) > 23:
            return {}
        if match:
            found[column] = f"{int(match[1]):02d}:{match[2] or '00'}"
    return found


def broken_day(columns: list[str]) -> tuple[list[str], list[str]] | None:
    """The times that are missing and those named twice, where many columns name times but not those of one day."""
    times = [time for column, time in _clock_times(columns).items() if not column.strip().isdigit()]
    if len(times) < 12 or clock_columns(columns):
        return None
    whole = clock_labels(24 if len(times) < 48 else 96)
    return [time for time in whole if time not in times], sorted({time for time in times if times.count(time) > 1})


def unit_in(name: str) -> str:
    """The unit that a header carries in brackets, "consommation (MWh)" → "MWh"; "" where there is none."""
    match = UNIT.search(name)
    return next((unit for unit in UNITS if match and unit.lower() == match[1].lower()), "")


class Layout(ABC):
    """One way in which files write down measurements. A class in this folder is a layout; there is no list to edit."""

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    order: ClassVar[int] = 50  # the most specific layouts are asked first
    renamed: ClassVar[Mapping[str, str]] = {}  # plain column name → the name drivers and context go by in a dataset

    @abstractmethod
    def roles(self, table: pd.DataFrame) -> Roles | None:
        """The role of every column; None where this is not the layout of the table."""

    @abstractmethod
    def build(self, table: Table, roles: Roles, unit: str) -> Dataset:
        """The dataset in `table`; may take columns out of `table.frame` to spare memory."""


def having(roles: Roles, role: Role) -> list[str]:
    """The columns with this role."""
    return [column for column, own in roles.items() if own == role]


def require(table: Table, roles: Roles, layout: Layout, *needed: Role) -> None:
    """Raises UnknownLayoutError naming the first missing role."""
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
    """A dataset from columns with roles; `measures` names the measurement each column becomes, in order."""
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
    """A file's name without its endings: the entity of a file that holds one series."""
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
    """One name per row: the columns joined by a middle dot; `alone` for a file that names none."""
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
