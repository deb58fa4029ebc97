"""Calendars of any country, guessed or chosen, and covariates matched to entities by any key."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.covariates.calendar_choice import choose_calendars
from core.data.covariates.countries import check_calendar, list_calendars, list_countries
from core.data.covariates.matching import match_places
from core.data.dataset import Dataset, make_index
from core.errors import OptionError

UNTIL = pd.Timestamp("2024-12-31")
STATES = ("Ohio", "Illinois", "New Jersey")
PJM_ZONES = ("AEP", "COMED", "DAY", "DOM", "PJME")


def make_loads(
    entities: Sequence[str],
    zone: str = "",
    columns: Sequence[str] = ("load",),
    files: Sequence[str] = ("load.csv",),
    days: int = 200,
) -> Dataset:
    """Make a dataset of one row per entity and day from 1 January 2024."""
    index = make_index(
        np.repeat(list(entities), days), np.tile(pd.date_range("2024-01-01", periods=days), len(entities))
    )
    frame = pd.DataFrame({column: np.ones(len(index)) for column in columns}, index=index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(days=1), zone=zone, files=tuple(files))


def make_table(values: Mapping[str, float], column: str = "temperature", kind: str = "weather") -> CovariateTable:
    """Make a table of one constant per place in 2024."""
    days = pd.date_range("2024-01-01", "2024-12-31", name="day")
    frames = {place: pd.DataFrame({column: float(value)}, index=days) for place, value in sorted(values.items())}
    return CovariateTable(kind, pd.concat(frames, names=["place", "day"]), "file.csv")


def list_holidays(covariates: Covariates, entity: str) -> set[str]:
    flags = covariates.frame.loc[entity, "holiday"]
    return set(flags.index[flags > 0].strftime("%m-%d"))


def read_notes(covariates: Covariates) -> dict[str, str]:
    return {note.kind: str(note.message) for note in covariates.notes}


# ---- calendars ------------------------------------------------------------------------------------------------------


def test_zones_of_pjm_get_holidays_of_the_united_states() -> None:
    covariates = join_covariates(make_loads(PJM_ZONES, zone="America/New_York"), [], UNTIL)
    assert covariates.calendar == "US"
    for zone in PJM_ZONES:
        assert {"07-04", "11-28"} <= list_holidays(covariates, zone)
        assert not {"07-14", "08-15"} & list_holidays(covariates, zone)
    assert "school_break" not in covariates.columns
    assert "America/New_York" in read_notes(covariates)["guessed_calendar"]


def test_without_any_hint_there_are_no_holidays_and_this_is_said() -> None:
    covariates = join_covariates(make_loads(PJM_ZONES), [], UNTIL)
    assert (covariates.calendar, covariates.columns, covariates.joins) == ("none", [], ())
    assert "No public holidays are used" in read_notes(covariates)["guessed_calendar"]


@pytest.mark.parametrize(
    ("dataset", "codes"),
    [
        (make_loads(["GRTgaz · bretagne", "site 7"]), {"FR"}),
        (make_loads(["Ohio", "site 7"]), {"US-OH", "US"}),
        (make_loads(["Bayern", "Hessen"]), {"DE-BY", "DE-HE"}),
        (make_loads(["DE", "FR", "BE"]), {"DE", "FR", "BE"}),
        (make_loads(["France", "Allemagne"]), {"FR", "DE"}),
        (make_loads(["US-NY", "DE-BY"]), {"US-NY", "DE-BY"}),
        (make_loads(["CA", "NY", "TX"], zone="America/New_York"), {"US-CA", "US-NY", "US-TX"}),
        (make_loads(["Georgia", "Ohio"]), {"US-GA", "US-OH"}),
        (make_loads(["load"], zone="Europe/Berlin"), {"DE"}),
        (make_loads(["load"], zone="Europe/Paris", columns=["Netzlast"]), {"DE"}),
        (make_loads(["load"], zone="Europe/Paris", columns=["consommation"]), {"FR"}),
        (make_loads(["load"], files=["load_germany.csv"]), {"DE"}),
        (make_loads(["load"], zone="Australia/Melbourne", files=["vic_elec.csv"]), {"AU-VIC"}),
        (make_loads(["load"], columns=["Verbrauch", "Uhrzeit"]), {"DE"}),
        (make_loads(["load"], zone="UTC"), {""}),
        (make_loads(["NOR", "SWE", "site", "other"]), {""}),
        (make_loads(["DE", "FR"], zone="America/New_York"), {"US"}),
    ],
)
def test_calendar_is_guessed_from_names_then_clock_then_language(dataset: Dataset, codes: set[str]) -> None:
    choice = choose_calendars(dataset)
    assert set(choice.codes.values()) == codes
    assert choice.shared_code == ("" if len(codes) > 1 else next(iter(codes)) or "none")


def test_entities_of_several_countries_have_their_own_holidays() -> None:
    covariates = join_covariates(make_loads(["Deutschland", "France"]), [], UNTIL)
    assert covariates.calendar == ""
    assert "10-03" in list_holidays(covariates, "Deutschland")
    assert "10-03" not in list_holidays(covariates, "France")
    breaks = covariates.frame["school_break"]
    assert breaks.loc["Deutschland"].isna().all()
    assert breaks.loc["France"].max() > 0


def test_chosen_calendar_replaces_the_guess_and_keeps_subdivisions() -> None:
    dataset = make_loads(["GRTgaz · bretagne", "Bayern"])
    assert "DE-BY" in choose_calendars(dataset, "DE").codes.values()
    covariates = join_covariates(dataset, [], UNTIL, calendar="DE")
    assert "10-03" in list_holidays(covariates, "GRTgaz · bretagne")
    assert "school_break" not in covariates.columns
    assert join_covariates(dataset, [], UNTIL, calendar="none").columns == []


@pytest.mark.parametrize(
    ("code", "near"), [("Bavaria", "DE-BY"), ("DE-XX", "DE"), ("France", "FR"), ("Frnace", "FR"), ("de_by", "DE-BY")]
)
def test_unknown_calendar_names_nearby_codes(code: str, near: str) -> None:
    with pytest.raises(OptionError) as raised:
        check_calendar(code)
    assert near in str(raised.value)


@given(country=st.sampled_from(sorted(list_countries())), part=st.integers(0, 80))
def test_every_calendar_of_the_library_is_accepted_and_loaded(country: str, part: int) -> None:
    parts = list_countries()[country]
    code = f"{country}-{parts[part % len(parts)]}" if parts else country
    check_calendar(code)
    covariates = join_covariates(make_loads(["load"], days=30), [], UNTIL, calendar=code)
    assert covariates.calendar == code


# ---- holidays of files ----------------------------------------------------------------------------------------------


def read_lines(folder: Path, *lines: str) -> CovariateTable:
    path = folder / "own.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    [table] = read_covariates([path])
    return table


def test_few_days_of_a_file_are_added_to_the_calendar(tmp_path: Path) -> None:
    """A file with one holiday neither loses it nor drops the others."""
    own = read_lines(tmp_path, "date,holiday", "2024-06-20,1")
    dataset = make_loads(["load"], zone="Europe/Berlin")
    covariates = join_covariates(dataset, [own], UNTIL)
    built_in = list_holidays(join_covariates(dataset, [], UNTIL), "load")
    assert list_holidays(covariates, "load") == built_in | {"06-20"}
    assert "holidays" in read_notes(covariates)["calendar_added"]


def test_calendar_of_a_file_replaces_the_years_that_it_covers(tmp_path: Path) -> None:
    days = [f"2024-{month:02d}-15" for month in range(1, 13)]
    own = read_lines(tmp_path, "date,holiday", *(f"{day},1" for day in days))
    covariates = join_covariates(make_loads(["load"], zone="Europe/Berlin"), [own], pd.Timestamp("2025-12-31"))
    flags = covariates.frame.loc["load", "holiday"]
    assert set(flags.index[flags > 0].strftime("%Y-%m-%d")[:12]) == set(days)
    assert flags["2025-10-03"] == 1


# ---- places ---------------------------------------------------------------------------------------------------------


def spell(name: str, style: int) -> str:
    """Return another spelling of a name: case, accents, blanks, punctuation."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return (name.upper(), plain.lower(), name.replace(" ", "_"), plain.replace(" ", "-"), f" {name} ")[style]


