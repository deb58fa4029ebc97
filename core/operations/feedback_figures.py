"""Figures of verdicts: precision of detectors, and scores of reviewed alarms with two thresholds."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.evaluation.verdicts import FALSE, TRUE, UNSURE
from core.figures.style import CALM, PALETTE, STRONG, Say, laid_out
from core.messages import N_

MOST = 20  # detectors in one figure
LOOK = {
    TRUE: (N_("true alarm"), "circle", PALETTE[0]),
    FALSE: (N_("false alarm"), "x", STRONG),
    UNSURE: (N_("unsure"), "diamond-open", CALM),
    "": (N_("not judged"), "line-ns-open", CALM),
}
"""Verdict → its label, symbol and colour."""
NOT_JUDGED = 2000  # markers of rows without a verdict


def precision(table: pd.DataFrame, names: list[str], say: Say = str) -> go.Figure:
    """Draw the precision of each line of `table` with its 95 % interval; `names` are the labels of the lines."""
    shown = table.head(MOST).iloc[::-1]
    labels = names[:MOST][::-1]
    figure = go.Figure(
        go.Scatter(
            x=shown["precision"],
            y=labels,
            mode="markers",
            marker={"size": 11, "color": PALETTE[0]},
            showlegend=False,
            error_x={
                "array": (shown["high"] - shown["precision"]).clip(lower=0),
                "arrayminus": (shown["precision"] - shown["low"]).clip(lower=0),
                "color": CALM,
                "thickness": 2,
                "width": 6,
            },
            customdata=shown["judged"],
            hovertemplate="%{y}<br>%{x:.0%} · n = %{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_yaxes(automargin=True)
    return laid_out(figure, say, x=say(N_("Precision, 95 % interval")), height=110 + 34 * len(shown))


def judged_scores(rows: pd.DataFrame, current: float, threshold: float, say: Say = str) -> go.Figure:
    """Draw the scores of `rows` by verdict, with the current and the new threshold."""
    figure = go.Figure()
    for verdict, (name, symbol, color) in LOOK.items():
        own = rows[rows["verdict"] == verdict].nlargest(NOT_JUDGED, "score")
        if own.empty:
            continue
        figure.add_scatter(
            x=own["score"],
            y=[say(name)] * len(own),
            mode="markers",
            name=say(name),
            showlegend=False,
            marker={
                "symbol": symbol,
                "size": 12 if verdict else 9,
                "color": color,
                "line": {"width": 1.5, "color": color},
            },
            customdata=own["entity"].astype(str) + " · " + own["time"].astype(str),
            hovertemplate="%{customdata}<br>%{x:.4g}<extra>%{y}</extra>",
        )
    for value, name, dash, color in (
        (current, N_("threshold now"), "dot", CALM),
        (threshold, N_("new threshold"), "solid", STRONG),
    ):
        figure.add_scatter(
            x=[value, value],
            y=[-0.5, 3.5],
            mode="lines",
            name=say(name),
            yaxis="y2",
            line={"dash": dash, "color": color, "width": 2},
            hovertemplate="%{x:.6g}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(yaxis2={"overlaying": "y", "visible": False, "range": [-0.5, 3.5], "fixedrange": True})
    figure.update_xaxes(range=_around(rows, current, threshold))
    figure.update_yaxes(automargin=True, selector={"anchor": "x"})
    return laid_out(figure, say, x=say(N_("Score")), height=280)


def _around(rows: pd.DataFrame, current: float, threshold: float) -> list[float]:
    """Return the axis range of the flagged or reviewed rows and both thresholds."""
    near = rows.loc[(rows["score"] > min(current, threshold)) | (rows["verdict"] != ""), "score"]
    values = np.array([current, threshold, *near])
    room = 0.05 * max(float(np.ptp(values)), 1e-9)
    return [float(values.min()) - room, float(values.max()) + room]
