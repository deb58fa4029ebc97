"""Covariates (weather, strikes, holidays, school breaks): reading of files, join with a dataset, the store."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.dataset import Dataset, make_index
from core.errors import DataError, InputError, NotFoundError, UnknownLayoutError, UnreadableFileError, VigieError
from core.settings import ROOT
from core.storage.covariates import CovariateStore

WEATHER = "temperature-quotidienne-regionale.csv"
STRIKES = "mouvements-sociaux-depuis-2002.csv"
BREAKS = "vacances-scolaires.csv"
HOLIDAYS = "jours_feries_metropole.csv"
REGION_ENTITIES = ("GRTgaz · grand est", "GRTgaz · bretagne")

WriteFile = Callable[..., Path]


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """Function that writes lines to a file and returns its path."""

    def write_lines(*lines: str, name: str = "covariates.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write_lines


@pytest.fixture(scope="session")
def real_tables(shared_data: Path) -> dict[str, CovariateTable]:
    """Tables of the four real files, by file name."""
    names = (WEATHER, STRIKES, BREAKS, HOLIDAYS)
    return dict(zip(names, read_covariates([shared_data / "gas_france" / name for name in names]), strict=True))


def make_dataset(
    entities: tuple[str, ...] = REGION_ENTITIES, start: str = "2024-02-26", days: int = 10, strike: bool = False
) -> Dataset:
    """Make a dataset of one value per entity and day."""
    index = make_index(np.repeat(list(entities), days), np.tile(pd.date_range(start, periods=days), len(entities)))
    frame = pd.DataFrame({"value": np.arange(len(index), dtype=float)}, index=index)
    covariates = pd.DataFrame({"strike": np.zeros(len(index))}, index=index) if strike else None
    return Dataset(frame, "tidy_series", step=pd.Timedelta(days=1), covariates=covariates, files=("made.csv",))


def get_value(covariates: Covariates, entity: str, day: str, column: str) -> float:
    return float(covariates.frame.loc[(entity, pd.Timestamp(day)), column])


def read_table(path: Path) -> CovariateTable:
    (table,) = read_covariates([path])
    return table


def list_notes(table: "CovariateTable | Covariates") -> dict[str, str]:
    return {note.kind: str(note.message) for note in table.notes}


# The real files


def test_covariates_read_real_weather(real_tables: dict[str, CovariateTable]) -> None:
    table = real_tables[WEATHER]
    assert (table.kind, table.columns) == ("weather", ["temperature", "temperature_min", "temperature_max"])
    assert (len(table.places), len(table.days), len(table.frame)) == (13, 3680, 13 * 3680)
    assert table.frame.loc[("île-de-france", pd.Timestamp("2024-03-29"))].tolist() == [11.7, 8.04, 15.36]
    assert list_notes(table).keys() == {"ignored_columns"}


def test_covariates_read_real_strikes(real_tables: dict[str, CovariateTable], gas: Dataset) -> None:
    """Of 465 strikes nine are notices of 41 to 277 days; the others give exactly the strike days of the gas files."""
    table = real_tables[STRIKES]
    assert (table.kind, table.places, table.columns) == ("strikes", [""], ["strike", "strike_rate"])
    assert (table.frame["strike"].sum(), len(table.days)) == (673, 7756)
    assert [(note.kind, note.count) for note in table.notes] == [("long_strikes", 9)]
    national_rows = table.frame.loc[""]
    rates = national_rows["strike_rate"]
    assert rates.max() == 82
    assert (rates[national_rows["strike"] == 0] == 0).all()
    gas_days = pd.DatetimeIndex(gas.time[gas.covariates["strike"].to_numpy() > 0].unique()).sort_values()  # type: ignore[index]
    file_days = national_rows.index[(national_rows["strike"] > 0) & (national_rows.index >= "2018-06-01")]
    assert (len(file_days), list(file_days)) == (131, list(gas_days))


def test_covariates_read_real_calendars(real_tables: dict[str, CovariateTable]) -> None:
    breaks, holidays = real_tables[BREAKS], real_tables[HOLIDAYS]
    assert (breaks.kind, breaks.places, holidays.kind, holidays.places) == (
        "school_breaks",
        ["A", "B", "C"],
        "holidays",
        [""],
    )
    assert holidays.frame["holiday"].sum() == 285
    assert (holidays.days[0], holidays.days[-1]) == (pd.Timestamp("2002-01-01"), pd.Timestamp("2027-12-31"))
    winter = breaks.frame["school_break"].unstack("place").loc["2024-02-10":"2024-03-10"]  # type: ignore[misc]
    assert [winter[zone].idxmax().strftime("%d/%m") for zone in "ABC"] == ["17/02", "24/02", "10/02"]
    # the file has no break in autumn 2026, not even All Saints' or Christmas
    assert breaks.days[-1] == pd.Timestamp("2026-08-30")
    assert [(note.kind, note.count) for note in breaks.notes] == [("unwritten_terms", 123)]


def test_join_covariates_of_real_files(real_tables: dict[str, CovariateTable], gas: Dataset) -> None:
    covariates = join_covariates(gas, list(real_tables.values()), pd.Timestamp("2024-12-31"))
    days = len(pd.date_range("2018-06-01", "2024-12-31"))
    assert len(covariates.frame) == 15 * days
    dataset_join, weather, strikes, breaks, holidays = covariates.joins
    assert {join.entities_matched for join in covariates.joins} == {15}
    assert not any(join.entities_unmatched for join in covariates.joins)
    assert (dataset_join.kind, dataset_join.days, dataset_join.days_covered) == ("dataset", 2262, 2262)
    assert (weather.places_unused, weather.days_covered) == (
        ("corse",),
        2250,
    )  # the file lacks the last day of 12 months
    assert (strikes.start, strikes.end, strikes.days_covered) == ("2002-03-13", "2023-06-06", 1832)
    assert breaks.coverage == holidays.coverage == 1
    assert covariates.columns[:7] == [
        "temperature",
        "temperature_min",
        "temperature_max",
        "strike",
        "strike_rate",
        "holiday",
        "school_break",
    ]
    assert {name.partition(": ")[0] for name in covariates.columns[7:]} == {"holiday"}  # one effect per name
    assert len(covariates.columns) == 7 + 11
    assert get_value(covariates, "GRTgaz · île-de-france", "2024-03-29", "temperature") == 11.7
    assert get_value(covariates, "Teréga · occitanie", "2024-04-03", "temperature") == 14.38
    assert get_value(covariates, "GRTgaz · bretagne", "2024-12-25", "holiday") == 1
    zones = [
        get_value(covariates, f"GRTgaz · {name}", "2024-02-12", "school_break") for name in ("occitanie", "bretagne")
    ]
    assert zones == [1, 0]
    assert list_notes(covariates).keys() == {"guessed_calendar", "column_in_several_tables"}


def test_join_covariates_calendar_matches_files(real_tables: dict[str, CovariateTable], gas: Dataset) -> None:
    until = pd.Timestamp("2024-12-31")
    from_files = join_covariates(gas, [real_tables[BREAKS], real_tables[HOLIDAYS]], until, calendar="none").frame
    from_library = join_covariates(gas, [], until).frame
    pd.testing.assert_frame_equal(from_files[list(from_library.columns)], from_library)
    assert "holiday" not in join_covariates(gas, [], until, calendar="none").columns


def test_join_covariates_prefers_calendar_file(real_tables: dict[str, CovariateTable], gas: Dataset) -> None:
    kinds = [join.kind for join in join_covariates(gas, [real_tables[HOLIDAYS]], gas.time.max()).joins]
    assert kinds == ["dataset", "holidays", "school_breaks"]


# The join adds no rows


REGION_NAMES = ("Alsace", "Lorraine", "grand est", "Bretagne", "corse", "53", "ardeche", "")
TEXTS = st.sampled_from(["12.5", "-3", "0", "", "7,5", "cold", "999999"])
weather_rows = st.lists(
    st.tuples(st.sampled_from(REGION_NAMES), st.integers(0, 12), TEXTS, TEXTS), min_size=1, max_size=40
)


@given(
    rows=weather_rows,
    entities=st.sets(st.sampled_from([*REGION_ENTITIES, "GRTgaz · corse", "site 7", "Teréga · grand est"]), min_size=1),
    ahead=st.integers(-5, 20),
    repeat=st.integers(1, 3),
)
def test_join_covariates_adds_no_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, int, str, str]],
    entities: set[str],
    ahead: int,
    repeat: int,
) -> None:
    path = tmp_path_factory.mktemp("weather") / "weather.csv"
    days = pd.date_range("2024-02-27", periods=13)
    lines = [f"{days[day].date()};{place};{low};{high}" for place, day, low, high in rows * repeat]
    path.write_text("\n".join(["date;région;TMin;TMax", *lines]) + "\n", encoding="utf-8")
    dataset = make_dataset(tuple(sorted(entities)))
    dataset = dataset.take_rows(np.repeat(np.arange(len(dataset)), repeat))  # repeated timestamps
    before, until = dataset.digest, dataset.time.max() + pd.Timedelta(days=ahead)
    try:
        tables = read_covariates([path]) * repeat
    except (UnknownLayoutError, UnreadableFileError):  # no number
        assume(False)
    covariates = join_covariates(dataset, tables, until)
    assert len(covariates.frame) == len(entities) * (10 + max(ahead, 0))
    assert covariates.frame.index.is_unique
    assert covariates.frame.index.is_monotonic_increasing
    assert set(map(str, covariates.frame.dtypes)) == {"float64"}
    assert dataset.digest == before
    assert covariates.calendar == ("none" if entities == {"site 7"} else "FR")
    assert len(covariates.joins) == len(tables) + (0 if entities == {"site 7"} else 2)
    written_places = {place for place, *_ in rows}
    for table in tables:
        assert table.frame.index.is_unique
        assert set(table.places) <= {*REGION_NAMES, "grand est", "bretagne"}
    assert ("rows_without_place" in list_notes(tables[0])) == ("" in written_places != {""})


def test_covariates_merge_regions_from_before_2016(write_file: WriteFile) -> None:
    """Three former regions in four rows, one repeated: each region counts once in the mean."""
    table = read_table(
        write_file(
            (
                "Unnamed: "
                "0;TempMax_Deg;TempMin_Deg;Wind_kmh;Wet_percent;Visibility_km;CloudCoverage_percent;Dayduration_hour;region;day"
            ),
            "alsace_2018/01/01;9.0;6.0;25;74;8.25;70;8:23:0;alsace;2018/01/01",
            "lorraine_2018/01/01;12.0;9.0;40;80;9.0;50;8:23:0;lorraine;2018/01/01",
            "lorraine_2018/01/01;12.0;9.0;40;80;9.0;50;8:23:0;lorraine;2018/01/01",
            "champagne_2018/01/01;6.0;3.0;10;86;6.0;30;8:23:0;champagne-ardenne;2018/01/01",
            "rhone_2018/01/01;8.0;5.0;17;89;10.0;51;8:53:0;rh-ne-alpes;2018/01/01",
            "ardeche_2018/01/01;8.0;5.0;17;89;10.0;51;8:53:0;ardeche;2018/01/01",
            "re_2018/01/01;8.0;5.0;17;89;10.0;51;8:53:0;ile-de-re;2018/01/01",
        )
    )
    assert (table.kind, table.places) == ("weather", ["ardeche", "auvergne-rhône-alpes", "grand est", "ile-de-re"])
    assert table.columns == [
        "temperature",
        "temperature_min",
        "temperature_max",
        "wind",
        "humidity",
        "visibility",
        "cloud_cover",
        "day_length",
    ]
    assert table.frame.loc["grand est"].round(3).to_numpy().tolist() == [[7.5, 6, 9, 25, 80, 7.75, 50, 8.383]]
    assert "6 rows were aggregated to 4" in list_notes(table)["aggregated_rows"]
    assert "1 row equals an earlier row" in list_notes(table)["repeated_rows"]
    covariates = join_covariates(make_dataset(start="2018-01-01"), [table], pd.Timestamp("2018-01-12"))
    assert len(covariates.frame) == 2 * 12
    assert get_value(covariates, REGION_ENTITIES[0], "2018-01-01", "temperature") == 7.5
    assert np.isnan(get_value(covariates, REGION_ENTITIES[1], "2018-01-01", "temperature"))
    join = covariates.joins[0]
    assert (join.entities_matched, join.entities_unmatched) == (1, (REGION_ENTITIES[1],))
    assert (join.places_unused, join.days, join.days_covered) == (
        ("ardeche", "auvergne-rhône-alpes", "ile-de-re"),
        10,
        1,
    )
    assert REGION_ENTITIES[1] in list_notes(covariates)["unmatched_entities"]


# Strikes


def test_strike_covariate_spans_start_to_end(write_file: WriteFile) -> None:
    table = read_table(
        write_file(
            "date_de_debut;date_de_fin;motif;organisations_syndicales;taux_grevistes",
            "2024-02-27;2024-02-29;retraites;CGT;10.0",  # over a leap day
            "2024-02-28;;salaires;FO;25.5",  # no end; overlaps
            "2024-03-02;2024-03-01;end before start;FO;5",
            "2024-03-04;2024-12-04;préavis;FO;1.5",
            "2024-03-06;2024-03-06;sans taux;FO;",
            name="movement_data_2018_2024.csv",
        )
    )
    national_rows = table.frame.loc[""]
    assert national_rows.index[national_rows["strike"] > 0].strftime("%m-%d").tolist() == [
        "02-27",
        "02-28",
        "02-29",
        "03-02",
        "03-04",
        "03-06",
    ]
    assert national_rows["strike_rate"].fillna(-1).tolist() == [10, 25.5, 10, 0, 5, 0, 1.5, 0, -1]
    assert {note.kind: note.count for note in table.notes} == {"end_before_start": 1, "long_strikes": 1}
    covariates = join_covariates(make_dataset(), [table], pd.Timestamp("2024-03-10"), calendar="none")
    strike = covariates.frame.loc[REGION_ENTITIES[0], "strike"]
    assert strike.isna().to_numpy().nonzero()[0].tolist() == [0, 10, 11, 12, 13]  # before the first, after the last
    assert covariates.joins[0].entities_matched == 2


@pytest.mark.parametrize(("last", "days"), [("2024-01-31", 31), ("2024-02-01", 1)])
def test_strike_longer_than_31_days_is_notice(write_file: WriteFile, last: str, days: int) -> None:
    table = read_table(write_file("date_de_debut;date_de_fin;taux_grevistes", f"2024-01-01;{last};10"))
    assert table.frame["strike"].sum() == days
    assert ("long_strikes" in list_notes(table)) == (days == 1)


def test_join_covariates_combines_strikes(write_file: WriteFile) -> None:
    """A strike day of the file or of the data counts; only the file gives the rate."""
    table = read_table(
        write_file("date_de_debut;date_de_fin;taux_grevistes", "2024-02-27;;10", "2024-03-08;2024-03-09;30")
    )
    dataset = make_dataset(strike=True)
    dataset.covariates.loc[pd.IndexSlice[:, "2024-02-29"], "strike"] = 1  # type: ignore[union-attr]
    without_file = join_covariates(dataset, [], pd.Timestamp("2024-03-10"), calendar="none")
    assert without_file.frame.loc[REGION_ENTITIES[0], "strike"].fillna(-1).tolist() == [
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        -1,
        -1,
        -1,
        -1,
    ]
    covariates = join_covariates(dataset, [table], pd.Timestamp("2024-03-10"), calendar="none")
    assert covariates.frame.loc[REGION_ENTITIES[0], "strike"].fillna(-1).tolist() == [
        0,
        1,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        -1,
    ]
    assert covariates.frame.loc[REGION_ENTITIES[0], "strike_rate"].fillna(-1).tolist() == [
        0,
        10,
        0,
        -1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        30,
        30,
        -1,
    ]
    assert "made.csv and covariates.csv" in list_notes(covariates)["column_in_several_tables"]


def test_covariates_read_strikes_of_gas_file(gas_files: list[Path], gas: Dataset) -> None:
    table = read_table(gas_files[2])
    assert (table.kind, table.columns) == ("strikes", ["strike"])
    assert "00:00" in list_notes(table)["ignored_columns"]
    assert join_covariates(gas, [table], gas.time.max()).joins[1].entities_matched == 15


# Places of a table


def test_join_covariates_prefers_regional_to_national_value(write_file: WriteFile) -> None:
    table = read_table(
        write_file("date,région,temperature", "2024-02-26,France,5", "2024-02-26,Bretagne,9", "2024-02-27,France,6")
    )
    assert table.places == ["", "bretagne"]
    covariates = join_covariates(make_dataset((*REGION_ENTITIES, "site 7")), [table], pd.Timestamp("2024-02-27"))
    first = [get_value(covariates, entity, "2024-02-26", "temperature") for entity in (*REGION_ENTITIES, "site 7")]
    assert first == [5, 9, 5]
    assert get_value(covariates, REGION_ENTITIES[1], "2024-02-27", "temperature") == 6
    assert covariates.joins[0].entities_unmatched == ()


def test_join_covariates_uses_national_calendar_without_region() -> None:
    covariates = join_covariates(
        make_dataset(("site 7", "GRTgaz · corse", *REGION_ENTITIES), "2024-02-08", 30), [], pd.Timestamp("2024-04-01")
    )
    assert get_value(covariates, "site 7", "2024-04-01", "holiday") == 1
    share = covariates.frame.loc["site 7", "school_break"]
    assert share["2024-02-09"] == 0
    assert share[["2024-02-10", "2024-02-17", "2024-02-24"]].round(3).tolist() == [0.333, 0.667, 1.0]
    assert covariates.frame.loc["GRTgaz · corse", "school_break"].isna().all()
    assert covariates.joins[1].entities_unmatched == ("GRTgaz · corse",)


def test_join_covariates_fills_gaps_from_later_tables(write_file: WriteFile) -> None:
    first = write_file("date,temperature", "2024-02-26,1", "2024-02-28,3", name="first.csv")
    second = write_file("date,temperature,wind (m/s)", "2024-02-26,7,10", "2024-02-27,8,10", name="second.csv")
    covariates = join_covariates(
        make_dataset(), read_covariates([first, second]), pd.Timestamp("2024-02-29"), calendar="none"
    )
    assert covariates.frame.loc[REGION_ENTITIES[0], "temperature"].tolist()[:3] == [1, 8, 3]
    assert get_value(covariates, REGION_ENTITIES[0], "2024-02-26", "wind") == 36
    assert list_notes(covariates)["column_in_several_tables"].startswith(
        "temperature: several files have this column. Values of first.csv are used first"
    )


def test_join_covariates_is_missing_after_table_end(write_file: WriteFile) -> None:
    table = read_table(
        write_file("date;temperature", *(f"{day.date()};5" for day in pd.date_range("2024-02-20", "2024-03-08")))
    )
    column = join_covariates(make_dataset(), [table], pd.Timestamp("2024-03-20")).frame.loc[
        REGION_ENTITIES[0], "temperature"
    ]
    assert (column.notna().sum(), column.last_valid_index()) == (12, pd.Timestamp("2024-03-08"))


def test_covariates_keep_names_of_other_columns(write_file: WriteFile) -> None:
    table = read_table(write_file("date;price;comment", "2024-02-26;10,5;a", "2024-02-27;11,5;b"))
    assert (table.kind, table.columns, table.places) == ("other", ["price"], [""])
    covariates = join_covariates(make_dataset(), [table], pd.Timestamp("2024-02-28"), calendar="none")
    assert covariates.columns == ["price"]


def test_join_covariates_assigns_early_hours_to_gas_day(write_file: WriteFile) -> None:
    table = read_table(write_file("date,temperature", "2024-02-26,1", "2024-02-27,2"))
    times = pd.date_range("2024-02-26 06:00", "2024-02-27 05:00", freq="h")
    frame = pd.DataFrame({"value": 1.0}, index=make_index(["a"] * 24, times))
    series = Dataset(frame, "gas_daily", step=pd.Timedelta(hours=1), day_start=6)
    covariates = join_covariates(series, [table], pd.Timestamp("2024-02-26"), calendar="none")
    assert covariates.days.tolist() == [pd.Timestamp("2024-02-26")]


# Days


ZONED_TIMESTAMPS = (
    "2024-03-31T00:00:00+01:00",
    "2024-03-31T23:30:00+02:00",
    "2024-03-30T23:00:00Z",
    "2024-03-31T21:59:00+00:00",
    "2024-03-31 12:00:00+09:00",
    "2024-03-31T00:00Z",
)


@pytest.mark.parametrize("moment", ZONED_TIMESTAMPS)
def test_covariates_use_local_day(write_file: WriteFile, moment: str) -> None:
    """The clock goes forward on this day; timestamps in UTC are converted to the time of France."""
    assert read_table(write_file("date,temperature", f"{moment},5", f"{moment},7")).days.tolist() == [
        pd.Timestamp("2024-03-31")
    ]


@pytest.mark.parametrize(
    ("zone", "day"),
    [("", "2024-07-02"), ("America/New_York", "2024-07-01"), ("UTC", "2024-07-01"), ("Australia/Sydney", "2024-07-02")],
)
def test_timestamps_in_utc_count_for_the_day_of_the_data(write_file: WriteFile, zone: str, day: str) -> None:
    path = write_file("date,temperature", "2024-07-01T22:30:00Z,5", "2024-07-01T23:30:00Z,7")
    [table] = read_covariates([path], zone)
    assert table.days.tolist() == [pd.Timestamp(day)]
    assert (zone or "France") in list_notes(table)["time_zone"]


def test_covariates_read_days_written_as_numbers(write_file: WriteFile) -> None:
    assert read_table(write_file("date,temperature", "20240229,5", "20240301,7")).days.tolist() == [
        *pd.date_range("2024-02-29", periods=2)
    ]


def test_covariates_average_hours_of_day(write_file: WriteFile) -> None:
    """The timestamps in UTC cover a leap day and both clock changes (days of 23 and 25 hours)."""
    hours = pd.date_range("2024-02-28 23:00", "2024-10-28 22:00", freq="h")
    table = read_table(write_file("date,temperature", *(f"{hour:%Y-%m-%dT%H:%M:%SZ},{hour.day}" for hour in hours)))
    assert table.days.equals(pd.date_range("2024-02-29", "2024-10-28", name="day"))
    assert table.frame.loc[("", pd.Timestamp("2024-03-31"))].item() == pytest.approx((1 * 30 + 22 * 31) / 23)
    assert table.frame.loc[("", pd.Timestamp("2024-10-27"))].item() == pytest.approx((2 * 26 + 23 * 27) / 25)


def test_covariates_read_parquet_with_time_zone(tmp_path: Path) -> None:
    path = tmp_path / "weather.parquet"
    days = pd.date_range("2024-03-30", periods=3, tz="Europe/Paris")
    pd.DataFrame({"date": days, "temperature": [1.0, 2, 3]}).to_parquet(path)
    assert read_table(path).days.tolist() == [*pd.date_range("2024-03-30", periods=3)]


# Invalid files


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        (("",), UnreadableFileError, "empty"),
        (("date,temperature",), UnreadableFileError, "no rows"),
        (("temperature,wind", "1,2"), UnknownLayoutError, "no column of dates was found among temperature, wind"),
        (("date,name", "2024-01-01,"), UnknownLayoutError, "name (empty)"),
        (("date,temperature", "tomorrow,1", "2024-01-02,1"), UnreadableFileError, "'tomorrow' is not a date"),
        (("date,temperature", "2024-01-01,cold"), UnreadableFileError, "temperature (text, row 1: 'cold')"),
        (("date_de_debut,motif", ",a"), UnreadableFileError, "is not a date"),
        (("date,nom_jour_ferie", "1700-01-01,a"), UnreadableFileError, "the date 1700-01-01 is not accepted"),
        (
            ("date," + ",".join(f"{h:02d}:00" for h in range(24)), "2024-01-01" + ",1" * 24),
            UnknownLayoutError,
            "no usable covariate was found",
        ),
    ],
)
def test_covariates_reject_invalid_file(
    write_file: WriteFile, lines: tuple[str, ...], error: type[VigieError], words: str
) -> None:
    with pytest.raises(error) as raised:
        read_table(write_file(*lines))
    assert words in str(raised.value)
    assert "covariates.csv" in str(raised.value)


def test_covariates_report_text_among_numbers(write_file: WriteFile) -> None:
    table = read_table(write_file("date;temperature;vent", "2024-01-01;5;x", "2024-01-02;mild;10", "2024-01-03;n/a;20"))
    assert np.isnan(table.frame.to_numpy()).tolist() == [[False, True], [True, False], [True, False]]
    assert [note.count for note in table.notes if note.kind == "unreadable_cells"] == [1, 1]
    assert "row 2, 'mild'" in str(table.notes[0].message)


def test_join_covariates_rejects_undated_data_and_long_period() -> None:
    undated = Dataset(pd.DataFrame({"value": [1.0]}, index=make_index(["a"], [0])), "kpi_matrix")
    with pytest.raises(DataError, match="no dates"):
        join_covariates(undated, [], pd.Timestamp("2024-01-01"))
    hundred_sites = make_dataset(tuple(f"site {number}" for number in range(100)), days=2)
    with pytest.raises(DataError, match="the table would be too large"):
        join_covariates(hundred_sites, [], pd.Timestamp("2200-01-01"))
    with pytest.raises(InputError):
        read_covariates([])


# Arrays and scenarios


def test_covariates_array_follows_requested_order(write_file: WriteFile) -> None:
    table = read_table(
        write_file("date,region,temperature", "2024-02-26,Alsace,1", "2024-02-27,Alsace,2", "2024-02-27,Bretagne,3")
    )
    covariates = join_covariates(make_dataset(days=2), [table], pd.Timestamp("2024-02-27"), calendar="none")
    days = pd.DatetimeIndex(["2024-02-27", "2024-02-26", "1999-01-01"])
    values = covariates.to_array([REGION_ENTITIES[1], "nobody", REGION_ENTITIES[0]], days)[:, :, 0]
    np.testing.assert_array_equal(values, [[3, np.nan, 2], [np.nan, np.nan, 1], [np.nan] * 3])
    assert covariates.to_array([], days).shape == (3, 0, 1)


def test_covariates_replace_column() -> None:
    covariates = join_covariates(make_dataset(strike=True), [], pd.Timestamp("2024-03-10"))
    before = covariates.digest
    is_strike_day = covariates.frame.index.get_level_values("day") == pd.Timestamp("2024-03-08")
    strike = covariates.replace_column("strike", lambda column: column.mask(is_strike_day, 1.0))
    assert [get_value(strike, entity, "2024-03-08", "strike") for entity in REGION_ENTITIES] == [1, 1]
    assert strike.frame["strike"].sum() == 2
    warm = covariates.replace_column("temperature", 3).replace_column("temperature", lambda column: column + 2)
    assert (warm.frame["temperature"] == 5).all()
    shuffled = warm.replace_column("temperature", warm.frame["temperature"].sample(frac=1, random_state=0))
    assert shuffled.digest == warm.digest
    assert covariates.digest == before != strike.digest
    assert "temperature" not in covariates.columns
    with pytest.raises(DataError, match="Accepted: one value, or 28"):
        covariates.replace_column("strike", [1, 2, 3])


# Digests and the store


def test_covariates_digest_depends_on_content(
    real_tables: dict[str, CovariateTable], gas: Dataset, shared_data: Path
) -> None:
    reread = read_covariates([shared_data / "gas_france" / WEATHER])[0]
    assert reread.digest == real_tables[WEATHER].digest
    assert len({table.digest for table in real_tables.values()}) == 4
    until = gas.time.max()
    assert join_covariates(gas, [reread], until).digest == join_covariates(gas, [real_tables[WEATHER]], until).digest
    assert (
        join_covariates(gas, [reread], until).digest
        != join_covariates(gas, [reread], until + pd.Timedelta(days=1)).digest
    )


def test_covariate_store_round_trips_tables(
    tmp_path: Path, real_tables: dict[str, CovariateTable], write_file: WriteFile
) -> None:
    other_table = read_table(
        write_file("date;place;região;x", "2024-02-26;1;2;cold", "2024-02-27;1;;5", "2024-02-28;2;3;6")
    )
    tables = [*real_tables.values(), other_table]
    store = CovariateStore(tmp_path / "covariates")
    digest = store.save(tables)
    assert store.save(tables) == digest
    assert [path.name for path in (tmp_path / "covariates").iterdir()] == [digest]
    for table, loaded in zip(tables, store.load(digest), strict=True):
        pd.testing.assert_frame_equal(loaded.frame, table.frame)
        assert (loaded.kind, loaded.file, loaded.digest) == (table.kind, table.file, table.digest)
        assert [note.to_json() for note in loaded.notes] == [note.to_json() for note in table.notes]
    assert store.save(tables[:2]) != store.save(tables[1::-1]) != digest


@pytest.mark.parametrize("digest", ["0" * 64, "", "../covariates", "."])
def test_covariate_store_rejects_unknown_digest(tmp_path: Path, digest: str) -> None:
    (tmp_path / "covariates").mkdir()
    with pytest.raises(NotFoundError):
        CovariateStore(tmp_path / "covariates").load(digest)


def test_covariates_import_calendars_lazily() -> None:
    code = (
        "import sys, core.data.covariates, core.storage.covariates; print({'holidays', 'vacances_scolaires_france'} & "
        "set(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert process.stdout.strip() == "set()"
