"""Figures of the anomalies task.

Severities differ by marker shape or hatching as well as by colour, for colour-blind readers.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.data.dataset import Dataset
from core.figures.style import (
    BAND_COLOUR,
    HIGHLIGHT_COLOUR,
    MAX_POINTS,
    NEUTRAL_COLOUR,
    PALETTE,
    TIME_FORMAT,
    Translate,
    apply_layout,
    compute_axis_range,
    downsample,
    to_float32,
)
from core.messages import N_, Message
from core.tasks.anomalies.explanation import format_deviation, select_columns
from core.tasks.anomalies.result import SEVERITIES, Detection

SEVERITY_SYMBOLS = ("circle-open", "diamond-open", "triangle-up", "star")
HEAT_SCALE = ((0.0, "rgba(122, 139, 153, 0.10)"), (0.001, "#FDE3CF"), (0.4, "#F2A66B"), (1.0, "#B34700"))
MAX_MARKERS = 1000
MONTH_COUNT = 12


def draw_timeline(
    dataset: Dataset, detection: Detection, translate: Translate = str, render: Callable[[Message], str] = str
) -> go.Figure:
    """Draw the amount of every entity over time, with one mark per incident, by severity.

    A mark is at the row with the highest score; a thick line covers the other rows of its incident. The axis ends
    slightly above the ordinary amounts, so that one extreme value does not flatten the curves. Incidents beyond the
    axis are drawn at its edge, labelled with their amount. `render` gives the text of messages.
    """
    figure = go.Figure()
    amounts = _compute_amounts(dataset, detection.data.profile)
    budget = max(200, MAX_POINTS // max(len(dataset.entities), 1))
    has_few_entities = len(dataset.entities) <= len(PALETTE)
    for code, entity in enumerate(dataset.entities):
        row_positions = np.flatnonzero(dataset.entity_codes == code)
        row_positions = row_positions[np.argsort(dataset.time[row_positions], kind="stable")]
        row_positions = row_positions[downsample(amounts[row_positions], budget)]
        figure.add_scatter(
            x=dataset.time[row_positions],
            y=to_float32(amounts[row_positions]),
            mode="lines",
            name=entity,
            showlegend=has_few_entities,
            line={"width": 1.2, "color": PALETTE[code % len(PALETTE)]},
            opacity=0.8 if has_few_entities else 0.55,
            hovertemplate=f"{TIME_FORMAT}<br>%{{y:,.1f}}<extra>%{{fullData.name}}</extra>",
        )
    low, high = compute_axis_range(amounts)
    _draw_incidents(figure, detection, dataset, (low, high), translate, render)
    figure.update_yaxes(range=[low, high])
    return apply_layout(figure, translate, y=_label_amount_axis(detection, translate), height=420)


def _draw_incidents(
    figure: go.Figure,
    detection: Detection,
    dataset: Dataset,
    axis_range: tuple[float, float],
    translate: Translate,
    render: Callable[[Message], str],
) -> None:
    """Draw the incidents by severity; `axis_range` is the range of the y axis."""
    incidents = detection.incidents
    incidents = incidents[incidents["entity"].isin(dataset.entities)].head(MAX_MARKERS)
    span = axis_range[1] - axis_range[0]
    _draw_spans(figure, detection.anomalies, incidents, axis_range)
    worst = detection.rows.loc[incidents["row"]].set_axis(incidents.index)
    marker_amounts = worst["amount"].clip(axis_range[0] + 0.03 * span, axis_range[1] - 0.03 * span)
    is_beyond_axis = (worst["amount"] > axis_range[1]) | (worst["amount"] < axis_range[0])
    for severity in (3, 2, 1, 0):
        group = incidents[incidents["severity"] == severity]
        if group.empty:
            continue
        group_beyond_axis = is_beyond_axis[group.index]
        amounts = worst.loc[group.index, "amount"].round(1)
        texts = [render(text) for text in detection.describe_values(group["row"])]
        figure.add_scatter(
            x=worst.loc[group.index, "time"],
            y=marker_amounts[group.index],
            mode="markers+text" if group_beyond_axis.any() else "markers",
            name=translate(SEVERITIES[severity]),
            textposition="middle right",
            cliponaxis=False,
            texttemplate=["%{customdata[1]:,.0f}" if is_outside else "" for is_outside in group_beyond_axis],
            marker={
                "symbol": SEVERITY_SYMBOLS[severity],
                "size": 8 + 2 * severity,
                "color": HIGHLIGHT_COLOUR,
                "line": {"width": 1.2},
            },
            customdata=list(zip(group["entity"].astype(str), amounts, texts, strict=True)),
            hovertemplate=f"%{{customdata[0]}}<br>{TIME_FORMAT}<br>%{{customdata[1]:,}}<br>%{{customdata[2]}}<extra></extra>",
        )


def _draw_spans(
    figure: go.Figure, anomalies: pd.DataFrame, incidents: pd.DataFrame, axis_range: tuple[float, float]
) -> None:
    """Draw a thick line over the rows of every incident with several rows."""
    several = incidents.index[incidents["rows"] > 1]
    rows = anomalies[anomalies["incident"].isin(several)].sort_values(["incident", "time"], kind="stable")
    if rows.empty:
        return
    last = rows.drop_duplicates("incident", keep="last").assign(amount=np.nan)  # NaN ends the line
    rows = pd.concat([rows, last]).sort_values(["incident", "time"], kind="stable")
    figure.add_scatter(
        x=rows["time"],
        y=rows["amount"].clip(*axis_range),
        mode="lines",
        line={"width": 5, "color": HIGHLIGHT_COLOUR},
        opacity=0.35,
        showlegend=False,
        hoverinfo="skip",
    )


def draw_calendar_map(detection: Detection, translate: Translate = str) -> go.Figure:
    """Draw the number of anomalies per day: one calendar heat map per year, weeks across, weekdays down."""
    days = pd.DatetimeIndex(detection.rows["time"]).normalize()
    counts_by_day = pd.DatetimeIndex(detection.anomalies["time"]).normalize().value_counts()
    years = list(range(days.min().year, days.max().year + 1))
    figure = make_subplots(rows=len(years), cols=1, vertical_spacing=0.25 / max(len(years), 1) / 2)
    highest = int(counts_by_day.max()) if len(counts_by_day) else 1
    for panel, year in enumerate(years):
        count, label, dates = _build_year_grid(year, days, counts_by_day)
        figure.add_heatmap(
            z=count,
            text=label,
            customdata=dates,
            texttemplate="%{text}",
            textfont={"size": 9},
            row=panel + 1,
            col=1,
            colorscale=HEAT_SCALE,
            zmin=0,
            zmax=highest,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{customdata}: %{z}<extra></extra>",
            hoverongaps=False,
        )
        axis = {"title": {"text": str(year)}, "autorange": "reversed", "showticklabels": False, "fixedrange": True}
        figure.update_yaxes(**axis, row=panel + 1, col=1)
        month_positions = [pd.Timestamp(year, month, 1).dayofyear // 7 + 1.5 for month in range(1, MONTH_COUNT + 1)]
        figure.update_xaxes(
            tickvals=month_positions,
            ticktext=[f"{month:02d}" for month in range(1, MONTH_COUNT + 1)],
            fixedrange=True,
            showticklabels=year == years[-1],
            showgrid=False,
            range=[-0.5, 53.5],
            row=panel + 1,
            col=1,
        )
    figure.update_yaxes(showgrid=False)
    return apply_layout(figure, translate, height=70 + 112 * len(years))


def _build_year_grid(
    year: int, days: pd.DatetimeIndex, counts_by_day: pd.Series
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Return counts, labels and dates of every day of `year`, each (7, 54) = weekdays × weeks.

    The count is NaN on days without data.
    """
    calendar = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    week = (calendar.dayofyear + pd.Timestamp(year, 1, 1).dayofweek - 1) // 7
    count = np.full((7, 54), np.nan)
    label, dates = np.full((7, 54), "", dtype="<U4"), np.full((7, 54), "", dtype="<U10")
    present = calendar.isin(days)
    values = counts_by_day.reindex(calendar).fillna(0).to_numpy()
    count[calendar.dayofweek, week] = np.where(present, values, np.nan)
    label[calendar.dayofweek, week] = [str(int(value)) if value else "" for value in values]
    dates[calendar.dayofweek, week] = calendar.strftime("%Y-%m-%d")
    return count, label, dates


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


