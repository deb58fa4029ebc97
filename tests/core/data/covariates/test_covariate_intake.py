"""Covariate files in the forms of data files: one truth, written in many ways, is read back or refused with a reason.

The truth covers the clock change of 31 March 2024, and days that decide the order of day and month.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.covariates import CovariateTable, read_covariates
from core.errors import InputError, UnknownLayoutError, UnreadableFileError

DAYS = pd.date_range("2024-03-25", "2024-04-06", name="day")
TEMPERATURES = np.arange(len(DAYS)) + 4.5
PARIS = "Europe/Paris"
LOCAL_HOURS = pd.date_range("2024-03-25", "2024-04-07", freq="h", tz=PARIS, inclusive="left")
DAY_OF_HOUR = LOCAL_HOURS.tz_localize(None).normalize()
HOURLY = pd.Series(TEMPERATURES, DAYS).reindex(DAY_OF_HOUR).to_numpy() + np.where(LOCAL_HOURS.hour == 12, 2.3, -0.1)

FRENCH_MONTHS = {3: "mars", 4: "avril"}
SERIAL_DAYS = (DAYS - pd.Timestamp("1899-12-30")).days
DATE_FORMS: dict[str, list[object]] = {
    "ISO": list(DAYS.strftime("%Y-%m-%d")),
    "French": list(DAYS.strftime("%d/%m/%Y")),
    "US": list(DAYS.strftime("%m/%d/%Y")),
    "German": list(DAYS.strftime("%d.%m.%y")),
    "named month": [f"{day.day} {FRENCH_MONTHS[day.month]} {day.year}" for day in DAYS],
    "compact": list(DAYS.strftime("%Y%m%d")),
    "with midnight": list(DAYS.strftime("%Y-%m-%d 00:00:00")),
    "one offset": list(DAYS.strftime("%Y-%m-%dT00:00:00+02:00")),
    "far offset": list(DAYS.strftime("%Y-%m-%dT00:00:00-11:00")),
    "local offsets": [day.isoformat() for day in DAYS.tz_localize(PARIS)],
    "UTC": list(DAYS.tz_localize(PARIS).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")),
    "UTC midnight": list(DAYS.strftime("%Y-%m-%dT00:00Z")),
    "epoch s": [int(day.timestamp()) for day in DAYS.tz_localize(PARIS)],
    "epoch ms": [int(day.timestamp()) * 1000 for day in DAYS.tz_localize(PARIS)],
    "Excel": list(SERIAL_DAYS),
}

HOUR_FORMS: dict[str, pd.DataFrame] = {
    "offset": pd.DataFrame({"date": LOCAL_HOURS.map(lambda hour: hour.isoformat())}),
    "UTC": pd.DataFrame({"date": LOCAL_HOURS.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")}),
    "epoch": pd.DataFrame({"timestamp": LOCAL_HOURS.map(lambda hour: int(hour.timestamp()))}),
    "no zone": pd.DataFrame({"date": LOCAL_HOURS.strftime("%d/%m/%Y %H:%M")}),
    "date and hour": pd.DataFrame({"date": LOCAL_HOURS.strftime("%Y-%m-%d"), "hour": LOCAL_HOURS.hour}),
    "date and clock": pd.DataFrame({"date": LOCAL_HOURS.strftime("%d/%m/%Y"), "heure": LOCAL_HOURS.strftime("%H:%M")}),
    "hour ending": pd.DataFrame({"date": LOCAL_HOURS.strftime("%Y-%m-%d"), "hour_ending": LOCAL_HOURS.hour + 1}),
    "parts": pd.DataFrame(
        {"year": LOCAL_HOURS.year, "month": LOCAL_HOURS.month, "day": LOCAL_HOURS.day, "hour": LOCAL_HOURS.hour}
    ),
}


@pytest.fixture
def write_text(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes text to a file and returns its path."""

    def write(text: str, name: str = "weather.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def read_one(path: Path) -> CovariateTable:
    [table] = read_covariates([path])
    return table


def list_notes(table: CovariateTable) -> dict[str, str]:
    return {note.kind: str(note.message) for note in table.notes}


def assert_truth(table: CovariateTable, place: str = "", column: str = "temperature") -> None:
    values = table.frame.loc[place, column]
    assert list(values.index) == list(DAYS)
    np.testing.assert_allclose(values, TEMPERATURES, rtol=1e-12)


# Times


@pytest.mark.parametrize("form", DATE_FORMS)
@pytest.mark.parametrize("decimal_mark", [".", ","])
def test_day_is_local_day_in_every_form(write_text: Callable[..., Path], form: str, decimal_mark: str) -> None:
    rows = pd.DataFrame({"date": DATE_FORMS[form], "temperature": TEMPERATURES})
    table = read_one(write_text(rows.to_csv(index=False, sep=";", decimal=decimal_mark)))
    assert_truth(table)
    assert not {"ambiguous_dates", "aggregated_rows", "conflicting_rows"} & list_notes(table).keys()
    is_zoned = form in ("one offset", "far offset", "local offsets", "UTC", "UTC midnight", "epoch s", "epoch ms")
    assert ("time_zone" in list_notes(table)) == is_zoned


@pytest.mark.parametrize("form", HOUR_FORMS)
def test_hours_are_averaged_over_local_days(write_text: Callable[..., Path], form: str) -> None:
    """31 March has 23 hours; its mean is that of 23 hours in every form."""
    rows = HOUR_FORMS[form].assign(temperature=HOURLY)
    table = read_one(write_text(rows.to_csv(index=False)))
    expected = pd.Series(HOURLY).groupby(DAY_OF_HOUR).mean()
    np.testing.assert_allclose(table.frame.loc[""].loc[expected.index, "temperature"], expected, rtol=1e-12)
    assert list(table.days) == list(DAYS)
    assert list_notes(table)["aggregated_rows"].startswith("weather.csv: 311 rows were aggregated to 13")
    assert "conflicting_rows" not in list_notes(table)


def test_repeated_hour_of_autumn_is_no_conflict(write_text: Callable[..., Path]) -> None:
    hours = pd.date_range("2024-10-27", "2024-10-28", freq="h", tz=PARIS, inclusive="left")
    rows = pd.DataFrame({"date": [hour.isoformat() for hour in hours], "temperature": np.arange(25.0)})
    table = read_one(write_text(rows.to_csv(index=False)))
    assert table.frame["temperature"].tolist() == [12.0]
    assert "conflicting_rows" not in list_notes(table)
    assert "Europe/Paris" in list_notes(table)["time_zone"]


def test_parquet_with_zone_and_json(tmp_path: Path) -> None:
    rows = pd.DataFrame({"date": LOCAL_HOURS, "temperature": HOURLY})
    for zone in (PARIS, "UTC"):
        path = tmp_path / "weather.parquet"
        rows.assign(date=rows["date"].dt.tz_convert(zone)).to_parquet(path)
        assert list(read_one(path).days) == list(DAYS)
    path = tmp_path / "weather.json"
    path.write_text(
        pd.DataFrame({"date": DATE_FORMS["local offsets"], "temperature": TEMPERATURES}).to_json(orient="records")
    )
    assert_truth(read_one(path))


def test_date_named_so_is_preferred_to_other_dates(write_text: Callable[..., Path]) -> None:
    """The open data of weather has an identifier that looks like a timestamp of another zone."""
    rows = pd.DataFrame({"ID": [f"{day:%Y-%m-%d}T00:00:00-11" for day in DAYS], "Date": DATE_FORMS["ISO"]})
    table = read_one(write_text(rows.assign(TMoy=TEMPERATURES).to_csv(index=False)))
    assert_truth(table)
    assert "time_zone" not in list_notes(table)


def test_days_in_parts_and_months(write_text: Callable[..., Path]) -> None:
    parts = pd.DataFrame({"annee": DAYS.year, "mois": DAYS.month, "jour": DAYS.day, "temp": TEMPERATURES})
    assert_truth(read_one(write_text(parts.to_csv(index=False))))
    months = "mois,temperature\n2024-01,4\n2024-02,5\n2024-03,6\n"
    assert "for these 3 days only" in list_notes(read_one(write_text(months)))["monthly_dates"]


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (("2024-03-01", "2024-13-01"), "column 'date', row 2: '2024-13-01' is not a date"),
        (("2024-03-01", "1724-03-02"), "column 'date', row 2: the date 1724-03-02 is not accepted"),
        (("13/01/2024", "01/13/2024"), "some dates start with the day, others with the month"),
    ],
)
def test_bad_date_is_named_by_cell(write_text: Callable[..., Path], dates: tuple[str, ...], message: str) -> None:
    text = "date,temperature\n" + "".join(f"{date},5\n" for date in dates)
    with pytest.raises(UnreadableFileError) as raised:
        read_one(write_text(text))
    assert "weather.csv" in str(raised.value)
    assert message in str(raised.value)


