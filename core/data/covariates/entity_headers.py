"""Columns of a covariate file that belong to one entity each: which entity a header names, and what was measured.

A header names an entity by its name, a part of it or the code of its country, beside a word for the quantity, such as
"temperature Lyon", "lyon_price" or "Nice (°C)".
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.data.covariates.calendar_choice import find_place_calendar
from core.data.covariates.column_names import COLUMN_BY_ALIAS, parse_name, preview_names, split_unit
from core.data.covariates.places import parse_place_header
from core.data.ingest.layouts.base import normalise_name
from core.data.ingest.readers import RawTable
from core.data.nameless import strip_extensions
from core.data.regions import PART_SEPARATOR
from core.errors import UnknownLayoutError
from core.messages import N_

WORD = re.compile(r"[^\W_]+")
UNIT_COVARIATES = {"°C": "temperature", "°F": "temperature", "K": "temperature", "km/h": "wind", "m/s": "wind"}
"""Unit → the only covariate that has it; % has several."""
MAX_CODE_LETTERS = 3


@dataclass(frozen=True)
class PlaceHeader:
    """Parts of the header of a wide covariate file.

    covariate  canonical covariate, or the words beside the place; "" without any
    written    place as the header writes it
    place      place that it means: a canonical region of France, or a name that entities have
    """

    covariate: str
    written: str
    place: str

    @property
    def is_known(self) -> bool:
        """True for a canonical covariate."""
        return self.covariate in COLUMN_BY_ALIAS.values()


class EntityIndex:
    """Entities of the data by their plain names, the plain parts of them, and their countries."""

    def __init__(self, entities: Sequence[str]) -> None:
        self.plain_names: dict[str, set[str]] = {}
        self.by_calendar: dict[str, set[str]] = {}
        for entity in entities:
            for text in (entity, *PART_SEPARATOR.split(entity)):
                if plain_name := normalise_name(text):
                    self.plain_names.setdefault(plain_name, set()).add(entity)
            if calendar := find_place_calendar(entity):
                self.by_calendar.setdefault(calendar, set()).add(entity)

    def find_place(self, text: str) -> str:
        """Return the name by which a text means entities: the text, or the only entity of its country; "" if none.

        Example:
            >>> index = EntityIndex(["Germany", "Saint-Étienne", "GRTgaz · nord", "Teréga · nord"])
            >>> [index.find_place(text) for text in ("DE", "saint etienne", "Nord", "in")]
            ['Germany', 'saint etienne', 'Nord', '']
        """
        if normalise_name(text) in self.plain_names:
            return text
        if len(text) <= MAX_CODE_LETTERS and not text.isupper():  # a word such as "in" is no code
            return ""
        entities = self.by_calendar.get(find_place_calendar(text), set()) if self.by_calendar else set()
        return next(iter(entities)) if len(entities) == 1 else ""


def find_place_headers(table: RawTable, columns: list[str], entities: Sequence[str]) -> dict[str, PlaceHeader]:
    """Return column → what its header says, where headers name regions of France or `entities`; {} for other files.

    Raises UnknownLayoutError if the headers name places, but not what was measured, and if two columns have the same
    covariate of the same place, or one column names two places.
    """
    index = EntityIndex(entities)
    headers = {column: header for column in columns if (header := _parse_header(table, column, index)) is not None}
    headers = _drop_chance_names(headers, len(columns))
    if not headers:
        return {}
    nameless = [column for column, header in headers.items() if not header.covariate]
    covariate = _find_file_covariate(table.name) if len(nameless) == len(headers) else ""
    if nameless and not covariate:
        raise UnknownLayoutError(
            N_(
                "{file}: the columns {columns} are regions or entities, but nothing says what was measured. Accepted "
                "headers: 'temperature {place}', or a unit such as '{place} (°C)'."
            ),
            file=table.name,
            columns=preview_names(nameless),
            place=headers[nameless[0]].written,
        )
    headers = {
        column: PlaceHeader(header.covariate or covariate, header.written, header.place)
        for column, header in headers.items()
    }
    _check_columns(table, headers)
    _note_headers(table, headers)
    return headers


def _parse_header(table: RawTable, column: str, index: EntityIndex) -> PlaceHeader | None:
    """Return what a header says; None if it names no place."""
    text, unit = split_unit(column)[0], parse_name(column)[1]
    region = parse_place_header(text)
    header = PlaceHeader(*region) if region is not None else _parse_entity_header(table, column, text, index)
    if header is None or header.covariate:
        return header
    return PlaceHeader(UNIT_COVARIATES.get(unit, ""), header.written, header.place)


def _parse_entity_header(table: RawTable, column: str, text: str, index: EntityIndex) -> PlaceHeader | None:
    """Return the entity at the beginning or the end of a header, the longest name first, and the words beside it."""
    words = list(WORD.finditer(text))
    for size in range(len(words), 0, -1):
        cuts = ((words[:size], words[size:]), (words[-size:], words[:-size]))
        headers = {
            PlaceHeader(_name_covariate(_cut_words(text, others)), written, place)
            for part, others in cuts
            if (place := index.find_place(written := _cut_words(text, part)))
        }
        if len({normalise_name(header.place) for header in headers}) > 1:
            raise UnknownLayoutError(
                N_(
                    "{file}: the column {column!r} names several entities: {places}. Accepted is one entity with what "
                    "was measured, such as 'temperature {place}'."
                ),
                file=table.name,
                column=column,
                places=", ".join(sorted(header.written for header in headers)),
                place=min(header.written for header in headers),
            )
        if headers:
            return headers.pop()
    return _parse_joined_header(text, index)


def _parse_joined_header(text: str, index: EntityIndex) -> PlaceHeader | None:
    """Return what a header without a separator says, such as "tempLyon"."""
    plain = normalise_name(text)
    for cut in range(1, len(plain)):
        for alias, name in ((plain[:cut], plain[cut:]), (plain[cut:], plain[:cut])):
            if alias in COLUMN_BY_ALIAS and name in index.plain_names:
                return PlaceHeader(COLUMN_BY_ALIAS[alias], name, name)
    return None


def _cut_words(text: str, words: Sequence[re.Match[str]]) -> str:
    """Return the part of a text from the first to the last of some words; "" without any."""
    return text[words[0].start() : words[-1].end()] if words else ""


def _name_covariate(text: str) -> str:
    return COLUMN_BY_ALIAS.get(normalise_name(text), text)


def _drop_chance_names(headers: Mapping[str, PlaceHeader], column_count: int) -> dict[str, PlaceHeader]:
    """Return the headers without those that name an entity by chance.

    Words that are no known covariate have to stand beside two places. A single column has to say a known covariate, or
    be the only one of the file.
    """
    counts = Counter(header.covariate for header in headers.values())
    likely = {
        column: header
        for column, header in headers.items()
        if header.is_known or not header.covariate or counts[header.covariate] > 1
    }
    is_single = len(likely) == 1 and not next(iter(likely.values())).is_known
    return {} if is_single and (column_count > 1 or not next(iter(likely.values())).covariate) else likely


def _find_file_covariate(file: str) -> str:
    """Return the only covariate that the words of the name of a file mean; "" for none or several."""
    words = WORD.findall(strip_extensions(file))
    covariates = {COLUMN_BY_ALIAS[plain] for word in words if (plain := normalise_name(word)) in COLUMN_BY_ALIAS}
    return covariates.pop() if len(covariates) == 1 else ""


def _check_columns(table: RawTable, headers: Mapping[str, PlaceHeader]) -> None:
    """Raise UnknownLayoutError for two columns with the same covariate of the same place, as written."""
    columns: dict[tuple[str, str], str] = {}
    for column, header in headers.items():
        first = columns.setdefault((header.covariate, normalise_name(header.written)), column)
        if first != column:
            raise UnknownLayoutError(
                N_(
                    "{file}: the columns {first!r} and {second!r} are both {covariate} of {place}. Accepted is one "
                    "column for each covariate and place."
                ),
                file=table.name,
                first=first,
                second=column,
                covariate=header.covariate,
                place=header.written,
            )


def _note_headers(table: RawTable, headers: Mapping[str, PlaceHeader]) -> None:
    pairs = [f"{column} → {header.covariate}, {header.written}" for column, header in headers.items()]
    template = N_("{file}: {count} columns count for one region or entity each, by their names: {columns}.")
    table.add_note("place_columns", len(headers), template, columns="; ".join(pairs[:8]) + (" …" * (len(pairs) > 8)))
