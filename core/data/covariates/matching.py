"""Match of entities to the places of a covariate file: by region, country, code or name, or as the user maps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.data.covariates.calendar_choice import find_place_calendar, is_french
from core.data.covariates.countries import split_calendar
from core.data.covariates.covariate_table import NATION
from core.data.ingest.layouts.base import normalise_name
from core.data.regions import PART_SEPARATOR, ZONE_BY_REGION, find_region, normalise_region
from core.errors import OptionError
from core.messages import N_

SCHOOL_ZONES = ("A", "B", "C")
MAP_SIGN = "="
MAP_FLAG = "--map"


@dataclass(frozen=True)
class PlaceMatch:
    """Places of a file that apply to every entity.

    places     entity → places, the nearest first; empty for an entity without a match
    is_shared  True where no place fits an entity and the only one, or the mean of all, is used for every entity
    """

    places: Mapping[str, tuple[str, ...]]
    is_shared: bool = False


def parse_places(pairs: Sequence[str]) -> dict[str, str]:
    """Return entity → place of texts such as "AEP=Ohio". Raises OptionError for another form.

    Example:
        >>> parse_places(["AEP=Ohio", "COMED = Illinois"])
        {'AEP': 'Ohio', 'COMED': 'Illinois'}
        >>> parse_places(["AEP"])
        Traceback (most recent call last):
        core.errors.OptionError: --map = 'AEP' is not accepted. Accepted: ENTITY=PLACE.
    """
    places = {}
    for pair in pairs:
        entity, sign, place = (part.strip() for part in pair.rpartition(MAP_SIGN))
        if not (entity and sign and place):
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name=MAP_FLAG,
                value=pair,
                accepted="ENTITY=PLACE",
            )
        places[entity] = place
    return places


def check_places(places: Mapping[str, str], entities: Sequence[str], tables: Sequence[Sequence[str]]) -> None:
    """Raise OptionError for a mapped entity that the data lack, and for a place that no file or calendar has.

    `tables` holds the places of every file.
    """
    known = {place for table in tables for place in table if place != NATION}
    for entity, place in places.items():
        if entity not in entities:
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name=f"{MAP_FLAG} ENTITY",
                value=entity,
                accepted=", ".join(entities[:20]),
            )
        if not find_place_calendar(place) and not any(_PlaceIndex(table).find_by_name(place) for table in tables):
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name=f"{MAP_FLAG} {entity}",
                value=place,
                accepted=", ".join([*sorted(known)[:20], "FR", "DE-BY"]),
            )


def match_places(
    entities: Sequence[str], table_places: Sequence[str], mapping: Mapping[str, str], codes: Mapping[str, str]
) -> PlaceMatch:
    """Return the places of a file that apply to every entity, the nearest first.

    mapping  entity → place, as the user gives it; it replaces the name of the entity
    codes    entity → calendar, so that "Bayern", "DE-BY" and "Deutschland" apply to an entity in Bavaria

    Names are compared without case, accents, blanks and punctuation. A French region has its school zone and the whole
    country as well; an entity without a region gets the country, or all zones. A single place, and all places of a
    single entity, apply without a match.

    Example:
        >>> match = match_places(["AEP", "Île de France"], ["ile-de-france", "Ohio"], {"AEP": "ohio"}, {})
        >>> match.places
        {'AEP': ('Ohio',), 'Île de France': ('ile-de-france',)}
    """
    french, index = is_french(entities), _PlaceIndex(table_places)
    matches = {}
    for entity in entities:
        texts = [mapping[entity]] if entity in mapping else [entity, *PART_SEPARATOR.split(entity)]
        region = normalise_region(mapping[entity]) if entity in mapping else find_region(entity) if french else None
        matches[entity] = index.match(texts, region, codes.get(entity, ""))
    is_unmatched = not any(matches.values())
    if is_unmatched and (len(table_places) == 1 or len(entities) == 1):
        return PlaceMatch({entity: tuple(table_places) for entity in entities}, is_shared=True)
    return PlaceMatch(matches)


class _PlaceIndex:
    """Places of a file by plain name and by calendar."""

    def __init__(self, places: Sequence[str]) -> None:
        self.places = frozenset(places)
        self.places_by_name: dict[str, list[str]] = {}
        for place in places:
            self.places_by_name.setdefault(normalise_name(place), []).append(place)
        self.place_by_calendar: dict[str, dict[str, str]] = {}

    def match(self, texts: Sequence[str], region: str | None, code: str) -> tuple[str, ...]:
        """Return the places that apply to an entity: its own, its region, zone and country, and those for everybody."""
        places = [place for text in texts for place in self.find_by_name(text)]
        places += [place for place in (region, ZONE_BY_REGION.get(region or "")) if place in self.places]
        places += self._find_by_calendar(code) if code else []
        places += [NATION] if NATION in self.places else []
        if not places and region is None and code in ("", "FR"):
            places = [zone for zone in SCHOOL_ZONES if zone in self.places]
        return tuple(dict.fromkeys(places))

    def find_by_name(self, text: str) -> list[str]:
        """Return the places with the same plain name; a text without letters and digits has none."""
        plain_name = normalise_name(text)
        if text in self.places and text != NATION:
            return [text]
        return self.places_by_name.get(plain_name, []) if plain_name else []

    def _find_by_calendar(self, code: str) -> list[str]:
        """Return the places that mean the subdivision or the country of a calendar, the subdivision first."""
        country = split_calendar(code)[0]
        if country not in self.place_by_calendar:
            self.place_by_calendar[country] = {
                calendar: place for place in sorted(self.places) if (calendar := _name_calendar(place, country))
            }
        by_calendar = self.place_by_calendar[country]
        return [by_calendar[calendar] for calendar in dict.fromkeys((code, country)) if calendar in by_calendar]


def _name_calendar(place: str, country: str) -> str:
    """Return the calendar that a place means; "" for a French region, a school zone and an unknown name."""
    if place in SCHOOL_ZONES or normalise_region(place):
        return ""
    return find_place_calendar(place, country)
