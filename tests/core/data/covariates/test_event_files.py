"""Event files in any usual form: the marked days are read back, other days are days without the event."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.covariates import CovariateTable, read_covariates
from core.errors import UnknownLayoutError, UnreadableFileError

YEAR = pd.date_range("2023-01-01", "2023-12-31", name="day")
event_days = st.sets(st.integers(12, 340), min_size=3, max_size=40)
DATE_STYLES = ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%Y%m%d")


def read_lines(folder: Path, *lines: str, name: str = "events.csv") -> CovariateTable:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    [table] = read_covariates([path])
    return table


def list_marked(table: CovariateTable, column: str, place: str = "") -> list[pd.Timestamp]:
    values = table.frame.loc[place, column]
    return list(values.index[values > 0])


def list_kinds(table: CovariateTable) -> set[str]:
    return {note.kind for note in table.notes}


Write = Callable[[list[pd.Timestamp], str], list[str]]
FORMS: dict[str, tuple[Write, str]] = {
    "dates only": (lambda days, style: ["date", *(day.strftime(style) for day in days)], "event"),
    "dates only, header": (lambda days, style: ["jour_ferie", *(day.strftime(style) for day in days)], "holiday"),
    "names": (lambda days, style: ["date;name", *(f"{day.strftime(style)};Fair" for day in days)], "event"),
    "names of holidays": (
        lambda days, style: ["date;holiday", *(f"{day.strftime(style)};Noël" for day in days)],
        "holiday",
    ),
    "only ones": (lambda days, style: ["date;holiday", *(f"{day.strftime(style)};1" for day in days)], "holiday"),
    "ones in a free column": (
        lambda days, style: ["date;promo", *(f"{day.strftime(style)};1" for day in days)],
        "event: promo",
    ),
    "yes and no": (
        lambda days, style: [
            "date;strike",
            *(f"{day.strftime(style)};{'yes' if day in days else 'no'}" for day in YEAR),
        ],
        "strike",
    ),
    "crosses": (lambda days, style: ["date;grève", *(f"{day.strftime(style)};x" for day in days)], "strike"),
    "ranges": (
        lambda days, style: ["start;end", *(f"{day.strftime(style)};{day.strftime(style)}" for day in days)],
        "event",
    ),
    "ranges with names": (
        lambda days, style: ["von;bis;name", *(f"{day.strftime(style)};;Streik" for day in days)],
        "strike",
    ),
    "name or empty": (
        lambda days, style: ["date;event", *(f"{day.strftime(style)};{'Fair' if day in days else ''}" for day in YEAR)],
        "event",
    ),
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=12)
@given(numbers=event_days, style=st.sampled_from(DATE_STYLES))
def test_event_days_are_read_from_every_form(
    tmp_path_factory: pytest.TempPathFactory, form: str, numbers: set[int], style: str
) -> None:
    write, column = FORMS[form]
    # days after the twelfth of a month have one reading in every style
    days = [day for number in sorted(numbers) for day in [YEAR[number].replace(day=YEAR[number].day % 15 + 13)]]
    days = sorted(set(days))
    table = read_lines(tmp_path_factory.mktemp("events"), *write(days, style))
    assert list_marked(table, column) == days
    assert table.frame[column].isin([0, 1]).all()
    assert len(table.frame) == 365


@given(spans=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 50)), min_size=1, max_size=12))
def test_ranges_mark_every_day_between_both_ends(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]]
) -> None:
    rows = [f"{YEAR[first].date()},{YEAR[first + length].date()},Festival" for first, length in spans]
    table = read_lines(tmp_path_factory.mktemp("ranges"), "start,end,name", *rows)
    expected = sorted({YEAR[first + offset] for first, length in spans for offset in range(length + 1)})
    assert list_marked(table, "event") == expected


def test_frequent_names_get_an_effect_of_their_own(tmp_path: Path) -> None:
    days = pd.date_range("2023-01-02", periods=12, freq="W-MON")
    names = ["Market day"] * 6 + ["Cup final"] * 2 + ["Concert"] * 4
    table = read_lines(tmp_path, "date,name", *(f"{day.date()},{name}" for day, name in zip(days, names, strict=True)))
    assert table.kind == "events"
    assert table.columns == ["event", "event: Market day"]
    assert table.frame.sum().tolist() == [12, 6]
    assert {"absent_days", "named_events"} <= list_kinds(table)


def test_days_that_a_file_does_not_name_have_no_event_and_this_is_said(tmp_path: Path) -> None:
    table = read_lines(tmp_path, "date,holiday", "2023-05-01,1", "2024-12-25,1")
    assert table.kind == "holidays"
    assert len(table.frame) == 365 + 366
    assert table.frame["holiday"].sum() == 2
    [note] = [str(note.message) for note in table.notes if note.kind == "absent_days"]
    assert "2023-01-01 to 2024-12-31" in note


def test_weather_with_names_of_holidays_keeps_both(tmp_path: Path) -> None:
    rows = [f"{day.date()},{number % 20},{'Noël' if number == 5 else ''}" for number, day in enumerate(YEAR[:60])]
    table = read_lines(tmp_path, "date,temperature,holiday", *rows)
    assert set(table.columns) == {"temperature", "holiday"}
    assert table.frame["temperature"].tolist() == [number % 20 for number in range(60)]
    assert list_marked(table, "holiday") == [YEAR[5]]


def test_events_of_places_and_of_school_zones(tmp_path: Path) -> None:
    states = read_lines(tmp_path, "date,state,name", "2023-07-04,Ohio,Parade", "2023-08-04,Texas,Rodeo")
    assert states.places == ["Ohio", "Texas"]
    assert list_marked(states, "event", "Ohio") == [pd.Timestamp("2023-07-04")]
    zones = read_lines(tmp_path, "Date de début,Date de fin,Zones", "2023-02-11,2023-02-12,Zone A")
    assert (zones.kind, zones.places) == ("school_breaks", ["A"])
    assert zones.frame["school_break"].sum() == 2


@pytest.mark.parametrize(
    "rows", [("semaine,promo", "2023-W05,1", "2023-W20,1"), ("annee,semaine,promo", "2023,5,1", "2023,20,1")]
)
def test_weeks_count_for_their_seven_days(tmp_path: Path, rows: tuple[str, ...]) -> None:
    table = read_lines(tmp_path, *rows)
    expected = [*pd.date_range("2023-01-30", periods=7), *pd.date_range("2023-05-15", periods=7)]
    assert list_marked(table, "event: promo") == expected
    assert "weeks" in list_kinds(table)


def test_week_that_the_year_lacks_is_named_by_cell(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="row 2: '2023-W60' is not a week"):
        read_lines(tmp_path, "week,promo", "2023-W05,1", "2023-W60,1")


@pytest.mark.parametrize("lines", [("date,temperature", "2024-01-01,cold"), ("date,name", "2024-01-01,")])
def test_table_without_an_event_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises((UnreadableFileError, UnknownLayoutError)):
        read_lines(tmp_path, *lines)


def test_long_or_reversed_ranges_count_on_their_first_day(tmp_path: Path) -> None:
    table = read_lines(tmp_path, "start,end,name", "2023-03-01,2023-02-01,a", "2023-05-01,2033-05-01,b")
    assert list_marked(table, "event") == [pd.Timestamp("2023-03-01"), pd.Timestamp("2023-05-01")]
    assert {"end_before_start", "long_events"} <= list_kinds(table)
    assert np.isfinite(table.frame.to_numpy()).all()
