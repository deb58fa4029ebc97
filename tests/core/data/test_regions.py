"""Canonical names of French regions from spellings, codes and names of entities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.regions import CURRENT_REGIONS, FORMER_REGIONS, ZONE_BY_REGION, find_region, normalise_region

REGION_NAMES = (
    "auvergne-rhône-alpes",
    "bourgogne-franche-comté",
    "bretagne",
    "centre-val de loire",
    "corse",
    "grand est",
    "hauts-de-france",
    "île-de-france",
    "normandie",
    "nouvelle-aquitaine",
    "occitanie",
    "pays de la loire",
    "provence-alpes-côte d'azur",
)
SLUGS = {
    "alsace": "grand est",
    "aquitaine": "nouvelle-aquitaine",
    "auvergne": "auvergne-rhône-alpes",
    "bourgogne": "bourgogne-franche-comté",
    "bretagne": "bretagne",
    "centre": "centre-val de loire",
    "champagne-ardenne": "grand est",
    "corse": "corse",
    "franche-comte": "bourgogne-franche-comté",
    "ile-de-france": "île-de-france",
    "languedoc-roussillon": "occitanie",
    "limousin": "nouvelle-aquitaine",
    "lorraine": "grand est",
    "midi-pyrenees": "occitanie",
    "nord-pas-de-calais": "hauts-de-france",
    "normandie": "normandie",
    "pays-de-la-loire": "pays de la loire",
    "picardie": "hauts-de-france",
    "poitou-charentes": "nouvelle-aquitaine",
    "rh-ne-alpes": "auvergne-rhône-alpes",
    "provence-alpes-c-te-d-azur": "provence-alpes-côte d'azur",
}
REGION_CODES = {
    11: "île-de-france",
    24: "centre-val de loire",
    27: "bourgogne-franche-comté",
    28: "normandie",
    32: "hauts-de-france",
    44: "grand est",
    52: "pays de la loire",
    53: "bretagne",
    75: "nouvelle-aquitaine",
    76: "occitanie",
    84: "auvergne-rhône-alpes",
    93: "provence-alpes-côte d'azur",
    94: "corse",
    21: "grand est",
    22: "hauts-de-france",
    23: "normandie",
    25: "normandie",
    26: "bourgogne-franche-comté",
    31: "hauts-de-france",
    41: "grand est",
    42: "grand est",
    43: "bourgogne-franche-comté",
    54: "nouvelle-aquitaine",
    72: "nouvelle-aquitaine",
    73: "occitanie",
    74: "nouvelle-aquitaine",
    82: "auvergne-rhône-alpes",
    83: "auvergne-rhône-alpes",
    91: "occitanie",
}
OTHER_SPELLINGS = {
    "Provence-Alpes-Côte d’Azur": "provence-alpes-côte d'azur",
    "PACA": "provence-alpes-côte d'azur",
    "CENTRE VAL DE LOIRE": "centre-val de loire",
    "Centre-Val-de-Loire": "centre-val de loire",
    "Région Bretagne": "bretagne",
    "Hauts de France": "hauts-de-france",
    "Grand-Est": "grand est",
    "Haute-Normandie": "normandie",
    "basse normandie": "normandie",
    "Rhône-Alpes": "auvergne-rhône-alpes",
    "auvergne-rh-ne-alpes": "auvergne-rhône-alpes",
    "-le-de-france": "île-de-france",
    "bourgogne-franche-comt-": "bourgogne-franche-comté",
    "midi-pyr-n-es": "occitanie",
    "Nord-Pas-de-Calais-Picardie": "hauts-de-france",
    "  Occitanie ": "occitanie",
    "IDF": "île-de-france",
}
NOT_REGIONS = (
    "ardeche",
    "ile-de-re",
    "",
    " ",
    "-",
    "?",
    "machine-1-6",
    "GRTgaz",
    "nan",
    "99",
    "0",
    None,
    float("nan"),
    True,
    1,
)


@pytest.mark.parametrize("name", REGION_NAMES)
@pytest.mark.parametrize(
    "spell", [str, str.title, str.upper, lambda name: name.replace(" ", "-"), lambda name: f" {name} "]
)
def test_canonical_region_accepts_any_case(name: str, spell: type[str]) -> None:
    assert normalise_region(spell(name)) == name


@pytest.mark.parametrize(("written", "name"), [*SLUGS.items(), *OTHER_SPELLINGS.items()])
def test_canonical_region_accepts_slugs_and_old_names(written: str, name: str) -> None:
    assert normalise_region(written) == name


@pytest.mark.parametrize(("code", "name"), REGION_CODES.items())
def test_canonical_region_accepts_official_codes(code: int, name: str) -> None:
    assert {normalise_region(spelling) for spelling in (code, float(code), str(code), f"{code}.0", f"0{code}")} == {
        name
    }


@pytest.mark.parametrize("name", NOT_REGIONS)
def test_canonical_region_rejects_other_names(name: object) -> None:
    assert normalise_region(name) is None


def test_region_tables_are_complete() -> None:
    assert set(CURRENT_REGIONS) == set(REGION_NAMES) == set(map(normalise_region, CURRENT_REGIONS))
    assert {region for _, region in FORMER_REGIONS.values()} <= set(REGION_NAMES)
    assert len({code for code, _ in CURRENT_REGIONS.values()}) == 13
    assert set(REGION_CODES) == {code for code, _ in (*CURRENT_REGIONS.values(), *FORMER_REGIONS.values())}


def test_school_zones_cover_mainland_regions() -> None:
    assert set(ZONE_BY_REGION) == set(REGION_NAMES) - {"corse"}
    assert set(ZONE_BY_REGION.values()) == {"A", "B", "C"}
    assert (ZONE_BY_REGION["nouvelle-aquitaine"], ZONE_BY_REGION["grand est"], ZONE_BY_REGION["île-de-france"]) == (
        "A",
        "B",
        "C",
    )


@pytest.mark.parametrize(
    ("entity", "region"),
    [
        ("GRTgaz · bretagne", "bretagne"),
        ("Teréga · occitanie", "occitanie"),
        ("provence-alpes-côte d'azur", "provence-alpes-côte d'azur"),
        ("bretagne · normandie", "bretagne"),
        ("site 12 | Alsace", "grand est"),
        ("Alsace - antenna 3", "grand est"),
        ("pays_de_la_loire", "pays de la loire"),
        ("machine · 11", None),
        ("84", None),
        ("machine-1-6", None),
        ("", None),
    ],
)
def test_region_is_found_in_entity_name(entity: str, region: str | None) -> None:
    assert find_region(entity) == region


@given(st.text())
def test_region_lookup_accepts_any_text(text: str) -> None:
    assert normalise_region(text) in (*REGION_NAMES, None)
    assert find_region(text) in (*REGION_NAMES, None)


def test_gas_entities_cover_mainland_regions(gas: Dataset) -> None:
    assert {find_region(entity) for entity in gas.entities} == set(REGION_NAMES) - {"corse"}
