"""Figures of the quality of forecasts: errors by days ahead and circumstance, coverage of intervals."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.evaluation.forecasts import binomial_band
from core.figures.style import BAND, CALM, PALETTE, STRONG, Say, laid_out, shortened
from core.messages import N_

Floats = NDArray[np.float64]

WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
AXES = {
    "weekday": N_("day of the week"),
    "month": N_("month"),
    "temperature": N_("temperature, °C"),
    "hour": N_("time of day"),
    "entity": N_("entity"),
}
DEGREES = 3  # °C, width of a bin of temperatures
LEAST = 10  # errors of a group, at least
FORECASTS = (
    ("wape", N_("forecast"), "solid", "circle"),
    ("wape_naive1", N_("last known day"), "dash", "square"),
    ("wape_naive7", N_("same weekday before"), "dot", "diamond"),
)


def per_step(scores: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw WAPE by days ahead with that of the two naive forecasts; `scores` of one entity or of all."""
    figure = go.Figure()
    for number, (column, name, dash, symbol) in enumerate(FORECASTS):
        figure.add_scatter(
            x=scores["step"],
            y=shortened(100 * scores[column].to_numpy(np.float64)),
            mode="lines+markers",
            name=say(name),
            line={"color": PALETTE[number], "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x}: %{y:.2f} %<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(dtick=1 if len(scores) <= 14 else 7, tick0=1 if len(scores) <= 14 else 0)
    figure.update_yaxes(rangemode="tozero")
    return laid_out(figure, say, x=say(N_("days ahead")), y="WAPE, %", height=340)


def residuals(checked: pd.DataFrame, by: str, say: Say = str) -> go.Figure:
    """Draw the errors in percent of the usual amount by weekday, month, temperature or hour: 5, 25, 50, 75, 95 %."""
    groups = _groups(checked, by)
    usual = checked.groupby("entity", observed=True)["actual"].transform(lambda amounts: amounts.abs().mean())
    share = 100 * (checked["actual"] - checked["forecast"]) / usual.astype("float64").where(usual > 0)
    found = share.groupby(groups).quantile([0.05, 0.25, 0.5, 0.75, 0.95]).unstack()
    found = found[share.groupby(groups).count() >= LEAST]
    figure = go.Figure()
    figure.add_box(
        x=_names(found.index, by, say),
        lowerfence=shortened(found[0.05].to_numpy()),
        q1=shortened(found[0.25].to_numpy()),
        median=shortened(found[0.5].to_numpy()),
        q3=shortened(found[0.75].to_numpy()),
        upperfence=shortened(found[0.95].to_numpy()),
        marker={"color": PALETTE[0]},
        showlegend=False,
    )
    figure.add_hline(y=0, line={"color": CALM, "dash": "dot", "width": 1})
    figure.update_xaxes(type="linear" if by == "temperature" else "category")
    title = say(N_("measured − forecast, % of the usual amount"))
    return laid_out(figure, say, x=say(AXES[by]), y=title, height=360)


def _groups(checked: pd.DataFrame, by: str) -> pd.Series:
    times = checked["time"].dt
    if by == "temperature":
        return np.floor(checked["temperature"] / DEGREES) * DEGREES + DEGREES / 2
    return {"weekday": times.dayofweek, "month": times.month, "hour": times.hour}[by]


def _names(index: pd.Index, by: str, say: Say) -> list[object]:
    if by == "weekday":
        return [say(WEEKDAYS[int(day)]) for day in index]
    if by == "hour":
        return [f"{int(hour):02d}:00" for hour in index]
    return [float(value) for value in index] if by == "temperature" else [f"{int(value):02d}" for value in index]


def reliability(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw measured against nominal coverage, over all days ahead and one day ahead.

    The band is the 95 % range of chance, for as many independent days as were forecast one day ahead.
    """
    figure = go.Figure()
    together, next_day = (table[table["by"] == by].sort_values("nominal") for by in ("all", "step"))
    next_day = next_day[next_day["group"] == "1"]
    ends = np.array(
        [binomial_band(line.nominal, line.count_) for line in next_day.rename(columns={"count": "count_"}).itertuples()]
    )
    promised = 100 * next_day["nominal"].to_numpy(np.float64)
    for column, name in ((1, ""), (0, say(N_("what chance allows")))):
        figure.add_scatter(
            x=promised,
            y=100 * ends[:, column],
            mode="lines",
            line={"width": 0},
            hoverinfo="skip",
            showlegend=bool(name),
            name=name,
            fill="tonexty" if name else None,
            fillcolor=BAND,
        )
    figure.add_scatter(
        x=promised,
        y=promised,
        mode="lines",
        name=say(N_("as promised")),
        hoverinfo="skip",
        line={"color": CALM, "dash": "dot", "width": 1.5},
    )
    for number, (own, name) in enumerate(((together, say(N_("all days ahead"))), (next_day, say(N_("one day ahead"))))):
        figure.add_scatter(
            x=100 * own["nominal"],
            y=shortened(100 * own["measured"].to_numpy(np.float64)),
            mode="lines+markers",
            name=name,
            line={"color": PALETTE[number], "width": 2, "dash": ("solid", "dash")[number]},
            marker={"symbol": ("circle", "square")[number], "size": 9},
            hovertemplate="%{x:g} % → %{y:.1f} %<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(tickvals=promised)
    return laid_out(figure, say, x=say(N_("promised coverage, %")), y=say(N_("measured coverage, %")), height=380)


def coverage(table: pd.DataFrame, by: str, level: float, say: Say = str) -> go.Figure:
    """Draw the measured coverage of the interval `level` by group, with a line at the nominal coverage."""
    own = table[(table["by"] == by) & np.isclose(table["nominal"], level)]
    own = own.sort_values("measured" if by == "entity" else "group")
    names = [say(WEEKDAYS[int(day)]) for day in own["group"]] if by == "weekday" else own["group"].tolist()
    measured = shortened(100 * own["measured"].to_numpy(np.float64))
    across = by == "entity"
    figure = go.Figure()
    figure.add_bar(
        x=measured if across else names,
        y=names if across else measured,
        orientation="h" if across else "v",
        showlegend=False,
        marker={
            "color": np.where(own["measured"] >= level, PALETTE[0], PALETTE[3]).tolist(),
            "pattern": {"shape": np.where(own["measured"] >= level, "", "/").tolist(), "solidity": 0.3},
        },
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>" if across else "%{x}: %{y:.1f} %<extra></extra>",
    )
    promise = np.full(len(own), np.float32(100 * level))
    figure.add_scatter(
        x=promise if across else names,
        y=names if across else promise,
        mode="lines" if len(own) > 1 else "markers",
        name=say(N_("promised")),
        line={"color": STRONG, "dash": "dash", "width": 2},
        hoverinfo="skip",
        marker={"symbol": "diamond", "size": 9, "color": STRONG},
    )
    title = say(N_("measured coverage, %"))
    if across:
        figure.update_yaxes(automargin=True)
        figure.update_xaxes(range=[0, 103])
        return laid_out(figure, say, x=title, height=120 + 22 * len(own))
    figure.update_xaxes(type="category")
    figure.update_yaxes(range=[0, 103])
    return laid_out(figure, say, x=say(AXES[by]), y=title, height=320)
