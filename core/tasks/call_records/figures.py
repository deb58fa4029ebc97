"""Figures of call records: KPIs over time, KO calls by cause, and the cleaning of a series."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.cleaning import CLEANED, IS_IMPUTED, IS_SPIKE
from core.figures.style import (
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

DASHES = ("solid", "dot", "dash", "dashdot")
MAX_LINES = 8  # trunks or causes drawn, those with the largest sums
KPI_LABELS: Mapping[str, str] = {
    "total": N_("All calls"),
    "answered": N_("Answered calls"),
    "null_duration": N_("Calls of zero duration"),
    "erlang": N_("Erlang"),
    "ccr": N_("Call completion ratio (CCR)"),
}


def draw_kpis(
    kpis: pd.DataFrame, columns: list[str], is_logarithmic: bool = False, translate: Translate = str
) -> go.Figure:
    """Draw columns of the table of `sum_counts`: one line per column, or one per trunk for a single column.

    Of many lines the `MAX_LINES` with the largest sums are drawn. Undefined values are gaps. On a logarithmic axis,
    zeros are gaps too.
    """
    figure = go.Figure()
    lines = _split_lines(kpis, columns, translate)
    for number, (name, line) in enumerate(lines):
        values = line["value"].to_numpy(np.float64)
        values = np.where(values > 0, values, np.nan) if is_logarithmic else values
        _add_line(
            figure,
            line["time"],
            values,
            name,
            {"color": PALETTE[number % len(PALETTE)], "width": 1.6, "dash": DASHES[number // 4 % len(DASHES)]},
        )
    figure.update_yaxes(type="log" if is_logarithmic else "linear")
    if columns == ["ccr"]:
        figure.update_yaxes(tickformat=".0%")
    elif not is_logarithmic:
        figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=len(lines) > 1)
    return apply_layout(figure, translate, height=340)


def _split_lines(kpis: pd.DataFrame, columns: list[str], translate: Translate) -> list[tuple[str, pd.DataFrame]]:
    lines = []
    for entity, table in kpis.groupby("entity", sort=True):
        for column in columns:
            label = (
                translate(KPI_LABELS[column]) if column in KPI_LABELS else column.removeprefix("ko_").replace("_", " ")
            )
            name = label if kpis["entity"].nunique() == 1 else str(entity)
            lines.append((name, table[["time"]].assign(value=table[column])))
    ranked = sorted(lines, key=lambda line: -float(line[1]["value"].sum()))
    return ranked[:MAX_LINES]


def draw_cleaning(rows: pd.DataFrame, unit: str, is_logarithmic: bool = False, translate: Translate = str) -> go.Figure:
    """Draw the rows of one entity (see `CleaningResult`): original and cleaned line, marks of every change."""
    figure = go.Figure()
    rows = _open_gaps(rows)
    original, cleaned = (rows[name].to_numpy(np.float64) for name in ("original", CLEANED))
    _add_line(
        figure,
        rows["time"],
        original,
        translate(N_("original")),
        {"color": NEUTRAL_COLOUR, "width": 1.2, "dash": "dot"},
    )
    _add_line(figure, rows["time"], cleaned, translate(N_("cleaned")), {"color": PALETTE[0], "width": 1.6})
    for name, mask, values, marker in (
        (N_("spike"), rows[IS_SPIKE], original, {"color": HIGHLIGHT_COLOUR, "symbol": "x", "size": 9}),
        (N_("filled"), rows[IS_IMPUTED], cleaned, {"color": PALETTE[2], "symbol": "circle", "size": 4}),
        (N_("level shift (kept)"), rows["is_shift"], original, {"color": PALETTE[4], "symbol": "diamond", "size": 8}),
    ):
        places = np.flatnonzero(mask)
        if len(places):
            figure.add_scattergl(
                x=rows["time"].iloc[places],
                y=to_float32(values[places]),
                mode="markers",
                name=translate(name),
                marker=marker,
                hovertemplate=f"{TIME_FORMAT}: %{{y:,.6g}}<extra>%{{fullData.name}}</extra>",
            )
    figure.update_yaxes(type="log" if is_logarithmic else "linear")
    return apply_layout(figure, translate, y=unit, height=380)


def _open_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` with an empty row after every value that the usual step does not follow."""
    steps = rows["time"].diff()
    before = np.flatnonzero(steps.to_numpy()[1:] > 1.5 * steps.median())
    empty = rows.iloc[before].assign(
        original=np.nan, **{CLEANED: np.nan, IS_SPIKE: False, IS_IMPUTED: False}, is_shift=False
    )
    empty["time"] = empty["time"] + steps.median()
    return pd.concat([rows, empty]).sort_values("time", kind="stable") if len(before) else rows


def _add_line(figure: go.Figure, times: pd.Series, values: Floats, name: str, line: Mapping[str, object]) -> None:
    """Add a line with gaps, downsampled to the resolution of a screen; one missing value stands for every gap."""
    places = _keep_gaps(values)
    figure.add_scattergl(
        x=times.iloc[places],
        y=to_float32(values[places]),
        mode="lines",
        name=name,
        line=line,
        connectgaps=False,
        hovertemplate=f"{TIME_FORMAT}: %{{y:,.6g}}<extra>%{{fullData.name}}</extra>",
    )


def _keep_gaps(values: Floats, max_points: int = MAX_POINTS) -> NDArray[np.intp]:
    """Return the positions to draw: downsampled known values, and the first missing value of every gap."""
    is_known = np.isfinite(values)
    known = np.flatnonzero(is_known)
    gaps = np.flatnonzero(~is_known & np.append(True, is_known[:-1]))
    return np.union1d(known[downsample(values[known], max_points)], gaps[:max_points])
