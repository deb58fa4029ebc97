"""Place of every row, or of every column, of a covariate file."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data import regions
from core.data.covariates.column_names import (
    COLUMN_BY_ALIAS,
    REGION_CODE_NAMES,
    REGION_NAMES,
    ZONE_NAMES,
    find_column,
    preview_names,
)
from core.data.covariates.covariate_table import NATION, Places
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.readers import RawTable
from core.data.quality.findings import Finding
from core.errors import UnknownLayoutError
from core.messages import N_, Message

HEADER_WORD = re.compile(r"[^\s_·|/;,:()\[\]]+")
NATION_NAMES = ("fr", "france", "national", "metropole", "francemetropolitaine")


def find_place_column(table: RawTable) -> str | None:
    """Return the column of regions, of codes of regions, or of school zones; None if there is none."""
    columns = list(table.frame.columns)
    names = (REGION_NAMES, REGION_CODE_NAMES, ZONE_NAMES)
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
    """Return the place of every row, the place as the file writes it, and a mask of the known places.

    Without a column of places, all rows belong to the whole country. Unknown names are noted in the table. Raises
    UnknownLayoutError if all names are unknown.
    """
    column = find_place_column(table)
    if column is None:
        nation = np.full(len(table.frame), NATION, dtype=object)
        return nation, nation, np.ones(len(nation), dtype=bool)
    cells = table.frame[column]
    written_places = cells.astype(object).where(cells.notna(), "").to_numpy()
    codes, names = pd.factorize(written_places)
    place_by_code = np.array([parse_place(name) for name in names], dtype=object)
    is_known = np.array([place is not None for place in place_by_code])[codes]
    if not is_known.all():
        _report_unknown_places(
            table, column, pd.Series(written_places[~is_known]).astype(str), none_known=not is_known.any()
        )
    return place_by_code[codes], written_places, is_known


def parse_place(name: object) -> str | None:
    """Return the canonical region, the school zone or the whole country that `name` means, or None."""
    word = normalise_name(str(name))
    zone = word.removeprefix("zone").upper()
    if zone in ("A", "B", "C"):
        return zone
    return NATION if word in NATION_NAMES else regions.normalise_region(name)


def _report_unknown_places(table: RawTable, column: str, names: pd.Series, none_known: bool) -> None:
    """Note unknown places in the table; raise UnknownLayoutError if none is known."""
    counts = names.value_counts()
    name_list = preview_names([name or "–" for name in counts.index])
    if none_known:
        raise UnknownLayoutError(
            N_(
                "{file}, column {column!r}: no French region was found among {names}. "
                "Accepted: present names, names before 2016, INSEE codes."
            ),
            file=table.name,
            column=column,
            names=name_list,
        )
    locations = tuple({"place": name, "rows": int(count)} for name, count in counts[: Finding.MAX_LOCATIONS].items())
    message = Message(
        N_("{file}, column {column!r}: {count} names are not French regions: {names}. Their {rows} rows are ignored."),
        {"file": table.name, "column": column, "count": len(counts), "rows": len(names), "names": name_list},
    )
    table.notes.append(Finding("unknown_places", len(counts), message, locations))
