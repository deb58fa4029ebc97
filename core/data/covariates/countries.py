"""Countries and their subdivisions: names in several languages, ISO codes, and the country of a time zone.

Codes are those of the library `holidays`: ISO 3166-1 ("DE") and ISO 3166-2 ("DE-BY").
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache

from core.data.ingest.layouts.base import normalise_name
from core.errors import OptionError
from core.messages import N_

NO_CALENDAR = "none"
"""Calendar without public holidays and school breaks."""

NAME_LANGUAGES = ("en", "fr", "de", "es", "it", "nl", "pt")
NAMED_SUBDIVISIONS = ("US", "DE", "CA", "AU", "GB", "AT", "CH", "ES", "IT", "BR")
"""Countries whose subdivisions are looked up by name where nothing else tells the country."""

OTHER_NAMES = {"uk": "GB", "greatbritain": "GB", "usa": "US", "unitedstatesofamerica": "US", "holland": "NL"}
ENGLISH_SUBDIVISIONS = {
    "bavaria": "DE-BY",
    "hesse": "DE-HE",
    "lowersaxony": "DE-NI",
    "northrhinewestphalia": "DE-NW",
    "saxony": "DE-SN",
    "rhinelandpalatinate": "DE-RP",
    "saxonyanhalt": "DE-ST",
    "thuringia": "DE-TH",
    "catalonia": "ES-CT",
    "andalusia": "ES-AN",
    "basquecountry": "ES-PV",
}
"""Plain English names that the library lacks."""
SUBDIVISION_CODE = re.compile(r"([A-Z]{2})-([A-Z0-9]{1,3})")
MAX_NEARBY_CODES = 8


def split_calendar(code: str) -> tuple[str, str]:
    """Return the country and the subdivision ("" for none) of a calendar.

    Example:
        >>> split_calendar("DE-BY"), split_calendar("FR")
        (('DE', 'BY'), ('FR', ''))
    """
    country, _, subdivision = code.partition("-")
    return country, subdivision


def check_calendar(code: str) -> None:
    """Raise OptionError for a calendar that the library does not know; the message names nearby codes.

    Example:
        >>> check_calendar("DE-BY"), check_calendar("none"), check_calendar("")
        (None, None, None)
        >>> check_calendar("Bavaria")
        Traceback (most recent call last):
        core.errors.OptionError: calendar = 'Bavaria' is not accepted. Accepted: none, DE-BY.
    """
    if code in ("", NO_CALENDAR) or is_calendar(code):
        return
    raise OptionError(
        N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
        name="calendar",
        value=code,
        accepted=", ".join([NO_CALENDAR, *_list_nearby_codes(code)]),
    )


def is_country(code: str) -> bool:
    """Tell whether a calendar is that of a whole country."""
    return code in list_countries()


def is_calendar(code: str) -> bool:
    """Tell whether the library has public holidays under this code."""
    country, subdivision = split_calendar(code)
    return country in list_countries() and (code == country or subdivision in list_countries()[country])


def _list_nearby_codes(text: str) -> list[str]:
    """Return the codes that a wrong code probably means: by name, by spelling, or all subdivisions of its country."""
    named = list_calendars(text) or list_calendars(text.replace("-", " "))
    country, subdivision = split_calendar(text.upper().replace("_", "-"))
    if not named and country in list_countries():
        codes = [f"{country}-{part}" for part in list_countries()[country]]
        close = get_close_matches(f"{country}-{subdivision}", codes, MAX_NEARBY_CODES, 0.7) if subdivision else []
        named = [country, *(close or codes)]
    if not named:
        matches = get_close_matches(normalise_name(text), list(_build_country_index()), MAX_NEARBY_CODES, 0.7)
        named = list(dict.fromkeys(_build_country_index()[name] for name in matches)) or ["FR", "DE", "DE-BY", "US-NY"]
    return named[:MAX_NEARBY_CODES]


@cache
def list_countries() -> Mapping[str, tuple[str, ...]]:
    """Return country → its subdivisions with holidays of their own, sorted by code.

    Example:
        >>> "BY" in list_countries()["DE"]
        True
    """
    import holidays

    supported = holidays.list_supported_countries(include_aliases=False)
    return {country: tuple(subdivisions) for country, subdivisions in sorted(supported.items())}


def name_country(code: str, language: str = "en") -> str:
    """Return the name of the country of a calendar, with the code in brackets.

    Example:
        >>> name_country("DE-BY"), name_country("DE", "fr")
        ('Germany (DE-BY)', 'Allemagne (DE)')
    """
    return f"{name_territory(code, language)} ({code})"


def name_territory(code: str, language: str = "en") -> str:
    """Return the name of the country of a calendar.

    Example:
        >>> name_territory("DE-BY"), name_territory("DE", "fr")
        ('Germany', 'Allemagne')
    """
    from babel import Locale

    return str(Locale.parse(language).territories.get(split_calendar(code)[0], "?"))


def find_zone_country(zone: str) -> str:
    """Return the country of a time zone; "" for UTC, an offset and a zone of several countries.

    Example:
        >>> find_zone_country("Europe/Berlin"), find_zone_country("America/New_York"), find_zone_country("UTC")
        ('DE', 'US', '')
    """
    from babel.core import get_global

    country: str = get_global("zone_territories").get(zone, "")
    return country if country in list_countries() else ""


def list_calendars(name: str, country: str = "") -> list[str]:
    """Return the calendars that a name or an ISO code can mean, those of the given country first.

    A bare code of two letters is no name here, because too many words are one.

    Example:
        >>> list_calendars("Deutschland"), list_calendars("US-NY"), list_calendars("Bayern"), list_calendars("bretagne")
        (['DE'], ['US-NY'], ['DE-BY'], [])
        >>> list_calendars("Georgia"), list_calendars("Georgia", "US")
        (['GE', 'US-GA'], ['US-GA', 'GE'])
    """
    code = SUBDIVISION_CODE.fullmatch(name.strip().upper().replace("_", "-"))
    if code and is_calendar(code[0]):
        return [code[0]]
    plain_name = normalise_name(name)
    if len(plain_name) <= 2:
        return []
    calendars = [_build_country_index().get(plain_name, "")]
    for other in dict.fromkeys((*((country,) if country in list_countries() else ()), *NAMED_SUBDIVISIONS)):
        calendars.append(_build_subdivision_index(other).get(plain_name, ""))
    return sorted(filter(None, calendars), key=lambda calendar: split_calendar(calendar)[0] != country)


@cache
def _build_country_index() -> dict[str, str]:
    """Return the plain name of every country, in several languages, with its code."""
    from babel import Locale

    names = {
        normalise_name(Locale.parse(language).territories.get(country, "")): country
        for language in NAME_LANGUAGES
        for country in list_countries()
    }
    names.pop("", None)
    return names | OTHER_NAMES


@cache
def _build_subdivision_index(country: str) -> dict[str, str]:
    """Return the plain name of every subdivision of a country with its code, "" where two of them share a name."""
    import holidays

    index = {name: code for name, code in ENGLISH_SUBDIVISIONS.items() if split_calendar(code)[0] == country}
    for name, subdivision in holidays.country_holidays(country).subdivisions_aliases.items():
        code, plain_name = f"{country}-{subdivision}", normalise_name(str(name))
        if len(plain_name) > 3:
            index[plain_name] = code if index.get(plain_name, code) == code else ""
    return index
