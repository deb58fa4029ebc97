"""Figures of a forecast: future and past, effect of covariates, scenarios."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.data.panel import RATES
from core.figures.style import BAND, CALM, PALETTE, POINTS, STRONG, WHEN, Say, laid_out, shortened, thinned
from core.messages import N_
from core.tasks.forecast.result import Forecast

Floats = NDArray[np.float64]

SECOND_BAND = "rgba(213, 94, 0, 0.14)"
MANY = 80  # points; a longer line has no markers
GROUPS = {
    "calendar": N_("calendar"),
    "past": N_("past amounts"),
    "weather": N_("weather"),
    "strike": N_("strike"),
    "strike_rate": N_("strike rate"),
    "holiday": N_("public holidays"),
    "school_break": N_("school breaks"),
}
METHODS = {
    "raw": N_("raw means"),
    "matched": N_("against like days"),
    "matched, weather taken out": N_("against like days, weather taken out"),
}
STRIKES = (
    (None, N_("strikes as given"), "solid", "circle"),
    (0.0, N_("without strike"), "dash", "square"),
    (1.0, N_("with strike"), "dot", "diamond"),
)


def amount_axis(forecast: Forecast, say: Say = str) -> str:
    """Return the label of the axis of amounts: the unit, "per day" for daily sums."""
    daily = len(forecast.slots) == 1 and forecast.data.unit not in RATES
    return f"{forecast.data.unit} {say(N_('per day'))}".strip() if daily else forecast.data.unit


def ahead(rows: pd.DataFrame, history: pd.DataFrame, forecast: Forecast, say: Say = str) -> go.Figure:
    """Draw the last measurements, the forecast, its interval, and the seasonal naive forecast.

    `rows` are the rows of one entity as in `Forecast.rows`; `history` has the columns time and actual.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=history["time"],
        y=shortened(history["actual"].to_numpy(np.float64)),
        mode="lines",
        name=say(N_("measured")),
        line={"color": CALM, "width": 1.8},
        hovertemplate=_hover(),
    )
    _band(figure, rows["time"], *_outermost(rows), promised(forecast.model_spec.quantiles, say))
    _line(figure, rows["time"], rows["naive7"], say(N_("same weekday before")), 4, "dot", "x-thin-open")
    _line(figure, rows["time"], rows["forecast"], say(N_("forecast")), 0, "dash", "circle")
    guessed = rows[rows["assumed"]]
    if len(guessed):
        figure.add_scatter(
            x=guessed["time"],
            y=shortened(guessed["forecast"].to_numpy(np.float64)),
            mode="markers",
            name=say(N_("a driver assumed")),
            hovertemplate=_hover(),
            marker={"symbol": "diamond-open", "size": 11, "color": STRONG, "line": {"width": 2}},
        )
    return laid_out(figure, say, y=amount_axis(forecast, say), height=420)


def promised(quantiles: Sequence[float], say: Say = str) -> str:
    """Return the name of the interval between the outermost quantiles, such as "90 % interval"."""
    return say(N_("{level} % interval")).format(level=f"{100 * (quantiles[-1] - quantiles[0]):g}")


