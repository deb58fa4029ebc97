"""Figures of the quality of forecasts: errors by days ahead and circumstance, coverage of intervals."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.evaluation.forecast_metrics import compute_binomial_band
from core.figures.style import (
    BAND_COLOUR,
    HIGHLIGHT_COLOUR,
    NEUTRAL_COLOUR,
    PALETTE,
    Translate,
    apply_layout,
    to_float32,
)
from core.messages import N_
from core.tasks.forecast.period_words import DAYS, PeriodWords

WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
AXIS_LABELS = {
    "weekday": N_("day of the week"),
    "month": N_("month"),
    "temperature": N_("temperature, °C"),
    "hour": N_("time of day"),
    "entity": N_("entity"),
}
TEMPERATURE_BIN_C = 3  # °C, width of a bin of temperatures
MIN_GROUP_ERRORS = 10  # errors of a group, at least


def draw_step_errors(scores: pd.DataFrame, translate: Translate = str, words: PeriodWords = DAYS) -> go.Figure:
    """Draw WAPE by periods ahead with that of the two naive forecasts; `scores` of one entity or of all."""
    figure = go.Figure()
    lines = (
        ("wape", N_("forecast"), "solid", "circle"),
        ("wape_naive1", words.last_known, "dash", "square"),
        ("wape_naive7", words.season_before, "dot", "diamond"),
    )
    for number, (column, name, dash, symbol) in enumerate(lines):
        figure.add_scatter(
            x=scores["step"],
            y=to_float32(100 * scores[column].to_numpy(np.float64)),
            mode="lines+markers",
            name=translate(name),
            line={"color": PALETTE[number], "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x}: %{y:.2f} %<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(dtick=1 if len(scores) <= 14 else 7, tick0=1 if len(scores) <= 14 else 0)
    figure.update_yaxes(rangemode="tozero")
    return apply_layout(figure, translate, x=translate(words.ahead), y="WAPE, %", height=340)


def draw_residuals(checked: pd.DataFrame, grouping: str, translate: Translate = str) -> go.Figure:
    """Draw the errors in percent of the usual amount by weekday, month, temperature or hour: 5, 25, 50, 75, 95 %."""
    groups = _group_errors(checked, grouping)
    usual_amount = checked.groupby("entity", observed=True)["actual"].transform(lambda amounts: amounts.abs().mean())
    share = 100 * (checked["actual"] - checked["forecast"]) / usual_amount.astype("float64").where(usual_amount > 0)
    quantiles = share.groupby(groups).quantile([0.05, 0.25, 0.5, 0.75, 0.95]).unstack()
    quantiles = quantiles[share.groupby(groups).count() >= MIN_GROUP_ERRORS]
    figure = go.Figure()
    figure.add_box(
        x=_label_groups(quantiles.index, grouping, translate),
        lowerfence=to_float32(quantiles[0.05].to_numpy()),
        q1=to_float32(quantiles[0.25].to_numpy()),
        median=to_float32(quantiles[0.5].to_numpy()),
        q3=to_float32(quantiles[0.75].to_numpy()),
        upperfence=to_float32(quantiles[0.95].to_numpy()),
        marker={"color": PALETTE[0]},
        showlegend=False,
    )
    figure.update_yaxes(rangemode="tozero", zeroline=True, zerolinecolor=NEUTRAL_COLOUR)
    figure.update_xaxes(type="linear" if grouping == "temperature" else "category")
    title = translate(N_("measured − forecast, % of the mean amount"))
    return apply_layout(figure, translate, x=translate(AXIS_LABELS[grouping]), y=title, height=360)


def _group_errors(checked: pd.DataFrame, grouping: str) -> pd.Series:
    times = checked["time"].dt
    if grouping == "temperature":
        return np.floor(checked["temperature"] / TEMPERATURE_BIN_C) * TEMPERATURE_BIN_C + TEMPERATURE_BIN_C / 2
    return {"weekday": times.dayofweek, "month": times.month, "hour": times.hour}[grouping]


def _label_groups(index: pd.Index, grouping: str, translate: Translate) -> list[object]:
    if grouping == "weekday":
        return [translate(WEEKDAYS[int(day)]) for day in index]
    if grouping == "hour":
        return [f"{int(hour):02d}:00" for hour in index]
    return [float(value) for value in index] if grouping == "temperature" else [f"{int(value):02d}" for value in index]


def draw_reliability(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw measured against nominal coverage, over all days ahead and one day ahead.

    The band is the 95 % range of chance, for as many independent days as were forecast one day ahead.
    """
    figure = go.Figure()
    all_days, next_day = (table[table["by"] == grouping].sort_values("nominal") for grouping in ("all", "step"))
    next_day = next_day[next_day["group"] == "1"]
    chance_band = np.array(
        [
            compute_binomial_band(row.nominal, row.count_)
            for row in next_day.rename(columns={"count": "count_"}).itertuples()
        ]
    )
    nominal = 100 * next_day["nominal"].to_numpy(np.float64)
    for column, name in ((1, ""), (0, translate(N_("95 % range of chance")))):
        figure.add_scatter(
            x=nominal,
            y=100 * chance_band[:, column],
            mode="lines",
            line={"width": 0},
            hoverinfo="skip",
            showlegend=bool(name),
            name=name,
            fill="tonexty" if name else None,
            fillcolor=BAND_COLOUR,
        )
    figure.add_scatter(
        x=nominal,
        y=nominal,
        mode="lines",
        name=translate(N_("measured = nominal")),
        hoverinfo="skip",
        line={"color": NEUTRAL_COLOUR, "dash": "dot", "width": 1.5},
    )
    for number, (rows, name) in enumerate(
        ((all_days, translate(N_("all days ahead"))), (next_day, translate(N_("one day ahead"))))
    ):
        figure.add_scatter(
            x=100 * rows["nominal"],
            y=to_float32(100 * rows["measured"].to_numpy(np.float64)),
            mode="lines+markers",
            name=name,
            line={"color": PALETTE[number], "width": 2, "dash": ("solid", "dash")[number]},
            marker={"symbol": ("circle", "square")[number], "size": 9},
            hovertemplate="%{x:g} % → %{y:.1f} %<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(tickvals=nominal)
    return apply_layout(
        figure, translate, x=translate(N_("nominal coverage, %")), y=translate(N_("measured coverage, %")), height=380
    )


def draw_coverage(table: pd.DataFrame, grouping: str, level: float, translate: Translate = str) -> go.Figure:
    """Draw the measured coverage of the interval `level` by group, with a line at the nominal coverage."""
    rows = table[(table["by"] == grouping) & np.isclose(table["nominal"], level)]
    rows = rows.sort_values("measured" if grouping == "entity" else "group")
    names = (
        [translate(WEEKDAYS[int(day)]) for day in rows["group"]] if grouping == "weekday" else rows["group"].tolist()
    )
    measured = to_float32(100 * rows["measured"].to_numpy(np.float64))
    is_horizontal = grouping == "entity"
    figure = go.Figure()
    figure.add_bar(
        x=measured if is_horizontal else names,
        y=names if is_horizontal else measured,
        orientation="h" if is_horizontal else "v",
        showlegend=False,
        marker={
            "color": np.where(rows["measured"] >= level, PALETTE[0], PALETTE[3]).tolist(),
            "pattern": {"shape": np.where(rows["measured"] >= level, "", "/").tolist(), "solidity": 0.3},
        },
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>" if is_horizontal else "%{x}: %{y:.1f} %<extra></extra>",
    )
    nominal = np.full(len(rows), np.float32(100 * level))
    figure.add_scatter(
        x=nominal if is_horizontal else names,
        y=names if is_horizontal else nominal,
        mode="lines" if len(rows) > 1 else "markers",
        name=translate(N_("nominal")),
        line={"color": HIGHLIGHT_COLOUR, "dash": "dash", "width": 2},
        hoverinfo="skip",
        marker={"symbol": "diamond", "size": 9, "color": HIGHLIGHT_COLOUR},
    )
    title = translate(N_("measured coverage, %"))
    if is_horizontal:
        figure.update_yaxes(automargin=True)
        figure.update_xaxes(range=[0, 103])
        return apply_layout(figure, translate, x=title, height=120 + 22 * len(rows))
    figure.update_xaxes(type="category")
    figure.update_yaxes(range=[0, 103])
    return apply_layout(figure, translate, x=translate(AXIS_LABELS[grouping]), y=title, height=320)
