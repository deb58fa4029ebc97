"""Figures of the anomalies task: counts per entity and month, and the columns of one row.

Severities differ by marker shape or hatching as well as by colour, for colour-blind readers.
"""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from core.figures.style import BAND_COLOUR, HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_
from core.tasks.anomalies.calendar_figure import MONTHS
from core.tasks.anomalies.explanation import choose_deviation_format, select_columns
from core.tasks.anomalies.result import SEVERITIES, Detection


def draw_counts_per_entity(detection: Detection, translate: Translate = str) -> go.Figure:
    """Draw the number of anomalies per entity, stacked by severity."""
    counts = detection.anomalies.groupby(["entity", "severity"], observed=True).size().unstack(fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values().index].tail(25)
    figure = go.Figure()
    for severity in sorted(counts.columns):
        figure.add_bar(
            y=[str(entity) for entity in counts.index],
            x=counts[severity],
            orientation="h",
            name=translate(SEVERITIES[severity]),
            marker=_build_bar_marker(severity),
            hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(automargin=True)
    return apply_layout(figure, translate, x=translate(N_("anomalies")), height=120 + 22 * len(counts))


def draw_counts_per_month(detection: Detection, translate: Translate = str, names: Sequence[str] = MONTHS) -> go.Figure:
    """Draw the number of anomalies per calendar month, stacked by severity; `names` are those of the months."""
    months = pd.DatetimeIndex(detection.anomalies["time"]).month
    counts = detection.anomalies.groupby([months, "severity"]).size().unstack(fill_value=0)
    counts = counts.reindex(range(1, len(names) + 1), fill_value=0)
    figure = go.Figure()
    for severity in sorted(counts.columns):
        figure.add_bar(
            x=list(names),
            y=counts[severity],
            name=translate(SEVERITIES[severity]),
            marker=_build_bar_marker(severity),
            hovertemplate="%{x}: %{y}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(type="category")
    return apply_layout(figure, translate, x=translate(N_("month")), y=translate(N_("anomalies")), height=300)


def _build_bar_marker(severity: int) -> dict[str, object]:
    """Return the colour and hatching of a severity."""
    return {
        "color": ("#F8D3B8", "#F2A66B", "#E07B39", "#B34700")[severity],
        "pattern": {"shape": ("", "/", "x", "")[severity], "solidity": 0.25},
        "line": {"color": "#7A3300", "width": 0.5},
    }


def draw_row_profile(cells: pd.DataFrame, unit: str, translate: Translate = str) -> go.Figure:
    """Draw one row and its expected band of ± 2 σ, with the named columns marked."""
    figure = go.Figure()
    columns = cells["column"].astype(str)
    figure.add_scatter(x=columns, y=cells["high"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=columns,
        y=cells["low"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=BAND_COLOUR,
        name=translate(N_("usual ± 2σ")),
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=columns,
        y=cells["expected"],
        mode="lines",
        name=translate(N_("usual")),
        line={"color": PALETTE[0], "dash": "dash", "width": 1.5},
    )
    figure.add_scatter(
        x=columns,
        y=cells["value"],
        mode="lines+markers",
        name=translate(N_("measured")),
        line={"color": NEUTRAL_COLOUR, "width": 2.2},
        marker={"size": 5},
    )
    marked_cells = cells.iloc[[column for column in select_columns(cells, len(cells))[0] if column >= 0]]
    figure.add_scatter(
        x=marked_cells["column"].astype(str),
        y=marked_cells["value"],
        mode="markers+text",
        name=translate(N_("largest deviations")),
        customdata=marked_cells["deviation"],
        texttemplate=[_build_deviation_template(deviation) for deviation in marked_cells["deviation"]],
        textposition="top center",
        marker={"symbol": "diamond-open", "size": 13, "color": HIGHLIGHT_COLOUR, "line": {"width": 2}},
    )
    return apply_layout(figure, translate, y=unit, height=360)


def _build_deviation_template(deviation: float) -> str:
    """Return the text at a marked value, whose custom data are its deviation in spreads."""
    return f"%{{customdata:{choose_deviation_format(deviation)}}} σ"
