"""Figures of a watch: one incident among the stored rows of its entity, and the ticks of a day."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

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
)
from core.messages import N_
from core.watches.incident import Incident

if TYPE_CHECKING:
    from core.storage.watches.ticks import TickRecord

PEAK_PX, TICK_PX = 11, 10
MIN_WIDTH = pd.Timedelta(minutes=1)  # of the shaded part of an incident of one row, before half a step is known
TICK_STYLES = {"completed": (N_("completed"), PALETTE[0], "circle"), "failed": (N_("failed"), HIGHLIGHT_COLOUR, "x")}


def draw_incident(values: pd.Series, incident: Incident, zone: str = "", translate: Translate = str) -> go.Figure:
    """Draw the values of one column around an incident, the incident shaded, and its worst row with its usual range.

    values  stored values of the entity, by instant in UTC
    zone    of the clock of the data; "" for data in an unknown zone
    """
    values = values.sort_index()
    times = show_clock(pd.DatetimeIndex(values.index), zone)
    shown = downsample(values.to_numpy(np.float64), MAX_POINTS)
    figure = go.Figure()
    figure.add_scatter(
        x=times[shown],
        y=values.to_numpy(np.float64)[shown],
        mode="lines+markers" if len(shown) < 2 * TICK_PX else "lines",
        name=str(values.name),
        line={"color": PALETTE[0], "width": 1.5},
        hovertemplate=f"{TIME_FORMAT}: %{{y:,.4~g}}<extra>%{{fullData.name}}</extra>",
    )
    start, end, peak = show_clock(pd.DatetimeIndex([incident.start, incident.end, incident.peak_at]), zone)
    margin = max(pd.Series(times).diff().median() / 2, MIN_WIDTH) if len(times) > 1 else MIN_WIDTH
    figure.add_vrect(start - margin, end + margin, fillcolor=HIGHLIGHT_COLOUR, opacity=0.13, line_width=0)
    if values.name == incident.column:
        _draw_worst_row(figure, incident, peak, translate)
    return apply_layout(figure, translate, y=str(values.name), height=340)


def _draw_worst_row(figure: go.Figure, incident: Incident, peak: pd.Timestamp, translate: Translate) -> None:
    """Draw the measured value of the worst row, and what was expected, with its usual range."""
    if incident.measured is not None and np.isfinite(incident.measured):
        figure.add_scatter(
            x=[peak],
            y=[incident.measured],
            mode="markers",
            name=translate(N_("worst row")),
            marker={"color": HIGHLIGHT_COLOUR, "size": PEAK_PX, "symbol": "diamond"},
            hovertemplate=f"{TIME_FORMAT}: %{{y:,.4~g}}<extra>%{{fullData.name}}</extra>",
        )
    if incident.expected is None or not np.isfinite(incident.expected):
        return
    low, high = (
        amount if amount is not None and np.isfinite(amount) else incident.expected
        for amount in (incident.low, incident.high)
    )
    figure.add_scatter(
        x=[peak],
        y=[incident.expected],
        mode="markers",
        name=translate(N_("expected, with its usual range")),
        marker={"color": NEUTRAL_COLOUR, "size": PEAK_PX, "symbol": "line-ew-open"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - incident.expected],
            "arrayminus": [incident.expected - low],
            "color": BAND_COLOUR.replace("0.16", "0.7"),
            "thickness": 4,
            "width": 0,
        },
        hovertemplate=f"{TIME_FORMAT}: %{{y:,.4~g}}<extra>%{{fullData.name}}</extra>",
    )


def draw_ticks(
    records: "Sequence[TickRecord]",
    times: Sequence[pd.Timestamp],
    span: tuple[pd.Timestamp, pd.Timestamp],
    translate: Translate = str,
) -> go.Figure:
    """Draw the new rows of ticks at their `times` within `span`, those that failed, and the alarms among the rows."""
    figure = go.Figure()
    for state, (name, colour, symbol) in TICK_STYLES.items():
        rows = [(time, record.rows_new) for time, record in zip(times, records, strict=True) if record.state == state]
        _draw_counts(figure, rows, translate(name), colour, symbol)
    alarms = [(time, record.alarms) for time, record in zip(times, records, strict=True) if record.alarms]
    _draw_counts(figure, alarms, translate(N_("alarms")), HIGHLIGHT_COLOUR, "triangle-up")
    figure.update_xaxes(range=list(span))
    figure.update_yaxes(rangemode="tozero")
    return apply_layout(figure, translate, y=translate(N_("rows")), height=240)


def _draw_counts(
    figure: go.Figure, counts: Sequence[tuple[pd.Timestamp, int]], name: str, colour: str, symbol: str
) -> None:
    if counts:
        figure.add_scatter(
            x=[time for time, _count in counts],
            y=[count for _time, count in counts],
            mode="markers",
            name=name,
            marker={"color": colour, "size": TICK_PX, "symbol": symbol},
            hovertemplate=f"{TIME_FORMAT}: %{{y:,}}<extra>%{{fullData.name}}</extra>",
        )


def show_clock(instants: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Return instants on the clock of `zone`, without the zone; an unknown zone has its clock stored as UTC.

    Example:
        >>> show_clock(pd.DatetimeIndex(["2024-07-01 12:00"]), "Europe/Paris")[0]
        Timestamp('2024-07-01 14:00:00')
    """
    aware = instants.tz_localize("UTC") if instants.tz is None else instants
    return aware.tz_convert(zone or "UTC").tz_localize(None)
