"""Figures of intervals: a series with its bands and the points outside, and the reliability of the interval."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.array_types import Floats
from core.figures.bands import outline_band
from core.figures.style import (
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
from core.messages import N_
from core.tasks.intervals.result import FUTURE, JUDGED
from core.tasks.intervals.views import SeriesView, Span, is_replaced

OUTER_BAND, INNER_BAND = "rgba(0, 114, 178, 0.14)", "rgba(0, 114, 178, 0.26)"
EVENT_SHADE, FILLED_SHADE = "rgba(213, 94, 0, 0.10)", "rgba(122, 139, 153, 0.22)"
OUTSIDE_BY = N_("outside by")
MARKER_PX = (5, 16)  # smallest and largest diameter
FULL_SIZE_PERCENT = 100  # relative distance with the largest marker
LEGEND_PERCENTS = (10, 50, 100)  # relative distances in the legend of sizes
MAX_MARKERS, MAX_FILLED_SPANS = 1000, 200
FLOOR_SHARE = 0.5  # of the smallest value above 0: where zeros lie on a logarithmic scale
MAX_GROUPS = 30
NAME_ROOM = 0.05  # of the height of the axis, for the names of the periods
PHASE_LABELS = {"calibration": N_("calibrates"), "test": N_("judged"), "future": N_("ahead")}


def draw_series(
    view: SeriesView, unit: str = "", show_cleaned: bool = True, is_log: bool = False, translate: Translate = str
) -> go.Figure:
    """Draw the values of a series, the median, the bands, and the points outside by their relative distance."""
    rows = view.rows.iloc[choose_positions(view)]
    figure, floor = go.Figure(), compute_floor(view.rows) if is_log else None
    _shade_filled(figure, view, translate)
    if view.event is not None:
        _shade(figure, view.event, view.step, EVENT_SHADE, translate(N_("this event")), True)
    if view.has_bounds:
        level = f"{100 * view.level:g}"
        _draw_band(figure, rows, ("yhat_lower", "yhat_upper"), OUTER_BAND, _name_band(level, translate), floor)
        _draw_band(figure, rows, ("lower_50", "upper_50"), INNER_BAND, _name_band("50", translate), floor)
    _draw_median(figure, rows, floor, translate)
    if show_cleaned:
        _draw_cleaned(figure, rows, floor, translate)
    _draw_values(figure, rows, floor, translate)
    _draw_outside(figure, view.rows, floor, translate)
    _mark_phases(figure, view, translate)
    _set_axes(figure, view, is_log, floor)
    figure.update_layout(legend={"itemsizing": "trace", "tracegroupgap": 4})
    return apply_layout(figure, translate, y=_label_axis(view, unit, translate), height=520)


# ---- points that are drawn ------------------------------------------------------------------------------------------


def choose_positions(view: SeriesView) -> NDArray[np.intp]:
    """Return the positions of the points to draw: all visible ones where a screen has room, and the shape of the rest.

    The edges of gaps and up to 1,000 outside points are among them.
    """
    rows = view.rows
    if len(rows) <= MAX_POINTS:
        return np.arange(len(rows))
    is_visible = rows.index.isin(view.visible_rows.index)
    lines = [rows[name].to_numpy(np.float64) for name in ("y", "yhat", "yhat_lower", "yhat_upper") if name in rows]
    positions = [downsample(line, MAX_POINTS // 2) for line in lines]
    if is_visible.sum() <= MAX_POINTS:
        positions.append(np.flatnonzero(is_visible))
    positions.append(_select_markers(rows).index.to_numpy(np.intp))
    is_known = np.isfinite(lines[0])
    edges = np.flatnonzero(is_known[1:] != is_known[:-1])
    positions += [edges[: MAX_POINTS // 2], edges[: MAX_POINTS // 2] + 1]
    return np.unique(np.concatenate(positions))


def _select_markers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the outside points, only the farthest where there are very many."""
    outside = rows[rows["anomalous"]]
    if len(outside) <= MAX_MARKERS:
        return outside
    return outside.loc[outside["distance"].abs().nlargest(MAX_MARKERS).index].sort_index()


def compute_floor(rows: pd.DataFrame) -> float:
    """Return where values that are not above 0 lie on a logarithmic scale.

    Example:
        >>> compute_floor(pd.DataFrame({"y": [0.0, 4.0], "yhat": [10.0, np.nan]}))
        2.0
    """
    values = rows[["y", "yhat"]].to_numpy(np.float64)
    positive = values[np.nan_to_num(values) > 0]
    return FLOOR_SHARE * float(positive.min()) if len(positive) else FLOOR_SHARE


def _lift(values: Floats, floor: float | None) -> NDArray[np.float32]:
    """Return the heights at which values are drawn."""
    return to_float32(values if floor is None else np.maximum(values, floor))


# ---- ingredients ----------------------------------------------------------------------------------------------------


def _name_band(level: str, translate: Translate) -> str:
    return translate(N_("{level} % interval")).format(level=level)


