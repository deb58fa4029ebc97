"""Figures of usage, performance, emissions and drift. Times are UTC."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.figures.style import CALM, PALETTE, STRONG, WHEN, Say, laid_out
from core.messages import N_

STATUS = {
    "completed": (N_("completed"), PALETTE[0], ""),
    "failed": (N_("failed"), STRONG, "x"),
    "interrupted": (N_("interrupted"), CALM, "/"),
}
MOST_BARS = 25
LEVELS = np.linspace(0.01, 0.99, 99)
UTC = N_("time (UTC)")


def runs_per_model(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the runs of each model by status, from the table of `per_model`."""
    counts = table.groupby("model", observed=True)[list(STATUS)].sum()
    counts = counts.loc[counts.sum(axis=1).sort_values().index].tail(MOST_BARS)
    figure = go.Figure()
    for status, (name, colour, pattern) in STATUS.items():
        figure.add_bar(
            y=[str(model) for model in counts.index],
            x=counts[status],
            orientation="h",
            name=say(name),
            marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}},
            hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(automargin=True)
    return laid_out(figure, say, x=say(N_("runs")), height=120 + 28 * len(counts))


def seconds_over_time(steps: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the median and the 95 % quantile of the response time in seconds, from the table of `over_time`."""
    figure = go.Figure()
    _line(figure, steps["p95"], say(N_("p95")), STRONG, "dash", "%{y:,.2f} s")
    _line(figure, steps["p50"], say(N_("p50 (median)")), PALETTE[0], "solid", "%{y:,.2f} s")
    figure.update_yaxes(rangemode="tozero")
    return laid_out(figure, say, x=say(UTC), y=say(N_("seconds")), height=320)


def seconds_per_model(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the median and the 95 % quantile of the response time of each model, in seconds on a logarithmic axis."""
    table = table.head(MOST_BARS).iloc[::-1]
    names = [
        f"{model} · {application}" for model, application in zip(table["model"], table["application"], strict=True)
    ]
    figure = go.Figure()
    for name, column, symbol, colour in (
        (N_("p50 (median)"), "p50", "circle", PALETTE[0]),
        (N_("p95"), "p95", "diamond", STRONG),
    ):
        figure.add_scatter(
            x=table[column],
            y=names,
            mode="markers",
            name=say(name),
            marker={"symbol": symbol, "size": 11, "color": colour},
            hovertemplate="%{y}: %{x:,.2f} s<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(type="log")
    figure.update_yaxes(automargin=True)
    return laid_out(figure, say, x=say(N_("seconds")), height=130 + 26 * len(table))


def load_over_time(steps: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the mean CPU and memory usage during actions, in percent of the machine."""
    figure = go.Figure()
    _line(figure, steps["cpu"], say(N_("processor")), PALETTE[0], "solid", "%{y:,.0f} %")
    _line(figure, steps["memory"], say(N_("memory")), PALETTE[2], "dash", "%{y:,.0f} %")
    figure.update_yaxes(rangemode="tozero")
    return laid_out(figure, say, x=say(UTC), y=say(N_("% of the machine")), height=320)


def anomalies_per_entity(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the number of anomalies of each entity, stacked by model."""
    counts = table.pivot_table(
        index="entity", columns="model", values="anomalies", aggfunc="sum", fill_value=0, observed=True
    )
    counts = counts.loc[counts.sum(axis=1).sort_values().index].tail(MOST_BARS)
    figure = go.Figure()
    for place, model in enumerate(counts.columns):
        figure.add_bar(
            y=[str(entity) for entity in counts.index],
            x=counts[model],
            orientation="h",
            name=str(model),
            marker={
                "color": PALETTE[place % len(PALETTE)],
                "pattern": {"shape": ("", "/", "x", ".")[place % 4], "solidity": 0.2},
            },
            hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True)
    figure.update_yaxes(automargin=True)
    return laid_out(figure, say, x=say(N_("anomalies")), height=120 + 24 * len(counts))


def emissions_per_model(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the emissions of each model in g CO₂."""
    table = table.head(MOST_BARS).iloc[::-1]
    figure = go.Figure()
    figure.add_bar(
        y=table["model"].astype(str),
        x=1000 * table["kg"],
        orientation="h",
        marker={"color": PALETTE[1]},
        hovertemplate="%{y}: %{x:.3g} g<extra></extra>",
    )
    figure.update_yaxes(automargin=True)
    return laid_out(figure, say, x="g CO₂", height=100 + 28 * len(table))


def then_and_now(then: NDArray[np.float64], now: NDArray[np.float64], unit: str, say: Say = str) -> go.Figure:
    """Draw the quantiles of the new values against those of the training data, equal on the diagonal."""
    then, now = then[~np.isnan(then)], now[~np.isnan(now)]
    figure = go.Figure()
    if not len(then) or not len(now):
        return laid_out(figure, say)
    x, y = np.quantile(then, LEVELS), np.quantile(now, LEVELS)
    ends = [float(min(x[0], y[0])), float(max(x[-1], y[-1]))]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name=say(N_("no change")), line={"color": CALM, "dash": "dot"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=say(N_("quantiles, 1 % to 99 %")),
        marker={"color": PALETTE[0], "size": 6},
        customdata=100 * LEVELS,
        hovertemplate="%{customdata:.0f} %: %{x:,.4g} → %{y:,.4g}<extra></extra>",
    )
    training, new = say(N_("training data")), say(N_("new data"))
    return laid_out(figure, say, x=f"{training} {unit}".strip(), y=f"{new} {unit}".strip(), height=360)


def both_histograms(then: NDArray[np.float64], now: NDArray[np.float64], unit: str, say: Say = str) -> go.Figure:
    """Draw histograms of training and new values in percent of the rows; the outer 0.5 % are in the edge bins."""
    known = np.concatenate([then, now])
    known = known[~np.isnan(known)]
    figure = go.Figure()
    if not len(known):
        return laid_out(figure, say)
    low, high = np.quantile(known, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, 31)
    for name, values, colour, pattern in (
        (N_("training data"), then, CALM, "/"),
        (N_("new data"), now, PALETTE[0], ""),
    ):
        counts = np.histogram(np.clip(values[~np.isnan(values)], edges[0], edges[-1]), edges)[0]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=100 * counts / max(counts.sum(), 1),
            name=say(name),
            opacity=0.6,
            marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}},
            hovertemplate="%{x:,.4g}: %{y:.1f} %<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0)
    return laid_out(figure, say, x=unit, y=say(N_("% of the rows")), height=360)


def _line(figure: go.Figure, values: pd.Series, name: str, colour: str, dash: str, shown: str) -> None:
    figure.add_scatter(
        x=values.index,
        y=values,
        mode="lines+markers",
        name=name,
        line={"color": colour, "dash": dash, "width": 1.8},
        marker={"size": 5},
        hovertemplate=f"{WHEN}<br>{shown}<extra>%{{fullData.name}}</extra>",
    )