def test_bad_part_of_date_is_named_by_cell(write_text: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="row 2: '2024-2-30' is not accepted as day"):
        read_one(write_text("year,month,day,temp\n2024,2,29,5\n2024,2,30,6\n"))
    with pytest.raises(UnreadableFileError, match="column 'date_de_fin', row 3: 'soon' is not a date"):
        read_one(
            write_text("date_de_debut,date_de_fin,motif\n2024-01-01,,a\n2024-01-02,2024-01-03,b\n2024-01-04,soon,c\n")
        )


def test_dates_with_two_readings_are_told(write_text: Callable[..., Path]) -> None:
    french = read_one(write_text("date;temperature\n03/04/2024;5\n04/04/2024;6\n"))
    assert "were read with the day first" in list_notes(french)["ambiguous_dates"]
    days = ("01/10/2024", "01/11/2024", "01/12/2024", "02/01/2024", "02/02/2024")  # month first: they go on day by day
    american = read_one(write_text("date;temperature\n" + "".join(f"{day};5\n" for day in days)))
    assert "were read with the month first" in list_notes(american)["ambiguous_dates"]
    assert american.days[-1] == pd.Timestamp("2024-02-02")
    strikes = read_one(write_text("date_de_debut;date_de_fin;motif\n03/04/2024;04/04/2024;a\n"))
    assert [note.kind for note in strikes.notes] == ["ambiguous_dates"]
    assert strikes.frame["strike"].tolist() == [1, 1]


