"""Weather, strikes, holidays and school breaks: read as they are found, joined without a row too many or a word
untold.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.dataset import Dataset, make_index
from core.errors import DataError, InputError, NotFoundError, UnknownLayoutError, UnreadableFileError, VigieError
from core.storage.covariates import CovariateStore

quick = settings(max_examples=60, deadline=None)

ROOT = Path(__file__).resolve().parents[2]
WEATHER = "temperature-quotidienne-regionale.csv"
STRIKES = "mouvements-sociaux-depuis-2002.csv"
BREAKS = "vacances-scolaires.csv"
HOLIDAYS = "jours_feries_metropole.csv"
EAST = ("GRTgaz · grand est", "GRTgaz · bretagne")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the lines of a file."""

    def to_file(*lines: str, name: str = "covariates.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return to_file


@pytest.fixture(scope="session")
def real(shared_data: Path) -> dict[str, CovariateTable]:
    """The four real files."""
    names = (WEATHER, STRIKES, BREAKS, HOLIDAYS)
    return dict(zip(names, read_covariates([shared_data / "gas_france" / name for name in names]), strict=True))


def data(entities: tuple[str, ...] = EAST, start: str = "2024-02-26", days: int = 10, strike: bool = False) -> Dataset:
    """One value per entity and day."""
    index = make_index(np.repeat(list(entities), days), np.tile(pd.date_range(start, periods=days), len(entities)))
    frame = pd.DataFrame({"value": np.arange(len(index), dtype=float)}, index=index)
    drivers = pd.DataFrame({"strike": np.zeros(len(index))}, index=index) if strike else None
    return Dataset(frame, "tidy_series", step=pd.Timedelta(days=1), covariates=drivers, files=("made.csv",))


def at(drivers: Covariates, entity: str, day: str, column: str) -> float:
    return float(drivers.frame.loc[(entity, pd.Timestamp(day)), column])


def one(path: Path) -> CovariateTable:
    (table,) = read_covariates([path])
    return table


def told(table: "CovariateTable | Covariates") -> dict[str, str]:
    return {note.kind: str(note.message) for note in table.notes}


# The real files


def test_real_weather(real: dict[str, CovariateTable]) -> None:
    table = real[WEATHER]
    assert (table.kind, table.columns) == ("weather", ["temperature", "temperature_min", "temperature_max"])
    assert (len(table.places), len(table.days), len(table.frame)) == (13, 3680, 13 * 3680)
    assert table.frame.loc[("île-de-france", pd.Timestamp("2024-03-29"))].tolist() == [11.7, 8.04, 15.36]
    assert told(table).keys() == {"ignored_columns"}


def test_real_strikes(real: dict[str, CovariateTable], gas: Dataset) -> None:
    """Of 465 strikes nine are notices of 41 to 277 days; what is left are exactly the strike days of the gas files."""
    table = real[STRIKES]
    assert (table.kind, table.places, table.columns) == ("strikes", [""], ["strike", "strike_rate"])
    assert (table.frame["strike"].sum(), len(table.days)) == (673, 7756)
    assert [(note.kind, note.count) for note in table.notes] == [("long_strikes", 9)]
    own = table.frame.loc[""]
    rates = own["strike_rate"]
    assert rates.max() == 82
    assert (rates[own["strike"] == 0] == 0).all()
    in_gas = pd.DatetimeIndex(gas.time[gas.covariates["strike"].to_numpy() > 0].unique()).sort_values()  # type: ignore[index]
    in_file = own.index[(own["strike"] > 0) & (own.index >= "2018-06-01")]
    assert (len(in_file), list(in_file)) == (131, list(in_gas))


def test_real_calendars(real: dict[str, CovariateTable]) -> None:
    breaks, holidays = real[BREAKS], real[HOLIDAYS]
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
    # the file says "no break" for all of autumn 2026, All Saints' and Christmas with it
    assert breaks.days[-1] == pd.Timestamp("2026-08-30")
    assert [(note.kind, note.count) for note in breaks.notes] == [("unwritten_terms", 123)]


def test_real_files_joined_to_gas(real: dict[str, CovariateTable], gas: Dataset) -> None:
    drivers = join_covariates(gas, list(real.values()), pd.Timestamp("2024-12-31"))
    days = len(pd.date_range("2018-06-01", "2024-12-31"))
    assert drivers.frame.shape == (15 * days, 7)
    own, weather, strikes, breaks, holidays = drivers.joins
    assert {join.entities_matched for join in drivers.joins} == {15}
    assert not any(join.entities_unmatched for join in drivers.joins)
    assert (own.kind, own.days, own.days_covered) == ("dataset", 2262, 2262)
    assert (weather.places_unused, weather.days_covered) == (
        ("corse",),
        2250,
    )  # the file lacks the last day of 12 months
    assert (strikes.start, strikes.end, strikes.days_covered) == ("2002-03-13", "2023-06-06", 1832)
    assert breaks.coverage == holidays.coverage == 1
    assert drivers.columns == [
        "temperature",
        "temperature_min",
        "temperature_max",
        "strike",
        "strike_rate",
        "holiday",
        "school_break",
    ]
    assert at(drivers, "GRTgaz · île-de-france", "2024-03-29", "temperature") == 11.7
    assert at(drivers, "Teréga · occitanie", "2024-04-03", "temperature") == 14.38
    assert at(drivers, "GRTgaz · bretagne", "2024-12-25", "holiday") == 1
    zones = [at(drivers, f"GRTgaz · {name}", "2024-02-12", "school_break") for name in ("occitanie", "bretagne")]
    assert zones == [1, 0]
    assert told(drivers).keys() == {"column_in_several_tables"}


def test_the_calendar_without_files_is_that_of_the_files(real: dict[str, CovariateTable], gas: Dataset) -> None:
    until = pd.Timestamp("2024-12-31")
    by_file = join_covariates(gas, [real[BREAKS], real[HOLIDAYS]], until, with_calendar=False).frame
    by_library = join_covariates(gas, [], until).frame
    pd.testing.assert_frame_equal(by_file, by_library)
    assert "holiday" not in join_covariates(gas, [], until, with_calendar=False).columns


def test_the_calendar_does_not_replace_a_file(real: dict[str, CovariateTable], gas: Dataset) -> None:
    kinds = [join.kind for join in join_covariates(gas, [real[HOLIDAYS]], gas.time.max()).joins]
    assert kinds == ["dataset", "holidays", "school_breaks"]


# Rows can never grow


PLACES = ("Alsace", "Lorraine", "grand est", "Bretagne", "corse", "53", "ardeche", "")
TEXTS = st.sampled_from(["12.5", "-3", "0", "", "7,5", "cold", "999999"])
weather_rows = st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 12), TEXTS, TEXTS), min_size=1, max_size=40)


