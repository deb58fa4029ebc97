"""Figures of a forecast: future and past, effect of covariates, scenarios."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.data.aggregation import is_averaged_unit
from core.figures.bands import outline_band
from core.figures.style import (
    BAND_COLOUR,
    HIGHLIGHT_COLOUR,
    MAX_POINTS,
    NEUTRAL_COLOUR,
    PALETTE,
    TIME_FORMAT,
    Translate,
    apply_layout,
    downsample,
    to_float32,
)
from core.messages import N_
from core.tasks.forecast.period_words import get_period_words
from core.tasks.forecast.result import Forecast

CHANGED_BAND = "rgba(213, 94, 0, 0.14)"
ALARM_SHADE = "rgba(213, 94, 0, 0.10)"
ALARM_MARGIN_STEPS = 45  # judged values before and after an alarm in its picture, at least
MAX_MARKER_POINTS = 80  # points; a longer line has no markers
GROUP_LABELS = {
    "calendar": N_("calendar"),
    "past": N_("past amounts"),
    "weather": N_("weather"),
    "strike": N_("strike"),
    "strike_rate": N_("strike rate"),
    "holiday": N_("public holidays"),
    "school_break": N_("school breaks"),
}
METHOD_LABELS = {
    "raw": N_("raw means"),
    "matched": N_("compared with similar days"),
    "matched, weather removed": N_("compared with similar days, without the effect of weather"),
}
STRIKE_LINES = (
    (None, N_("strikes unchanged"), "solid", "circle"),
    (0.0, N_("without strike"), "dash", "square"),
    (1.0, N_("with strike"), "dot", "diamond"),
)


def label_amount_axis(forecast: Forecast, translate: Translate = str) -> str:
    """Return the label of the axis of amounts: the unit, with "per day" or the like for sums of a period."""
    per_period = get_period_words(forecast.frequency).per_period
    is_sum = len(forecast.slots) == 1 and not is_averaged_unit(forecast.data.unit) and bool(per_period)
    return f"{forecast.data.unit} {translate(per_period)}".strip() if is_sum else forecast.data.unit


def draw_forecast(
    rows: pd.DataFrame, history: pd.DataFrame, forecast: Forecast, translate: Translate = str
) -> go.Figure:
    """Draw the last measurements, the forecast, its interval, and the seasonal naive forecast.

    `rows` are the rows of one entity as in `Forecast.rows`; `history` has the columns time and actual.
    """
    figure = go.Figure()
    history = history.iloc[downsample(history["actual"].to_numpy(np.float64), MAX_POINTS)]
    figure.add_scatter(
        x=history["time"],
        y=to_float32(history["actual"].to_numpy(np.float64)),
        mode="lines",
        name=translate(N_("measured")),
        line={"color": NEUTRAL_COLOUR, "width": 1.8},
        hovertemplate=_build_hover_template(),
    )
    _draw_band(
        figure, rows["time"], *_select_outer_quantiles(rows), name_interval(forecast.model_spec.quantiles, translate)
    )
    season_before = translate(get_period_words(forecast.frequency).season_before)
    _draw_line(figure, rows["time"], rows["naive7"], season_before, 4, "dot", "x-thin-open")
    _draw_line(figure, rows["time"], rows["forecast"], translate(N_("forecast")), 0, "dash", "circle")
    assumed_rows = rows[rows["assumed"]]
    if len(assumed_rows):
        figure.add_scatter(
            x=assumed_rows["time"],
            y=to_float32(assumed_rows["forecast"].to_numpy(np.float64)),
            mode="markers",
            name=translate(N_("assumed covariate")),
            hovertemplate=_build_hover_template(),
            marker={"symbol": "diamond-open", "size": 11, "color": HIGHLIGHT_COLOUR, "line": {"width": 2}},
        )
    return apply_layout(figure, translate, y=label_amount_axis(forecast, translate), height=420)


def name_interval(quantiles: Sequence[float], translate: Translate = str) -> str:
    """Return the name of the interval between the outermost quantiles, such as "90 % interval"."""
    return translate(N_("{level} % interval")).format(level=f"{100 * (quantiles[-1] - quantiles[0]):g}")


def draw_backtest(checked: pd.DataFrame, forecast: Forecast, translate: Translate = str) -> go.Figure:
    """Draw every forecast of the backtest over the measured values, for one entity and one number of days ahead."""
    figure = go.Figure()
    checked = checked.sort_values("time")
    actual = checked["actual"].to_numpy(np.float64)
    drawn_rows = checked.iloc[np.sort(downsample(actual, MAX_POINTS // 2))]
    if any(column.startswith("q") for column in drawn_rows):
        _draw_band(
            figure,
            drawn_rows["time"],
            *_select_outer_quantiles(drawn_rows),
            name_interval(forecast.model_spec.quantiles, translate),
        )
    figure.add_scatter(
        x=drawn_rows["time"],
        y=to_float32(drawn_rows["actual"].to_numpy(np.float64)),
        mode="lines",
        name=translate(N_("measured")),
        line={"color": NEUTRAL_COLOUR, "width": 1.8},
        hovertemplate=_build_hover_template(),
    )
    figure.add_scatter(
        x=drawn_rows["time"],
        y=to_float32(drawn_rows["forecast"].to_numpy(np.float64)),
        mode="lines",
        name=translate(N_("forecast")),
        line={"color": PALETTE[0], "width": 1.4, "dash": "dash"},
        hovertemplate=_build_hover_template(),
    )
    return apply_layout(figure, translate, y=label_amount_axis(forecast, translate), height=400)


def draw_judged(
    forecast: Forecast, entity: str, span: tuple[pd.Timestamp, pd.Timestamp] | None = None, translate: Translate = str
) -> go.Figure:
    """Draw the judged values of an entity, their forecasts, the interval of the alarms, and marks on those outside.

    `span` is an alarm: it is shaded, and the view begins around it.
    """
    judged = forecast.judged
    times = pd.DatetimeIndex(np.unique(judged["time"].to_numpy()))
    rows = judged[judged["entity"] == entity].drop(columns="entity").set_index("time").reindex(times).reset_index()
    rows = rows.rename(columns={"index": "time"})
    drawn = rows.iloc[_choose_judged_positions(rows, span)]
    figure = go.Figure()
    name = translate(N_("{level} % interval of the alarms")).format(level=f"{100 * forecast.alarm_level:g}")
    _draw_band(figure, drawn["time"], drawn["low"], drawn["high"], name)
    for column, label, colour, dash in (
        ("forecast", N_("forecast"), PALETTE[0], "dash"),
        ("actual", N_("measured"), NEUTRAL_COLOUR, "solid"),
    ):
        figure.add_scatter(
            x=drawn["time"],
            y=to_float32(drawn[column].to_numpy(np.float64)),
            mode="lines",
            name=translate(label),
            line={"color": colour, "width": 1.8, "dash": dash},
            hovertemplate=_build_hover_template(),
        )
    for label, is_marked, symbol in (
        (N_("above the interval"), drawn["distance"] > 0, "triangle-up"),
        (N_("below the interval"), drawn["distance"] < 0, "triangle-down"),
    ):
        if is_marked.any():
            figure.add_scatter(
                x=drawn.loc[is_marked, "time"],
                y=to_float32(drawn.loc[is_marked, "actual"].to_numpy(np.float64)),
                mode="markers",
                name=translate(label),
                marker={"symbol": symbol, "size": 10, "color": HIGHLIGHT_COLOUR},
                hovertemplate=_build_hover_template(),
            )
    if span is not None:
        step = _find_step(times)
        margin = max(span[1] - span[0], ALARM_MARGIN_STEPS * step)
        figure.add_vrect(
            span[0] - step / 2, span[1] + step / 2, fillcolor=ALARM_SHADE, line_width=0, layer="below", name="alarm"
        )
        figure.update_xaxes(range=[span[0] - margin, span[1] + margin])
    return apply_layout(figure, translate, y=label_amount_axis(forecast, translate), height=420)


def _find_step(times: pd.DatetimeIndex) -> pd.Timedelta:
    """Return the usual time between two judged values; a day where there is only one."""
    return pd.Timedelta(np.median(np.diff(times.to_numpy()))) if len(times) > 1 else pd.Timedelta(days=1)


def _choose_judged_positions(rows: pd.DataFrame, span: tuple[pd.Timestamp, pd.Timestamp] | None) -> NDArray[np.intp]:
    """Return the positions of the values to draw: all around an alarm and all outside, of a long rest its shape."""
    if len(rows) <= MAX_POINTS:
        return np.arange(len(rows))
    positions = [downsample(rows["actual"].to_numpy(np.float64), MAX_POINTS // 2)]
    positions.append(np.flatnonzero(rows["distance"].fillna(0.0) != 0)[: MAX_POINTS // 4])
    if span is not None:
        first, last = rows["time"].searchsorted([span[0], span[1]])
        margin = max(last - first, ALARM_MARGIN_STEPS)
        positions.append(np.arange(max(first - margin, 0), min(last + margin + 1, len(rows)))[: MAX_POINTS // 4])
    return np.unique(np.concatenate(positions))


def draw_importance(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the growth of the error when a group of features is shuffled, by days ahead."""
    figure = go.Figure()
    order = table.groupby("group", observed=True)["spared"].max().sort_values().index
    for number, (step, step_rows) in enumerate(table.groupby("step")):
        step_rows = step_rows.set_index("group").reindex(order)
        figure.add_bar(
            y=[translate(GROUP_LABELS.get(group, group)) for group in order],
            x=to_float32(100 * step_rows["spared"].to_numpy(np.float64)),
            orientation="h",
            name=translate(N_("days ahead: {step}")).format(step=step),
            hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
            marker={
                "color": PALETTE[number % len(PALETTE)],
                "pattern": {"shape": ("", "/", "x")[number % 3], "solidity": 0.25},
            },
        )
    figure.update_layout(barmode="group")
    figure.update_yaxes(automargin=True)
    title = translate(N_("increase of the error when shuffled, %"))
    return apply_layout(figure, translate, x=title, height=140 + 34 * len(order))


