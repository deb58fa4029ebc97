"""Known events: holidays, school breaks, strikes, cold spells and clock changes as spans of days."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.covariates import CovariateTable
from core.data.dataset import DAY, Dataset, make_index
from core.data.known_events import build_event_table, list_calendar_events, select_events
from core.errors import DataError
from core.messages import Message


def make_days(entities: Sequence[str], start: str, days: int, zone: str = "") -> Dataset:
    times = pd.date_range(start, periods=days)
    index = make_index(np.repeat(list(entities), days), times.append([times] * (len(entities) - 1)))
    frame = pd.DataFrame({"load": 1.0}, index=index)
    return Dataset(frame, "demo", step=DAY, zone=zone)


def make_table(kind: str, column: str, values: dict[str, dict[str, float]]) -> CovariateTable:
    """Return a table of one column; `values` maps place → day → value."""
    frame = pd.concat(
        {place: pd.Series(days, dtype=float).rename(lambda day: pd.Timestamp(day)) for place, days in values.items()},
        names=["place", "day"],
    ).to_frame(column)
    return CovariateTable(kind, frame.sort_index(), f"{kind}.csv")


def list_kind(events: pd.DataFrame, kind: str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    rows = events[events["kind"] == kind].to_dict("records")
    return [
        (str(row["start"].date()), str((row["end"] - DAY).date()), str(row["label"]), row["entities"]) for row in rows
    ]


def test_holidays_and_school_breaks_of_french_regions() -> None:
    events = list_calendar_events(make_days(["Bretagne", "Île-de-France"], "2024-02-01", 120), language="fr")
    assert list_kind(events, "holiday") == [
        ("2024-04-01", "2024-04-01", "Lundi de Pâques", ()),
        ("2024-05-01", "2024-05-01", "Fête du Travail", ()),
        ("2024-05-08", "2024-05-09", "Fête de la Victoire; Ascension", ()),
        ("2024-05-20", "2024-05-20", "Lundi de Pentecôte", ()),
    ]
    breaks = list_kind(events, "school_break")
    assert [entities for *_, entities in breaks] == [("Île-de-France",), ("Bretagne",)] * 2
    assert len(list_kind(select_events(events), "school_break")) == 2  # overlapping zones are one event
    assert len(select_events(events, "Bretagne")) == len(events) - 2


def test_holidays_differ_by_entity() -> None:
    events = list_calendar_events(make_days(["Bayern", "Berlin"], "2024-05-01", 60), calendar="DE")
    assert ("2024-05-30", "2024-05-30") in [(start, end) for start, end, _, _ in list_kind(events, "holiday")]
    [corpus_christi] = [row for row in list_kind(events, "holiday") if row[0] == "2024-05-30"]
    assert corpus_christi[3] == ("Bayern",)


def test_strikes_tell_share_of_staff() -> None:
    strikes = {"": {"2024-02-01": 0.0, "2024-02-05": 1.0, "2024-02-06": 1.0, "2024-02-08": 1.0}}
    rates = {"": {"2024-02-01": 0.0, "2024-02-05": 12.34, "2024-02-06": 20.0, "2024-02-08": np.nan}}
    table = make_table("strikes", "strike", strikes)
    table = CovariateTable(
        "strikes", table.frame.join(make_table("strikes", "strike_rate", rates).frame), "strikes.csv"
    )
    events = list_calendar_events(make_days(["a", "b"], "2024-02-01", 20), [table], calendar="none")
    assert list_kind(events, "strike") == [
        ("2024-02-05", "2024-02-06", "up to 20 % of the staff", ()),
        ("2024-02-08", "2024-02-08", "None", ()),
    ]


def test_named_events_are_told_by_their_name() -> None:
    frame = pd.DataFrame(
        {"event": [1.0, 1.0, 1.0], "event: sale": [0.0, 1.0, 1.0]},
        pd.MultiIndex.from_product(
            [[""], pd.to_datetime(["2024-02-02", "2024-02-10", "2024-02-11"])], names=["place", "day"]
        ),
    )
    table = CovariateTable("events", frame, "events.csv")
    events = list_calendar_events(make_days(["a"], "2024-02-01", 20), [table], calendar="none")
    assert list_kind(events, "event") == [
        ("2024-02-02", "2024-02-02", "None", ()),
        ("2024-02-10", "2024-02-11", "sale", ()),
    ]


@pytest.mark.parametrize("days", [200, 800])
def test_cold_spells_need_year_of_temperatures(days: int) -> None:
    times = pd.date_range("2022-01-01", periods=days)
    temperatures = pd.Series(10.0 - 8.0 * np.cos(2 * np.pi * times.dayofyear / 365), times)
    temperatures["2022-02-10":"2022-02-14"] = -9.0  # type: ignore[misc]
    temperatures["2022-03-10":"2022-03-11"] = -9.0  # type: ignore[misc]  # two days are no spell
    table = make_table("weather", "temperature", {"": {str(day): value for day, value in temperatures.items()}})
    spells = list_kind(list_calendar_events(make_days(["a", "b"], "2022-01-01", days), [table], "none"), "cold_spell")
    if days < 365:
        assert spells == []
        return
    assert ("2022-02-10", "2022-02-14", "mean of the coldest day -9 °C", ()) in spells
    assert "2022-03-10" not in [start for start, *_ in spells]


def test_clock_changes_follow_zone() -> None:
    zones = {"Europe/Paris": ["2024-03-31 02:00:00"], "UTC": [], "": []}
    for zone, expected in zones.items():
        events = list_calendar_events(make_days(["a"], "2024-03-01", 60, zone), calendar="none")
        assert [str(start) for start in events.loc[events["kind"] == "clock_change", "start"]] == expected


def test_known_events_need_dates() -> None:
    index = make_index(["a", "a"], pd.Index([0, 1]))
    with pytest.raises(DataError, match="no dates"):
        list_calendar_events(Dataset(pd.DataFrame({"load": [1.0, 2.0]}, index), "demo"))


@st.composite
def draw_tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        start = pd.Timestamp("2024-01-01") + draw(st.integers(0, 40)) * DAY
        label = draw(st.sampled_from(["x", "y", ""]))
        rows.append(
            {
                "start": start,
                "end": start + draw(st.integers(1, 6)) * DAY,
                "kind": draw(st.sampled_from(["holiday", "strike", "note"])),
                "label": Message(label) if label else None,
                "entities": draw(st.sampled_from([(), ("a",), ("b",), ("a", "b")])),
            }
        )
    return build_event_table(rows)


def list_event_days(events: pd.DataFrame, kind: str) -> set[pd.Timestamp]:
    rows = events[events["kind"] == kind].itertuples()
    return {day for row in rows for day in pd.date_range(row.start, row.end, inclusive="left")}


@given(draw_tables())
def test_merged_events_cover_same_days(events: pd.DataFrame) -> None:
    merged = select_events(events)
    for kind in ("holiday", "strike"):
        assert list_event_days(merged, kind) == list_event_days(events, kind)
        part = merged[merged["kind"] == kind]
        assert (part["start"].to_numpy()[1:] >= part["end"].to_numpy()[:-1]).all()
    assert (merged["kind"] == "note").sum() == (events["kind"] == "note").sum()
    both = {*select_events(events, "a").index, *select_events(events, "b").index}
    assert both == set(events.index)


@given(draw_tables(), st.integers(-3, 45), st.integers(1, 20))
def test_selected_events_touch_span(events: pd.DataFrame, first_day: int, days: int) -> None:
    start = pd.Timestamp("2024-01-01") + first_day * DAY
    span = (start, start + days * DAY)
    chosen = select_events(events, "a", span)
    inside = set(pd.date_range(*span, inclusive="left"))
    for kind in ("holiday", "strike", "note"):
        assert list_event_days(chosen, kind) & inside == list_event_days(select_events(events, "a"), kind) & inside
    assert all(inside & set(pd.date_range(row.start, row.end, inclusive="left")) for row in chosen.itertuples())
