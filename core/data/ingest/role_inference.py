"""Roles of the columns of a table, inferred from their names and values.

A column gets its kind from its cells. The time is then the column, or the combination of columns, that makes the rows
most nearly unique; keys are the columns that are needed besides. How each role is decided: docs/reference/columns.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.columns import ColumnReading, Role, Roles
from core.data.ingest.column_facts import ColumnFacts, count_unique, describe_column
from core.data.ingest.labels import looks_like_labels
from core.data.ingest.layouts.base import ENTITY_NAMES, LABEL_NAMES
from core.data.ingest.number_parsing import find_cell_unit, parse_numbers
from core.data.ingest.readers.base import NAMELESS_COLUMN
from core.data.ingest.time_inference import TIME_REASONS, choose_time
from core.data.ingest.units import parse_unit
from core.messages import N_, Message

MIN_UNIQUE_SHARE = 0.98  # of the rows, that have a time and key of their own
MIN_PANEL_SHARE = 0.5  # of all times × keys, that a numeric key must fill
MAX_KEY_SHARE, FEW_NAMES = 0.5, 20  # distinct names per row, or in all; a column with more is free text
MIN_STAGGER_SHARE = 0.02  # of the rows, by which the columns of a wide table start or end later than others

NUMBERED_NAME = re.compile(r"(.*?)[\s_.\-]*\d+")
MIN_NUMBERED_COLUMNS = 3

INDEX_NAMES = ("index", "idx", "row", "rownumber", "rowid", "rownum", "no", "nr", "num", "n", "id", "ligne")
KEY_NAMES = (
    *ENTITY_NAMES,
    *("meter", "compteur", "station", "sensor", "capteur", "node", "cell", "cellule", "tile", "code"),
)
FLAG_NAMES = (
    *("quality", "qualite", "status", "statut", "flag", "validity", "etat", "state", "comment", "commentaire"),
    *("remark", "remarque", "note", "notes", "type", "kind", "source", "reason", "motif", "nature"),
)
VARIABLE_NAMES = (
    *("metric", "metrique", "variable", "kpi", "measure", "mesure", "parameter", "parametre", "indicator"),
    *("indicateur", "quantity", "grandeur", "attribute", "signal", "variablename", "metricname", "measurement"),
)
UNIT_NAMES = ("unit", "units", "unite", "unites", "einheit", "uom", "unidad")
PART_COLUMN = "part"
PART_NAMES = ("train", "test")


@dataclass(frozen=True)
class TableReading:
    """Layout of a table and the roles of its columns; the layout is "" if no layout fits.

    `other_layout` is a layout that is as likely, "" without one; the person is told.
    """

    layout: str
    columns: tuple[ColumnReading, ...]
    other_layout: str = ""

    @property
    def roles(self) -> Roles:
        """Role of every column."""
        return {column.name: column.role for column in self.columns}


def infer_roles(frame: pd.DataFrame) -> TableReading:
    """Infer the layout and the role of every column.

    Example:
        >>> days, meters = ["2024-01-30", "2024-01-30", "2024-01-31", "2024-01-31"], [101, 102, 101, 102]
        >>> table = pd.DataFrame({"day": days, "meter": meters, "kWh": [5.0, 50.0, 6.0, 60.0]})
        >>> reading = infer_roles(table)
        >>> reading.layout, reading.roles
        ('tidy_series', {'day': 'time', 'meter': 'entity', 'kWh': 'measure'})
    """
    columns = [describe_column(frame[name], str(name)) for name in frame.columns]
    time_roles = choose_time([column for column in columns if not NAMELESS_COLUMN.fullmatch(column.name)])
    readings = {name: _read(name, role, TIME_REASONS[role]) for name, role in time_roles.items()}
    others = [column for column in columns if column.name not in readings]
    for column in others:
        reading = _read_by_itself(column, has_time=bool(readings))
        if reading is not None:
            readings[column.name] = reading
    texts = [column for column in others if column.name not in readings and column.kind == "text"]
    numbers = [column for column in others if column.name not in readings and column.kind != "text"]
    readings |= _choose_keys([column for column in columns if column.name in time_roles], texts, numbers)
    for column in numbers:
        readings.setdefault(column.name, _read_measurement(column))
    readings |= _read_variables(columns, readings)
    ordered = tuple(readings[column.name] for column in columns)
    layout = _choose_layout(ordered, columns, bool(time_roles))
    other_layout = "wide_series" if layout == "tidy_series" and _look_like_entities(ordered) else ""
    return TableReading(layout, ordered, other_layout)


# ---- columns --------------------------------------------------------------------------------------------------------


def _read(
    name: str, role: Role, reason: str, unit: str = "", is_certain: bool = True, **values: object
) -> ColumnReading:
    return ColumnReading(name, role, Message(reason, values), unit, is_certain)


def _read_by_itself(column: ColumnFacts, has_time: bool) -> ColumnReading | None:
    """Return the reading of a column whose own cells and name decide, else None."""
    name = column.plain_name
    if column.kind == "empty":
        return _read(column.name, "ignore", N_("empty"))
    if NAMELESS_COLUMN.fullmatch(column.name):
        return _read(column.name, "ignore", N_("without a name"))
    if looks_like_labels(column.cells, is_named=name in LABEL_NAMES):
        return _read(column.name, "label", N_("labels of normal and abnormal rows"))
    if column.kind == "bool":
        return _read(column.name, "covariate", N_("true or false"))
    if column.kind in ("timestamp", "date", "clock"):
        return _read(column.name, "context", N_("another date or time of day"))
    if has_time and name in INDEX_NAMES and column.is_whole and _counts_rows(column):
        return _read(column.name, "ignore", N_("counts the rows"))
    if _is_part_column(column):
        return _read(column.name, "context", N_("separates training rows from test rows"))
    if column.kind == "text" and name in FLAG_NAMES:
        return _read(column.name, "context", N_("a quality flag or remark, by its name"))
    return None


def _is_part_column(column: ColumnFacts) -> bool:
    return column.name == PART_COLUMN and bool(column.cells.isin(PART_NAMES).all())


def _counts_rows(column: ColumnFacts) -> bool:
    values, _ = parse_numbers(column.cells)
    return len(values) > 1 and bool((np.diff(values) == 1).all())


def _read_measurement(column: ColumnFacts) -> ColumnReading:
    unit = parse_unit(column.name) or find_cell_unit(column.cells)
    return _read(column.name, "measure", N_("numbers"), unit)


# ---- keys -----------------------------------------------------------------------------------------------------------


def _choose_keys(
    time: list[ColumnFacts], texts: list[ColumnFacts], numbers: list[ColumnFacts]
) -> Mapping[str, ColumnReading]:
    """Return the readings of the columns of names, and of numbers that are names.

    Where the time repeats, the columns that make the rows unique are keys. Where it does not, a column of names is a
    key only if it is constant, named like one, or changes as rarely as blocks of rows do.
    """
    if not time:
        return {column.name: _read(column.name, "context", N_("text")) for column in texts}
    rows = len(time[0].cells)
    keys: list[ColumnFacts] = []
    unique = count_unique(time)
    readings: dict[str, ColumnReading] = {}
    for column in sorted(texts, key=lambda column: column.plain_name not in KEY_NAMES):
        distinct = int(column.cells.nunique())
        if unique < rows and distinct <= max(MAX_KEY_SHARE * rows, FEW_NAMES):
            with_column = count_unique([*time, *keys, column])
            if with_column > unique:
                keys, unique = [*keys, column], with_column
                readings[column.name] = _read(column.name, "entity", N_("tells rows with the same time apart"))
                continue
        is_named = column.plain_name in KEY_NAMES and distinct <= max(1, MAX_KEY_SHARE * rows)
        if is_named or distinct == 1 or (distinct < MAX_KEY_SHARE * rows and _count_changes(column) < 2 * distinct):
            readings[column.name] = _read(column.name, "entity", N_("names, constant or in blocks of rows"))
        else:
            readings[column.name] = _read(column.name, "context", N_("text that is not needed to tell rows apart"))
    if unique < MIN_UNIQUE_SHARE * rows:
        key = _find_numeric_key(time, keys, numbers)
        if key is not None:
            is_certain = key.plain_name in KEY_NAMES or key.plain_name.endswith("id")
            readings[key.name] = _read(
                key.name, "entity", N_("whole numbers that tell rows with the same time apart"), is_certain=is_certain
            )
    return readings


def _read_variables(columns: list[ColumnFacts], readings: Mapping[str, ColumnReading]) -> Mapping[str, ColumnReading]:
    """Return the reading of a key that names the quantity of each row: by its name, or because the unit follows it.

    There is one column of values then.
    """
    keys = [column for column in columns if readings[column.name].role == "entity" and column.kind == "text"]
    if [reading.role for reading in readings.values()].count("measure") != 1:
        return {}
    units = [column for column in columns if column.plain_name in UNIT_NAMES and column.kind == "text"]
    for column in keys:
        if column.plain_name in VARIABLE_NAMES:
            return {column.name: _read(column.name, "variable", N_("names of the quantities, by its name"))}
        if units and count_unique([units[0]]) > 1 and count_unique([column, units[0]]) == count_unique([column]):
            return {column.name: _read(column.name, "variable", N_("names of the quantities: each has its own unit"))}
    return {}


def _count_changes(column: ColumnFacts) -> int:
    codes = column.encode()
    return int((codes[1:] != codes[:-1]).sum())


def _find_numeric_key(
    time: list[ColumnFacts], keys: list[ColumnFacts], numbers: list[ColumnFacts]
) -> ColumnFacts | None:
    """Return the column of whole numbers that makes the rows unique as a key of a panel, or None."""
    rows = len(time[0].cells)
    times = count_unique(time)
    for column in numbers:
        if not column.is_whole or column.cells.isna().any():
            continue
        with_column = count_unique([*time, *keys, column])
        groups = count_unique([*keys, column])
        if with_column >= MIN_UNIQUE_SHARE * rows and rows >= MIN_PANEL_SHARE * times * groups and groups < rows:
            return column
    return None


# ---- layout ---------------------------------------------------------------------------------------------------------


def _choose_layout(readings: tuple[ColumnReading, ...], columns: list[ColumnFacts], has_time: bool) -> str:
    roles = [reading.role for reading in readings]
    if "measure" not in roles:
        return ""
    if any(map(_is_part_column, columns)):
        return "kpi_matrix"
    if not has_time:
        return "" if "context" in roles or "entity" in roles else "kpi_matrix"
    if "variable" in roles:
        return "long_series"
    if "entity" not in roles and _is_staggered(
        [c for c, r in zip(columns, readings, strict=True) if r.role == "measure"]
    ):
        return "wide_series"
    return "tidy_series"


def _look_like_entities(readings: tuple[ColumnReading, ...]) -> bool:
    """Tell whether the measurements are numbered alike, such as MT_001 and MT_002, and no column is a key."""
    names = [reading.name for reading in readings if reading.role == "measure"]
    matches = [NUMBERED_NAME.fullmatch(name) for name in names]
    has_key = any(reading.role == "entity" for reading in readings)
    stems = {match[1] if match else None for match in matches}
    return len(names) >= MIN_NUMBERED_COLUMNS and not has_key and len(stems) == 1 and None not in stems


def _is_staggered(measures: list[ColumnFacts]) -> bool:
    """Tell whether columns of one unit exist over different times: each is the same quantity of another entity."""
    if len(measures) < 2 or len({parse_unit(column.name) for column in measures}) > 1:
        return False
    spans = []
    for column in measures:
        filled = np.flatnonzero(column.cells.notna().to_numpy())
        if not len(filled):
            return False
        spans.append((filled[0], filled[-1]))
    starts, ends = zip(*spans, strict=True)
    rows = len(measures[0].cells)
    return max(max(starts) - min(starts), max(ends) - min(ends)) > MIN_STAGGER_SHARE * rows
