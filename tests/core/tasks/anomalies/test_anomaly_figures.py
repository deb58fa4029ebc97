"""Figures of a detection: focus and context, the linked views of an incident, the calendar."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_index
from core.figures.style import PALETTE
from core.tasks.anomalies.calendar_figure import draw_calendar_map
from core.tasks.anomalies.incident_figure import draw_incident
from core.tasks.anomalies.timeline import MAX_FOCUS_ENTITIES, choose_focus, draw_timeline, shorten_names
from tests.support.explained_profiles import HOURS, explain, make_profiles


def make_rows(entities: int, rows: int, columns: int, step: str | None) -> Dataset:
    """Return noise with one high row per entity; without a step, the rows have numbers instead of dates."""
    random = np.random.default_rng(1)
    values = random.normal(10, 1, (entities * rows, columns))
    values[rows // 2 :: rows] *= 4
    names = np.repeat([f"entity {number:03d}" for number in range(entities)], rows)
    times = np.arange(rows) if step is None else pd.date_range("2024-01-01", periods=rows, freq=step)
    index = make_index(names, np.tile(times, entities) if step is None else pd.DatetimeIndex(np.tile(times, entities)))
    frame = pd.DataFrame(values, index, [f"k{number}" for number in range(columns)])
    return Dataset(frame, "demo", unit="MW", step=None if step is None else pd.Timedelta(step))


@pytest.mark.parametrize("entities", [1, 2, 5, 200])
def test_timeline_colours_chosen_entities_and_greys_others(entities: int) -> None:
    """However many entities there are: a line for each in focus with its name, and one grey trace for the others."""
    dataset = make_rows(entities, 60, 1, "1h")
    detection = explain(dataset, "entity", 0.02)[0]
    chosen = choose_focus(detection, dataset.entities)
    figure = draw_timeline(dataset, detection, focus=chosen)
    lines = [trace for trace in figure.data if trace.mode == "lines" and trace.line.color in PALETTE]
    assert len(lines) == len(chosen) <= 3
    assert len(figure.layout.annotations) == (len(chosen) if entities > 1 else 0)
    assert len(figure.data) <= len(chosen) + 1 + 1 + 4  # others, rows of incidents, severities
    all_of_them = draw_timeline(dataset, detection, focus=dataset.entities)
    assert sum(trace.line.color in PALETTE for trace in all_of_them.data) == min(entities, MAX_FOCUS_ENTITIES)


def test_timeline_marks_tell_incident_in_words() -> None:
    detection = explain(make_rows(5, 60, 1, "1h"), "entity", 0.02)[0]
    figure = draw_timeline(make_rows(5, 60, 1, "1h"), detection)
    told = [point[1] for trace in figure.data if "markers" in trace.mode for point in trace.customdata]
    assert sorted(told) == sorted(map(str, detection.describe_incidents(detection.incidents.index)))


def test_names_of_lines_stay_apart() -> None:
    assert shorten_names(["GRTgaz · occitanie", "Teréga · occitanie"]) == ["GRTgaz · occi…", "Teréga · occi…"]
    detection = explain(make_rows(5, 60, 1, "1h"), "entity", 0.02)[0]
    figure = draw_timeline(make_rows(5, 60, 1, "1h"), detection, focus=[f"entity {number:03d}" for number in range(5)])
    heights = sorted(annotation.y for annotation in figure.layout.annotations)
    assert min(np.diff(heights)) > 0.05


@pytest.mark.parametrize(("columns", "step"), [(1, "1h"), (1, None), (3, "15min"), (3, None)])
def test_incident_views_share_time_axis(columns: int, step: str | None) -> None:
    """Timeline and detail zoom together, start around the incident, and the detail shows its named column."""
    dataset = make_rows(2, 80, columns, step)
    detection = explain(dataset, "entity", 0.05)[0]
    for row in detection.anomalies.index:
        figure = draw_incident(dataset, detection, int(row))
        assert figure.layout.xaxis.matches == "x2"
        low, high = figure.layout.xaxis2.range
        assert low < detection.rows.at[row, "time"] < high
        measured = next(trace for trace in figure.data if trace.name == "measured")
        line = detection.rows.loc[row]
        column = line["column"] if isinstance(line["column"], str) else dataset.columns[0]
        series = dataset.frame.loc[line["entity"], column]
        assert np.asarray(measured.y) == pytest.approx(series.sort_index().to_numpy(), rel=1e-5)
        assert draw_incident(dataset, detection, int(row)).to_json()


@settings(max_examples=10)
@given(make_profiles(), st.sampled_from(["entity", "day"]))
def test_incident_detail_marks_values_outside_band(dataset: Dataset, baseline: str) -> None:
    """The marks are exactly the values of the incident that are outside the band; other incidents are pale."""
    detection, _, _ = explain(dataset, baseline, 0.1)
    row = int(detection.anomalies.index[-1])
    figure = draw_incident(dataset, detection, row)
    marks = next(trace for trace in figure.data if trace.name == "outside the band")
    number = detection.rows.at[row, "incident"]
    cells = detection.cells[(detection.rows["incident"] == number).loc[detection.cells["row"]].to_numpy()]
    severities = [trace for trace in figure.data if "markers" in trace.mode and trace is not marks]
    assert [opacity for trace in severities for opacity in trace.marker.opacity].count(1.0) == 1
    outside = cells[(cells["value"] > cells["high"]) | (cells["value"] < cells["low"])]
    assert sorted(map(float, marks.y)) == pytest.approx(sorted(outside["value"].astype(float)), rel=1e-5)
    first_hour = pd.Timestamp(detection.rows.at[row, "time"])
    assert all(pd.Timestamp(time).hour % 3 == 0 for time in marks.x)
    assert pd.Timestamp(figure.layout.xaxis2.range[0]) < first_hour


def test_calendar_has_panel_for_every_year_with_names() -> None:
    """Every day has one cell, in the row of its weekday; weekdays and months are those of the reader."""
    days = pd.date_range("2022-12-20", "2024-02-10")
    values = np.random.default_rng(0).normal(10, 1, (len(days), len(HOURS)))
    values[5] *= 5
    frame = pd.DataFrame(values, make_index(["a"] * len(days), days), list(HOURS))
    dataset = Dataset(frame, "demo", profile=True, step=pd.Timedelta(hours=3))
    detection = explain(dataset, "entity", 0.01)[0]
    weekdays, months = ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."], [f"m{number}" for number in range(12)]
    figure = draw_calendar_map(detection, str, weekdays, months)
    assert [title.text for title in figure.layout.annotations] == ["<b>2022</b>", "<b>2023</b>", "<b>2024</b>"]
    assert sum(int((~np.isnan(np.asarray(panel.z))).sum()) for panel in figure.data) == len(days)
    assert sum(np.nansum(np.asarray(panel.z)) for panel in figure.data) == len(detection.anomalies)
    for panel in figure.data:
        for weekday, week in zip(*np.nonzero(np.asarray(panel.customdata) != ""), strict=True):
            assert pd.Timestamp(str(panel.customdata[weekday][week])).dayofweek == weekday
    for number in ("", "2", "3"):
        assert list(figure.layout[f"yaxis{number}"].ticktext) == weekdays
        assert list(figure.layout[f"xaxis{number}"].ticktext) == months
        positions = figure.layout[f"xaxis{number}"].tickvals
        assert np.ptp(np.diff(positions)) < 2
        assert (np.diff(positions) > 3).all()
