"""Column names of covariates: the canonical names, and the names that files use."""

import re
from collections.abc import Iterable

from core.data.ingest.layouts.base import TIME_NAMES, normalise_name
from core.data.ingest.units import normalise_unit, parse_unit

ALIASES: dict[str, tuple[str, ...]] = {
    "temperature": (
        "temperature",
        "temp",
        "tmoy",
        "tempmoy",
        "tempmoyenne",
        "temperaturemoyenne",
        "tavg",
        "tmean",
        "meantemperature",
        "temperaturemean",
        "tempdeg",
        *("t2m", "tm", "airtemperature", "temperature2m", "temperature2mmean"),
    ),
    "temperature_min": (
        *("temperaturemin", "tmin", "tempmin", "tempmindeg", "temperatureminimale", "mintemperature"),
        *("tn", "temperature2mmin"),
    ),
    "temperature_max": (
        *("temperaturemax", "tmax", "tempmax", "tempmaxdeg", "temperaturemaximale", "maxtemperature"),
        *("tx", "temperature2mmax"),
    ),
    "wind": ("wind", "windkmh", "windspeed", "vent", "vitessevent", "vitesseduvent", "ventkmh", "windspeed10m"),
    "humidity": ("humidity", "humidite", "wet", "humiditerelative", "relativehumidity", "relativehumidity2m"),
    "visibility": ("visibility", "visibilite"),
    "cloud_cover": ("cloudcover", "cloudcoverage", "nebulosite"),
    "day_length": ("daylength", "dayduration", "dureedujour"),
    "strike": ("strike", "movementsocial", "mouvementsocial", "greve"),
    "strike_rate": ("strikerate", "tauxgrevistes", "tauxdegrevistes"),
    "holiday": ("holiday", "publicholiday", "isholiday", "ferie", "jourferie", "estferie"),
    "school_break": ("schoolbreak", "schoolholiday", "vacances", "vacancesscolaires"),
    "event": ("event", "events", "evenement", "evenements", "ereignis", "evento"),
}
"""Canonical column → plain names in files, in the order of display. tm, tn, tx and t2m are those of Météo-France."""

CONVERSIONS: dict[str, dict[str, tuple[float, float]]] = {
    "temperature": {"°C": (1, 0), "°F": (1 / 1.8, -32 / 1.8), "K": (1, -273.15)},
    "wind": {"km/h": (1, 0), "m/s": (3.6, 0), "mph": (1.609344, 0), "kn": (1.852, 0)},
    "humidity": {"%": (1, 0)},
    "visibility": {"km": (1, 0), "m": (0.001, 0)},
    "cloud_cover": {"%": (1, 0)},
    "day_length": {"h": (1, 0), "min": (1 / 60, 0), "s": (1 / 3600, 0)},
    "strike_rate": {"%": (1, 0)},
}
"""Covariate → unit → factor and summand that convert a number to the first unit."""

UNIT_SPELLINGS = {
    **dict.fromkeys(("c", "celsius", "deg", "degré", "degre", "degrés", "degres"), "°C"),
    **dict.fromkeys(("f", "fahrenheit"), "°F"),
    **dict.fromkeys(("k", "kelvin"), "K"),
    **dict.fromkeys(("kmh", "kph", "km.h-1", "kmh-1"), "km/h"),
    **dict.fromkeys(("ms", "m.s-1", "ms-1"), "m/s"),
    **dict.fromkeys(("mph", "mi/h"), "mph"),
    **dict.fromkeys(("kn", "kt", "kts", "knot", "knots", "noeud", "noeuds", "nœuds"), "kn"),
    **dict.fromkeys(("hour", "hours", "heure", "heures"), "h"),
    **dict.fromkeys(("second", "seconds", "seconde", "secondes"), "s"),
}
"""Text of a unit in lower case without blanks → unit; in addition to those of data files."""

KIND_BY_COLUMN = {
    "strike": "strikes",
    "strike_rate": "strikes",
    "holiday": "holidays",
    "school_break": "school_breaks",
    "event": "events",
}
"""Column → kind of its table; all other canonical columns are weather."""

FLAG_COLUMNS = ("strike", "holiday", "school_break", "event")
"""Covariates that are 1 on the days of an event; a missing value means no event."""
NAME_SIGN = ": "
"""Between a flag and the name of an event: the column "event: Super Bowl" marks the days with this name."""

