"""Known events on figures: bands, strips, texts without markup, limit of density."""

import json

import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from core.figures.annotations import EVENT_STYLES, MAX_DRAWN_EVENTS, choose_drawn_events, draw_events

FIRST = pd.Timestamp("2024-01-01")


def make_events(count: int, days: int = 1, kind: str = "holiday", text: str = "text") -> pd.DataFrame:
    starts = [FIRST + pd.Timedelta(days=10 * number) for number in range(count)]
    return pd.DataFrame(
        {"start": starts, "end": [start + pd.Timedelta(days=days) for start in starts], "kind": kind, "text": text}
    )


@pytest.mark.parametrize("panels", [1, 3])
def test_events_are_bands_over_all_panels_and_one_strip_a_kind(panels: int) -> None:
    figure = make_subplots(rows=panels, cols=1, shared_xaxes=True)
    for row in range(1, panels + 1):
        figure.add_scatter(x=pd.date_range(FIRST, periods=50), y=list(range(50)), row=row, col=1)
    figure.add_vrect(x0=FIRST, x1=FIRST + pd.Timedelta(days=1))
    events = pd.concat([make_events(3), make_events(2, 7, "note")], ignore_index=True)
    draw_events(figure, events)
    added = figure.layout.shapes[-5:]
    assert len(figure.layout.shapes) >= 6  # the shapes of the figure stay
    assert {(shape.yref, shape.y0, shape.y1, shape.layer) for shape in added} == {("paper", 0, 1, "below")}
    drawn = [(trace.name, trace.mode) for trace in figure.data[panels:]]
    assert drawn == [(name, mode) for name in ("public holiday", "note") for mode in ("lines", "markers")]
    assert [len(trace.x) for trace in figure.data[panels:] if trace.mode == "markers"] == [3, 2]
    assert {trace.yaxis for trace in figure.data[panels:]} == {"y99"}
    json.loads(figure.to_json())


def test_moment_is_line() -> None:
    figure = draw_events(go.Figure(), make_events(1, 0, "note"))
    [shape] = figure.layout.shapes
    assert (shape.type, shape.x0, shape.line.width) == ("line", shape.x1, 1)


def test_text_of_note_is_no_markup() -> None:
    text = '<a href="https://example.org">x</a> <b>& %{x}' + " long" * 60
    figure = draw_events(go.Figure(), make_events(1, 0, "note", text))
    shown = figure.data[0].customdata[0]
    assert "<a" not in shown
    assert "&lt;a href=" in shown
    assert "&amp; %{x}" in shown
    assert max(len(line) for line in shown.split("<br>")) < 100
    assert "%{x}" not in figure.data[0].hovertemplate


def test_no_event_changes_nothing() -> None:
    figure = go.Figure(go.Scatter(x=[FIRST], y=[1]))
    assert draw_events(figure, make_events(0)).to_json() == go.Figure(go.Scatter(x=[FIRST], y=[1])).to_json()


def test_many_events_leave_notes_and_long_ones() -> None:
    few = make_events(MAX_DRAWN_EVENTS)
    assert choose_drawn_events(few) is few
    notes, long = make_events(3, 1, "note"), make_events(5, 14, "school_break")
    drawn = choose_drawn_events(pd.concat([make_events(100), notes, long], ignore_index=True))
    assert drawn["kind"].value_counts().to_dict() == {"note": 3, "school_break": 5}
    assert choose_drawn_events(make_events(100)).empty
    crowded = pd.concat([make_events(60, 14), make_events(30, 1, "note"), make_events(2, 60)], ignore_index=True)
    drawn = choose_drawn_events(crowded)
    assert len(drawn) == MAX_DRAWN_EVENTS
    assert (drawn["kind"] == "note").sum() == 30
    assert (drawn["end"] - drawn["start"]).max() == pd.Timedelta(days=60)


def test_kinds_differ_by_symbol_and_colour() -> None:
    styles = EVENT_STYLES.values()
    assert len({style.symbol for style in styles}) == len({style.colour for style in styles}) == len(EVENT_STYLES)
