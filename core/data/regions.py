"""French regions: one name for each, whatever the spelling, the year of the map, or the code a file uses.

Codes are those of INSEE (Code officiel géographique), before and after the reform of 2016; school zones are those of
the ministry of education since the school year 2015–2016.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from core.data.ingest.layouts.base import plain

NEW: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "auvergne-rhône-alpes": (84, "ARA AURA"),
        "bourgogne-franche-comté": (27, "BFC"),
        "bretagne": (53, "BRE"),
        "centre-val de loire": (24, "CVL"),
        "corse": (94, "COR 20R"),
        "grand est": (44, "GES ACAL"),
        "hauts-de-france": (32, "HDF NPDC NPDCP"),
        "île-de-france": (11, "IDF"),
        "normandie": (28, "NOR"),
        "nouvelle-aquitaine": (75, "NAQ ALPC"),
        "occitanie": (76, "OCC LRMP"),
        "pays de la loire": (52, "PDL"),
        "provence-alpes-côte d'azur": (93, "PAC PACA"),
    }
)
"""Canonical name → INSEE code and what it is shortened to (ISO 3166-2:FR first)."""

OLD: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "alsace": (42, "grand est"),
        "champagne-ardenne": (21, "grand est"),
        "lorraine": (41, "grand est"),
        "aquitaine": (72, "nouvelle-aquitaine"),
        "limousin": (74, "nouvelle-aquitaine"),
        "poitou-charentes": (54, "nouvelle-aquitaine"),
        "auvergne": (83, "auvergne-rhône-alpes"),
        "rhône-alpes": (82, "auvergne-rhône-alpes"),
        "bourgogne": (26, "bourgogne-franche-comté"),
        "franche-comté": (43, "bourgogne-franche-comté"),
        "nord-pas-de-calais": (31, "hauts-de-france"),
        "picardie": (22, "hauts-de-france"),
        "languedoc-roussillon": (91, "occitanie"),
        "midi-pyrénées": (73, "occitanie"),
        "haute-normandie": (23, "normandie"),
        "basse-normandie": (25, "normandie"),
        "centre": (24, "centre-val de loire"),
    }
)
"""A region of before 2016 → its INSEE code and the region that holds it today."""

OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "alsace-champagne-ardenne-lorraine": "grand est",
        "aquitaine-limousin-poitou-charentes": "nouvelle-aquitaine",
        "nord-pas-de-calais-picardie": "hauts-de-france",
        "languedoc-roussillon-midi-pyrénées": "occitanie",
        "ile de france (paris)": "île-de-france",
        "région sud": "provence-alpes-côte d'azur",
        "collectivité de corse": "corse",
    }
)

_ZONES = {
    "A": "auvergne-rhône-alpes, bourgogne-franche-comté, nouvelle-aquitaine",
    "B": (
        "bretagne, centre-val de loire, grand est, hauts-de-france, normandie, pays de la loire, "
        "provence-alpes-côte d'azur"
    ),
    "C": "occitanie, île-de-france",
}
SCHOOL_ZONE: Mapping[str, str] = MappingProxyType(
    {region: zone for zone, regions in _ZONES.items() for region in regions.split(", ")}
)
"""Canonical region → "A", "B" or "C"; Corsica has a calendar of its own."""

PARTS = re.compile(r"\s*[·|/;,:_]\s*|\s+[-–]\s+")


def canonical(name: object) -> str | None:
    """The region of today that `name` means: a name of any year and spelling, a slug, an INSEE code; None where none.

    Slugs whose accented letters were lost ("rh-ne-alpes") are understood as well.
    """
    if isinstance(name, bool) or name is None:
        return None
    code = _code(name)
    if code is not None:
        return _codes().get(code)
    words = plain(str(name))
    return _names().get(words) or _names().get(words.removeprefix("region"))


def region_of(entity: str) -> str | None:
    """The region in the name of an entity, "GRTgaz · bretagne" → "bretagne": its first part that names one.

    A part that is only a number is taken for a number, not for an INSEE code.
    """
    parts = (part for part in (entity, *PARTS.split(entity)) if _code(part) is None)
    return next((region for region in map(canonical, parts) if region), None)


def _code(name: object) -> int | None:
    """`name` as a whole number, if it is one: 84, 84.0, "84", "84.0"."""
    match = re.fullmatch(r"\s*0*(\d{1,3})(?:\.0*)?\s*", str(name))
    return int(match[1]) if match else None


@cache
def _codes() -> dict[int, str]:
    return dict(OLD.values()) | {code: region for region, (code, _) in NEW.items()}


@cache
def _names() -> dict[str, str]:
    """Every spelling as `plain` writes it → canonical name."""
    pairs = [(name, region) for region, (_, short) in NEW.items() for name in (region, *short.split())]
    pairs += [(name, region) for name, (_, region) in OLD.items()]
    pairs += OTHER_NAMES.items()
    return {spelt: region for name, region in pairs for spelt in _spelt(name)}


def _spelt(name: str) -> Iterator[str]:
    """With its accents put off, and with its accented letters lost."""
    yield plain(name)
    yield plain("".join(letter for letter in name if letter.isascii()))
