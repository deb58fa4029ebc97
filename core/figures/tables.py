"""A figure without the picture: its numbers as a table, and what is to be seen in words."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.array_types import Floats
from core.figures.series import Series, find_title, has_panels, is_cloud, list_series
from core.figures.style import Translate
from core.messages import N_, Message

SIGNIFICANT_DIGITS = 7  # those of the float32 values that figures hold
TOLD_DIGITS, SHOWN_DIGITS, MAX_DECIMALS = 4, 5, 12
MAX_SPREAD = 1.5  # of the places of all series to those of the longest, up to which series stand side by side
MAX_TOLD_NAMES = 8
LINE_KINDS = ("level", "mark")
PLACE_LABELS = {"M": N_("Time"), "U": N_("Group")}


def tabulate_figure(figure: go.Figure, translate: Translate = str) -> pd.DataFrame:
    """Return the numbers that a figure draws.

    Series over the same places stand side by side, one column each: a threshold of the values has its number in every
    row, a line at a place has its name there. Other series stand one under another, with their name in the first
    column. The names of the columns are words for the reader and pass through `translate`.

    Example:
        >>> figure = go.Figure().add_bar(x=["Mon", "Tue"], y=[3, 5], name="alarms")
        >>> tabulate_figure(figure).to_dict("list")
        {'Group': ['Mon', 'Tue'], 'alarms': [3.0, 5.0]}
    """
    series = list_series(figure, translate)
    if not series:
        return pd.DataFrame()
    places, values = _label_places(figure, series, translate), find_title(figure, of_values=True)
    if not is_cloud(figure) and _share_places(series):
        return _join_columns(series, places, values, translate)
    return _stack_rows(series, places, values or translate(N_("Value")), translate)


def describe_figure(figure: go.Figure, translate: Translate = str) -> tuple[Message, ...]:
    """Return what a figure shows as sentences: names, first and last time, lowest and highest value, lines across it.

    Bands have no values of their own. Values of several panels, or of points in a plane, are not compared.

    Example:
        >>> figure = go.Figure().add_bar(x=["Mon", "Tue"], y=[3, 5], name="alarms")
        >>> [str(sentence) for sentence in describe_figure(figure)]
        ['Shown: alarms.', 'Values: 3 to 5, the highest at Tue.']
    """
    series = list_series(figure, translate)
    points = [one for one in series if one.kind == "points" and not one.texts]
    return (
        *_describe_names(series),
        *_describe_span(points),
        *([] if is_cloud(figure) else _describe_values(figure, points)),
        *_describe_lines(series),
    )


def count_decimals(values: pd.Series) -> int:
    """Return the decimals that show five digits of the largest of the values; 0 where all are whole.

    Example:
        >>> [count_decimals(pd.Series(values)) for values in ([1.0, 20000.0], [1.5, 20000.0], [0.125, None], [])]
        [0, 0, 5, 0]
    """
    sizes = values.abs().replace([np.inf, 0.0], np.nan).dropna()
    if sizes.empty or (sizes % 1 == 0).all():
        return 0
    return int(np.clip(SHOWN_DIGITS - 1 - np.floor(np.log10(sizes.max())), 0, MAX_DECIMALS))


# ---- table ----------------------------------------------------------------------------------------------------------


def _label_places(figure: go.Figure, series: Sequence[Series], translate: Translate) -> str:
    label = PLACE_LABELS.get(series[0].places.dtype.kind, "x")
    return find_title(figure, of_values=False) or translate(label)


def _share_places(series: Sequence[Series]) -> bool:
    """Tell whether the series are over about the same places, each place once."""
    drawn = [one for one in series if one.kind not in LINE_KINDS]
    if not drawn or any(one.texts or len(pd.unique(one.places)) < len(one.places) for one in drawn):
        return False
    is_named_once = len({one.name for one in drawn}) == len(drawn)
    places = pd.unique(_join_places(drawn))
    return is_named_once and len(places) <= MAX_SPREAD * max(len(one.places) for one in drawn)


def _unify_places(series: Sequence[Series]) -> list[NDArray[Any]]:
    """Return the places of each series, as texts where the series have places of different kinds."""
    kinds = {"number" if one.places.dtype.kind in "iuf" else one.places.dtype.kind for one in series}
    return [one.places if len(kinds) == 1 else one.places.astype(str) for one in series]


def _join_places(series: Sequence[Series]) -> pd.Index:
    """Return the places of all series one after another."""
    return pd.Index(np.concatenate(_unify_places(series)))


def _join_columns(series: Sequence[Series], places: str, values: str, translate: Translate) -> pd.DataFrame:
    unified = [replace(one, places=own) for one, own in zip(series, _unify_places(series), strict=True)]
    every_place = pd.unique(_join_places([one for one in unified if one.kind != "level"]))
    numbers = [one for one in unified if one.kind != "mark"]
    marks = [pd.Series(one.name, one.places) for one in unified if one.kind == "mark"]
    columns = [
        pd.Series(_round_digits(one.values), one.places)
        if one.kind != "level"
        else pd.Series(_round_digits(one.values)[0], every_place)
        for one in numbers
    ]
    unit = f" ({values})" if values else ""
    names = [f"{one.name}{unit}" if one.name else values or translate(N_("Value")) for one in numbers]
    if marks:
        columns.append(pd.concat(marks).groupby(level=0).agg(", ".join))
        names.append(translate(N_("Marked place")))
    table = pd.concat(columns, axis=1)
    if unified[0].places.dtype.kind != "U":
        table = table.sort_index()
    return table.reset_index().set_axis(_number_repeated([places, *names]), axis=1)


def _stack_rows(series: Sequence[Series], places: str, values: str, translate: Translate) -> pd.DataFrame:
    counts = [len(one.places) for one in series]
    columns = (
        np.repeat(np.array([one.name for one in series], dtype=object), counts),
        _join_places(series),
        _round_digits(np.concatenate([one.values for one in series])),
        [text for one in series for text in (one.texts or [""] * len(one.places))],
    )
    names = _number_repeated([translate(N_("Series name")), places, values, translate(N_("Name"))])
    table = pd.DataFrame(dict(zip(names, columns, strict=True)))
    return table.loc[:, [bool((table[name].notna() & (table[name].astype(str) != "")).any()) for name in table]]


def _number_repeated(names: Sequence[str]) -> list[str]:
    """Return names of columns that are unique: a repeated one gets its number.

    Example:
        >>> _number_repeated(["Time", "load", "Time"])
        ['Time', 'load', 'Time (2)']
    """
    unique: list[str] = []
    for name in names:
        candidates = (f"{name} ({number})" if number > 1 else name for number in count(1))
        unique.append(next(candidate for candidate in candidates if candidate not in unique))
    return unique


def _round_digits(values: Floats) -> Floats:
    return np.array([float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in values], dtype=np.float64)


# ---- words ----------------------------------------------------------------------------------------------------------


def _describe_names(series: Sequence[Series]) -> list[Message]:
    names = list(dict.fromkeys(one.name for one in series if one.name and one.kind == "points"))
    if not names:
        return []
    shown = ", ".join(names[:MAX_TOLD_NAMES]) + (" …" if len(names) > MAX_TOLD_NAMES else "")
    return [Message(N_("Shown: {names}."), {"names": shown})]


def _describe_span(points: Sequence[Series]) -> list[Message]:
    times = [one.places for one in points if one.places.dtype.kind == "M"]
    if not times:
        return []
    first, last = (
        pd.Timestamp(end).to_pydatetime()
        for end in (min(part.min() for part in times), max(part.max() for part in times))
    )
    return [Message(N_("From {first} to {last}."), {"first": first, "last": last})]


def _describe_values(figure: go.Figure, points: Sequence[Series]) -> list[Message]:
    if has_panels(figure) or not points:
        return []
    values = np.concatenate([one.values for one in points])
    place = _join_places(points)[int(np.argmax(values))]
    axis = "" if isinstance(place, pd.Timestamp | str) else find_title(figure, of_values=False)
    return [
        Message(
            N_("{label}: {low} to {high}, the highest at {place}."),
            {
                "label": find_title(figure, of_values=True) or Message(N_("Values")),
                "low": _round_value(values.min()),
                "high": _round_value(values.max()),
                "place": Message("{axis} {place}", {"axis": axis, "place": _round_value(place)})
                if axis
                else _round_value(place),
            },
        )
    ]


def _describe_lines(series: Sequence[Series]) -> list[Message]:
    lines = [one for one in series if one.kind in LINE_KINDS and one.name]
    return [
        Message(
            N_("The line “{name}” is at {place}."),
            {
                "name": one.name,
                "place": _round_value(one.values[0] if one.kind == "level" else pd.Index(one.places)[0]),
            },
        )
        for one in lines[:MAX_TOLD_NAMES]
    ]


def _round_value(value: object) -> object:
    """Return a number with four digits, a whole one where it is whole; a time for messages; a text unchanged."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, str):
        return value
    rounded = float(f"{value:.{TOLD_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
