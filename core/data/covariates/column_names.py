"""Column names of covariates: the canonical names, and the names that files use."""

import re
from collections.abc import Iterable

from core.data.ingest.layouts.base import TIME_NAMES, normalise_name

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
        "t2m",
    ),
    "temperature_min": ("temperaturemin", "tmin", "tempmin", "tempmindeg", "temperatureminimale", "mintemperature"),
    "temperature_max": ("temperaturemax", "tmax", "tempmax", "tempmaxdeg", "temperaturemaximale", "maxtemperature"),
    "wind": ("wind", "windkmh", "windspeed", "vent", "vitessevent", "vitesseduvent", "ventkmh"),
    "humidity": (
        "humidity",
        "humidite",
        "wetpercent",
        "wet",
        "humiditypercent",
        "humiditerelative",
        "relativehumidity",
    ),
    "visibility": ("visibility", "visibilitykm", "visibilite"),
    "cloud_cover": ("cloudcover", "cloudcoverage", "cloudcoveragepercent", "cloudcoverpercent", "nebulosite"),
    "day_length": ("daylength", "daydurationhour", "dayduration", "daydurationseconds", "dureedujour"),
    "strike": ("strike", "movementsocial", "mouvementsocial", "greve"),
    "strike_rate": ("strikerate", "tauxgrevistes", "tauxdegrevistes"),
    "holiday": ("holiday", "publicholiday", "isholiday", "ferie", "jourferie", "estferie"),
    "school_break": ("schoolbreak", "schoolholiday", "vacances", "vacancesscolaires"),
}
"""Canonical column → plain names in files, in the order of display."""

KIND_BY_COLUMN = {"strike": "strikes", "strike_rate": "strikes", "holiday": "holidays", "school_break": "school_breaks"}
"""Column → kind of its table; all other canonical columns are weather."""

FLAG_COLUMNS = ("strike", "holiday", "school_break")
LARGEST_VALUE_COLUMNS = (*FLAG_COLUMNS, "strike_rate")
"""Columns whose largest value of a day counts; of the other columns the mean counts."""

START_NAMES = ("datededebut", "datedebut", "debut", "start", "startdate")
END_NAMES = ("datedefin", "datefin", "fin", "end", "enddate")
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
KEY_NAMES = (*TIME_NAMES, *START_NAMES, *END_NAMES, *REGION_NAMES, *REGION_CODE_NAMES, *ZONE_NAMES)

BRACKETED_TEXT = re.compile(r"[(\[].*?[)\]]")
COLUMN_BY_ALIAS = {alias: column for column, aliases in ALIASES.items() for alias in aliases}
BREAK_ZONE = re.compile(r"(?:vacances|schoolbreak|schoolholiday)?zone([abc])")


def find_covariate(name: str) -> str | None:
    """Return the covariate that a column holds, by its name with or without a unit in brackets, or None."""
    return COLUMN_BY_ALIAS.get(normalise_name(BRACKETED_TEXT.sub("", name))) or COLUMN_BY_ALIAS.get(
        normalise_name(name)
    )


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