NAMES = ("São Paulo", "Nord Pas", "Île Verte", "Zürich Nord", "AEP", "Poste 12")


@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, unique=True),
    styles=st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
def test_spelling_of_a_place_does_not_matter(names: list[str], styles: list[int]) -> None:
    entities = [spell(name, style) for name, style in zip(names, styles, strict=False)]
    places = [spell(name, style) for name, style in zip(names, styles[6:], strict=False)]
    match = match_places(entities, places, {}, {})
    assert [match.places[entity] for entity in entities] == [(place,) for place in places]
    assert not match.is_shared


def test_entities_are_mapped_to_places() -> None:
    table = make_table({"Ohio": 1, "Illinois": 2, "New Jersey": 3})
    dataset = make_loads(PJM_ZONES[:2], zone="America/New_York")
    unmapped = join_covariates(dataset, [table], UNTIL)
    assert unmapped.frame["temperature"].isna().all()
    assert "none of its places (Illinois, New Jersey, Ohio) matches" in read_notes(unmapped)["unmatched_file"]
    mapped = join_covariates(dataset, [table], UNTIL, places=["AEP=ohio", "COMED=Illinois"])
    assert mapped.frame.loc["AEP", "temperature"].unique().tolist() == [1]
    assert mapped.frame.loc["COMED", "temperature"].unique().tolist() == [2]
    assert choose_calendars(dataset, places={"AEP": "Ohio"}).codes["AEP"] == "US-OH"


