"""A figure as a table and in words: the numbers that are drawn, whatever draws them."""

import ast
import io
import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.subplots import make_subplots

from core.exports import to_csv_bytes
from core.figures.annotations import draw_events
from core.figures.repairs import draw_repair
from core.figures.tables import describe_figure, tabulate_figure
from core.glossary.terms import TERMS
from core.settings import ROOT

DAYS = pd.date_range("2024-05-01", periods=5)


def describe(figure: go.Figure) -> list[str]:
    return [str(sentence) for sentence in describe_figure(figure)]


@st.composite
def draw_lines(draw: st.DrawFn) -> tuple[go.Figure, list[float]]:
    """A figure of lines and bars with awkward names and gaps, and the numbers that it draws."""
    figure, numbers = go.Figure(), []
    for _line in range(draw(st.integers(1, 5))):
        values = draw(st.lists(st.none() | st.integers(-999, 999), min_size=1, max_size=8))
        times = draw(st.booleans())
        places = list(pd.date_range("2024-01-01", periods=len(values))) if times else list(range(len(values)))
        name = draw(st.sampled_from(["", "Time", "x", "Value", "Series name", "<b>a</b>", "=1+1", "a, lower edge"]))
        is_bar = draw(st.booleans())
        (figure.add_bar if is_bar else figure.add_scatter)(x=places, y=values, name=name)
        numbers += [float(value) for value in values if value is not None]
    figure.update_xaxes(title={"text": draw(st.sampled_from(["", "Time", "Value"]))})
    figure.update_yaxes(title={"text": draw(st.sampled_from(["", "Time", "MWh"]))})
    return figure, numbers


@given(draw_lines())
def test_table_has_every_number_of_figure(drawn: tuple[go.Figure, list[float]]) -> None:
    figure, numbers = drawn
    table = tabulate_figure(figure)
    assert not table.columns.duplicated().any()
    assert table.empty != bool(numbers)
    pa.Table.from_pandas(table)  # as the page sends it
    assert numbers == [] or len(pd.read_csv(io.BytesIO(to_csv_bytes(table)))) == len(table)
    found = [value for name in table for value in table[name] if isinstance(value, float) and np.isfinite(value)]
    assert pd.Series(numbers).isin(found).all()
    assert all(describe(figure)) or not numbers


def test_series_over_same_places_stand_side_by_side() -> None:
    figure = go.Figure()
    figure.add_scatter(x=DAYS, y=[4, None, 2, 1, 0], name="measured")
    figure.add_scatter(x=DAYS[3:].append(DAYS[-1:] + pd.Timedelta(days=1)), y=[9, 8, 7], name="forecast")
    figure.update_yaxes(title={"text": "MWh"})
    table = tabulate_figure(figure)
    assert list(table) == ["Time", "measured (MWh)", "forecast (MWh)"]
    assert table["Time"].tolist() == [*DAYS.delete(1), DAYS[-1] + pd.Timedelta(days=1)]
    assert table["forecast (MWh)"].dropna().tolist() == [9, 8, 7]
    assert describe(figure) == [
        "Shown: measured, forecast.",
        "From 2024-05-01 00:00:00 to 2024-05-06 00:00:00.",
        "MWh: 0 to 9, the highest at 2024-05-04 00:00:00.",
    ]


def test_series_over_other_places_stand_one_under_another() -> None:
    figure = go.Figure()
    figure.add_scatter(x=[1, 2], y=[10, 20], name="a")
    figure.add_scatter(x=[3, 4], y=[30, 40], name="b")
    figure.add_scatter(x=[2.5, 2.5], y=[0, 100], mode="lines", name="threshold")
    table = tabulate_figure(figure)
    assert list(table) == ["Series name", "x", "Value"]
    assert table.loc[table["Series name"] == "threshold", ["x", "Value"]].isna().to_numpy().tolist() == [[False, True]]
    assert describe(figure) == [
        "Shown: a, b.",
        "Values: 10 to 40, the highest at 4.",
        "The line “threshold” is at 2.5.",
    ]


