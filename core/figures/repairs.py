"""Figure of the values that a repair changes."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures.style import BAND_COLOUR, HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_

MANY_MARKERS = 60  # above this number the markers are small


def draw_repair(before: pd.DataFrame, after: pd.DataFrame, unit: str, translate: Translate = str) -> go.Figure:
    """Draw an interval before and after a repair, in `unit`, with the changed values on top of the lines.

    Both tables have one row per timestamp with the columns `value`, `is_changed` and `is_added`. Added timestamps are
    shaded.
    """
    figure = go.Figure()
    for name, table, line in (
        (N_("before"), before, {"color": NEUTRAL_COLOUR, "width": 1.5, "dash": "dot"}),
        (N_("after"), after, {"color": PALETTE[0], "width": 2}),
    ):
        figure.add_scatter(x=table.index, y=table["value"], mode="lines", name=translate(name), line=line)
    for name, table, marker in (
        (N_("replaced value"), before, {"color": HIGHLIGHT_COLOUR, "symbol": "x"}),
        (N_("new value"), after, {"color": PALETTE[3], "symbol": "circle", "line": {"color": PALETTE[0], "width": 1}}),
    ):
        changed = table[table["is_changed"] & table["value"].notna()]
        if len(changed):
            size = 9 if len(changed) <= MANY_MARKERS else 4
            figure.add_scatter(
                x=changed.index,
                y=changed["value"],
                mode="markers",
                name=translate(name),
                marker={"size": size, **marker},
            )
    _shade_added(figure, after, translate(N_("added timestamps")))
    return apply_layout(figure, translate, y=unit, height=260)


def _shade_added(figure: go.Figure, table: pd.DataFrame, name: str) -> None:
    """Shade each run of added timestamps, from the row before it to the row after it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], table["is_added"], [False]])))
    times = table.index
    for number, (start, end) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        figure.add_vrect(
            x0=times[max(start - 1, 0)],
            x1=times[min(end, len(times) - 1)],
            fillcolor=BAND_COLOUR,
            line_width=0,
            layer="below",
            name=name,
            showlegend=number == 0,
        )
