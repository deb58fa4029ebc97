"""Heat maps over time: shares of the columns in the score, and memberships in the modes."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures.style import Say, laid_out
from core.messages import N_
from core.tasks.anomalies.figures import HEAT
from core.tasks.sequences.figures import aligned, brief, half_row
from core.tasks.sequences.result import SequenceDetection

MODES = ((0.0, "rgba(0, 114, 178, 0.03)"), (1.0, "#0072B2"))
COLUMNS = 60  # maximum of columns in the heat map: those with the largest shares
FULL = 0.995  # quantile of the cells that gets the deepest colour


def shares(detection: SequenceDetection, entity: str, say: Say = str) -> go.Figure:
    """Draw the largest share of every column over time; the top 0.5 % of the cells have the deepest colour."""
    table = _own(detection.shares, entity)
    values = np.maximum(table.drop(columns=["entity", "time"]).to_numpy(dtype=np.float32).T, 0)
    kept = np.sort(np.argsort(-values.max(axis=1), kind="stable")[:COLUMNS])
    names = [detection.data.columns[column] for column in kept]
    bar = {
        "thickness": 10,
        "orientation": "h",
        "y": 1.0,
        "yanchor": "bottom",
        "x": 1.0,
        "xanchor": "right",
        "len": 0.4,
        "title": {"text": say(N_("share")), "side": "right"},
    }
    figure = go.Figure(
        go.Heatmap(
            x=_edges(table, detection, entity),
            y=names,
            z=values[kept],
            colorscale=HEAT,
            zmin=0,
            zmax=max(float(np.quantile(values, FULL)), 1e-9),
            colorbar=bar,
            hovertemplate="%{y}<br>%{x}<br>%{z:.3g}<extra></extra>",
        )
    )
    figure = aligned(laid_out(figure, say, height=148 + 16 * len(names)), detection, entity)
    return _named(
        figure.update_layout(margin={"t": 56}), names
    )  # colour bar above the plot, so that the plot keeps its full width


def modes(detection: SequenceDetection, entity: str, say: Say = str) -> go.Figure:
    """Draw the membership of the rows of one entity in each mode over time."""
    table = _own(detection.categories, entity)
    values = table.drop(columns=["entity", "time"]).to_numpy(dtype=np.float32).T
    used = np.flatnonzero(values.max(axis=1) > 0.01)
    names = [say(N_("mode {number}")).format(number=mode + 1) for mode in used]
    figure = go.Figure(
        go.Heatmap(
            x=_edges(table, detection, entity),
            y=names,
            z=values[used],
            colorscale=MODES,
            zmin=0,
            zmax=1,
            showscale=False,
            hovertemplate="%{y}<br>%{x}<br>%{z:.2f}<extra></extra>",
        )
    )
    return _named(aligned(laid_out(figure, say, height=90 + 20 * len(used)), detection, entity), names)


def _named(figure: go.Figure, names: list[str]) -> go.Figure:
    """Write the name of every row next to it, shortened if too long."""
    return figure.update_yaxes(
        type="category", autorange="reversed", tickvals=names, ticktext=[brief(name) for name in names]
    )


def _edges(table: pd.DataFrame, detection: SequenceDetection, entity: str) -> list[object]:
    """Return the start of every bin, and the end of the last one."""
    half, last = half_row(detection), detection.rows_of(entity)["time"].iloc[-1]
    return [*(table["time"] - half), last + half]


def _own(table: pd.DataFrame, entity: str) -> pd.DataFrame:
    return table[(table["entity"] == entity).to_numpy()]
