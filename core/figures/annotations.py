"""Known events and notes on a figure with a time axis: light bands, and a strip at the top that tells them."""

from dataclasses import dataclass
from html import escape
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures.style import Translate
from core.messages import N_

MAX_DRAWN_EVENTS = 40
LONG_EVENT = pd.Timedelta(days=5)
POINTS_PER_BAND = 24  # of the strip, at which a pointer finds the text
LINE_CHARS, MAX_LINES = 60, 8  # of the text that a pointer shows
NOTE = "note"
OVERLAY_AXIS = "yaxis99"  # its range is 0 to 1, whatever the values
STRIP_HEIGHT = 0.985


@dataclass(frozen=True)
class EventStyle:
    """Name, colour and symbol of a kind of event; kinds differ by their symbol as well as by their colour."""

    label: str
    colour: str
    symbol: str

    @property
    def band_colour(self) -> str:
        """The colour of the band, light enough to see the lines through it."""
        red, green, blue = (int(self.colour[position : position + 2], 16) for position in (1, 3, 5))
        return f"rgba({red}, {green}, {blue}, 0.13)"


EVENT_STYLES = {
    "holiday": EventStyle(N_("public holiday"), "#882255", "diamond"),
    "school_break": EventStyle(N_("school break"), "#44AA99", "square"),
    "strike": EventStyle(N_("strike"), "#8C6D1F", "x"),
    "event": EventStyle(N_("event of a file"), "#5B5EA6", "hexagon"),
    "cold_spell": EventStyle(N_("cold spell"), "#56B4E9", "asterisk-open"),
    "clock_change": EventStyle(N_("clock change"), "#7A8B99", "hourglass"),
    NOTE: EventStyle(N_("note"), "#CC79A7", "star"),
}
"""Kind → style, in the order of the legend."""


def choose_drawn_events(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events that a figure has room for: all where they are few, else the notes and the long ones.

    Of more than 40 of these, the longest are drawn, notes first.
    """
    if len(events) <= MAX_DRAWN_EVENTS:
        return events
    ranks = pd.DataFrame({"is_note": events["kind"] == NOTE, "length": events["end"] - events["start"]})
    ranks = ranks[ranks["is_note"] | (ranks["length"] >= LONG_EVENT)]
    ranks = ranks.sort_values(["is_note", "length"], ascending=False, kind="stable")
    return events.loc[sorted(ranks.index[:MAX_DRAWN_EVENTS])]


def draw_events(figure: go.Figure, events: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw events on a figure with a time axis, behind its lines, and return the figure.

    `events` has the columns start, end, kind and text. The text is shown to a pointer as it is, without markup.
    """
    if events.empty:
        return figure
    bands = [_build_band(row, EVENT_STYLES[row["kind"]]) for row in events.to_dict("records")]
    figure.update_layout(shapes=[*figure.layout.shapes, *bands])
    for kind in EVENT_STYLES:
        if (events["kind"] == kind).any():
            _draw_strip(figure, events[events["kind"] == kind], kind, translate)
    axis = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    return figure.update_layout({OVERLAY_AXIS: axis})


def _build_band(row: dict[str, pd.Timestamp], style: EventStyle) -> dict[str, object]:
    is_moment = row["end"] <= row["start"]
    return {
        "type": "line" if is_moment else "rect",
        "xref": "x",
        "yref": "paper",
        "x0": row["start"],
        "x1": row["end"],
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "fillcolor": style.band_colour,
        "line": {"width": 1 if is_moment else 0.5, "color": style.colour if is_moment else style.band_colour},
    }


def _draw_strip(figure: go.Figure, events: pd.DataFrame, kind: str, translate: Translate) -> None:
    """Draw one symbol at the start of every event, and a line as long as the event, with the text at its points.

    A line has no symbols at its points: each would be an element of the page.
    """
    style = EVENT_STYLES[kind]
    common = {
        "yaxis": "y99",
        "name": translate(style.label),
        "legendgroup": kind,
        "hovertemplate": "%{customdata}<extra>%{fullData.name}</extra>",
    }
    starts, ends = (events[name].to_numpy("datetime64[ns]") for name in ("start", "end"))
    texts = np.array([_format_hover(text) for text in events["text"]], dtype=object)
    is_long = ends > starts
    if is_long.any():
        steps = np.append(np.linspace(0, 1, POINTS_PER_BAND), 1)  # the last point ends the line
        spans = (ends - starts)[is_long, None].astype(np.int64) * steps
        figure.add_scatter(
            x=(starts[is_long, None] + spans.astype("timedelta64[ns]")).ravel(),
            y=np.tile(np.where(np.arange(len(steps)) < POINTS_PER_BAND, STRIP_HEIGHT, np.nan), int(is_long.sum())),
            mode="lines",
            line={"width": 4, "color": style.colour},
            showlegend=False,
            customdata=np.repeat(texts[is_long], len(steps)),
            **common,
        )
    figure.add_scatter(
        x=starts,
        y=np.full(len(starts), STRIP_HEIGHT),
        mode="markers",
        marker={"symbol": style.symbol, "size": 9, "color": style.colour, "opacity": 1},
        customdata=texts,
        **common,
    )


def _format_hover(text: str) -> str:
    """Return a text in short lines, without markup: Plotly would obey tags."""
    lines = [line for paragraph in text.splitlines() for line in wrap(paragraph, LINE_CHARS) or [""]]
    shown = lines if len(lines) <= MAX_LINES else [*lines[: MAX_LINES - 1], "…"]
    return "<br>".join(escape(line, quote=False) for line in shown)
