"""Heat maps over time: shares of the columns in the score, and memberships in the modes."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures.style import HEAT_SCALE, Translate, apply_layout
from core.messages import N_
from core.tasks.sequences.figures import align_time_axis, compute_half_interval, shorten_name
from core.tasks.sequences.result import SequenceDetection

MODE_SCALE = ((0.0, "rgba(0, 114, 178, 0.03)"), (1.0, "#0072B2"))
MAX_COLUMNS = (
    60  # maximum of columns in the heat map: those with the largest shares; the times of a profile are all shown
)
ROW_HEIGHT_PX, TIME_HEIGHT_PX = 16, 6  # of a column, and of a time of the day
NAMED_TIMES = 8  # of a profile, on its axis
FULL_COLOUR_QUANTILE = 0.995  # quantile of the cells that gets the deepest colour


def draw_shares(detection: SequenceDetection, entity: str, translate: Translate = str) -> go.Figure:
    """Draw the largest share of every column over time; the top 0.5 % of the cells have the deepest colour."""
    table = _select_entity(detection.shares, entity)
    values = np.maximum(table.drop(columns=["entity", "time"]).to_numpy(dtype=np.float32).T, 0)
    count = len(values) if detection.data.profile else MAX_COLUMNS
    top_columns = np.sort(np.argsort(-values.max(axis=1), kind="stable")[:count])
    names = [detection.data.columns[column] for column in top_columns]
    colour_bar = {
        "thickness": 10,
        "orientation": "h",
        "y": 1.0,
        "yanchor": "bottom",
        "x": 1.0,
        "xanchor": "right",
        "len": 0.4,
        "title": {"text": translate(N_("share")), "side": "right"},
        "tickformat": ".0%",
    }
    figure = go.Figure(
        go.Heatmap(
            x=_compute_bin_edges(table, detection, entity),
            y=names,
            z=values[top_columns],
            colorscale=HEAT_SCALE,
            zmin=0,
            zmax=max(float(np.quantile(values, FULL_COLOUR_QUANTILE)), 1e-9),
            colorbar=colour_bar,
            hovertemplate="%{y}<br>%{x}<br>%{z:.1%}<extra></extra>",
        )
    )
    height = 148 + (TIME_HEIGHT_PX if detection.data.profile else ROW_HEIGHT_PX) * len(names)
    figure = align_time_axis(apply_layout(figure, translate, height=height), detection, entity)
    figure.update_layout(margin={"t": 56})  # colour bar above the plot, so that the plot keeps its full width
    return _label_rows(figure, names[:: -(-len(names) // NAMED_TIMES)] if detection.data.profile else names)


def draw_modes(detection: SequenceDetection, entity: str, translate: Translate = str) -> go.Figure:
    """Draw the membership of the rows of one entity in each mode over time."""
    table = _select_entity(detection.categories, entity)
    values = table.drop(columns=["entity", "time"]).to_numpy(dtype=np.float32).T
    used_modes = np.flatnonzero(values.max(axis=1) > 0.01)
    names = [translate(N_("mode {number}")).format(number=mode + 1) for mode in used_modes]
    figure = go.Figure(
        go.Heatmap(
            x=_compute_bin_edges(table, detection, entity),
            y=names,
            z=values[used_modes],
            colorscale=MODE_SCALE,
            zmin=0,
            zmax=1,
            showscale=False,
            hovertemplate="%{y}<br>%{x}<br>%{z:.2f}<extra></extra>",
        )
    )
    return _label_rows(
        align_time_axis(apply_layout(figure, translate, height=90 + 20 * len(used_modes)), detection, entity), names
    )


def _label_rows(figure: go.Figure, names: list[str]) -> go.Figure:
    """Write names next to their rows, shortened if too long."""
    return figure.update_yaxes(
        type="category", autorange="reversed", tickvals=names, ticktext=[shorten_name(name) for name in names]
    )


def _compute_bin_edges(table: pd.DataFrame, detection: SequenceDetection, entity: str) -> list[object]:
    """Return the start of every bin, and the end of the last one."""
    half_interval, last = compute_half_interval(detection), detection.select_rows(entity)["time"].iloc[-1]
    return [*(table["time"] - half_interval), last + half_interval]


def _select_entity(table: pd.DataFrame, entity: str) -> pd.DataFrame:
    return table[(table["entity"] == entity).to_numpy()]