def _draw_band(
    figure: go.Figure, rows: pd.DataFrame, columns: tuple[str, str], colour: str, name: str, floor: float | None
) -> None:
    x, y = outline_band(
        rows["time"].to_numpy(), *(_lift(rows[column].to_numpy(np.float64), floor) for column in columns)
    )
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"width": 0}, fill="toself", fillcolor=colour, name=name, hoverinfo="skip"
    )


def _draw_median(figure: go.Figure, rows: pd.DataFrame, floor: float | None, translate: Translate) -> None:
    figure.add_scatter(
        x=rows["time"],
        y=_lift(rows["yhat"].to_numpy(np.float64), floor),
        mode="lines",
        name=translate(N_("usual (median)")),
        line={"color": PALETTE[0], "width": 1.4, "dash": "dash"},
        hovertemplate=_build_hover_template("%{customdata:,.5~g}"),
        customdata=rows["yhat"],
    )


def _draw_values(figure: go.Figure, rows: pd.DataFrame, floor: float | None, translate: Translate) -> None:
    values = rows["y"].where(~rows["is_imputed"]) if rows["y"].notna().any() else rows["y"]
    figure.add_scatter(
        x=rows["time"],
        y=_lift(values.to_numpy(np.float64), floor),
        mode="lines",
        name=translate(N_("measured")),
        line={"color": NEUTRAL_COLOUR, "width": 1.8},
        hovertemplate=_build_hover_template("%{customdata:,.5~g}"),
        customdata=values,
    )


def _draw_cleaned(figure: go.Figure, rows: pd.DataFrame, floor: float | None, translate: Translate) -> None:
    """Draw the values that the forecaster saw where they are not the measured ones, and the points beside them."""
    is_drawn = is_replaced(rows)
    if not is_drawn.any():
        return
    is_beside = is_drawn | is_drawn.shift(1, fill_value=False) | is_drawn.shift(-1, fill_value=False)
    values = rows["cleaned"].where(is_beside)
    figure.add_scatter(
        x=rows["time"],
        y=_lift(values.to_numpy(np.float64), floor),
        mode="lines",
        connectgaps=False,
        name=translate(N_("cleaned: used by the forecasting method")),
        line={"color": PALETTE[1], "width": 1.8, "dash": "dot"},
        hovertemplate=_build_hover_template("%{customdata:,.5~g}"),
        customdata=values,
    )


def compute_marker_sizes(rel_distance: Floats) -> Floats:
    """Return the diameters of markers, whose area grows with the relative distance in %; the smallest where unknown.

    Example:
        >>> compute_marker_sizes(np.array([0.0, -25.0, 100.0, 900.0, np.nan])).tolist()
        [5.0, 10.5, 16.0, 16.0, 5.0]
    """
    smallest, largest = MARKER_PX
    share = np.sqrt(np.clip(np.abs(np.nan_to_num(rel_distance)) / FULL_SIZE_PERCENT, 0, 1))
    return np.asarray(smallest + (largest - smallest) * share, dtype=np.float64)


def _draw_outside(figure: go.Figure, rows: pd.DataFrame, floor: float | None, translate: Translate) -> None:
    outside = _select_markers(rows)
    for is_above, name, symbol in (
        (True, N_("above the interval"), "triangle-up"),
        (False, N_("below the interval"), "triangle-down"),
    ):
        part = outside[(outside["distance"] > 0) == is_above]
        if part.empty:
            continue
        heights = part["y"].fillna(part["yhat"]).to_numpy(np.float64)
        figure.add_scatter(
            x=part["time"],
            y=_lift(heights, floor),
            mode="markers",
            name=translate(name),
            marker=_build_marker(symbol, compute_marker_sizes(part["rel_distance"].to_numpy(np.float64))),
            customdata=np.column_stack([part["y"], part["yhat"], part["rel_distance"]]),
            showlegend=False,
            hovertemplate=(
                f"{TIME_FORMAT}<br>{translate(N_('measured'))} %{{customdata[0]:,.5~g}}"
                f"<br>{translate(N_('usual (median)'))} %{{customdata[1]:,.5~g}}"
                f"<br>{translate(OUTSIDE_BY)} %{{customdata[2]:+,.3~g}} %<extra>%{{fullData.name}}</extra>"
            ),
        )
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=translate(name), marker=_build_marker(symbol, 9), hoverinfo="skip"
        )
    if len(outside):
        _draw_size_legend(figure, translate)


def _draw_size_legend(figure: go.Figure, translate: Translate) -> None:
    for percent in LEGEND_PERCENTS:
        template = N_("{percent} % or more") if percent == FULL_SIZE_PERCENT else N_("{percent} % of the median")
        [size] = compute_marker_sizes(np.array([float(percent)]))
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=translate(template).format(percent=percent),
            marker=_build_marker("circle", size),
            hoverinfo="skip",
        )


def _build_marker(symbol: str, size: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "size": size,
        "color": HIGHLIGHT_COLOUR,
        "opacity": 0.85,
        "line": {"width": 1, "color": "#FFFFFF"},
    }