@quick
@given(
    rows=weather_rows,
    entities=st.sets(st.sampled_from([*EAST, "GRTgaz · corse", "site 7", "Teréga · grand est"]), min_size=1),
    ahead=st.integers(-5, 20),
    repeat=st.integers(1, 3),
)
def test_any_weather_leaves_the_rows_as_they_are(
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
    dataset = data(tuple(sorted(entities)))
    dataset = dataset.take_rows(np.repeat(np.arange(len(dataset)), repeat))  # moments that stand there twice
    before, until = dataset.digest, dataset.time.max() + pd.Timedelta(days=ahead)
    try:
        tables = read_covariates([path]) * repeat
    except (UnknownLayoutError, UnreadableFileError):  # no known place, or no number
        assume(False)
    drivers = join_covariates(dataset, tables, until)
    assert len(drivers.frame) == len(entities) * (10 + max(ahead, 0))
    assert drivers.frame.index.is_unique
    assert drivers.frame.index.is_monotonic_increasing
    assert set(map(str, drivers.frame.dtypes)) == {"float64"}
    assert dataset.digest == before
    assert len(drivers.joins) == len(tables) + 2
    for table in tables:
        assert table.frame.index.is_unique
        assert not {"ardeche", "Alsace", "Lorraine"} & set(table.places)
    written = {place for place, *_ in rows}
    assert ("unknown_places" in told(tables[0])) == bool(written & {"ardeche", ""})


def test_regions_of_before_2016_become_one_row(write: Write) -> None:
    """Three regions, four rows, one of them twice: each region counts once in the mean."""
    table = one(
        write(
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
    assert (table.kind, table.places) == ("weather", ["auvergne-rhône-alpes", "grand est"])
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
    assert "ardeche, ile-de-re" in told(table)["unknown_places"]
    assert "5 rows became 2" in told(table)["aggregated_rows"]
    drivers = join_covariates(data(start="2018-01-01"), [table], pd.Timestamp("2018-01-12"))
    assert len(drivers.frame) == 2 * 12
    assert at(drivers, EAST[0], "2018-01-01", "temperature") == 7.5
    assert np.isnan(at(drivers, EAST[1], "2018-01-01", "temperature"))
    join = drivers.joins[0]
    assert (join.entities_matched, join.entities_unmatched) == (1, (EAST[1],))
    assert (join.places_unused, join.days, join.days_covered) == (("auvergne-rhône-alpes",), 10, 1)


# Strikes


def test_strikes_last_from_start_to_end(write: Write) -> None:
    table = one(
        write(
            "date_de_debut;date_de_fin;motif;organisations_syndicales;taux_grevistes",
            "2024-02-27;2024-02-29;retraites;CGT;10.0",  # over a leap day
            "2024-02-28;;salaires;FO;25.5",  # no end; overlaps
            "2024-03-02;2024-03-01;end before start;FO;5",
            "2024-03-04;2024-12-04;préavis;FO;1.5",
            "2024-03-06;2024-03-06;sans taux;FO;",
            name="movement_data_2018_2024.csv",
        )
    )
    own = table.frame.loc[""]
    assert own.index[own["strike"] > 0].strftime("%m-%d").tolist() == [
        "02-27",
        "02-28",
        "02-29",
        "03-02",
        "03-04",
        "03-06",
    ]
    assert own["strike_rate"].fillna(-1).tolist() == [10, 25.5, 10, 0, 5, 0, 1.5, 0, -1]
    assert {note.kind: note.count for note in table.notes} == {"end_before_start": 1, "long_strikes": 1}
    drivers = join_covariates(data(), [table], pd.Timestamp("2024-03-10"), with_calendar=False)
    strike = drivers.frame.loc[EAST[0], "strike"]
    assert strike.isna().to_numpy().nonzero()[0].tolist() == [0, 10, 11, 12, 13]  # before the first, after the last
    assert drivers.joins[0].entities_matched == 2


@pytest.mark.parametrize(("last", "days"), [("2024-01-31", 31), ("2024-02-01", 1)])
def test_a_strike_of_more_than_31_days_is_a_notice(write: Write, last: str, days: int) -> None:
    table = one(write("date_de_debut;date_de_fin;taux_grevistes", f"2024-01-01;{last};10"))
    assert table.frame["strike"].sum() == days
    assert ("long_strikes" in told(table)) == (days == 1)


def test_strikes_of_a_file_and_of_the_data_are_added_up(write: Write) -> None:
    """The data know their own days alone; a strike either of them knows is one, with its rate where that is known."""
    table = one(write("date_de_debut;date_de_fin;taux_grevistes", "2024-02-27;;10", "2024-03-08;2024-03-09;30"))
    dataset = data(strike=True)
    dataset.covariates.loc[pd.IndexSlice[:, "2024-02-29"], "strike"] = 1  # type: ignore[union-attr]
    alone = join_covariates(dataset, [], pd.Timestamp("2024-03-10"), with_calendar=False)
    assert alone.frame.loc[EAST[0], "strike"].fillna(-1).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1]
    drivers = join_covariates(dataset, [table], pd.Timestamp("2024-03-10"), with_calendar=False)
    assert drivers.frame.loc[EAST[0], "strike"].fillna(-1).tolist() == [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, -1]
    assert drivers.frame.loc[EAST[0], "strike_rate"].fillna(-1).tolist() == [
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
    assert "made.csv and drivers.csv" in told(drivers)["column_in_several_tables"]


def test_a_gas_file_tells_its_strikes(gas_files: list[Path], gas: Dataset) -> None:
    table = one(gas_files[2])
    assert (table.kind, table.columns) == ("strikes", ["strike"])
    assert "00:00" in told(table)["ignored_columns"]
    assert join_covariates(gas, [table], gas.time.max()).joins[1].entities_matched == 15


# What a table says, and of whom


def test_a_national_table_counts_for_all_and_a_nearer_one_before_it(write: Write) -> None:
    table = one(write("date,région,temperature", "2024-02-26,France,5", "2024-02-26,Bretagne,9", "2024-02-27,France,6"))
    assert table.places == ["", "bretagne"]
    drivers = join_covariates(data((*EAST, "site 7")), [table], pd.Timestamp("2024-02-27"))
    first = [at(drivers, entity, "2024-02-26", "temperature") for entity in (*EAST, "site 7")]
    assert first == [5, 9, 5]
    assert at(drivers, EAST[1], "2024-02-27", "temperature") == 6
    assert drivers.joins[0].entities_unmatched == ()


def test_an_entity_without_a_region_has_the_national_calendar() -> None:
    drivers = join_covariates(
        data(("site 7", "GRTgaz · corse", *EAST), "2024-02-08", 30), [], pd.Timestamp("2024-04-01")
    )
    assert at(drivers, "site 7", "2024-04-01", "holiday") == 1
    share = drivers.frame.loc["site 7", "school_break"]
    assert share["2024-02-09"] == 0
    assert share[["2024-02-10", "2024-02-17", "2024-02-24"]].round(3).tolist() == [0.333, 0.667, 1.0]
    assert drivers.frame.loc["GRTgaz · corse", "school_break"].isna().all()
    assert drivers.joins[1].entities_unmatched == ("GRTgaz · corse",)


def test_the_first_table_counts_and_later_ones_fill_its_gaps(write: Write) -> None:
    first = write("date,temperature", "2024-02-26,1", "2024-02-28,3", name="first.csv")
    second = write("date,temperature,wind (m/s)", "2024-02-26,7,10", "2024-02-27,8,10", name="second.csv")
    drivers = join_covariates(data(), read_covariates([first, second]), pd.Timestamp("2024-02-29"), with_calendar=False)
    assert drivers.frame.loc[EAST[0], "temperature"].tolist()[:3] == [1, 8, 3]
    assert at(drivers, EAST[0], "2024-02-26", "wind") == 36
    assert told(drivers)["column_in_several_tables"].startswith("temperature: in several files; first.csv counts")


def test_a_table_that_ends_early_is_unknown_after_it(write: Write) -> None:
    table = one(write("date;temperature", *(f"{day.date()};5" for day in pd.date_range("2024-02-20", "2024-03-08"))))
    column = join_covariates(data(), [table], pd.Timestamp("2024-03-20")).frame.loc[EAST[0], "temperature"]
    assert (column.notna().sum(), column.last_valid_index()) == (12, pd.Timestamp("2024-03-08"))


def test_other_numbers_keep_their_names(write: Write) -> None:
    table = one(write("date;price;comment", "2024-02-26;10,5;a", "2024-02-27;11,5;b"))
    assert (table.kind, table.columns, table.places) == ("other", ["price"], [""])
    drivers = join_covariates(data(), [table], pd.Timestamp("2024-02-28"), with_calendar=False)
    assert drivers.columns == ["price"]


def test_the_small_hours_of_a_gas_day_belong_to_the_day_before(write: Write) -> None:
    table = one(write("date,temperature", "2024-02-26,1", "2024-02-27,2"))
    times = pd.date_range("2024-02-26 06:00", "2024-02-27 05:00", freq="h")
    frame = pd.DataFrame({"value": 1.0}, index=make_index(["a"] * 24, times))
    series = Dataset(frame, "gas_daily", step=pd.Timedelta(hours=1), day_start=6)
    drivers = join_covariates(series, [table], pd.Timestamp("2024-02-26"), with_calendar=False)
    assert drivers.days.tolist() == [pd.Timestamp("2024-02-26")]


# Days


ZONED = (
    "2024-03-31T00:00:00+01:00",
    "2024-03-31T23:30:00+02:00",
    "2024-03-30T23:00:00Z",
    "2024-03-31T21:59:00+00:00",
    "2024-03-31 12:00:00+09:00",
    "2024-03-31T00:00Z",
)


@pytest.mark.parametrize("moment", ZONED)
def test_the_day_is_that_of_the_clock_on_the_spot(write: Write, moment: str) -> None:
    """On the day the clock goes forward; moments in UTC are told by the clock of France."""
    assert one(write("date,temperature", f"{moment},5", f"{moment},7")).days.tolist() == [pd.Timestamp("2024-03-31")]


def test_days_written_as_numbers(write: Write) -> None:
    assert one(write("date,temperature", "20240229,5", "20240301,7")).days.tolist() == [
        *pd.date_range("2024-02-29", periods=2)
    ]


def test_hours_of_a_day_become_its_mean(write: Write) -> None:
    """The days of both clock changes (23 and 25 hours) and a leap day, told in UTC."""
    hours = pd.date_range("2024-02-28 23:00", "2024-10-28 22:00", freq="h")
    table = one(write("date,temperature", *(f"{hour:%Y-%m-%dT%H:%M:%SZ},{hour.day}" for hour in hours)))
    assert table.days.equals(pd.date_range("2024-02-29", "2024-10-28", name="day"))
    assert table.frame.loc[("", pd.Timestamp("2024-03-31"))].item() == pytest.approx((1 * 30 + 22 * 31) / 23)
    assert table.frame.loc[("", pd.Timestamp("2024-10-27"))].item() == pytest.approx((2 * 26 + 23 * 27) / 25)


def test_parquet_with_a_time_zone(tmp_path: Path) -> None:
    path = tmp_path / "weather.parquet"
    days = pd.date_range("2024-03-30", periods=3, tz="Europe/Paris")
    pd.DataFrame({"date": days, "temperature": [1.0, 2, 3]}).to_parquet(path)
    assert one(path).days.tolist() == [*pd.date_range("2024-03-30", periods=3)]


# What is refused, and what is told


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        (("",), UnreadableFileError, "empty"),
        (("date,temperature",), UnreadableFileError, "no rows"),
        (("temperature,wind", "1,2"), UnknownLayoutError, "no column of dates among temperature, wind"),
        (("date,name", "2024-01-01,a"), UnknownLayoutError, "no driver known in advance among the columns date, name"),
        (("date,temperature", "tomorrow,1", "2024-01-02,1"), UnreadableFileError, "'tomorrow' is not a date"),
        (("date,temperature", "2024-01-01,cold"), UnreadableFileError, "no number in the columns temperature"),
        (("date,region,temperature", "2024-01-01,ardeche,1"), UnknownLayoutError, "no French region among ardeche"),
        (("date_de_debut,motif", ",a"), UnreadableFileError, "is not a date"),
        (("date,nom_jour_ferie", "1700-01-01,a"), UnreadableFileError, "1700-01-01 lies outside 1900 to 2100"),
        (
            ("date," + ",".join(f"{h:02d}:00" for h in range(24)), "2024-01-01" + ",1" * 24),
            UnknownLayoutError,
            "no driver",
        ),
        (("Date de début,Date de fin,Zones", "2024-01-01,2024-01-02,Zone A"), UnknownLayoutError, "no driver"),
    ],
)
def test_refused(write: Write, lines: tuple[str, ...], error: type[VigieError], words: str) -> None:
    with pytest.raises(error) as raised:
        one(write(*lines))
    assert words in str(raised.value)
    assert "covariates.csv" in str(raised.value)


def test_text_among_numbers_is_told_and_missing(write: Write) -> None:
    table = one(write("date;temperature;vent", "2024-01-01;5;x", "2024-01-02;mild;10", "2024-01-03;n/a;20"))
    assert np.isnan(table.frame.to_numpy()).tolist() == [[False, True], [True, False], [True, False]]
    assert [note.count for note in table.notes if note.kind == "unreadable_cells"] == [1, 1]
    assert "row 2, 'mild'" in str(table.notes[0].message)


def test_data_without_dates_and_days_without_end_are_refused() -> None:
    numbered = Dataset(pd.DataFrame({"value": [1.0]}, index=make_index(["a"], [0])), "kpi_matrix")
    with pytest.raises(DataError, match="no dates"):
        join_covariates(numbered, [], pd.Timestamp("2024-01-01"))
    many = data(tuple(f"site {number}" for number in range(100)), days=2)
    with pytest.raises(DataError, match="too many"):
        join_covariates(many, [], pd.Timestamp("2200-01-01"))
    with pytest.raises(InputError):
        read_covariates([])


# Drivers as arrays, and what if


def test_array_follows_the_order_asked_for(write: Write) -> None:
    table = one(write("date,region,temperature", "2024-02-26,Alsace,1", "2024-02-27,Alsace,2", "2024-02-27,Bretagne,3"))
    drivers = join_covariates(data(days=2), [table], pd.Timestamp("2024-02-27"), with_calendar=False)
    days = pd.DatetimeIndex(["2024-02-27", "2024-02-26", "1999-01-01"])
    found = drivers.to_array([EAST[1], "nobody", EAST[0]], days)[:, :, 0]
    np.testing.assert_array_equal(found, [[3, np.nan, 2], [np.nan, np.nan, 1], [np.nan] * 3])
    assert drivers.to_array([], days).shape == (3, 0, 1)


def test_what_if() -> None:
    drivers = join_covariates(data(strike=True), [], pd.Timestamp("2024-03-10"))
    before = drivers.digest
    on = drivers.frame.index.get_level_values("day") == pd.Timestamp("2024-03-08")
    strike = drivers.replace_column("strike", lambda column: column.mask(on, 1.0))
    assert [at(strike, entity, "2024-03-08", "strike") for entity in EAST] == [1, 1]
    assert strike.frame["strike"].sum() == 2
    warm = drivers.replace_column("temperature", 3).replace_column("temperature", lambda column: column + 2)
    assert (warm.frame["temperature"] == 5).all()
    same = warm.replace_column("temperature", warm.frame["temperature"].sample(frac=1, random_state=0))
    assert same.digest == warm.digest
    assert drivers.digest == before != strike.digest
    assert "temperature" not in drivers.columns
    with pytest.raises(DataError, match="accepted: one, or 28"):
        drivers.replace_column("strike", [1, 2, 3])


# Digests and the store


def test_digests_are_those_of_the_content(real: dict[str, CovariateTable], gas: Dataset, shared_data: Path) -> None:
    again = read_covariates([shared_data / "gas_france" / WEATHER])[0]
    assert again.digest == real[WEATHER].digest
    assert len({table.digest for table in real.values()}) == 4
    until = gas.time.max()
    assert join_covariates(gas, [again], until).digest == join_covariates(gas, [real[WEATHER]], until).digest
    assert (
        join_covariates(gas, [again], until).digest
        != join_covariates(gas, [again], until + pd.Timedelta(days=1)).digest
    )


def test_the_store_gives_back_what_it_was_given(tmp_path: Path, real: dict[str, CovariateTable], write: Write) -> None:
    other = one(write("date;place;região;x", "2024-02-26;1;2;cold", "2024-02-27;1;;5", "2024-02-28;2;3;6"))
    tables = [*real.values(), other]
    store = CovariateStore(tmp_path / "covariates")
    digest = store.save(tables)
    assert store.save(tables) == digest
    assert [path.name for path in (tmp_path / "covariates").iterdir()] == [digest]
    for table, back in zip(tables, store.load(digest), strict=True):
        pd.testing.assert_frame_equal(back.frame, table.frame)
        assert (back.kind, back.file, back.digest) == (table.kind, table.file, table.digest)
        assert [note.to_json() for note in back.notes] == [note.to_json() for note in table.notes]
    assert store.save(tables[:2]) != store.save(tables[1::-1]) != digest


@pytest.mark.parametrize("digest", ["0" * 64, "", "../covariates", "."])
def test_what_is_not_stored_is_said(tmp_path: Path, digest: str) -> None:
    (tmp_path / "covariates").mkdir()
    with pytest.raises(NotFoundError):
        CovariateStore(tmp_path / "covariates").load(digest)


def test_the_calendars_are_loaded_when_they_are_asked_for() -> None:
    code = (
        "import sys, core.data.covariates, core.storage.covariates; print({'holidays', 'vacances_scolaires_france'} & "
        "set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"