@pytest.mark.parametrize("is_high_first", [True, False])
def test_bands_have_edges_and_shades_have_none(is_high_first: bool) -> None:
    figure = go.Figure()
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    lines = [[9.0] * 5, [1.0, 2, 3, 4, 5]]
    first, second = lines if is_high_first else lines[::-1]
    figure.add_scatter(x=DAYS, y=first, showlegend=False, **edge)
    figure.add_scatter(x=DAYS, y=second, fill="tonexty", name="90 %", **edge)
    figure.add_scatter(x=[*DAYS, *DAYS[::-1]], y=[8, 8, 8, 8, 8, 5, 4, 3, 2, 1], fill="toself", name="usual")
    figure.add_scatter(x=[DAYS[0], DAYS[0], DAYS[1], DAYS[1]], y=[0, 9, 9, 0], fill="toself", name="event")
    table = tabulate_figure(figure)
    edges = ["90 %, lower edge", "90 %, upper edge", "usual, lower edge", "usual, upper edge"]
    assert list(table) == ["Time", *edges]
    assert table.iloc[0, 1:].tolist() == [1, 9, 1, 8]
    assert describe(figure) == []


def test_lying_bars_with_intervals_have_names_as_places() -> None:
    figure = go.Figure()
    figure.add_bar(y=["b", "a"], x=[0.5, 0.7], error_x={"array": [0.1, 0.2]}, orientation="h", name="AUC")
    figure.add_scatter(x=[0.6, 0.6], y=[0, 1], mode="lines", name="reference")
    figure.update_xaxes(title={"text": "area"})
    table = tabulate_figure(figure)
    assert table.to_dict("list") == {
        "Group": ["b", "a"],
        "AUC (area)": [0.5, 0.7],
        "AUC, lower edge (area)": [0.4, 0.5],
        "AUC, upper edge (area)": [0.6, 0.9],
        "reference (area)": [0.6, 0.6],
    }
    assert describe(figure)[1:] == ["area: 0.5 to 0.7, the highest at a.", "The line “reference” is at 0.6."]


def test_lines_across_figure_are_told() -> None:
    figure = go.Figure(go.Scatter(x=DAYS, y=[4, 5, 2, 1, 0], name="measured"))
    figure.add_hline(y=4.5, name="threshold")
    figure.add_vline(x=DAYS[1], name="start")
    figure.add_vline(x=DAYS[4] + pd.Timedelta(days=1), name="end")
    figure.add_hline(y=0)  # decoration
    figure.add_vrect(x0=DAYS[0], x1=DAYS[2], name="shade")
    figure = go.Figure(json.loads(figure.to_json()))  # as it is kept for other sessions
    figure.data[0].x = DAYS
    table = tabulate_figure(figure)
    assert list(table) == ["Time", "measured", "threshold", "Marked place"]
    assert table["threshold"].tolist() == [4.5] * 6
    assert dict(zip(table["Time"], table["Marked place"], strict=True))[DAYS[1]] == "start"
    assert table.iloc[-1].dropna().tolist() == [DAYS[4] + pd.Timedelta(days=1), 4.5, "end"]
    assert describe(figure)[0] == "Shown: measured."
    assert describe(figure)[3:] == [
        "The line “threshold” is at 4.5.",
        "The line “start” is at 2024-05-02 00:00:00.",
        "The line “end” is at 2024-05-06 00:00:00.",
    ]


def test_line_across_panel_names_it_and_keeps_its_value_below_other_series() -> None:
    figure = make_subplots(rows=1, cols=2, subplot_titles=["inertia", "silhouette"])
    for column, places in ((1, [2, 3, 4]), (2, [12, 13, 14])):
        figure.add_scatter(x=places, y=[3, 2, 1], row=1, col=column)
    figure.add_vline(x=13, name="best", row=1, col=2)
    figure.add_hline(y=1.5, name="least", row=1, col=1)
    lines = tabulate_figure(figure).iloc[6:].to_dict("list")
    assert lines["Series name"] == ["silhouette: best", "inertia: least"]
    assert np.array_equal(lines["x"], [13, np.nan], equal_nan=True)
    assert np.array_equal(lines["Value"], [np.nan, 1.5], equal_nan=True)
    assert describe(figure)[1:] == ["The line “silhouette: best” is at 13.", "The line “inertia: least” is at 1.5."]


