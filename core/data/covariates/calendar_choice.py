"""Choice of the calendar of every entity: given by the user, or guessed from the names and the clock of the data."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from core.data.covariates.countries import (
    NO_CALENDAR,
    find_zone_country,
    is_calendar,
    is_country,
    list_calendars,
    name_territory,
    split_calendar,
)
from core.data.dataset import Dataset
from core.data.ingest.layouts.base import normalise_name
from core.data.regions import PART_SEPARATOR, find_region, normalise_region
from core.messages import N_, Message

MIN_REGION_SHARE = 0.5  # of the entities, that name a French region
MAX_GUESS_ENTITIES = 5_000  # entities whose names are read
FRANCE = "FR"

COUNTRY_BY_LANGUAGE = {"fr": "FR", "de": "DE", "es": "ES", "it": "IT", "nl": "NL", "pl": "PL", "sv": "SE", "da": "DK"}
LANGUAGE_WORDS: Mapping[str, frozenset[str]] = {
    "fr": frozenset(
        [
            "jour",
            "heure",
            "heures",
            "horodate",
            "horodatage",
            "consommation",
            "puissance",
            "perimetre",
            "annee",
            "valeur",
        ]
    ),
    "de": frozenset(
        ["datum", "uhrzeit", "zeitstempel", "verbrauch", "netzlast", "leistung", "stunde", "stromverbrauch", "anfang"]
    ),
    "es": frozenset(["fecha", "demanda", "potencia"]),
    "it": frozenset(["fabbisogno", "potenza", "giorno"]),
    "nl": frozenset(["tijdstip", "verbruik", "vermogen"]),
    "pl": frozenset(["godzina", "zapotrzebowanie", "zuzycie"]),
    "sv": frozenset(["tidpunkt", "foerbrukning", "forbrukning"]),
    "da": frozenset(["tidspunkt", "forbrug"]),
}
"""Language → plain words of column names that other languages do not have."""

CHOSEN = N_("Public holidays of {calendars}, as chosen.")
NOT_WANTED = N_("No calendar of public holidays is used, as chosen.")
FROM_ENTITIES = N_(
    "Public holidays of {calendars}: guessed from names or places of the entities. --calendar or the form changes it."
)
FROM_FILE = N_(
    "Public holidays of {calendars}: guessed from the names of files and columns. --calendar or the form changes it."
)
FROM_ZONE = N_("Public holidays of {calendars}: guessed from the clock of {zone}. --calendar or the form changes it.")
FROM_SHARED_ZONE = N_(
    "Public holidays of {calendars}: guessed from the clock of {zone}, which other countries share. "
    "--calendar or the form changes it."
)
FROM_LANGUAGE = N_(
    "Public holidays of {calendars}: guessed from the language of the column names. --calendar or the form changes it."
)
UNKNOWN = N_(
    "No public holidays are used: neither names nor clock of the data point to a country. "
    "--calendar or the form chooses one, such as FR or DE-BY."
)

SHARED_ZONES = ("Europe/Paris", "Europe/Athens")
"""Zones that stand for those of many countries with the same clock, where a file has offsets only."""


@dataclass(frozen=True)
class CalendarChoice:
    """Calendar of every entity, and why.

    codes   entity → "FR", "DE-BY" …; "" for no calendar
    note    what was chosen, and from what
    """

    codes: Mapping[str, str]
    note: Message

    @property
    def shared_code(self) -> str:
        """Code of all entities; "none" if no entity has one, "" if they differ."""
        codes = set(self.codes.values())
        return "" if len(codes) > 1 else next(iter(codes), "") or NO_CALENDAR

    @property
    def calendars(self) -> list[str]:
        """Calendars in use, sorted."""
        return sorted(set(filter(None, self.codes.values())))


def choose_calendars(dataset: Dataset, calendar: str = "", places: Mapping[str, str] | None = None) -> CalendarChoice:
    """Return the calendar of every entity of `dataset`.

    calendar  "" to guess it, "none" for none; an entity that names a subdivision of the country gets its calendar
    places    entity → place that it lies in, as the user gives it

    Entities count first, then the names of files and columns, the time zone, and the language of the columns. Without
    any hint there is no calendar.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import make_index
        >>> index = make_index(["Ohio", "Kentucky"], pd.to_datetime(["2024-01-01"] * 2))
        >>> choice = choose_calendars(Dataset(pd.DataFrame({"load": [1.0, 2.0]}, index), "tidy_series"))
        >>> dict(choice.codes), str(choice.note)[:46]
        ({'Kentucky': 'US-KY', 'Ohio': 'US-OH'}, 'Public holidays of United States (US-KY, US-OH')
    """
    entities, places = dataset.entities, places or {}
    if calendar == NO_CALENDAR:
        return CalendarChoice(dict.fromkeys(entities, ""), Message(NOT_WANTED))
    country = split_calendar(calendar)[0] or find_zone_country(dataset.zone)
    named = _find_entity_calendars(entities, places, country)
    if calendar:
        codes = {entity: _refine(calendar, named.get(entity, "")) for entity in entities}
        return _describe_choice(codes, CHOSEN)
    if named:
        countries = {split_calendar(code)[0] for code in named.values()}
        others = countries.pop() if len(countries) == 1 else ""
        return _describe_choice({entity: named.get(entity, others) for entity in entities}, FROM_ENTITIES)
    code, template = _guess_from_file(dataset, country)
    note_values = {"zone": dataset.zone} if template in (FROM_ZONE, FROM_SHARED_ZONE) else {}
    return _describe_choice(dict.fromkeys(entities, code), template, **note_values)


def _describe_choice(codes: Mapping[str, str], template: str, **values: object) -> CalendarChoice:
    calendars = sorted(set(filter(None, codes.values())))
    if not calendars:
        return CalendarChoice(codes, Message(UNKNOWN))
    return CalendarChoice(codes, Message(template, {"calendars": describe_calendars(calendars), **values}))


def describe_calendars(calendars: Sequence[str]) -> Message:
    """Return the countries of calendars, each with their codes; the names of countries are translated like any text.

    Example:
        >>> str(describe_calendars(["DE", "US-KY", "US-OH"]))
        'Germany (DE), United States (US-KY, US-OH)'
    """
    codes_by_country: dict[str, list[str]] = {}
    for code in calendars:
        codes_by_country.setdefault(name_territory(code), []).append(code)
    words = [
        Message("{country} ({codes})", {"country": Message(country), "codes": ", ".join(codes)})
        for country, codes in codes_by_country.items()
    ]
    return reduce(lambda start, word: Message("{start}, {word}", {"start": start, "word": word}), words)


def _refine(calendar: str, named: str) -> str:
    """Return the subdivision that an entity names, if it is one of the chosen country."""
    return named if named.startswith(f"{calendar}-") else calendar


# ---- names of the entities ------------------------------------------------------------------------------------------


def find_place_calendar(place: str, country: str = "") -> str:
    """Return the calendar of a place: France for its regions, else a country or subdivision; "" if it has none.

    Example:
        >>> [find_place_calendar(place) for place in ("Bretagne", "Ohio", "DE", "site 7")]
        ['FR', 'US-OH', 'DE', '']
    """
    if normalise_region(place):
        return FRANCE
    code = place.strip().upper()
    return code if is_calendar(code) else next(iter(list_calendars(place, country)), "")


def _find_entity_calendars(entities: Sequence[str], places: Mapping[str, str], country: str) -> dict[str, str]:
    """Return entity → calendar, for the entities whose place or name points to one.

    `country` is that of the clock, or the chosen one; it counts where a name has several meanings.
    """
    mapped = {entity: code for entity, place in places.items() if (code := find_place_calendar(place, country))}
    entities = [entity for entity in entities[:MAX_GUESS_ENTITIES] if entity not in mapped]
    if is_french(entities):
        mapped = dict.fromkeys(filter(find_region, entities), FRANCE) | mapped
        entities = [entity for entity in entities if entity not in mapped]
    codes = _read_codes(entities, country)
    if codes:
        return codes | mapped
    candidates = {entity: _list_candidates(entity, country) for entity in entities}
    votes = Counter(
        part for calendars in candidates.values() for part in {split_calendar(code)[0] for code in calendars}
    )
    named = {
        entity: max(calendars, key=lambda code: votes[split_calendar(code)[0]])
        for entity, calendars in candidates.items()
        if calendars
    }
    return named | mapped


def is_french(entities: Sequence[str]) -> bool:
    """Tell whether entities name French regions: by an abbreviation at least half of them, by a name any of them.

    Example:
        >>> is_french(["GRTgaz · bretagne", "site 7"]), is_french(["NOR", "SWE", "DEN"])
        (True, False)
    """
    regions = [(entity, region) for entity in entities if (region := find_region(entity))]
    has_full_name = any(normalise_name(region) in normalise_name(entity) for entity, region in regions)
    return has_full_name or (bool(regions) and len(regions) >= MIN_REGION_SHARE * len(entities))


def _list_candidates(entity: str, country: str) -> list[str]:
    """Return the calendars that the name of an entity, or a part of it, can mean."""
    for part in dict.fromkeys((entity, *PART_SEPARATOR.split(entity))):
        if calendars := list_calendars(part, country):
            return calendars
    return []


def _read_codes(entities: Sequence[str], country: str) -> dict[str, str]:
    """Return entity → calendar, if all entities begin with a code: countries, or subdivisions of `country`.

    Codes of countries of which none has the clock of the data are not believed, nor are codes with two meanings.
    """
    codes = {entity: PART_SEPARATOR.split(entity)[0].strip() for entity in entities}
    if not codes or not all(re.fullmatch(r"[A-Z]{2,3}", code) for code in codes.values()):
        return {}
    as_countries = all(is_calendar(code) for code in codes.values())
    home = country or "US"
    as_parts = len(codes) > 1 and all(is_calendar(f"{home}-{code}") for code in codes.values())
    if as_countries and (not country or country in codes.values()) and not (as_parts and not country):
        return codes
    return {entity: f"{home}-{code}" for entity, code in codes.items()} if as_parts and not as_countries else {}


# ---- files and clock ------------------------------------------------------------------------------------------------


def _guess_from_file(dataset: Dataset, country: str) -> tuple[str, str]:
    """Return the calendar that files, columns, clock or language point to, and the template of the note."""
    names = [*dataset.files, *dataset.columns, *(reading.name for reading in dataset.readings)]
    words = [word for name in names for word in re.split(r"[\W_\d]+", name) if word]
    for word in words:
        calendars = list_calendars(word, country)
        if calendars and (split_calendar(calendars[0])[0] == country or (not country and is_country(calendars[0]))):
            return calendars[0], FROM_FILE
        subdivision = f"{country}-{word.upper()}"
        if country and len(word) == 3 and is_calendar(subdivision):
            return subdivision, FROM_FILE
    language = _guess_language(words)
    if dataset.zone in SHARED_ZONES and not dataset.read_options.zone:
        return COUNTRY_BY_LANGUAGE.get(language, country), FROM_SHARED_ZONE
    if country:
        return country, FROM_ZONE
    return COUNTRY_BY_LANGUAGE.get(language, ""), FROM_LANGUAGE


def _guess_language(words: Sequence[str]) -> str:
    """Return the language that most of the telling words have; "" without such a word, or for a tie."""
    plain_words = {normalise_name(word) for word in words}
    counts = Counter({language: len(plain_words & telling) for language, telling in LANGUAGE_WORDS.items()})
    (first, most), (_, second) = counts.most_common(2)
    return first if most > second else ""
