"""The numbers that a figure draws, as series of points: read from the figure, whoever drew it.

Its table and its text alternative are made of them. Shades, and symbols and lines without a name or a number, are left
out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import unescape
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.array_types import Floats
from core.figures.annotations import OVERLAY_AXIS
from core.figures.style import Translate
from core.messages import N_

HOVER_NUMBER = re.compile(r"%\{customdata(?:\[(\d+)\])?:[^}]*\}")
"""A number in a hover text that is not the drawn height, such as a value beyond the end of the axis."""

MARKUP = re.compile(r"</?(?:b|i|u|s|em|strong|sub|sup|span|a)\b[^<>]*>")
LINE_BREAK = re.compile(r"<br ?/?>")
BOX_PARTS = {
    "lowerfence": N_("lower end"),
    "q1": N_("lower quartile"),
    "median": N_("median"),
    "q3": N_("upper quartile"),
    "upperfence": N_("upper end"),
}
MISSING_PLACES = {"M": np.datetime64("NaT", "ns"), "U": ""}
"""Kind of the dtype of places → the place of a line that has none; NaN of numbers."""
EDGE_LABELS = (N_("{name}, lower edge"), N_("{name}, upper edge"))


@dataclass(frozen=True)
class Series:
    """Points that a figure draws under one name.

    name    name of the line, bars or points, with its panel if the figure has several; "" without one
    places  where the points are: times, numbers or categories, (points,)
    values  numbers, (points,); NaN where a point has only a place
    kind    "points"; "edge" of a band or an interval; "level" for a number across the figure, such as a threshold,
            whose place is missing; "mark" for a place without a number, such as the start of a forecast
    texts   texts at the points, (points,); () without
    """

    name: str
    places: NDArray[Any]
    values: Floats
    kind: Literal["points", "edge", "level", "mark"] = "points"
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Layout:
    """Axes with the values of a figure: x if `is_horizontal`, both if `is_cloud`, else y."""

    is_horizontal: bool
    is_cloud: bool


def list_series(figure: go.Figure, translate: Translate = str) -> list[Series]:
    """Return the series of a figure in the order in which they are drawn; names of edges pass through `translate`."""
    layout = _Layout(has_horizontal_values(figure), is_cloud(figure))
    curves: list[Series] = []
    for number, trace in enumerate(figure.data):
        if _is_overlay(trace):
            continue
        panel = _name_panel(figure, _get_axes(trace)) if has_panels(figure) else ""
        before = figure.data[number - 1] if number else None
        curves += [_add_panel(series, panel) for series in _read_trace(trace, before, layout, translate)]
    curves += _read_lines(figure, layout, curves[0].places.dtype.kind if curves else "f")
    return [curve for curve in map(_drop_gaps, curves) if len(curve.places)]


def has_panels(figure: go.Figure) -> bool:
    """Tell whether a figure has several panels, or several axes of values."""
    return len({_get_axes(trace) for trace in figure.data if not _is_overlay(trace)}) > 1


def has_horizontal_values(figure: go.Figure) -> bool:
    """Tell whether a figure has its values on the x axis, such as bars that lie."""
    return any(map(_is_horizontal, figure.data))


def is_cloud(figure: go.Figure) -> bool:
    """Tell whether a figure shows single points in a plane, so that places are measured like values."""
    points = [trace for trace in figure.data if trace.type.startswith("scatter")]
    return bool(points) and all(
        trace.type.startswith("scatter")
        and "lines" not in (trace.mode or "lines")
        and _read_places(trace.x).dtype.kind in "iuf"
        and _read_places(trace.y).dtype.kind in "iuf"
        for trace in figure.data
    )


def find_title(figure: go.Figure, of_values: bool) -> str:
    """Return the title of the axes of the values, or of the places; "" without one, and for values with several."""
    letter = "x" if of_values == has_horizontal_values(figure) else "y"
    axes = [axis for axis in figure.layout if re.fullmatch(rf"{letter}axis\d*", axis) and axis != OVERLAY_AXIS]
    titled = [figure.layout[axis] for axis in axes]
    if of_values:
        titled += [figure.layout.coloraxis.colorbar]
        titled += [trace.colorbar for trace in figure.data if trace.type == "heatmap"]
    titles = list(dict.fromkeys(_strip_markup(part.title.text) for part in titled if part.title.text))
    return titles[0] if titles and (len(titles) == 1 or not of_values) else ""


# ---- panels ---------------------------------------------------------------------------------------------------------


def _get_axes(trace: Any) -> tuple[str, str]:
    return trace.xaxis or "x", trace.yaxis or "y"


def _is_overlay(trace: Any) -> bool:
    """Tell whether a trace lies on the axis of the known events, which has no values."""
    return bool((trace.yaxis or "y").replace("y", "yaxis") == OVERLAY_AXIS)


def _name_panel(figure: go.Figure, axes: Sequence[str]) -> str:
    """Return the title above the panel with these axes, else the title of its value axis."""
    x_axis, y_axis = (figure.layout[axis[0] + "axis" + axis[1:]] for axis in axes)
    left, right = x_axis.domain or (0.0, 1.0)
    top = (y_axis.domain or (0.0, 1.0))[1]
    for note in figure.layout.annotations:
        is_title = note.yref == "paper" and note.yanchor == "bottom" and not note.showarrow
        if is_title and left <= note.x <= right and abs(note.y - top) < 1e-6:
            return str(note.text)
    return str(y_axis.title.text or "")


def _add_panel(series: Series, panel: str) -> Series:
    """Return a series whose name tells the panel, too."""
    name = panel if not series.name else series.name if panel in ("", series.name) else f"{panel}: {series.name}"
    return replace(series, name=_strip_markup(name))


def _strip_markup(text: str) -> str:
    """Return a text without the tags that Plotly obeys.

    Example:
        >>> _strip_markup("<b>2024</b><br>a &lt; b <5 MW>")
        '2024, a < b <5 MW>'
    """
    return unescape(MARKUP.sub("", LINE_BREAK.sub(", ", text)))


# ---- traces ---------------------------------------------------------------------------------------------------------


def _read_trace(trace: Any, before: Any, layout: _Layout, translate: Translate) -> Iterator[Series]:
    """Yield the series of a trace; `before` is the trace before it, which a band fills up to."""
    if trace.type == "heatmap":
        yield from _read_cells(trace)
    elif trace.type == "box":
        for part, label in BOX_PARTS.items():
            yield Series(translate(label), _read_places(trace.x), _to_floats(trace[part]))
    elif trace.type.startswith("scatter") and trace.mode == "text":
        texts = trace.hovertext if trace.hovertext is not None else trace.text
        shown = tuple(_strip_markup(str(text)) for text in texts)
        yield Series(trace.name or "", np.full(len(shown), ""), np.full(len(shown), np.nan), texts=shown)
    elif getattr(trace, "fill", None) == "toself":
        yield from _read_area(trace, translate)
    elif getattr(trace, "fill", None) == "tonexty":
        name = trace.name or (before.name if before is not None else "") or ""
        edges = np.stack([_to_floats(trace.y), _to_floats(before.y)])
        yield from _read_edges(name, _read_places(trace.x), edges.min(axis=0), edges.max(axis=0), translate)
    elif (trace.hoverinfo != "skip" or trace.name or trace.meta) and not _is_upper_edge(trace):
        yield from _read_points(trace, layout, translate)


def _is_horizontal(trace: Any) -> bool:
    """Tell whether a trace has its values on the x axis: its categories are on the y axis."""
    if trace.type == "heatmap":
        return False
    if getattr(trace, "orientation", None) == "h":
        return True
    if not trace.type.startswith("scatter") or trace.x is None or trace.y is None:
        return False
    return _read_places(trace.y).dtype.kind == "U" and _read_places(trace.x).dtype.kind in "iuf"


def _is_upper_edge(trace: Any) -> bool:
    """Tell whether a trace is the invisible line that the band after it fills up to."""
    return trace.type.startswith("scatter") and trace.mode == "lines" and trace.line.width == 0


def _read_points(trace: Any, layout: _Layout, translate: Translate) -> Iterator[Series]:
    place_axis, value_axis = ("y", "x") if layout.is_horizontal else ("x", "y")
    if trace[place_axis] is None or trace[value_axis] is None:
        return
    name, mark = trace.name or "", _find_mark(trace)
    if mark is not None:
        yield _build_line(name, mark, layout.is_horizontal, "U" if layout.is_horizontal else "f")
        return
    places = _read_places(trace[place_axis])
    values = _to_floats(trace[value_axis]) if layout.is_cloud else _read_hover_numbers(trace, value_axis)
    if getattr(trace, "base", None) is not None:
        base = _to_floats(trace.base)
        yield from _read_edges(name, places, base, base + values, translate)
        return
    texts = () if trace.text is None or isinstance(trace.text, str) else tuple(map(str, trace.text))
    yield from _split_pieces(Series(name, places, values, texts=texts), trace.meta)
    error = trace[f"error_{value_axis}"]
    if error.array is not None and error.visible is not False:
        up = _to_floats(error.array)
        down = up if error.arrayminus is None else _to_floats(error.arrayminus)
        yield from _read_edges(name, places, values - down, values + up, translate)


def _find_mark(trace: Any) -> float | None:
    """Return the place of a line across the figure, such as a threshold; None for another trace."""
    if not trace.type.startswith("scatter") or trace.mode != "lines" or trace.x is None or len(trace.x) != 2:
        return None
    places = _read_places(trace.x)
    is_mark = places.dtype.kind in "iuf" and places[0] == places[1] and _read_places(trace.y).dtype.kind in "iuf"
    return float(places[0]) if is_mark else None


def _read_hover_numbers(trace: Any, axis: str) -> Floats:
    """Return the values of a trace: those that its hover text tells, where the drawn ones end at the axis."""
    drawn = _to_floats(trace[axis])
    template = trace.hovertemplate if isinstance(trace.hovertemplate, str) else ""
    match = HOVER_NUMBER.search(template)
    if match is None or f"%{{{axis}" in template or not trace.type.startswith("scatter") or trace.customdata is None:
        return drawn
    column = int(match[1] or 0)
    cells = [row[column] if isinstance(row, Sequence | np.ndarray) else row for row in trace.customdata]
    return _to_floats(cells)


def _read_cells(trace: Any) -> Iterator[Series]:
    """Yield one series per row of a heat map, or one of all cells where each has a date of its own."""
    cells = np.array(trace.z, dtype=np.float64)
    if trace.customdata is not None:
        days = pd.to_datetime(np.asarray(trace.customdata).ravel().astype(str), errors="coerce")
        yield Series("", days.to_numpy(), cells.ravel())
        return
    numbers = _read_numbers(trace.text) if trace.texttemplate else cells
    places = _read_places(trace.x)[: cells.shape[1]]  # edges of bins are one more than the cells
    for name, row in zip(trace.y, numbers, strict=True):
        yield Series(str(name), places, row)


def _read_numbers(texts: Sequence[Sequence[Any]]) -> Floats:
    """Return the numbers that cells show; NaN for an empty cell."""
    return _to_floats([[None if text == "" else text for text in row] for row in texts])


def _read_area(trace: Any, translate: Translate) -> Iterator[Series]:
    """Yield the lower and the upper edge of a band that is one outline; nothing for shades of the whole height."""
    table = pd.DataFrame({"place": _read_places(trace.x), "value": _to_floats(trace.y)}).dropna()
    if table["value"].nunique() <= 2:
        return
    edges = table.groupby("place")["value"].agg(["min", "max"])
    low, high = (edges[column].to_numpy(dtype=np.float64) for column in ("min", "max"))
    yield from _read_edges(trace.name or "", edges.index.to_numpy(), low, high, translate)


def _read_edges(name: str, places: NDArray[Any], low: Floats, high: Floats, translate: Translate) -> Iterator[Series]:
    for label, values in zip(EDGE_LABELS, (low, high), strict=True):
        yield Series(translate(label).format(name=name).removeprefix(", "), places, values, "edge")


def _split_pieces(series: Series, meta: object) -> Iterator[Series]:
    """Yield the pieces of a line that holds several, whose names and numbers of points are in `meta`."""
    if not isinstance(meta, Mapping) or "pieces" not in meta:
        yield series
        return
    ends = np.cumsum([count for _, count in meta["pieces"]])
    pieces = np.split(np.arange(len(series.values)), ends[:-1])
    for (name, _), piece in zip(meta["pieces"], pieces, strict=True):
        yield replace(series, name=str(name), places=series.places[piece], values=series.values[piece])


# ---- lines across the figure ----------------------------------------------------------------------------------------


def _read_lines(figure: go.Figure, layout: _Layout, place_kind: str) -> Iterator[Series]:
    """Yield the named straight lines that cross a figure or a panel, such as thresholds.

    `place_kind` is the kind of the dtype of the places of the figure.
    """
    for shape in figure.layout.shapes:
        is_vertical = shape.x0 == shape.x1
        crossed = str((shape.yref if is_vertical else shape.xref) or "")
        if shape.type != "line" or not shape.name or not crossed.endswith((" domain", "paper")):
            continue
        position, is_level = shape.x0 if is_vertical else shape.y0, is_vertical == layout.is_horizontal
        if place_kind == "M" and not is_level:
            position = pd.Timestamp(position)  # a stored figure has a text
        axes = tuple(
            (reference or letter).removesuffix(" domain").replace("paper", letter)
            for letter, reference in (("x", shape.xref), ("y", shape.yref))
        )
        panel = _name_panel(figure, axes) if has_panels(figure) else ""
        yield _add_panel(_build_line(shape.name, position, is_level, place_kind), panel)


def _build_line(name: str, position: Any, is_level: bool, place_kind: str) -> Series:
    if is_level:
        return Series(name, np.array([MISSING_PLACES.get(place_kind, np.nan)]), _to_floats([position]), "level")
    return Series(name, _read_places([position]), np.array([np.nan]), "mark")


# ---- arrays ---------------------------------------------------------------------------------------------------------


def _read_places(values: object) -> NDArray[Any]:
    """Return places as numbers, as times, or as texts."""
    array = np.asarray(values)
    if array.dtype.kind in "iufMU":
        return array
    known = [value for value in array if value is not None]
    if known and isinstance(known[0], datetime | np.datetime64):
        return pd.to_datetime(array).to_numpy()
    if all(isinstance(value, Real) for value in known):
        return array.astype(np.float64)
    return np.array(["" if value is None else str(value) for value in array])


def _to_floats(values: object) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _drop_gaps(series: Series) -> Series:
    """Return a series without the points that have neither a number nor a text, and without gaps in time."""
    is_kept = np.isfinite(series.values) | (series.kind == "mark") | bool(series.texts)
    is_kept &= ~pd.isna(series.places) | (series.kind == "level")
    texts = tuple(text for text, kept in zip(series.texts, is_kept, strict=True) if kept) if series.texts else ()
    return replace(series, places=series.places[is_kept], values=series.values[is_kept], texts=texts)