def draw_counts_per_month(detection: Detection, translate: Translate = str) -> go.Figure:
    """Draw the number of anomalies per calendar month, stacked by severity."""
    months = pd.DatetimeIndex(detection.anomalies["time"]).month
    counts = detection.anomalies.groupby([months, "severity"]).size().unstack(fill_value=0)
    counts = counts.reindex(range(1, MONTH_COUNT + 1), fill_value=0)
    figure = go.Figure()
    for severity in sorted(counts.columns):
        figure.add_bar(
            x=[f"{month:02d}" for month in counts.index],
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
        name=translate(N_("expected ± 2σ")),
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=columns,
        y=cells["expected"],
        mode="lines",
        name=translate(N_("expected")),
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
        text=[format_deviation(deviation) for deviation in marked_cells["deviation"]],
        textposition="top center",
        marker={"symbol": "diamond-open", "size": 13, "color": HIGHLIGHT_COLOUR, "line": {"width": 2}},
    )
    return apply_layout(figure, translate, y=unit, height=360)


def draw_value_in_series(
    series: pd.Series, time: object, cell: pd.Series, unit: str, translate: Translate = str
) -> go.Figure:
    """Draw one value of a series between its neighbours in time, with its expected value ± 2 σ."""
    figure = go.Figure()
    figure.add_scatter(
        x=series.index,
        y=series,
        mode="lines+markers",
        name=translate(N_("measured")),
        line={"color": NEUTRAL_COLOUR, "width": 1.8},
        marker={"size": 4},
    )
    figure.add_scatter(
        x=[time],
        y=[cell["expected"]],
        mode="markers",
        name=translate(N_("expected ± 2σ")),
        marker={"symbol": "line-ew-open", "size": 16, "color": PALETTE[0], "line": {"width": 2}},
        error_y={
            "array": [cell["high"] - cell["expected"]],
            "arrayminus": [cell["expected"] - cell["low"]],
            "color": PALETTE[0],
            "thickness": 2,
            "width": 6,
        },
    )
    figure.add_scatter(
        x=[time],
        y=[cell["value"]],
        mode="markers+text",
        name=translate(N_("largest deviations")),
        textposition="top center",
        text=[format_deviation(cell["deviation"])],
        marker={"symbol": "diamond-open", "size": 13, "color": HIGHLIGHT_COLOUR, "line": {"width": 2}},
    )
    return apply_layout(figure, translate, y=unit, height=360)


def _compute_amounts(dataset: Dataset, is_profile: bool) -> NDArray[np.float64]:
    """Return the amount per row, (rows,): the sum of a daily profile, else the mean.

    It is computed block by block, so that memory stays constant.
    """
    reduce = np.nansum if is_profile else np.nanmean
    return np.concatenate([reduce(block, axis=1) for _, block in dataset.iter_blocks()] or [np.zeros(0)])


def _label_amount_axis(detection: Detection, translate: Translate) -> str:
    per_day = translate(N_("per day"))
    return f"{detection.data.unit} {per_day}".strip() if detection.data.profile else detection.data.unit
