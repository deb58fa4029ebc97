"""Canonical names of the French regions, found from any spelling, former region or INSEE code.

The codes are those of INSEE (Code officiel géographique), before and after the reform of 2016. The school zones are
those of the ministry of education since the school year 2015–2016.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from core.data.ingest.layouts.base import normalise_name

CURRENT_REGIONS: Mapping[str, tuple[int, str]] = MappingProxyType(
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
"""Canonical name → INSEE code and abbreviations (ISO 3166-2:FR first)."""

FORMER_REGIONS: Mapping[str, tuple[int, str]] = MappingProxyType(
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
"""Region before 2016 → its INSEE code and the present region that contains it."""

REGION_ALIASES: Mapping[str, str] = MappingProxyType(
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
"""Other name → canonical name."""

_REGIONS_BY_ZONE = {
    "A": "auvergne-rhône-alpes, bourgogne-franche-comté, nouvelle-aquitaine",
    "B": (
        "bretagne, centre-val de loire, grand est, hauts-de-france, normandie, pays de la loire, "
        "provence-alpes-côte d'azur"
    ),
    "C": "occitanie, île-de-france",
}
ZONE_BY_REGION: Mapping[str, str] = MappingProxyType(
    {region: zone for zone, regions in _REGIONS_BY_ZONE.items() for region in regions.split(", ")}
)
"""Canonical region → "A", "B" or "C"; Corsica has its own calendar and no zone."""

PART_SEPARATOR = re.compile(r"\s*[·|/;,:_]\s*|\s+[-–]\s+")


def normalise_region(name: object) -> str | None:
    """Return the canonical name of the present region that `name` means, or None if it names no region.

    Accepted are present and former names in any spelling, abbreviations, slugs and INSEE codes. Slugs whose accented
    letters were lost ("rh-ne-alpes") are accepted too.

    Example:
        >>> [normalise_region(name) for name in ("Nord-Pas-de-Calais", "rh-ne-alpes", 84, "Bavaria")]
        ['hauts-de-france', 'auvergne-rhône-alpes', 'auvergne-rhône-alpes', None]
    """
    if isinstance(name, bool) or name is None:
        return None
    code = _parse_code(name)
    if code is not None:
        return _build_code_index().get(code)
    plain_name = normalise_name(str(name))
    return _build_name_index().get(plain_name) or _build_name_index().get(plain_name.removeprefix("region"))


def find_region(entity: str) -> str | None:
    """Return the region that the name of an entity contains, or None.

    The first part of the name that names a region counts. A part that is only a number is not read as an INSEE code.

    Example:
        >>> find_region("GRTgaz · bretagne"), find_region("Substation · 84")
        ('bretagne', None)
    """
    parts = (part for part in (entity, *PART_SEPARATOR.split(entity)) if _parse_code(part) is None)
    return next((region for region in map(normalise_region, parts) if region), None)


def _parse_code(name: object) -> int | None:
    """Return `name` as a whole number (84, 84.0, "84", "84.0"), or None."""
    match = re.fullmatch(r"\s*0*(\d{1,3})(?:\.0*)?\s*", str(name))
    return int(match[1]) if match else None


@cache
def _build_code_index() -> dict[int, str]:
    return dict(FORMER_REGIONS.values()) | {code: region for region, (code, _) in CURRENT_REGIONS.items()}


@cache
def _build_name_index() -> dict[str, str]:
    """Return the canonical name of every spelling, as `normalise_name` writes it."""
    pairs = [
        (name, region)
        for region, (_, abbreviations) in CURRENT_REGIONS.items()
        for name in (region, *abbreviations.split())
    ]
    pairs += [(name, region) for name, (_, region) in FORMER_REGIONS.items()]
    pairs += REGION_ALIASES.items()
    return {spelling: region for name, region in pairs for spelling in _iter_spellings(name)}


def _iter_spellings(name: str) -> Iterator[str]:
    """Yield the name without accents, and without its accented letters."""
    yield normalise_name(name)
    yield normalise_name("".join(letter for letter in name if letter.isascii()))
