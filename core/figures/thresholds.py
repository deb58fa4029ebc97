"""Figure of scores with a threshold that moves."""

import numpy as np
import plotly.graph_objects as go

from core.array_types import Floats
from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_

HISTOGRAM_BINS = 80
CLIPPED_QUANTILE = 0.999  # of the scores: beyond it and both thresholds, they are counted in the last bin


def draw_moved_threshold(scores: Floats, current: float, threshold: float, translate: Translate = str) -> go.Figure:
    """Draw how many of the finite `scores` (rows,) have which value, with the current and the new threshold.

    The number of rows is on a logarithmic axis, because few rows are near a threshold.
    """
    low = min(float(scores.min()), current, threshold)
    high = max(float(np.quantile(scores, CLIPPED_QUANTILE)), current, threshold)
    edges = np.linspace(low, high + 0.02 * ((high - low) or 1.0), HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(scores.clip(max=edges[-1]), edges)
    middles = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=middles,
            y=counts,
            width=edges[1] - edges[0],
            marker_color=np.where(middles > threshold, HIGHLIGHT_COLOUR, PALETTE[0]),
            showlegend=False,
            hovertemplate="%{x:.4~g}<br>%{y:,}<extra></extra>",
        )
    )
    for value, name, dash, colour in (
        (current, N_("current threshold"), "dot", NEUTRAL_COLOUR),
        (threshold, N_("new threshold"), "solid", HIGHLIGHT_COLOUR),
    ):
        figure.add_scatter(
            x=[value, value],
            y=[0.8, max(int(counts.max()), 1)],
            mode="lines",
            name=translate(name),
            line={"dash": dash, "color": colour, "width": 2},
            hovertemplate="%{x:.6g}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(bargap=0)
    figure.update_yaxes(type="log", dtick=1)
    return apply_layout(figure, translate, x=translate(N_("Score")), y=translate(N_("rows")), height=220)
