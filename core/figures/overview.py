"""Figure of a dataset at first sight: one small line plot per entity or measurement."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.style import PALETTE, Translate, apply_layout, downsample

MAX_POINTS_PER_PLOT = 1_500
ROW_HEIGHT_PX, SINGLE_HEIGHT_PX, TITLE_HEIGHT_PX = 95, 260, 26


def draw_overview(lines: Mapping[str, pd.Series], unit: str, translate: Translate = str) -> go.Figure:
    """Draw one small plot per line. `lines` maps a name to its values, in the order of their index."""
    rows = len(lines)
    height_px = SINGLE_HEIGHT_PX if rows == 1 else ROW_HEIGHT_PX * rows + 60
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,  # one clock: lines over different periods are seen as such
        subplot_titles=list(lines) if rows > 1 else None,
        vertical_spacing=TITLE_HEIGHT_PX / height_px if rows > 1 else 0,
    )
    for number, (name, line) in enumerate(lines.items(), start=1):
        series = line.iloc[downsample(line.to_numpy(dtype=float), MAX_POINTS_PER_PLOT)]
        figure.add_scatter(
            x=series.index,
            y=series.to_numpy(dtype=np.float32),
            mode="lines" if len(series) > 1 else "markers",
            name=name,
            line={"color": PALETTE[0], "width": 1},
            row=number,
            col=1,
        )
    apply_layout(figure, translate, height=height_px)
    figure.update_xaxes(nticks=6)
    figure.update_yaxes(nticks=4)
    figure.update_annotations(font={"size": 12}, yshift=-2)
    if unit:
        figure.update_yaxes(title={"text": unit}, col=1)
    return figure.update_layout(showlegend=False)
