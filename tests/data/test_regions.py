"""Canonical names of French regions from spellings, codes and names of entities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.regions import NEW, OLD, SCHOOL_ZONE, canonical, region_of

NAMES = (
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
CODES = {
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
OTHERS = {
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
NONE = (
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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "spell", [str, str.title, str.upper, lambda name: name.replace(" ", "-"), lambda name: f" {name} "]
)
def test_every_region_in_every_case(name: str, spell: type[str]) -> None:
    assert canonical(spell(name)) == name


@pytest.mark.parametrize(("written", "name"), [*SLUGS.items(), *OTHERS.items()])
def test_slugs_old_names_and_short_names(written: str, name: str) -> None:
    assert canonical(written) == name


@pytest.mark.parametrize(("code", "name"), CODES.items())
def test_codes(code: int, name: str) -> None:
    assert {canonical(each) for each in (code, float(code), str(code), f"{code}.0", f"0{code}")} == {name}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_region(name: object) -> None:
    assert canonical(name) is None


def test_the_tables_are_whole() -> None:
    assert set(NEW) == set(NAMES) == set(map(canonical, NEW))
    assert {region for _, region in OLD.values()} <= set(NAMES)
    assert len({code for code, _ in NEW.values()}) == 13
    assert set(CODES) == {code for code, _ in (*NEW.values(), *OLD.values())}


def test_school_zones() -> None:
    assert set(SCHOOL_ZONE) == set(NAMES) - {"corse"}
    assert set(SCHOOL_ZONE.values()) == {"A", "B", "C"}
    assert (SCHOOL_ZONE["nouvelle-aquitaine"], SCHOOL_ZONE["grand est"], SCHOOL_ZONE["île-de-france"]) == (
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
def test_the_region_of_an_entity(entity: str, region: str | None) -> None:
    assert region_of(entity) == region


@given(st.text())
def test_any_text_is_a_region_or_none(text: str) -> None:
    assert canonical(text) in (*NAMES, None)
    assert region_of(text) in (*NAMES, None)


def test_the_gas_entities_lie_in_the_twelve_regions_of_the_mainland(gas: Dataset) -> None:
    assert {region_of(entity) for entity in gas.entities} == set(NAMES) - {"corse"}