def compared(checked: pd.DataFrame, forecast: Forecast, say: Say = str) -> go.Figure:
    """Draw every forecast of the backtest over the measured values, for one entity and one number of days ahead."""
    figure = go.Figure()
    checked = checked.sort_values("time")
    actual = checked["actual"].to_numpy(np.float64)
    kept = checked.iloc[np.sort(thinned(actual, POINTS // 2))]
    if any(column.startswith("q") for column in kept):
        _band(figure, kept["time"], *_outermost(kept), promised(forecast.model_spec.quantiles, say))
    figure.add_scatter(
        x=kept["time"],
        y=shortened(kept["actual"].to_numpy(np.float64)),
        mode="lines",
        name=say(N_("measured")),
        line={"color": CALM, "width": 1.8},
        hovertemplate=_hover(),
    )
    figure.add_scatter(
        x=kept["time"],
        y=shortened(kept["forecast"].to_numpy(np.float64)),
        mode="lines",
        name=say(N_("forecast")),
        line={"color": PALETTE[0], "width": 1.4, "dash": "dash"},
        hovertemplate=_hover(),
    )
    return laid_out(figure, say, y=amount_axis(forecast, say), height=400)


def importance(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the growth of the error when a group of features is shuffled, by days ahead."""
    figure = go.Figure()
    order = table.groupby("group", observed=True)["spared"].max().sort_values().index
    for number, (step, own) in enumerate(table.groupby("step")):
        own = own.set_index("group").reindex(order)
        figure.add_bar(
            y=[say(GROUPS.get(group, group)) for group in order],
            x=shortened(100 * own["spared"].to_numpy(np.float64)),
            orientation="h",
            name=say(N_("days ahead: {step}")).format(step=step),
            hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
            marker={
                "color": PALETTE[number % len(PALETTE)],
                "pattern": {"shape": ("", "/", "x")[number % 3], "solidity": 0.25},
            },
        )
    figure.update_layout(barmode="group")
    figure.update_yaxes(automargin=True)
    title = say(N_("growth of the error when shuffled, %"))
    return laid_out(figure, say, x=title, height=140 + 34 * len(order))


def effects(table: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw the effect of a strike by three methods, each with its 95 % interval."""
    figure = go.Figure()
    for number, line in enumerate(table[::-1].to_dict("records")):
        change, low, high = (100 * float(line[name]) for name in ("change", "low", "high"))
        known = bool(np.isfinite(low) and np.isfinite(high))
        figure.add_scatter(
            x=[change],
            y=[say(METHODS.get(line["method"], line["method"]))],
            mode="markers+text",
            showlegend=False,
            text=[f"{change:+.1f} %"],
            textposition="top center",
            marker={"symbol": ("circle", "square", "diamond")[number % 3], "size": 12, "color": PALETTE[number]},
            error_x={
                "array": [high - change],
                "arrayminus": [change - low],
                "color": PALETTE[number],
                "thickness": 2,
                "width": 6,
                "visible": known,
            },
            hovertemplate=f"%{{y}}: {change:+.1f} % ({low:+.1f} … {high:+.1f})<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": CALM, "dash": "dot", "width": 1})
    figure.update_yaxes(automargin=True, range=[-0.6, len(table) - 0.3])
    return laid_out(figure, say, x=say(N_("change on a day with a strike, %")), height=130 + 60 * len(table))


def response(table: pd.DataFrame, unit: str, say: Say = str) -> go.Figure:
    """Draw the amount of the whole horizon by temperature shift, with and without a strike."""
    figure = go.Figure()
    for number, (strike, name, dash, symbol) in enumerate(STRIKES):
        own = table[table["strike"].isna()] if strike is None else table[table["strike"] == strike]
        if own.empty:
            continue
        own = own.sort_values("shift")
        figure.add_scatter(
            x=own["shift"],
            y=shortened(own["amount"].to_numpy(np.float64)),
            mode="lines+markers",
            name=say(name),
            line={"color": PALETTE[number], "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x:+g} °C: %{y:,.0f}<extra>%{fullData.name}</extra>",
        )
    return laid_out(figure, say, x=say(N_("warmer by, °C")), y=unit, height=360)


def changed(table: pd.DataFrame, forecast: Forecast, say: Say = str) -> go.Figure:
    """Draw a forecast and its change by a scenario, as returned by `what_if`; a sum of entities has no intervals."""
    figure = go.Figure()
    if "low" in table:
        _band(figure, table["time"], table["low"], table["high"], say(N_("interval as given")))
        _band(
            figure,
            table["time"],
            table["changed_low"],
            table["changed_high"],
            say(N_("interval as changed")),
            SECOND_BAND,
            {"shape": "/", "fgcolor": STRONG, "bgcolor": SECOND_BAND, "fgopacity": 0.35, "size": 7, "solidity": 0.15},
        )
    _line(figure, table["time"], table["forecast"], say(N_("as given")), 0, "solid", "circle")
    _line(figure, table["time"], table["changed"], say(N_("as changed")), STRONG, "dash", "diamond")
    return laid_out(figure, say, y=amount_axis(forecast, say), height=380)


# ---- ingredients ----------------------------------------------------------------------------------------------------


def _outermost(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the columns of the lowest and the highest quantile."""
    names = sorted((column for column in table if column.startswith("q")), key=lambda name: float(name[1:]))
    return table[names[0]], table[names[-1]]


def _band(
    figure: go.Figure,
    times: pd.Series,
    low: pd.Series,
    high: pd.Series,
    name: str,
    fill: str = BAND,
    pattern: dict[str, object] | None = None,
) -> None:
    figure.add_scatter(
        x=times,
        y=shortened(high.to_numpy(np.float64)),
        mode="lines",
        line={"width": 0},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=times,
        y=shortened(low.to_numpy(np.float64)),
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=fill,
        fillpattern=pattern,
        name=name,
        hoverinfo="skip",
    )


def _line(
    figure: go.Figure, times: pd.Series, amounts: pd.Series, name: str, colour: "int | str", dash: str, symbol: str
) -> None:
    """Draw a line, with markers if there are fewer than 80 points."""
    shade = colour if isinstance(colour, str) else PALETTE[colour]
    figure.add_scatter(
        x=times,
        y=shortened(amounts.to_numpy(np.float64)),
        mode="lines+markers" if len(amounts) < MANY else "lines",
        name=name,
        line={"color": shade, "dash": dash, "width": 2},
        hovertemplate=_hover(),
        marker={"symbol": symbol, "size": 7, "line": {"width": 1.5, "color": shade}},
    )


def _hover() -> str:
    return f"{WHEN}<br>%{{y:,.1f}}<extra>%{{fullData.name}}</extra>"
