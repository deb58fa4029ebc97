"""Figures of the anomalies task.

Severities differ by marker shape or hatching as well as by colour, for colour-blind readers.
"""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.data.dataset import Dataset
from core.figures.style import (
    BAND,
    CALM,
    PALETTE,
    POINTS,
    STRONG,
    WHEN,
    Say,
    laid_out,
    ordinary_range,
    shortened,
    thinned,
)
from core.messages import N_
from core.tasks.anomalies.result import SEVERITIES, Detection

SYMBOLS = ("circle-open", "diamond-open", "triangle-up", "star")
HEAT = ((0.0, "rgba(122, 139, 153, 0.10)"), (0.001, "#FDE3CF"), (0.4, "#F2A66B"), (1.0, "#B34700"))
MARKERS = 1000
STANDS_OUT = 3.0
MONTHS = 12


def timeline(dataset: Dataset, detection: Detection, say: Say = str) -> go.Figure:
    """Draw the amount of every entity over time, with anomalies marked by severity.

    The axis ends slightly above the ordinary amounts, so that one extreme value does not flatten the curves. Anomalies
    beyond the axis are drawn at its edge, labelled with their amount.
    """
    figure = go.Figure()
    amounts = _amounts(dataset, detection.data.profile)
    budget = max(200, POINTS // max(len(dataset.entities), 1))
    few = len(dataset.entities) <= len(PALETTE)
    for number, entity in enumerate(dataset.entities):
        mine = np.flatnonzero(dataset.entity_codes == number)
        mine = mine[np.argsort(dataset.time[mine], kind="stable")]
        mine = mine[thinned(amounts[mine], budget)]
        figure.add_scatter(
            x=dataset.time[mine],
            y=shortened(amounts[mine]),
            mode="lines",
            name=entity,
            showlegend=few,
            line={"width": 1.2, "color": PALETTE[number % len(PALETTE)]},
            opacity=0.8 if few else 0.55,
            hovertemplate=f"{WHEN}<br>%{{y:,.1f}}<extra>%{{fullData.name}}</extra>",
        )
    low, high = ordinary_range(amounts)
    _mark(figure, detection.anomalies, dataset, (low, high), say)
    figure.update_yaxes(range=[low, high])
    return laid_out(figure, say, y=_axis(detection, say), height=420)


def _mark(figure: go.Figure, anomalies: pd.DataFrame, dataset: Dataset, ends: tuple[float, float], say: Say) -> None:
    """Draw the anomalies by severity; `ends` is the range of the y axis."""
    anomalies = anomalies[anomalies["entity"].isin(dataset.entities)].head(MARKERS)
    span = ends[1] - ends[0]
    edge = anomalies["amount"].clip(ends[0] + 0.03 * span, ends[1] - 0.03 * span)
    beyond = (anomalies["amount"] > ends[1]) | (anomalies["amount"] < ends[0])
    for severity in (3, 2, 1, 0):
        found = anomalies[anomalies["severity"] == severity]
        if found.empty:
            continue
        off = beyond[found.index]
        figure.add_scatter(
            x=found["time"],
            y=edge[found.index],
            mode="markers+text" if off.any() else "markers",
            name=say(SEVERITIES[severity]),
            textposition="middle right",
            cliponaxis=False,
            texttemplate=["%{customdata[1]:,.0f}" if out else "" for out in off],
            marker={"symbol": SYMBOLS[severity], "size": 8 + 2 * severity, "color": STRONG, "line": {"width": 1.2}},
            customdata=list(zip(found["entity"].astype(str), found["amount"].round(1), found["causes"], strict=True)),
            hovertemplate=f"%{{customdata[0]}}<br>{WHEN}<br>%{{customdata[1]:,}}<br>%{{customdata[2]}}<extra></extra>",
        )


def calendar_map(detection: Detection, say: Say = str) -> go.Figure:
    """Draw the number of anomalies per day: one calendar heat map per year, weeks across, weekdays down."""
    days = pd.DatetimeIndex(detection.rows["time"]).normalize()
    found = pd.DatetimeIndex(detection.anomalies["time"]).normalize().value_counts()
    years = list(range(days.min().year, days.max().year + 1))
    figure = make_subplots(rows=len(years), cols=1, vertical_spacing=0.25 / max(len(years), 1) / 2)
    highest = int(found.max()) if len(found) else 1
    for number, year in enumerate(years):
        count, label, dates = _year(year, days, found)
        figure.add_heatmap(
            z=count,
            text=label,
            customdata=dates,
            texttemplate="%{text}",
            textfont={"size": 9},
            row=number + 1,
            col=1,
            colorscale=HEAT,
            zmin=0,
            zmax=highest,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{customdata}: %{z}<extra></extra>",
            hoverongaps=False,
        )
        axis = {"title": {"text": str(year)}, "autorange": "reversed", "showticklabels": False, "fixedrange": True}
        figure.update_yaxes(**axis, row=number + 1, col=1)
        starts = [pd.Timestamp(year, month, 1).dayofyear // 7 + 1.5 for month in range(1, MONTHS + 1)]
        figure.update_xaxes(
            tickvals=starts,
            ticktext=[f"{month:02d}" for month in range(1, MONTHS + 1)],
            fixedrange=True,
            showticklabels=year == years[-1],
            showgrid=False,
            range=[-0.5, 53.5],
            row=number + 1,
            col=1,
        )
    figure.update_yaxes(showgrid=False)
    return laid_out(figure, say, height=70 + 112 * len(years))


def _year(
    year: int, days: pd.DatetimeIndex, found: pd.Series
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Return counts, labels and dates of every day of `year`, each (7, 54) = weekdays × weeks.

    The count is NaN on days without data.
    """
    calendar = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    week = (calendar.dayofyear + pd.Timestamp(year, 1, 1).dayofweek - 1) // 7
    count = np.full((7, 54), np.nan)
    label, dates = np.full((7, 54), "", dtype="<U4"), np.full((7, 54), "", dtype="<U10")
    present = calendar.isin(days)
    values = found.reindex(calendar).fillna(0).to_numpy()
    count[calendar.dayofweek, week] = np.where(present, values, np.nan)
    label[calendar.dayofweek, week] = [str(int(value)) if value else "" for value in values]
    dates[calendar.dayofweek, week] = calendar.strftime("%Y-%m-%d")
    return count, label, dates


def per_entity(detection: Detection, say: Say = str) -> go.Figure:
    """Draw the number of anomalies per entity, stacked by severity."""
    counts = detection.anomalies.groupby(["entity", "severity"], observed=True).size().unstack(fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values().index].tail(25)
    figure = go.Figure()
    for severity in sorted(counts.columns):
        figure.add_bar(
            y=[str(entity) for entity in counts.index],
            x=counts[severity],
            orientation="h",
            name=say(SEVERITIES[severity]),
            marker=_pattern(severity),
            hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(automargin=True)
    return laid_out(figure, say, x=say(N_("anomalies")), height=120 + 22 * len(counts))


def per_month(detection: Detection, say: Say = str) -> go.Figure:
    """Draw the number of anomalies per calendar month, stacked by severity."""
    months = pd.DatetimeIndex(detection.anomalies["time"]).month
    counts = detection.anomalies.groupby([months, "severity"]).size().unstack(fill_value=0)
    counts = counts.reindex(range(1, MONTHS + 1), fill_value=0)
    figure = go.Figure()
    for severity in sorted(counts.columns):
        figure.add_bar(
            x=[f"{month:02d}" for month in counts.index],
            y=counts[severity],
            name=say(SEVERITIES[severity]),
            marker=_pattern(severity),
            hovertemplate="%{x}: %{y}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(type="category")
    return laid_out(figure, say, x=say(N_("month")), y=say(N_("anomalies")), height=300)


def _pattern(severity: int) -> dict[str, object]:
    """Return the colour and hatching of a severity."""
    return {
        "color": ("#F8D3B8", "#F2A66B", "#E07B39", "#B34700")[severity],
        "pattern": {"shape": ("", "/", "x", "")[severity], "solidity": 0.25},
        "line": {"color": "#7A3300", "width": 0.5},
    }


def profile(cells: pd.DataFrame, unit: str, say: Say = str) -> go.Figure:
    """Draw one row and its expected band of ± 2 σ, with the most deviating columns marked."""
    figure = go.Figure()
    columns = cells["column"].astype(str)
    figure.add_scatter(x=columns, y=cells["high"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=columns,
        y=cells["low"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=BAND,
        name=say(N_("expected ± 2σ")),
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=columns,
        y=cells["expected"],
        mode="lines",
        name=say(N_("expected")),
        line={"color": PALETTE[0], "dash": "dash", "width": 1.5},
    )
    figure.add_scatter(
        x=columns,
        y=cells["value"],
        mode="lines+markers",
        name=say(N_("measured")),
        line={"color": CALM, "width": 2.2},
        marker={"size": 5},
    )
    worst = cells.loc[cells["deviation"].abs().sort_values(ascending=False).index[:3]]
    worst = worst[worst["deviation"].abs() >= min(STANDS_OUT, worst["deviation"].abs().max())]
    figure.add_scatter(
        x=worst["column"].astype(str),
        y=worst["value"],
        mode="markers+text",
        name=say(N_("deviates most")),
        text=[f"{deviation:+.1f}σ" for deviation in worst["deviation"]],
        textposition="top center",
        marker={"symbol": "diamond-open", "size": 13, "color": STRONG, "line": {"width": 2}},
    )
    return laid_out(figure, say, y=unit, height=360)


def moment(series: pd.Series, time: object, cell: pd.Series, unit: str, say: Say = str) -> go.Figure:
    """Draw one value of a series between its neighbours in time, with its expected value ± 2 σ."""
    figure = go.Figure()
    figure.add_scatter(
        x=series.index,
        y=series,
        mode="lines+markers",
        name=say(N_("measured")),
        line={"color": CALM, "width": 1.8},
        marker={"size": 4},
    )
    figure.add_scatter(
        x=[time],
        y=[cell["expected"]],
        mode="markers",
        name=say(N_("expected ± 2σ")),
        marker={"symbol": "line-ew-open", "size": 16, "color": PALETTE[0], "line": {"width": 2}},
        error_y={"array": [cell["high"] - cell["expected"]], "color": PALETTE[0], "thickness": 2, "width": 6},
    )
    figure.add_scatter(
        x=[time],
        y=[cell["value"]],
        mode="markers+text",
        name=say(N_("deviates most")),
        textposition="top center",
        text=[f"{cell['deviation']:+.1f}σ"],
        marker={"symbol": "diamond-open", "size": 13, "color": STRONG, "line": {"width": 2}},
    )
    return laid_out(figure, say, y=unit, height=360)


def _amounts(dataset: Dataset, summed: bool) -> NDArray[np.float64]:
    """Return the amount per row, (rows,): the sum of a daily profile, else the mean.

    It is computed block by block, so that memory stays constant.
    """
    reduce = np.nansum if summed else np.nanmean
    return np.concatenate([reduce(block, axis=1) for _, block in dataset.blocks()] or [np.zeros(0)])


def _axis(detection: Detection, say: Say) -> str:
    per_day = say(N_("per day"))
    return f"{detection.data.unit} {per_day}".strip() if detection.data.profile else detection.data.unit
