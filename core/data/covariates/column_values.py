"""Numbers of a column of a covariate file, in the unit of the covariate. What was changed or unreadable is noted."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.column_names import get_conversions, is_flag, normalise_covariate_unit, parse_name
from core.data.ingest.number_parsing import detect_decimal_mark, find_cell_unit, parse_numbers
from core.data.ingest.readers import RawTable
from core.data.ingest.readers.base import note_ambiguous_mark
from core.data.quality.sentinels import mark_sentinels
from core.messages import N_

DURATION_PATTERN = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?")
FLAG_WORDS = {"o": "1", "y": "1", "x": "1", "n": "0"}
"""One letter for yes or no → number; words such as oui and true are read as in a data file."""

TEMPERATURE_RANGE_C = (-90.0, 60.0)  # the extremes ever measured on Earth are -89.2 and 56.7 °C (WMO)


def read_values(table: RawTable, column: str, covariate: str) -> NDArray[np.float64]:
    """Return a column as numbers in the unit of its covariate.

    Placeholder numbers and unreadable cells become NaN. They are noted in the table, as are conversions, and numbers
    with two readings.
    """
    cells = _prepare_cells(table.frame[column], covariate)
    values, bad_rows = parse_numbers(cells, table.decimal_mark)
    if len(bad_rows):
        table.add_note(
            "unreadable_cells",
            len(bad_rows),
            N_(
                "{file}, column {column!r}: {count} cell is not a usable number (row {row}, {value!r}). It "
                "is read as a missing value.",
                "{file}, column {column!r}: {count} cells are not usable numbers (first: row {row}, "
                "{value!r}). They are read as missing values.",
            ),
            column=column,
            row=int(bad_rows[0]) + 1,
            value=str(cells.iloc[bad_rows[0]])[:60],
        )
    _note_two_readings(table, cells)
    values = _clear_sentinels(table, column, values)
    if is_flag(covariate):
        return np.where(np.isnan(values), np.nan, values > 0)
    unit = normalise_covariate_unit(find_cell_unit(cells)) or parse_name(column)[1]
    return _convert_unit(table, column, covariate, unit, values)


def _prepare_cells(cells: pd.Series, covariate: str) -> pd.Series:
    """Return the cells with lengths of the day as hours, and with letters for yes and no as 1 and 0."""
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_bool_dtype(cells):
        return cells
    if covariate == "day_length":
        return _replace_texts(cells, _parse_duration)
    if is_flag(covariate):
        flags = _replace_texts(cells, lambda text: FLAG_WORDS.get(text.lower(), text))
        marks_only = set(pd.unique(cells.dropna().astype(str).str.strip().str.lower())) == {"x"}
        return flags.where(flags.notna(), "0") if marks_only else flags
    return cells


def _replace_texts(cells: pd.Series, replace: Callable[[str], object]) -> pd.Series:
    codes, texts = pd.factorize(cells)
    replaced = [replace(str(text).strip()) for text in texts]
    return pd.Series(np.array([*replaced, None], dtype=object)[codes], index=cells.index, name=cells.name)


def _parse_duration(text: str) -> object:
    """Return a length of the day such as "8:23:0" in hours: 8.383; another text stays unchanged."""
    match = DURATION_PATTERN.fullmatch(text)
    return sum(int(part or 0) / 60**power for power, part in enumerate(match.groups())) if match else text


def _note_two_readings(table: RawTable, cells: pd.Series) -> None:
    """Note once per file that its decimal mark has two readings; readers of text do it for the whole table."""
    is_decided = table.decimal_mark or any(note.kind == "ambiguous_numbers" for note in table.notes)
    if is_decided or pd.api.types.is_numeric_dtype(cells):
        return
    mark, is_ambiguous = detect_decimal_mark(cells.dropna().astype(str).unique())
    if is_ambiguous:
        note_ambiguous_mark(table, mark)


def _clear_sentinels(table: RawTable, column: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values with NaN for placeholder numbers, which are noted in the table."""
    is_sentinel = mark_sentinels(values)
    if not is_sentinel.any():
        return values
    table.add_note(
        "sentinels",
        int(is_sentinel.sum()),
        N_(
            "{file}, column {column!r}: {count} placeholder number ({value}) is read as a missing value.",
            "{file}, column {column!r}: {count} placeholder numbers ({value}) are read as missing values.",
        ),
        column=column,
        value=f"{values[is_sentinel][0]:g}",
    )
    return np.where(is_sentinel, np.nan, values)


def _convert_unit(
    table: RawTable, column: str, covariate: str, unit: str, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the values in the unit of the covariate; note a conversion, and a unit that is not known."""
    conversions = get_conversions(covariate)
    if not conversions:
        return values
    target = next(iter(conversions))
    if unit and unit not in conversions:
        table.add_note(
            "unknown_unit",
            1,
            N_("{file}, column {column!r}: the unit {unit!r} is not known. The numbers were read in {target}."),
            column=column,
            unit=unit,
            target=target,
        )
    elif unit and unit != target:
        template = N_("{file}: {unit} was converted to {target} ({column!r}).")
        table.add_note("converted_unit", len(values), template, column=column, unit=unit, target=target)
        factor, summand = conversions[unit]
        values = values * factor + summand
    _note_implausible_temperature(table, column, covariate, values)
    return values


def _note_implausible_temperature(table: RawTable, column: str, covariate: str, values: NDArray[np.float64]) -> None:
    lowest, highest = TEMPERATURE_RANGE_C
    is_implausible = (values < lowest) | (values > highest)
    if covariate.startswith("temperature") and is_implausible.any():
        table.add_note(
            "implausible_temperature",
            int(is_implausible.sum()),
            N_(
                "{file}, column {column!r}: {count} temperature is not possible in °C (row {row}, "
                "{value}). If the unit is another one, such as °F or K, write it into the header.",
                "{file}, column {column!r}: {count} temperatures are not possible in °C (first: row {row}, "
                "{value}). If the unit is another one, such as °F or K, write it into the header.",
            ),
            column=column,
            row=int(np.flatnonzero(is_implausible)[0]) + 1,
            value=f"{values[is_implausible][0]:g}",
        )
