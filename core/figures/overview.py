"""Figure of a dataset at first sight: one small line plot per entity or measurement."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.style import PALETTE, Translate, apply_layout, downsample

MAX_POINTS_PER_PLOT = 1_500
ROW_HEIGHT_PX, SINGLE_HEIGHT_PX = 150, 260


def draw_overview(lines: Mapping[str, pd.Series], unit: str, translate: Translate = str) -> go.Figure:
    """Draw one small plot per line. `lines` maps a name to its values, in the order of their index."""
    columns = 1 if len(lines) == 1 else 2
    rows = -(-len(lines) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=list(lines) if len(lines) > 1 else None,
        vertical_spacing=0.22 / rows,
        horizontal_spacing=0.06,
    )
    for number, (name, line) in enumerate(lines.items()):
        series = line.iloc[downsample(line.to_numpy(dtype=float), MAX_POINTS_PER_PLOT)]
        figure.add_scatter(
            x=series.index,
            y=series.to_numpy(dtype=np.float32),
            mode="lines" if len(series) > 1 else "markers",
            name=name,
            line={"color": PALETTE[0], "width": 1},
            row=number // columns + 1,
            col=number % columns + 1,
        )
    apply_layout(figure, translate, height=SINGLE_HEIGHT_PX if rows == 1 else ROW_HEIGHT_PX * rows + 40)
    figure.update_xaxes(nticks=4 * (3 - columns))
    figure.update_annotations(font={"size": 12}, yshift=-2)
    if unit:
        figure.update_yaxes(title={"text": unit}, col=1)
    return figure.update_layout(showlegend=False)