def draw_effects(table: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw the effect of a strike by three methods, each with its 95 % interval."""
    figure = go.Figure()
    for number, effect in enumerate(table[::-1].to_dict("records")):
        change, low, high = (100 * float(effect[name]) for name in ("change", "low", "high"))
        has_interval = bool(np.isfinite(low) and np.isfinite(high))
        figure.add_scatter(
            x=[change],
            y=[translate(METHOD_LABELS.get(effect["method"], effect["method"]))],
            mode="markers+text",
            showlegend=False,
            customdata=[[low, high]],
            texttemplate="%{x:+.1f} %",
            textposition="top center",
            marker={"symbol": ("circle", "square", "diamond")[number % 3], "size": 12, "color": PALETTE[number]},
            error_x={
                "array": [high - change],
                "arrayminus": [change - low],
                "color": PALETTE[number],
                "thickness": 2,
                "width": 6,
                "visible": has_interval,
            },
            hovertemplate="%{y}: %{x:+.1f} % (%{customdata[0]:+.1f} … %{customdata[1]:+.1f})<extra></extra>",
        )
    figure.update_xaxes(rangemode="tozero", zeroline=True, zerolinecolor=NEUTRAL_COLOUR)
    figure.update_yaxes(automargin=True, range=[-0.6, len(table) - 0.3])
    return apply_layout(figure, translate, x=translate(N_("change on a strike day, %")), height=130 + 60 * len(table))


def draw_response(table: pd.DataFrame, unit: str, translate: Translate = str) -> go.Figure:
    """Draw the amount of the whole horizon by temperature shift, with and without a strike."""
    figure = go.Figure()
    for number, (strike, name, dash, symbol) in enumerate(STRIKE_LINES):
        strike_rows = table[table["strike"].isna()] if strike is None else table[table["strike"] == strike]
        if strike_rows.empty:
            continue
        strike_rows = strike_rows.sort_values("shift")
        figure.add_scatter(
            x=strike_rows["shift"],
            y=to_float32(strike_rows["amount"].to_numpy(np.float64)),
            mode="lines+markers",
            name=translate(name),
            line={"color": PALETTE[number], "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x:+g} °C: %{y:,.0f}<extra>%{fullData.name}</extra>",
        )
    return apply_layout(figure, translate, x=translate(N_("temperature change, °C")), y=unit, height=360)


def draw_scenario(table: pd.DataFrame, forecast: Forecast, translate: Translate = str) -> go.Figure:
    """Draw a forecast and its change by a scenario, as returned by `what_if`; a sum of entities has no intervals."""
    figure = go.Figure()
    if "low" in table:
        _draw_band(figure, table["time"], table["low"], table["high"], translate(N_("interval, unchanged")))
        _draw_band(
            figure,
            table["time"],
            table["changed_low"],
            table["changed_high"],
            translate(N_("interval, changed")),
            CHANGED_BAND,
            {
                "shape": "/",
                "fgcolor": HIGHLIGHT_COLOUR,
                "bgcolor": CHANGED_BAND,
                "fgopacity": 0.35,
                "size": 7,
                "solidity": 0.15,
            },
        )
    _draw_line(figure, table["time"], table["forecast"], translate(N_("original")), 0, "solid", "circle")
    _draw_line(figure, table["time"], table["changed"], translate(N_("changed")), HIGHLIGHT_COLOUR, "dash", "diamond")
    return apply_layout(figure, translate, y=label_amount_axis(forecast, translate), height=380)


# ---- ingredients ----------------------------------------------------------------------------------------------------


def _select_outer_quantiles(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the columns of the lowest and the highest quantile."""
    names = sorted((column for column in table if column.startswith("q")), key=lambda name: float(name[1:]))
    return table[names[0]], table[names[-1]]


def _draw_band(
    figure: go.Figure,
    times: pd.Series,
    low: pd.Series,
    high: pd.Series,
    name: str,
    fill: str = BAND_COLOUR,
    pattern: dict[str, object] | None = None,
) -> None:
    edges = (to_float32(edge.to_numpy(np.float64)) for edge in (low, high))
    x, y = outline_band(times.to_numpy(), *edges)
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=fill,
        fillpattern=pattern,
        name=name,
        hoverinfo="skip",
    )


def _draw_line(
    figure: go.Figure, times: pd.Series, amounts: pd.Series, name: str, colour: "int | str", dash: str, symbol: str
) -> None:
    """Draw a line, with markers if there are fewer than 80 points."""
    line_colour = colour if isinstance(colour, str) else PALETTE[colour]
    figure.add_scatter(
        x=times,
        y=to_float32(amounts.to_numpy(np.float64)),
        mode="lines+markers" if len(amounts) < MAX_MARKER_POINTS else "lines",
        name=name,
        line={"color": line_colour, "dash": dash, "width": 2},
        hovertemplate=_build_hover_template(),
        marker={"symbol": symbol, "size": 7, "line": {"width": 1.5, "color": line_colour}},
    )


def _build_hover_template() -> str:
    return f"{TIME_FORMAT}<br>%{{y:,.1f}}<extra>%{{fullData.name}}</extra>"
