"""Place of every row, or of every column, of a covariate file."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data import regions
from core.data.covariates.column_names import (
    COLUMN_BY_ALIAS,
    PLACE_NAMES,
    REGION_CODE_NAMES,
    REGION_NAMES,
    ZONE_NAMES,
    find_column,
)
from core.data.covariates.covariate_table import NATION, Places
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.readers import RawTable
from core.messages import N_

HEADER_WORD = re.compile(r"[^\s_·|/;,:()\[\]]+")
MIN_FRENCH_SHARE = 0.5  # of the names of a column, that are regions or zones of France
ZONES = ("A", "B", "C")
NATION_NAMES = ("fr", "france", "national", "metropole", "francemetropolitaine")


def find_place_column(table: RawTable) -> str | None:
    """Return the column of places: regions, their codes, school zones, or any other key of an entity; None without."""
    columns = list(table.frame.columns)
    names = (REGION_NAMES, REGION_CODE_NAMES, ZONE_NAMES, PLACE_NAMES)
    return next((column for accepted in names if (column := find_column(columns, accepted))), None)


def parse_place_header(name: str) -> tuple[str, str, str] | None:
    """Return the covariate ("" if the name has none), the place as written, and the place that a header means.

    Numbers, and letters of school zones without the word zone, are no places here.

    Example:
        >>> parse_place_header("temperature Grand Est"), parse_place_header("ile-de-france_tmin")
        (('temperature', 'Grand Est', 'grand est'), ('temperature_min', 'ile-de-france', 'île-de-france'))
        >>> parse_place_header("Corse"), parse_place_header("price"), parse_place_header("24")
        (('', 'Corse', 'corse'), None, None)
    """
    words = HEADER_WORD.findall(name)
    for position in range(len(words) + 1):
        first, last = " ".join(words[:position]), " ".join(words[position:])
        for covariate_text, place_text in ((first, last), (last, first)):
            covariate = COLUMN_BY_ALIAS.get(normalise_name(covariate_text), "")
            place = parse_place(place_text) if len(normalise_name(place_text)) > 2 else None
            if place is not None and not place_text.isdigit() and (covariate or not covariate_text):
                return covariate, place_text, place
    return None


def read_places(table: RawTable) -> tuple[Places, Places, NDArray[np.bool_]]:
    """Return the place of every row, the place as the file writes it, and a mask of the rows with a place.

    Without a column of places, all rows belong to the whole country. Names that are no regions or zones of France stay
    as they are: they are matched to the entities later. Rows with an empty cell are noted in the table, unless all are
    empty.
    """
    column = find_place_column(table)
    cells = None if column is None else table.frame[column]
    if cells is None or cells.isna().all():
        nation = np.full(len(table.frame), NATION, dtype=object)
        return nation, nation, np.ones(len(nation), dtype=bool)
    written_places = cells.astype(object).where(cells.notna(), "").to_numpy()
    codes, names = pd.factorize(written_places)
    place_by_code = np.array(_name_places([str(name).strip() for name in names], str(column)), dtype=object)
    has_place = np.array([str(name).strip() != "" for name in names])[codes]
    if not has_place.all():
        table.add_note(
            "rows_without_place",
            int((~has_place).sum()),
            N_(
                "{file}, column {column!r}: {count} row names no place. It is ignored.",
                "{file}, column {column!r}: {count} rows name no place. They are ignored.",
            ),
            column=column,
        )
    return place_by_code[codes], written_places, has_place


def _name_places(names: list[str], column: str) -> list[str]:
    """Return the canonical place of every name of a column; spellings of one name become its first spelling.

    Names are read as regions of France if at least half of them are some, and as school zones if all of them are.
    """
    filled = [name for name in names if name]
    named = [place for name in filled if (place := parse_place(name)) is not None]
    is_numeric = all(name.replace(".", "").isdigit() for name in filled)
    is_region_column = normalise_name(column) in (*REGION_NAMES, *REGION_CODE_NAMES, *ZONE_NAMES)
    is_french = len(named) >= MIN_FRENCH_SHARE * len(filled) and (is_region_column or not is_numeric)
    has_zones = is_french and all(parse_place(name) in (*ZONES, NATION) for name in filled)
    places, first_spelling = [], dict[str, str]()
    for name in names:
        place = parse_place(name) if is_french else None
        is_accepted = place is not None and (place not in ZONES or has_zones or len(name) > 1)
        places.append(str(place) if is_accepted else first_spelling.setdefault(normalise_name(name) or name, name))
    return places


def parse_place(name: object) -> str | None:
    """Return the canonical region, the school zone or the whole country that `name` means, or None."""
    word = normalise_name(str(name))
    zone = word.removeprefix("zone").upper()
    if zone in ZONES:
        return zone
    return NATION if word in NATION_NAMES else regions.normalise_region(name)
