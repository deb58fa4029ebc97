"""Parts of the small pictures of the glossary: lines, points, bands, and their common layout."""

import numpy as np
import plotly.graph_objects as go

from core.array_types import Floats
from core.figures.style import BAND_COLOUR, Translate, apply_layout

HEIGHT_PX = 220


def finish_picture(figure: go.Figure, translate: Translate, x: str = "", y: str = "") -> go.Figure:
    """Apply the common layout: no zoom, no hover text, few ticks."""
    figure = apply_layout(figure, translate, x=x, y=y, height=HEIGHT_PX)
    figure.update_layout(dragmode=False, hovermode=False, bargap=0.2)
    figure.update_xaxes(fixedrange=True, nticks=6)
    figure.update_yaxes(fixedrange=True, nticks=5)
    return figure


def add_line(figure: go.Figure, x: Floats, y: Floats, name: str, colour: str, dash: str = "solid") -> None:
    """Add a line."""
    figure.add_scatter(x=x, y=y, mode="lines", name=name, line={"color": colour, "dash": dash, "width": 2})


def add_points(figure: go.Figure, x: Floats, y: Floats, name: str, colour: str) -> None:
    """Add points."""
    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker={"color": colour, "size": 8})


def add_band(figure: go.Figure, x: Floats, low: Floats, high: Floats, name: str, colour: str = BAND_COLOUR) -> None:
    """Add the area between two lines."""
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=colour,
        line={"width": 0},
        mode="lines",
        name=name,
    )
