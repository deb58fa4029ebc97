"""Figures of usage, performance, emissions and drift. Times are those of the given tables."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, TIME_FORMAT, Translate, apply_layout
from core.messages import N_

STATUS_STYLES = {
    "completed": (N_("completed"), PALETTE[0], ""),
    "failed": (N_("failed"), HIGHLIGHT_COLOUR, "x"),
    "interrupted": (N_("interrupted"), NEUTRAL_COLOUR, "/"),
}
MAX_BARS = 25
MAX_SINGLE_TICKS = 8  # so few whole numbers each have their own tick
QUANTILE_LEVELS = np.linspace(0.01, 0.99, 99)
TIME_LABEL = N_("time")


def draw_runs_per_model(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the runs of each model by status, from the table of `per_model`."""
    counts = table.groupby("model", observed=True)[list(STATUS_STYLES)].sum()
    counts = counts.loc[counts.sum(axis=1).sort_values().index].tail(MAX_BARS)
    figure = go.Figure()
    for status, (name, colour, pattern) in STATUS_STYLES.items():
        figure.add_bar(
            y=[str(model) for model in counts.index],
            x=counts[status],
            orientation="h",
            name=translate(name),
            marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}},
            hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(automargin=True)
    if counts.to_numpy().sum(axis=1).max(initial=0) < MAX_SINGLE_TICKS:
        figure.update_xaxes(dtick=1)  # no half runs
    return apply_layout(figure, translate, x=translate(N_("runs")), height=120 + 28 * len(counts))


