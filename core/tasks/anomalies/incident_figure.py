"""One incident in its series: the whole timeline above its detail, with one time axis that both share.

Whoever zooms or moves one of the two moves the other, without a call of the server.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.array_types import Floats
from core.data.dataset import DAY, Dataset
from core.figures.style import (
    BAND_COLOUR,
    HIGHLIGHT_COLOUR,
    MAX_POINTS,
    NEUTRAL_COLOUR,
    PALETTE,
    Translate,
    apply_layout,
    compute_axis_range,
    downsample,
    pick_hover_time,
    to_float32,
)
from core.messages import N_
from core.tasks.anomalies import timeline
from core.tasks.anomalies.result import Detection

MARGIN_ROWS = 24  # shown at first on both sides of an incident; of a daily profile a week
MARGIN_DAYS = 7
DETAIL_DAYS = 60  # of a daily profile that the detail holds on both sides
MARGIN_SCREENS = 40  # of other rows that the detail holds on both sides, in margins
DETAIL_PLACE = {"row": 2, "col": 1}
CELL_VALUES = ["value", "expected", "low", "high", "deviation"]


def draw_incident(
    dataset: Dataset, detection: Detection, row: int, translate: Translate = str, render: timeline.Render = str
) -> go.Figure:
    """Draw the incident of a row, given its position: the amounts of its entity above, the values around it below.

    The detail of a daily profile holds the values of its days, that of other rows the value that deviates most. The
    usual values and their band of ± 2 σ are drawn where they are saved.
    """
    incident = detection.list_row_incidents([row]).iloc[0]
    part = dataset.filter_rows([str(incident["entity"])])
    part = part.take_rows(np.argsort(part.time, kind="stable"))
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.36, 0.64], vertical_spacing=0.06)
    _draw_overview(figure, part, detection, incident["row"], translate, render)
    start, end, margin = _find_span(dataset, detection, incident)
    near = _take_near(part, start, end, DETAIL_DAYS * DAY if detection.data.profile else MARGIN_SCREENS * margin)
    column = 0 if detection.data.profile or not incident["first"] else detection.data.columns.index(incident["first"])
    _draw_detail(figure, near, _take_explained(near, detection), detection, column, (start, end), translate)
    shift = pd.Timedelta(hours=dataset.day_start) if dataset.profile else start - start
    for panel, offset in ((1, shift), (2, 0 * shift)):  # above, the amount of a day is drawn at midnight
        figure.add_vrect(
            start - offset, end - offset, fillcolor=HIGHLIGHT_COLOUR, opacity=0.13, line_width=0, row=panel, col=1
        )
    apply_layout(figure, translate, y=_name_values(detection, column), height=520)
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(range=[start - margin, end + margin])
    figure.update_yaxes(title={"text": timeline.label_amount(detection, translate)}, fixedrange=True, row=1, col=1)
    return figure


def _find_span(dataset: Dataset, detection: Detection, incident: pd.Series) -> tuple[Any, Any, Any]:
    """Return start and end of the shaded part, and the margin around it; numbers for rows without dates."""
    start, end = incident["start"], incident["end"]
    number = detection.rows.at[incident["row"], "incident"]
    if number >= 0:
        start, end = detection.incidents.loc[number, ["start", "end"]]
    if not dataset.has_dates:
        return start - 0.5, end + 0.5, MARGIN_ROWS
    step = dataset.step if dataset.step is not None else pd.Timedelta(hours=1)
    if dataset.profile:
        first = pd.Timedelta(hours=dataset.day_start) - step / 2
        return start + first, end + DAY + first, MARGIN_DAYS * DAY
    return start - step / 2, end + step / 2, MARGIN_ROWS * step


def _draw_overview(
    figure: go.Figure, part: Dataset, detection: Detection, row: int, translate: Translate, render: timeline.Render
) -> None:
    """Draw the amounts of one entity over the whole time, with its incidents; all but that of `row` are pale."""
    amounts = timeline.compute_amounts(part, detection.data.profile)
    positions = downsample(amounts, MAX_POINTS // 2)
    unit, place = timeline.label_amount(detection, translate), {"row": 1, "col": 1}
    times = part.time[positions]
    hover_time = pick_hover_time(part.time)
    timeline.draw_line(figure, times, amounts[positions], "", hover_time, unit, NEUTRAL_COLOUR, **place)
    axis_range = compute_axis_range(amounts)
    number = int(detection.rows.at[row, "incident"])
    timeline.draw_incidents(figure, detection, part.entities, axis_range, translate, render, number, **place)
    figure.update_yaxes(range=list(axis_range), row=1, col=1)


def _take_near(part: Dataset, start: Any, end: Any, margin: Any) -> Dataset:
    """Return the rows from `margin` before the start to `margin` after the end."""
    return part.take_rows(np.asarray((part.time >= start - margin) & (part.time <= end + margin)))


def _take_explained(near: Dataset, detection: Detection) -> dict[str, Dataset]:
    """Return the rows of `near` whose usual values are saved, once for every value of a cell."""
    count = len(detection.data.columns)
    explained = detection.rows.iloc[: len(detection.cells) // count]
    explained = explained[explained["entity"] == near.entities[0]]
    near = near.take_rows(~near.time.duplicated())
    position = near.time.get_indexer(pd.Index(explained["time"]))
    order = np.argsort(position, kind="stable")
    order = order[position[order] >= 0]
    rows = near.take_rows(position[order])
    lines = explained.index.to_numpy()[order]
    return {name: _replace_values(rows, _take_lines(detection.cells[name], lines, count)) for name in CELL_VALUES}


def _take_lines(cells: pd.Series, lines: object, count: int) -> Floats:
    return np.asarray(cells.to_numpy(dtype=np.float64).reshape(-1, count)[lines])


def _replace_values(rows: Dataset, values: Floats) -> Dataset:
    return rows.replace(frame=pd.DataFrame(values, index=rows.frame.index, columns=rows.frame.columns))


def _draw_detail(
    figure: go.Figure,
    near: Dataset,
    explained: dict[str, Dataset],
    detection: Detection,
    column: int,
    span: tuple[Any, Any],
    translate: Translate,
) -> None:
    """Draw the measured values, the usual ones with their band, and marks at the values of `span` outside the band."""
    tables = {name: rows.to_series() for name, rows in explained.items()}
    times = tables["value"].time
    values = {name: rows.values[:, column] for name, rows in tables.items()}
    template = f"%{{y:,.4~g}} {detection.data.unit}"
    if len(times):
        _draw_usual(figure, times, values, _measure_half_step(near), template, translate)
    series = near.to_series()
    positions = downsample(series.values[:, column], MAX_POINTS)
    figure.add_scatter(
        x=series.time[positions],
        y=to_float32(series.values[positions, column]),
        mode="lines",
        name=translate(N_("measured")),
        line={"color": NEUTRAL_COLOUR, "width": 1.8},
        hovertemplate=template,
        **DETAIL_PLACE,
    )
    outside = (values["value"] > values["high"]) | (values["value"] < values["low"])
    outside &= np.asarray((times >= span[0]) & (times < span[1]))  # those of other incidents would hide this one
    figure.add_scatter(
        x=times[outside],
        y=to_float32(values["value"][outside]),
        mode="markers",
        name=translate(N_("outside the band")),
        marker={"symbol": "diamond-open", "size": 7, "color": HIGHLIGHT_COLOUR, "line": {"width": 1.8}},
        customdata=to_float32(values["deviation"][outside]),
        hovertemplate=f"{template} · %{{customdata:+,.1f}} σ",
        **DETAIL_PLACE,
    )


def _draw_usual(
    figure: go.Figure, times: pd.Index, values: dict[str, Floats], half_step: Any, template: str, translate: Translate
) -> None:
    """Draw the usual values and their band, longer by half a step, so that a row without neighbours has a band too."""
    gaps = np.flatnonzero(np.diff(times.to_numpy()) > 3 * half_step) + 1
    pieces = np.split(np.arange(len(times)), gaps)
    moments = [times[piece].to_numpy() for piece in pieces]
    x = [np.concatenate([piece[:1] - half_step, piece, piece[-1:] + half_step]) for piece in moments]
    low, usual, high = (
        [np.pad(values[name][piece], 1, mode="edge") for piece in pieces] for name in ("low", "expected", "high")
    )
    figure.add_scatter(
        x=_join_pieces([np.append(piece, piece[::-1]) for piece in x]),
        y=_join_pieces([np.append(top, down[::-1]) for top, down in zip(high, low, strict=True)], gap=np.nan),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=BAND_COLOUR,
        name=translate(N_("usual ± 2σ")),
        hoverinfo="skip",
        **DETAIL_PLACE,
    )
    figure.add_scatter(
        x=_join_pieces(x),
        y=_join_pieces(usual, gap=np.nan),
        mode="lines",
        name=translate(N_("usual")),
        line={"color": PALETTE[0], "dash": "dash", "width": 1.5},
        hovertemplate=template,
        **DETAIL_PLACE,
    )


def _join_pieces(pieces: Sequence[NDArray[Any]], gap: float | None = None) -> NDArray[Any]:
    """Return the pieces in one array; between two of them `gap`, or the last value of the first once more."""
    return np.concatenate([np.append(piece, piece[-1] if gap is None else gap) for piece in pieces])


def _measure_half_step(rows: Dataset) -> Any:
    """Return half of the time between two values."""
    if not rows.has_dates:
        return 0.5
    return np.timedelta64((rows.step if rows.step is not None else pd.Timedelta(hours=1)) / 2)


def _name_values(detection: Detection, column: int) -> str:
    """Return the title of the axis of the detail: the column where there are several, and the unit."""
    if detection.data.profile or len(detection.data.columns) == 1:
        return detection.data.unit
    return f"{detection.data.columns[column]} {detection.data.unit}".strip()