def test_file_that_matches_some_entities_names_the_others() -> None:
    covariates = join_covariates(
        make_loads([*STATES[:2], "Elsewhere"]), [make_table({"Ohio": 1, "Illinois": 2})], UNTIL
    )
    assert "1 entity has no place in it" in read_notes(covariates)["unmatched_entities"]
    assert "Elsewhere" in read_notes(covariates)["unmatched_entities"]
    assert covariates.frame.loc["Elsewhere", "temperature"].isna().all()


def test_single_place_applies_to_all_entities_and_this_is_said() -> None:
    covariates = join_covariates(make_loads(PJM_ZONES), [make_table({"Columbus": 7})], UNTIL)
    assert covariates.frame["temperature"].unique().tolist() == [7]
    assert "Columbus" in read_notes(covariates)["shared_place"]


def test_single_entity_gets_the_mean_of_all_stations() -> None:
    covariates = join_covariates(make_loads(["load"]), [make_table({"Brest": 4, "Nice": 10})], UNTIL)
    assert covariates.frame["temperature"].unique().tolist() == [7]
    assert "their mean" in read_notes(covariates)["shared_place"]


def test_places_are_matched_by_code_of_a_calendar() -> None:
    table = make_table({"DE-BY": 1, "Hessen": 2, "Deutschland": 3, "FR": 4})
    covariates = join_covariates(make_loads(["Bavaria", "DE-HE", "Sachsen", "GRTgaz · bretagne"]), [table], UNTIL)
    means = covariates.frame["temperature"].groupby("entity").mean()
    assert means.to_dict() == {"Bavaria": 1, "DE-HE": 2, "Sachsen": 3, "GRTgaz · bretagne": 4}


@pytest.mark.parametrize("pair", ["AEP", "=Ohio", "AEP=", "Nobody=Ohio", "AEP=Ohoi"])
def test_wrong_mapping_is_refused_with_what_is_accepted(pair: str) -> None:
    with pytest.raises(OptionError, match="Accepted"):
        join_covariates(make_loads(PJM_ZONES), [make_table({"Ohio": 1, "Texas": 2})], UNTIL, places=[pair])


def test_names_of_countries_in_several_languages() -> None:
    assert {tuple(list_calendars(name)) for name in ("Germany", "Allemagne", "Deutschland", "Germania")} == {("DE",)}