# Tables


def test_preamble_units_row_and_footer(write_text: Callable[..., Path]) -> None:
    lines = [
        f"{date};{(value * 1.8 + 32):.6f};x" for date, value in zip(DATE_FORMS["French"], TEMPERATURES, strict=True)
    ]
    text = "\n".join(["Météo;;", "", "Jour;Température;Qualité", ";°F;", *lines, "Source : relevé;;"])
    table = read_one(write_text(text, encoding="cp1252"))
    assert_truth(table)
    assert {"skipped_lines", "skipped_footer", "converted_unit", "ignored_columns"} <= list_notes(table).keys()


def test_workbook_with_several_sheets(tmp_path: Path) -> None:
    path = tmp_path / "renamed.csv"
    halves = [slice(0, 6), slice(6, None)]
    with pd.ExcelWriter(path.with_suffix(".xlsx"), engine="openpyxl") as writer:
        pd.DataFrame({"about": ["weather of France"]}).to_excel(writer, sheet_name="cover", index=False)
        for number, half in enumerate(halves):
            rows = pd.DataFrame({"date": DAYS[half], "T moy (°C)": TEMPERATURES[half]})
            rows.rename(columns={"T moy (°C)": "TMoy (°C)"}).to_excel(writer, sheet_name=f"part {number}", index=False)
    path.with_suffix(".xlsx").rename(path)
    table = read_one(path)
    assert_truth(table)
    assert {"joined_sheets", "ignored_sheets", "misleading_name"} <= list_notes(table).keys()


def test_name_of_file_says_nothing(write_text: Callable[..., Path]) -> None:
    text = pd.DataFrame({"date": DATE_FORMS["ISO"], "temperature": TEMPERATURES}).to_csv(index=False)
    frames = [read_one(write_text(text, name)).frame for name in ("weather.csv", "strikes.txt", "holidays")]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])


@pytest.mark.parametrize(
    ("headers", "covariate"),
    [
        (("temperature Bretagne", "temperature Corse"), "temperature"),
        (("Bretagne_tmin", "Corse_tmin"), "temperature_min"),
        (("Bretagne (°C)", "Corse (°C)"), "temperature"),
        (("Bretagne [m/s]", "Corse [m/s]"), "wind"),
        (("vent Bretagne (km/h)", "vent Corse (km/h)"), "wind"),
    ],
)
def test_column_per_region(write_text: Callable[..., Path], headers: tuple[str, str], covariate: str) -> None:
    rows = pd.DataFrame({"date": DATE_FORMS["ISO"], headers[0]: TEMPERATURES, headers[1]: TEMPERATURES + 1})
    table = read_one(write_text(rows.to_csv(index=False)))
    assert (table.kind, table.places, table.columns) == ("weather", ["bretagne", "corse"], [covariate])
    factor = 3.6 if "m/s" in headers[0] else 1.0
    np.testing.assert_allclose(table.frame.loc["corse", covariate], factor * (TEMPERATURES + 1))
    np.testing.assert_allclose(table.frame.loc["bretagne", covariate], factor * TEMPERATURES)


