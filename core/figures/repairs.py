"""Figure of the values that a repair changes."""

import pandas as pd
import plotly.graph_objects as go

from core.figures.style import HIGHLIGHT_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_


def draw_before_after(before: pd.Series, after: pd.Series, unit: str, translate: Translate = str) -> go.Figure:
    """Draw an interval of values before and after a repair, in `unit`."""
    figure = go.Figure()
    figure.add_scatter(
        x=before.index,
        y=before,
        mode="lines+markers",
        name=translate(N_("before")),
        line={"color": HIGHLIGHT_COLOUR, "width": 1.5, "dash": "dot"},
        marker={"symbol": "x", "size": 6},
    )
    figure.add_scatter(
        x=after.index,
        y=after,
        mode="lines+markers",
        name=translate(N_("after")),
        line={"color": PALETTE[0], "width": 2},
        marker={"size": 5},
    )
    return apply_layout(figure, translate, y=unit, height=300)