START_NAMES = (
    *("datededebut", "datedebut", "debut", "start", "startdate", "startday", "from", "begin", "von", "beginn", "desde"),
    *("inicio", "fechainicio", "datumvon"),
)
END_NAMES = (
    *("datedefin", "datefin", "fin", "end", "enddate", "endday", "to", "until", "bis", "ende", "hasta", "fechafin"),
    "datumbis",
)
STRIKE_NAMES = (
    "motif",
    "tauxgrevistes",
    "tauxdegrevistes",
    "nombregrevistes",
    "organisationssyndicales",
    "strikereason",
)
HOLIDAY_NAMES = ("nomjourferie", "holidayname", "nomferie")
REGION_NAMES = ("region", "regname", "nomregion", "libelleregion", "regionname")
REGION_CODE_NAMES = ("codeinseeregion", "coderegion", "regioncode", "inseeregion")
ZONE_NAMES = ("zone", "zones", "schoolzone", "zonescolaire")
PLACE_NAMES = (
    *("entity", "entite", "place", "lieu", "state", "etat", "bundesland", "land", "country", "pays", "province"),
    *("county", "departement", "department", "area", "city", "ville", "stadt", "site", "station", "location", "iso"),
    *("countrycode", "isocode", "statecode", "areaid", "zoneid", "loadarea", "siteid", "stationid"),
)
"""Other names of the column of places; their values are matched to the names of the entities."""
KEY_NAMES = (*TIME_NAMES, *START_NAMES, *END_NAMES, *REGION_NAMES, *REGION_CODE_NAMES, *ZONE_NAMES, *PLACE_NAMES)

BRACKETED_TEXT = re.compile(r"[(\[](.*?)[)\]]")
WORD_SEPARATOR = re.compile(r"[^\w°%/.'’-]+|_")
COLUMN_BY_ALIAS = {alias: column for column, aliases in ALIASES.items() for alias in aliases}
BREAK_ZONE = re.compile(r"(?:vacances|schoolbreak|schoolholiday)?zone([abc])")


def is_flag(covariate: str) -> bool:
    """Tell whether a covariate marks events, all of a kind or those of one name.

    Example:
        >>> [is_flag(name) for name in ("holiday", "event: Super Bowl", "strike_rate", "event count")]
        [True, True, False, False]
    """
    return covariate.partition(NAME_SIGN)[0] in FLAG_COLUMNS


def takes_largest(covariate: str) -> bool:
    """Tell whether the largest value of a day counts; of other covariates the mean counts."""
    return is_flag(covariate) or covariate == "strike_rate"


def get_conversions(covariate: str) -> dict[str, tuple[float, float]]:
    """Return the conversions of a covariate from each unit; empty if it has no unit."""
    return CONVERSIONS.get("temperature" if covariate.startswith("temperature") else covariate, {})


def find_covariate(name: str) -> str | None:
    """Return the covariate that a column holds, by its name with or without a unit, or None.

    Example:
        >>> [find_covariate(name) for name in ("TMin (°C)", "Wind_kmh", "temperature min", "temp_f", "price")]
        ['temperature_min', 'wind', 'temperature_min', 'temperature', None]
    """
    return parse_name(name)[0]


def parse_name(name: str) -> tuple[str | None, str]:
    """Return the covariate that a column holds, or None, and the unit in its name, or "".

    Example:
        >>> parse_name("T min (°F)"), parse_name("temperature min"), parse_name("price (€)")
        (('temperature_min', '°F'), ('temperature_min', ''), (None, '€'))
    """
    text, unit = split_unit(name)
    whole_name = COLUMN_BY_ALIAS.get(normalise_name(name))
    return (whole_name, "") if whole_name else (COLUMN_BY_ALIAS.get(normalise_name(text)), unit)


def split_unit(name: str) -> tuple[str, str]:
    """Return the name of a column without its unit, and the unit: in brackets, or the last word.

    Example:
        >>> split_unit("Wind (m/s)"), split_unit("temp_f"), split_unit("wind (Beaufort)"), split_unit("price")
        (('Wind', 'm/s'), ('temp', '°F'), ('wind', 'Beaufort'), ('price', ''))
    """
    bracketed = BRACKETED_TEXT.search(name)
    if bracketed:
        return BRACKETED_TEXT.sub("", name).strip(), parse_unit(name) or normalise_covariate_unit(bracketed[1])
    words = [word for word in WORD_SEPARATOR.split(name) if word]
    unit = normalise_covariate_unit(words[-1]) if len(words) > 1 else ""
    is_unit = unit in {unit for conversions in CONVERSIONS.values() for unit in conversions}
    return (" ".join(words[:-1]), unit) if is_unit else (name, "")


def normalise_covariate_unit(text: str) -> str:
    """Return the usual spelling of a unit; an unknown text stays as it is."""
    plain = text.strip().lower().replace(" ", "")
    return UNIT_SPELLINGS.get(plain) or normalise_unit(text) or text.strip()


def parse_break_zone(name: str) -> str | None:
    """Return the school zone in the name of a column with its breaks, "vacances_zone_a" → "A", or None."""
    match = BREAK_ZONE.fullmatch(normalise_name(name))
    return match[1].upper() if match else None


def find_column(columns: list[str], accepted: tuple[str, ...]) -> str | None:
    """Return the column with the first of the `accepted` plain names, or None."""
    column_by_name = {normalise_name(BRACKETED_TEXT.sub("", column)): column for column in reversed(columns)}
    return next((column_by_name[name] for name in accepted if name in column_by_name), None)


def preview_names(columns: Iterable[object]) -> str:
    """Return the first fifteen names as one text for a message, each cut to 40 characters."""
    return ", ".join(str(column)[:40] for column in list(columns)[:15])
