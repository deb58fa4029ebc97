"""Figures of verdicts: precision of detectors, and scores of reviewed alarms with two thresholds."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.evaluation.feedback_metrics import FALSE_ALARM, TRUE_ALARM, UNSURE
from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_

MAX_DETECTORS = 20  # detectors in one figure
VERDICT_STYLES = {
    TRUE_ALARM: (N_("true alarm"), "circle", PALETTE[0]),
    FALSE_ALARM: (N_("false alarm"), "x", HIGHLIGHT_COLOUR),
    UNSURE: (N_("unsure"), "diamond-open", NEUTRAL_COLOUR),
    "": (N_("not reviewed"), "line-ns-open", NEUTRAL_COLOUR),
}
"""Verdict → its label, symbol and colour."""
MAX_UNREVIEWED_MARKERS = 2000  # markers of rows without a verdict


def draw_precision(table: pd.DataFrame, names: list[str], translate: Translate = str) -> go.Figure:
    """Draw the precision of each line of `table` with its 95 % interval; `names` are the labels of the lines."""
    shown_rows = table.head(MAX_DETECTORS).iloc[::-1]
    labels = names[:MAX_DETECTORS][::-1]
    figure = go.Figure(
        go.Scatter(
            x=shown_rows["precision"],
            y=labels,
            mode="markers",
            marker={"size": 11, "color": PALETTE[0]},
            showlegend=False,
            error_x={
                "array": (shown_rows["high"] - shown_rows["precision"]).clip(lower=0),
                "arrayminus": (shown_rows["precision"] - shown_rows["low"]).clip(lower=0),
                "color": NEUTRAL_COLOUR,
                "thickness": 2,
                "width": 6,
            },
            customdata=shown_rows["reviewed"],
            hovertemplate="%{y}<br>%{x:.0%} · n = %{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_yaxes(automargin=True)
    return apply_layout(
        figure, translate, x=translate(N_("Precision with its 95 % interval")), height=110 + 34 * len(shown_rows)
    )


def draw_reviewed_scores(
    rows: pd.DataFrame, current_threshold: float, threshold: float, translate: Translate = str
) -> go.Figure:
    """Draw the scores of `rows` by verdict, with the current and the new threshold."""
    figure = go.Figure()
    for verdict, (name, symbol, color) in VERDICT_STYLES.items():
        group = rows[rows["verdict"] == verdict].nlargest(MAX_UNREVIEWED_MARKERS, "score")
        if group.empty:
            continue
        figure.add_scatter(
            x=group["score"],
            y=[translate(name)] * len(group),
            mode="markers",
            name=translate(name),
            showlegend=False,
            marker={
                "symbol": symbol,
                "size": 12 if verdict else 9,
                "color": color,
                "line": {"width": 1.5, "color": color},
            },
            customdata=group["entity"].astype(str) + " · " + group["time"].astype(str),
            hovertemplate="%{customdata}<br>%{x:.4g}<extra>%{y}</extra>",
        )
    for value, name, dash, color in (
        (current_threshold, N_("current threshold"), "dot", NEUTRAL_COLOUR),
        (threshold, N_("new threshold"), "solid", HIGHLIGHT_COLOUR),
    ):
        figure.add_scatter(
            x=[value, value],
            y=[-0.5, 3.5],
            mode="lines",
            name=translate(name),
            yaxis="y2",
            line={"dash": dash, "color": color, "width": 2},
            hovertemplate="%{x:.6g}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(yaxis2={"overlaying": "y", "visible": False, "range": [-0.5, 3.5], "fixedrange": True})
    figure.update_xaxes(range=_compute_score_range(rows, current_threshold, threshold))
    figure.update_yaxes(automargin=True, selector={"anchor": "x"})
    return apply_layout(figure, translate, x=translate(N_("Score")), height=280)


def _compute_score_range(rows: pd.DataFrame, current_threshold: float, threshold: float) -> list[float]:
    """Return the axis range of the flagged or reviewed rows and both thresholds."""
    visible_scores = rows.loc[(rows["score"] > min(current_threshold, threshold)) | (rows["verdict"] != ""), "score"]
    values = np.array([current_threshold, threshold, *visible_scores])
    margin = 0.05 * max(float(np.ptp(values)), 1e-9)
    return [float(values.min()) - margin, float(values.max()) + margin]