def test_code_names_lines_across_figures() -> None:
    """A line without a name is in no table."""
    calls = {
        f"{path.relative_to(ROOT)}:{call.lineno}": call
        for path in (ROOT / "core").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith((".add_hline", ".add_vline"))
    }
    assert calls
    assert not [place for place, call in calls.items() if "name" not in {word.arg for word in call.keywords}]


def test_panels_name_their_series() -> None:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, subplot_titles=["<b>load</b>", "flow"])
    figure.update_annotations(x=0, xanchor="left")
    for row in (1, 2):
        figure.add_scatter(x=DAYS, y=np.arange(5.0) * row, name="flow", row=row, col=1)
    assert list(tabulate_figure(figure)) == ["Time", "load: flow", "flow"]
    assert describe(figure)[0] == "Shown: load: flow, flow."
    figure.update_yaxes(title={"text": "MWh"}, row=1, col=1)
    assert list(tabulate_figure(figure))[1] == "load: flow (MWh)"
    figure.update_yaxes(title={"text": "m³"}, row=2, col=1)
    assert list(tabulate_figure(figure))[1] == "load: flow"


def test_value_beyond_axis_is_told_as_in_hover_text() -> None:
    figure = go.Figure()
    figure.add_scatter(
        x=[1, 2], y=[10, 10], name="peak", customdata=[(99.5, "a"), (10, "b")], hovertemplate="%{customdata[0]:,.1f}"
    )
    assert tabulate_figure(figure)["peak"].tolist() == [99.5, 10]


def test_heat_map_has_one_column_for_each_row() -> None:
    figure = go.Figure(go.Heatmap(x=[0, 1, 2], y=["a", "b"], z=[[1, 2], [3, np.nan]]))
    assert tabulate_figure(figure).to_dict("list")["a"] == [1, 2]
    days = np.array([["2024-01-01", "2024-01-02"], ["2024-01-03", ""]])
    calendar = go.Figure(go.Heatmap(z=[[0, 2], [1, np.nan]], customdata=days, coloraxis="coloraxis"))
    calendar.update_layout(coloraxis={"colorbar": {"title": {"text": "anomalies per day"}}})
    table = tabulate_figure(calendar)
    assert table["anomalies per day"].tolist() == [0, 2, 1]
    assert table["Time"].tolist() == list(pd.date_range("2024-01-01", periods=3))


def test_points_in_plane_keep_both_numbers_and_names() -> None:
    figure = go.Figure(go.Scattergl(x=[1, 2], y=[3, 4], text=["Bretagne", "Corse"], mode="markers", name="cluster 1"))
    assert list(tabulate_figure(figure)) == ["Series name", "x", "Value", "Name"]
    assert describe(figure) == ["Shown: cluster 1."]


def test_line_of_several_entities_is_split_under_their_names() -> None:
    pieces = {"pieces": [["a", 3], ["b", 2]]}
    figure = go.Figure(go.Scatter(x=[1, 2, 2, 1, 1], y=[5, np.nan, np.nan, 6, np.nan], meta=pieces, hoverinfo="skip"))
    assert tabulate_figure(figure).to_dict("list") == {"x": [1], "a": [5], "b": [6]}


def test_known_events_are_no_numbers() -> None:
    figure = go.Figure(go.Scatter(x=DAYS, y=[1, 2, 3, 4, 5], name="load"))
    before = tabulate_figure(figure)
    events = pd.DataFrame({"start": DAYS[:1], "end": DAYS[1:2], "kind": "holiday", "text": "1 May"})
    assert tabulate_figure(draw_events(figure, events)).equals(before)


@pytest.mark.parametrize("name", TERMS)
def test_picture_of_term_has_numbers(name: str) -> None:
    figure = TERMS[name].draw(str)
    assert not tabulate_figure(figure).empty
    assert describe(figure)


def test_repair_tells_values_before_and_after() -> None:
    before = pd.DataFrame({"value": [1.0, 99, 3], "is_changed": [False, True, False], "is_added": False}, DAYS[:3])
    table = tabulate_figure(draw_repair(before, before.assign(value=[1.0, 2, 3]), "MWh"))
    assert table.loc[1, ["before (MWh)", "after (MWh)", "replaced value (MWh)"]].tolist() == [99, 2, 99]
    assert tabulate_figure(go.Figure()).empty
    assert describe(go.Figure()) == []