def test_column_per_former_region_counts_once(write_text: Callable[..., Path]) -> None:
    text = "date,tmin Alsace,tmax Alsace,tmin Lorraine,tmax Lorraine\n2024-03-01,0,10,2,12\n2024-03-02,1,11,,\n"
    table = read_one(write_text(text))
    assert table.places == ["grand est"]
    assert table.frame["temperature"].tolist() == [6, 6]
    assert table.frame["temperature_max"].tolist() == [11, 11]


def test_regions_without_quantity_are_refused(write_text: Callable[..., Path]) -> None:
    with pytest.raises(
        UnknownLayoutError, match="Bretagne, Corse are regions or entities, but nothing says what was measured"
    ):
        read_one(write_text("date,Bretagne,Corse\n2024-03-01,5,6\n"))


# Rows


def test_equal_rows_are_dropped_and_different_rows_told(write_text: Callable[..., Path]) -> None:
    text = "date,region,temperature\n2024-03-01,Corse,4\n2024-03-01,Corse,4\n2024-03-02,Corse,5\n2024-03-02,Corse,8\n"
    table = read_one(write_text(text))
    assert table.frame["temperature"].tolist() == [4, 6.5]
    assert "1 row equals an earlier row" in list_notes(table)["repeated_rows"]
    assert (
        "1 day or time has several rows with different values (2024-03-02 Corse)"
        in (list_notes(table)["conflicting_rows"])
    )


def test_rows_of_several_stations_are_places(write_text: Callable[..., Path]) -> None:
    text = "date,station,temperature\n2024-03-01,Brest,4\n2024-03-01,Nice,4\n2024-03-01,Metz,10\n"
    table = read_one(write_text(text))
    assert table.frame["temperature"].to_dict() == {
        (place, pd.Timestamp("2024-03-01")): value for place, value in (("Brest", 4), ("Metz", 10), ("Nice", 4))
    }
    assert not table.notes


def test_school_zones_with_two_rows_for_day_are_told(write_text: Callable[..., Path]) -> None:
    table = read_one(write_text("date,vacances_zone_a\n2024-02-20,0\n2024-02-20,1\n2024-02-21,1\n"))
    assert table.frame["school_break"].tolist() == [1, 1]
    assert "different values (2024-02-20 A)" in list_notes(table)["conflicting_rows"]


# Numbers and units


@pytest.mark.parametrize(
    ("header", "scale", "summand", "kinds"),
    [
        ("temperature", 1, 0, set()),
        ("Temp. moy. [degC]", 1, 0, set()),
        ("temp_f", 1.8, 32, {"converted_unit"}),
        ("T2M (K)", 1, 273.15, {"converted_unit"}),
        ("temperature_2m (°F)", 1.8, 32, {"converted_unit"}),
        ("temperature (Réaumur)", 1, 0, {"unknown_unit"}),
    ],
)
def test_unit_of_temperature(
    write_text: Callable[..., Path], header: str, scale: float, summand: float, kinds: set[str]
) -> None:
    rows = pd.DataFrame({"date": DATE_FORMS["ISO"], header: TEMPERATURES * scale + summand})
    table = read_one(write_text(rows.to_csv(index=False)))
    assert_truth(table)
    assert list_notes(table).keys() == kinds


def test_unit_in_cells_and_implausible_numbers(write_text: Callable[..., Path]) -> None:
    table = read_one(write_text("date,temperature,vent\n2024-03-01,41 °F,10 m/s\n2024-03-02,50 °F,20 m/s\n"))
    np.testing.assert_allclose(table.frame.to_numpy(), [[5, 36], [10, 72]])
    kelvin = read_one(write_text("date,temperature\n2024-03-01,280\n2024-03-02,281\n"))
    assert "2 temperatures are not possible in °C" in list_notes(kelvin)["implausible_temperature"]


