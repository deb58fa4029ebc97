"""Figures of watches: the numbers that they draw, and texts that are no markup."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.figures.series import list_series
from core.operations.watching.figures import MAX_LINES, SEVERITY_COLOURS, draw_incident_calendar, draw_replay
from core.operations.watching.replay_alarms import KnownSpans, ReplayedRows, tabulate_replay
from core.operations.watching.replay_result import INCIDENT_COLUMNS, REFIT_COLUMNS, Replay, ReplaySpec
from core.watches.incident import Incident

START = datetime(2024, 3, 1, tzinfo=UTC)


def make_incident(entity: str, day: float, days: float = 0, severity: int = 0, **values: Any) -> Incident:
    start = START + timedelta(days=day)
    end = start + timedelta(days=days)
    return Incident(watch="load", entity=entity, start=start, end=end, peak_at=start, severity=severity, **values)


# ---- calendar ------------------------------------------------------------------------------------------------------


def read_calendar(incidents: list[Incident], days: int, zone: str = "UTC") -> tuple[list[str], Any, Any]:
    """Return the names of the lines, the numbers of incidents and the severities."""
    [cells] = draw_incident_calendar(incidents, START, START + timedelta(days=days), zone).data
    counts = [[text if text != "" else np.nan for text in line] for line in cells.text]
    return list(cells.y), np.array(counts, dtype=float).reshape(-1, len(cells.x)), np.array(cells.z, dtype=float)


def test_calendar_counts_incidents_and_tells_the_worst() -> None:
    incidents = [
        make_incident("north", 1, 2, severity=1),
        make_incident("north", 2.2, severity=3),
        make_incident("south", 0, severity=2),
    ]
    names, counts, severities = read_calendar(incidents, 6)
    assert names == ["north", "south"]
    assert np.array_equal(counts[0], [np.nan, 1, 2, 1, np.nan, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(severities[0], [np.nan, 1, 3, 1, np.nan, np.nan, np.nan], equal_nan=True)
    assert severities[1, 0] == 2


def test_days_of_the_calendar_are_those_of_the_zone() -> None:
    late = [make_incident("north", 23.5 / 24)]
    assert np.isnan(read_calendar(late, 3, "Europe/Paris")[1][0, 0])
    assert read_calendar(late, 3, "UTC")[1][0, 0] == 1


def test_long_calendar_has_weeks_from_monday() -> None:
    figure = draw_incident_calendar([make_incident("north", 10, 30)], START, START + timedelta(days=180))
    days = pd.DatetimeIndex(figure.data[0].x)
    assert (days.dayofweek == 0).all()
    assert (np.diff(days) == np.timedelta64(7, "D")).all()
    assert sum(text for text in figure.data[0].text[0] if text) == 5  # 11 March to 10 April touch five weeks


def test_calendar_of_many_entities_ends_with_the_others() -> None:
    incidents = [make_incident(f"e{number:02d}", 1, severity=number % 4) for number in range(50)]
    names, counts, _ = read_calendar(incidents, 6)
    assert len(names) == MAX_LINES
    assert names[-1] == "other entities"
    assert np.nansum(counts) == 50


def test_calendar_outside_and_without_incidents() -> None:
    assert read_calendar([make_incident("north", -10), make_incident("north", 30)], 6)[0] == []
    assert read_calendar([make_incident("north", -10, 100)], 6)[1].shape == (1, 7)
    names, _, _ = read_calendar([make_incident("", 1, kind="no data")], 6)
    assert names == ["no data"]


def test_names_of_entities_are_no_markup() -> None:
    names, _, _ = read_calendar([make_incident("<b>north</b>" + "x" * 100, 1)], 6)
    assert names[0].startswith("&lt;b&gt;north")
    assert names[0].endswith("…")


def test_severities_differ_by_lightness() -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    levels = [
        np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) @ weights for colour in SEVERITY_COLOURS
    ]
    assert (np.diff(levels) < -25).all()


def test_numbers_of_the_calendar_can_be_read_as_a_table() -> None:
    figure = draw_incident_calendar([make_incident("north", 1, 1)], START, START + timedelta(days=6))
    [series] = list_series(figure)
    assert series.name == "north"
    assert series.values.tolist() == [1.0, 1.0]


# ---- replay --------------------------------------------------------------------------------------------------------


def make_replay(thresholds: tuple[float, ...] = (3.0,)) -> Replay:
    """Return a replay of two entities with one fault, and incidents at hours 10, 50 and 90 of the first."""
    hours = 100
    instants = pd.date_range("2024-03-30", periods=hours, freq="h")
    scores = np.ones(hours)
    scores[[10, 50, 51, 90]] = [5.0, 4.0, 9.0, 3.5]
    parts = [
        pd.DataFrame({"entity": entity, "instant": instants, "score": scores * factor})
        for entity, factor in (("north", 1.0), ("south", 0.5))
    ]
    rows = pd.concat(parts, ignore_index=True)
    limits = np.resize(np.repeat(thresholds, hours // len(thresholds)), hours)
    rows = rows.assign(threshold=np.tile(limits, 2), is_anomalous=False)
    step = pd.Timedelta(hours=1)
    replayed = ReplayedRows.from_table(rows, step)
    spans = pd.DataFrame({"entity": ["north"], "start": instants[[49]], "end": instants[[51]], "is_true": [True]})
    known = KnownSpans.from_table(spans, replayed, is_complete=True)
    refits = pd.DataFrame(
        [(instants[0], 100, True, "first"), (instants[50], 100, True, "better"), (instants[80], 100, False, "worse")],
        columns=list(REFIT_COLUMNS),
    )
    return Replay(
        ReplaySpec(),
        rows=rows,
        incidents=pd.DataFrame(columns=list(INCIDENT_COLUMNS)),
        thresholds=tabulate_replay(replayed, known),
        faults=pd.DataFrame(),
        spans=spans,
        refits=refits,
        threshold=replayed.threshold,
        step_seconds=3600.0,
        zone="Europe/Paris",
        truth="labels",
    )


def test_replay_draws_incidents_by_what_is_known() -> None:
    figure = draw_replay(make_replay())
    series = {curve.name: curve for curve in list_series(figure)}
    assert series["true alarm"].values.tolist() == [9.0]
    assert sorted(series["false alarm"].values) == [3.5, 5.0]
    assert series["threshold"].values.tolist() == [3.0]
    assert pd.Timestamp(series["true alarm"].places[0]) == pd.Timestamp("2024-04-01 05:00")  # 03:00 UTC in summer
    assert len(series["retraining"].places) == 1  # the first fit is none, and a model that stays neither
    assert series["known fault"].places[0] < series["true alarm"].places[0]


@pytest.mark.parametrize(("threshold", "count"), [(100.0, 0), (4.5, 2), (0.9, 1)])
def test_replay_draws_incidents_of_the_slider(threshold: float, count: int) -> None:
    figure = draw_replay(make_replay(), threshold, entity="north")
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in marks) == count


def test_replay_draws_the_threshold_of_each_model() -> None:
    figure = draw_replay(make_replay((2.0, 6.0)), entity="north")
    [limits] = [trace for trace in figure.data if trace.name == "threshold"]
    assert sorted(set(limits.y)) == [2.0, 6.0]


def test_replay_draws_known_events() -> None:
    events = pd.DataFrame(
        {
            "start": [pd.Timestamp("2024-04-01")],
            "end": [pd.Timestamp("2024-04-02")],
            "kind": ["holiday"],
            "text": ["Easter"],
        }
    )
    figure = draw_replay(make_replay(), events=events)
    assert "public holiday" in {trace.name for trace in figure.data}
