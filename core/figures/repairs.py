"""Figure of the values that a repair changes."""

import pandas as pd
import plotly.graph_objects as go

from core.figures.style import PALETTE, STRONG, Say, laid_out
from core.messages import N_


def before_after(before: pd.Series, after: pd.Series, unit: str, say: Say = str) -> go.Figure:
    """Draw an interval of values before and after a repair, in `unit`."""
    figure = go.Figure()
    figure.add_scatter(
        x=before.index,
        y=before,
        mode="lines+markers",
        name=say(N_("before")),
        line={"color": STRONG, "width": 1.5, "dash": "dot"},
        marker={"symbol": "x", "size": 6},
    )
    figure.add_scatter(
        x=after.index,
        y=after,
        mode="lines+markers",
        name=say(N_("after")),
        line={"color": PALETTE[0], "width": 2},
        marker={"size": 5},
    )
    return laid_out(figure, say, y=unit, height=300)