@pytest.mark.parametrize("group", [" ", "\u202f", "."])
def test_thousands_and_decimal_comma(write_text: Callable[..., Path], group: str) -> None:
    table = read_one(write_text(f"date;prix\n2024-03-01;1{group}234,5\n2024-03-02;987,25\n"))
    assert table.frame["prix"].tolist() == [1234.5, 987.25]
    assert (table.kind, list_notes(table)) == ("other", {})


def test_number_with_two_readings_is_told(write_text: Callable[..., Path], tmp_path: Path) -> None:
    assert "ambiguous_numbers" in list_notes(read_one(write_text("date;prix\n2024-03-01;1,234\n2024-03-02;1,250\n")))
    path = tmp_path / "prices.xlsx"
    pd.DataFrame({"date": DAYS[:2], "price": ["1,234", "1,250"]}).to_excel(path, index=False)
    assert "ambiguous_numbers" in list_notes(read_one(path))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("oui", "non", ""), [1, 0, np.nan]),
        (("O", "N", "O"), [1, 0, 1]),
        (("x", "", "X"), [1, 0, 1]),
        (("True", "False", "True"), [1, 0, 1]),
        (("1", "0", "2"), [1, 0, 1]),
    ],
)
def test_flags(write_text: Callable[..., Path], cells: tuple[str, ...], expected: list[float]) -> None:
    rows = "".join(f"{day:%Y-%m-%d},{cell},1\n" for day, cell in zip(DAYS, cells, strict=False))
    table = read_one(write_text("date,férié,temperature\n" + rows))
    np.testing.assert_array_equal(table.frame["holiday"], expected)


def test_names_of_holidays_are_flags(write_text: Callable[..., Path]) -> None:
    table = read_one(write_text("date,holiday\n2024-12-24,\n2024-12-25,Noël\n2024-12-26,\n"))
    assert (table.kind, table.frame["holiday"].sum()) == ("holidays", 1)
    assert table.frame.loc[("", pd.Timestamp("2024-12-25")), "holiday"] == 1


# Nothing is dropped in silence


def test_empty_column_is_told(write_text: Callable[..., Path]) -> None:
    table = read_one(write_text("date,temperature,vent,remark\n2024-03-01,5,,a\n2024-03-02,6,,b\n"))
    assert table.columns == ["temperature"]
    assert "vent" in list_notes(table)["empty_columns"]
    assert "remark" in list_notes(table)["ignored_columns"]


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("date,a,b\n2024-03-01,x,\n2024-03-02,y,\n", ("a (text, row 1: 'x')", "b (empty)", "Accepted columns")),
        ("date,vent,temp\n2024-03-01,fort,\n", ("vent (text, row 1: 'fort')", "temp (empty)", "Accepted: 5")),
        ("date,nom_jour_ferie\n2024-03-01,\n", ("nom_jour_ferie (empty)",)),
        ("station,temp\nBrest,5\n", ("no column of dates was found among station, temp", "Accepted names")),
    ],
)
def test_file_without_covariate_is_refused_with_reasons(
    write_text: Callable[..., Path], text: str, reasons: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as raised:
        read_one(write_text(text))
    assert all(reason in str(raised.value) for reason in ("weather.csv", *reasons)), str(raised.value)


CELLS = st.sampled_from(["5", "5,5", "-999", "", "n/a", "cold", "1 234,5", "oui", "12 °C", "2024"])


@given(
    form=st.sampled_from(sorted(DATE_FORMS)),
    cells=st.lists(st.tuples(CELLS, CELLS), min_size=len(DAYS), max_size=len(DAYS)),
    names=st.lists(
        st.sampled_from(["temperature", "vent (m/s)", "férié", "prix", "note"]), min_size=2, max_size=2, unique=True
    ),
)
def test_every_column_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, form: str, cells: list[tuple[str, str]], names: list[str]
) -> None:
    """A column is a covariate of the table, or a note or the error names it."""
    path = tmp_path_factory.mktemp("weather") / "weather.csv"
    rows = pd.DataFrame(cells, columns=names)
    rows.insert(0, "date", DATE_FORMS[form])
    rows.to_csv(path, index=False, sep=";")
    try:
        table = read_one(path)
        told, columns = " ".join(str(note.message) for note in table.notes), table.columns
    except InputError as error:
        told, columns = str(error), []
    covariates = {"temperature": "temperature", "vent (m/s)": "wind", "férié": "holiday"}
    for name in names:
        assert covariates.get(name, name) in columns or name in told
    assert not columns or table.kind == "holidays" or list(table.days) == list(DAYS)