def _build_hover_template(value: str) -> str:
    return f"{TIME_FORMAT}<br>{value}<extra>%{{fullData.name}}</extra>"


# ---- periods --------------------------------------------------------------------------------------------------------


def _shade(figure: go.Figure, span: Span, step: pd.Timedelta, colour: str, name: str, showlegend: bool) -> None:
    figure.add_vrect(
        x0=span[0] - step / 2,
        x1=span[1] + step / 2,
        fillcolor=colour,
        line_width=0,
        layer="below",
        name=name,
        legendgroup=name,
        showlegend=showlegend,
    )


def _shade_filled(figure: go.Figure, view: SeriesView, translate: Translate) -> None:
    """Shade the stretches whose values were filled, the longest where there are very many."""
    filled, times = view.rows["is_imputed"].to_numpy(), view.rows["time"]
    spans = list_runs(filled)
    spans = sorted(sorted(spans, key=lambda span: span[0] - span[1])[:MAX_FILLED_SPANS])
    for number, (first, last) in enumerate(spans):
        name = translate(N_("filled, not judged"))
        _shade(figure, (times[first], times[last]), view.step, FILLED_SHADE, name, number == 0)


def list_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last position of every run of True.

    Example:
        >>> list_runs(np.array([True, True, False, True]))
        [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [(int(first), int(stop) - 1) for first, stop in zip(edges[::2], edges[1::2], strict=True)]


def _mark_phases(figure: go.Figure, view: SeriesView, translate: Translate) -> None:
    """Draw a line at the start of the judged points and of the future, with its name."""
    starts = view.rows.groupby("phase", observed=True)["time"].first()
    for phase, start in starts.items():
        if phase not in (JUDGED, FUTURE):
            continue
        name = translate(PHASE_LABELS[str(phase)])
        figure.add_vline(x=start, line={"color": NEUTRAL_COLOUR, "dash": "dot", "width": 1.2}, name=name)
        figure.add_annotation(
            x=start,
            y=1,
            yref="paper",
            text=f"{name} →",
            xanchor="left",
            yanchor="top",
            showarrow=False,
            font={"size": 11, "color": NEUTRAL_COLOUR},
        )


def _set_axes(figure: go.Figure, view: SeriesView, is_log: bool, floor: float | None) -> None:
    visible = view.visible_rows
    if visible.empty:
        visible = view.rows
    columns = [name for name in ("y", "cleaned", "yhat", "yhat_lower", "yhat_upper") if name in visible]
    low, high = compute_axis_range(visible[columns].to_numpy(np.float64).ravel())
    high += NAME_ROOM * (high - low)
    if floor is not None:
        values = np.maximum(visible[columns].to_numpy(np.float64), floor)
        low, high = np.log10(np.nanmin(values)), np.log10(np.nanmax(values))
        low, high = low - NAME_ROOM * (high - low), high + 2 * NAME_ROOM * (high - low)
    figure.update_yaxes(range=[low, high], type="log" if is_log else "linear", fixedrange=False)
    times = visible["time"]
    figure.update_xaxes(
        range=[times.min() - view.step / 2, times.max() + view.step / 2],
        rangeslider={"visible": True, "thickness": 0.09},
    )


def _label_axis(view: SeriesView, unit: str, translate: Translate) -> str:
    if view.resolution == "step":
        return unit
    words = {
        ("hour", True): N_("sum per hour"),
        ("hour", False): N_("mean per hour"),
        ("day", True): N_("sum per day"),
        ("day", False): N_("mean per day"),
    }
    return f"{unit} {translate(words[view.resolution, view.is_summed])}".strip()


# ---- reliability ----------------------------------------------------------------------------------------------------


def draw_reliability(table: pd.DataFrame, promised: float, grouping: str, translate: Translate = str) -> go.Figure:
    """Draw the share of points outside by group, with the range of chance, beside the promised share."""
    table = table.head(MAX_GROUPS) if grouping == "entity" else table
    groups = [f"{int(group):02d}:00" if grouping == "hour" else str(group) for group in table["group"]]
    figure = go.Figure()
    figure.add_bar(
        x=groups,
        y=100 * (table["high"] - table["low"]),
        base=100 * table["low"],
        width=0.7,
        marker={"color": OUTER_BAND, "line": {"width": 0}},
        name=translate(N_("95 % range of chance")),
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=groups,
        y=to_float32(100 * table["outside"].to_numpy(np.float64)),
        mode="markers",
        name=translate(N_("measured share outside")),
        marker={"size": 9, "color": PALETTE[0], "symbol": "diamond"},
        customdata=table["points"],
        hovertemplate="%{x}: %{y:.1f} % (%{customdata:,})<extra>%{fullData.name}</extra>",
    )
    figure.add_hline(
        y=100 * promised,
        line={"color": NEUTRAL_COLOUR, "dash": "dash", "width": 1.3},
        name=translate(N_("expected share")),
    )
    figure.update_xaxes(type="category", automargin=True)
    figure.update_yaxes(rangemode="tozero")
    return apply_layout(figure, translate, y=translate(N_("points outside, %")), height=340)