def draw_seconds_over_time(bins: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the median and the 95 % quantile of the response time in seconds, from the table of `over_time`."""
    figure = go.Figure()
    _draw_line(figure, bins["p95"], translate(N_("95 % within")), HIGHLIGHT_COLOUR, "dash", "%{y:,.2f} s")
    _draw_line(figure, bins["p50"], translate(N_("median")), PALETTE[0], "solid", "%{y:,.2f} s")
    figure.update_yaxes(rangemode="tozero")
    return apply_layout(figure, translate, x=translate(TIME_LABEL), y=translate(N_("seconds")), height=320)


def draw_seconds_per_model(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the median and the 95 % quantile of the response time of each model, in seconds on a logarithmic axis."""
    table = table.head(MAX_BARS).iloc[::-1]
    names = [
        f"{model} · {application}" for model, application in zip(table["model"], table["application"], strict=True)
    ]
    figure = go.Figure()
    for name, column, symbol, colour in (
        (N_("median"), "p50", "circle", PALETTE[0]),
        (N_("95 % within"), "p95", "diamond", HIGHLIGHT_COLOUR),
    ):
        figure.add_scatter(
            x=table[column],
            y=names,
            mode="markers",
            name=translate(name),
            marker={"symbol": symbol, "size": 11, "color": colour},
            hovertemplate="%{y}: %{x:,.2f} s<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(type="log")
    figure.update_yaxes(automargin=True)
    return apply_layout(figure, translate, x=translate(N_("seconds")), height=130 + 26 * len(table))


def draw_load_over_time(bins: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the mean CPU and memory usage during actions, in percent of the machine."""
    figure = go.Figure()
    _draw_line(figure, bins["cpu"], translate(N_("processor")), PALETTE[0], "solid", "%{y:,.0f} %")
    _draw_line(figure, bins["memory"], translate(N_("memory")), PALETTE[2], "dash", "%{y:,.0f} %")
    figure.update_yaxes(rangemode="tozero")
    return apply_layout(figure, translate, x=translate(TIME_LABEL), y=translate(N_("% of the machine")), height=320)


def draw_anomalies_per_entity(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the number of anomalies of each entity, stacked by model."""
    counts = table.pivot_table(
        index="entity", columns="model", values="anomalies", aggfunc="sum", fill_value=0, observed=True
    )
    counts = counts.loc[counts.sum(axis=1).sort_values().index].tail(MAX_BARS)
    figure = go.Figure()
    for position, model in enumerate(counts.columns):
        figure.add_bar(
            y=[str(entity) for entity in counts.index],
            x=counts[model],
            orientation="h",
            name=str(model),
            marker={
                "color": PALETTE[position % len(PALETTE)],
                "pattern": {"shape": ("", "/", "x", ".")[position % 4], "solidity": 0.2},
            },
            hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True)
    figure.update_yaxes(automargin=True)
    return apply_layout(figure, translate, x=translate(N_("anomalies")), height=120 + 24 * len(counts))


def draw_emissions_per_model(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the emissions of each model in g CO₂."""
    table = table.head(MAX_BARS).iloc[::-1]
    figure = go.Figure()
    figure.add_bar(
        y=table["model"].astype(str),
        x=1000 * table["kg"],
        orientation="h",
        marker={"color": PALETTE[1]},
        hovertemplate="%{y}: %{x:.3g} g<extra></extra>",
    )
    figure.update_yaxes(automargin=True)
    return apply_layout(figure, translate, x="g CO₂", height=100 + 28 * len(table))


def draw_quantile_comparison(
    train_values: NDArray[np.float64], new_values: NDArray[np.float64], unit: str, translate: Translate = str
) -> go.Figure:
    """Draw the quantiles of the new values against those of the training data, equal on the diagonal."""
    train_values, new_values = train_values[~np.isnan(train_values)], new_values[~np.isnan(new_values)]
    figure = go.Figure()
    if not len(train_values) or not len(new_values):
        return apply_layout(figure, translate)
    x, y = np.quantile(train_values, QUANTILE_LEVELS), np.quantile(new_values, QUANTILE_LEVELS)
    ends = [float(min(x[0], y[0])), float(max(x[-1], y[-1]))]
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        name=translate(N_("no change")),
        line={"color": NEUTRAL_COLOUR, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=translate(N_("quantiles, 1 % to 99 %")),
        marker={"color": PALETTE[0], "size": 6},
        customdata=100 * QUANTILE_LEVELS,
        hovertemplate="%{customdata:.0f} %: %{x:,.4g} → %{y:,.4g}<extra></extra>",
    )
    train_label, new_label = translate(N_("training data")), translate(N_("new data"))
    return apply_layout(
        figure, translate, x=f"{train_label} {unit}".strip(), y=f"{new_label} {unit}".strip(), height=360
    )


def draw_value_histograms(
    train_values: NDArray[np.float64], new_values: NDArray[np.float64], unit: str, translate: Translate = str
) -> go.Figure:
    """Draw histograms of training and new values in percent of the rows; the outer 0.5 % are in the edge bins."""
    all_values = np.concatenate([train_values, new_values])
    all_values = all_values[~np.isnan(all_values)]
    figure = go.Figure()
    if not len(all_values):
        return apply_layout(figure, translate)
    low, high = np.quantile(all_values, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, 31)
    for name, values, colour, pattern in (
        (N_("training data"), train_values, NEUTRAL_COLOUR, "/"),
        (N_("new data"), new_values, PALETTE[0], ""),
    ):
        counts = np.histogram(np.clip(values[~np.isnan(values)], edges[0], edges[-1]), edges)[0]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=100 * counts / max(counts.sum(), 1),
            name=translate(name),
            opacity=0.6,
            marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}},
            hovertemplate="%{x:,.4g}: %{y:.1f} %<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0)
    return apply_layout(figure, translate, x=unit, y=translate(N_("% of the rows")), height=360)


def _draw_line(figure: go.Figure, values: pd.Series, name: str, colour: str, dash: str, value_format: str) -> None:
    figure.add_scatter(
        x=values.index,
        y=values,
        mode="lines+markers",
        name=name,
        line={"color": colour, "dash": dash, "width": 1.8},
        marker={"size": 5},
        hovertemplate=f"{TIME_FORMAT}<br>{value_format}<extra>%{{fullData.name}}</extra>",
    )
