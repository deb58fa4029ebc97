"""Figures of scored series: scores and events over time, values, one event in detail, training curves."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.data.dataset import Dataset
from core.evaluation.events import merge_anomalies
from core.figures.style import (
    BAND_COLOUR,
    HIGHLIGHT_COLOUR,
    MAX_POINTS,
    NEUTRAL_COLOUR,
    PALETTE,
    SEVERITY_SYMBOLS,
    Translate,
    apply_layout,
    choose_points,
    downsample,
    to_float32,
)
from core.messages import N_
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences.result import SequenceDetection

SHADE_COLOUR = "rgba(213, 94, 0, 0.20)"
LASTING_COLOUR = "rgba(213, 94, 0, 0.07)"
MAX_SHADED_EVENTS = 1000
AXIS_TOP_THRESHOLDS = 5.0  # end of the score axis, in distances of the threshold to the usual score
MAX_PANELS = 6
PANEL_HEIGHT_PX = 112  # height in pixels
LETTER_WIDTH_PX, MAX_NAME_LETTERS = 7, 18  # width in pixels and maximum number of letters in a name next to the axis
RIGHT_MARGIN_PX = 12  # right margin in pixels


def draw_timeline(
    detection: SequenceDetection,
    entity: str,
    translate: Translate = str,
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None,
) -> go.Figure:
    """Draw the scores of one entity over time, with the threshold, the shaded events and the labels.

    `span` is the part that is looked at, which is drawn with all its details.
    The axis ends a few thresholds above the usual score, so that one extreme score does not flatten the curve. Higher
    peaks are drawn at its edge, labelled with their score.
    """
    figure, rows = go.Figure(), detection.select_rows(entity)
    events = detection.select_events(entity).head(MAX_SHADED_EVENTS)
    low, high = _compute_score_range(rows["score"].to_numpy(dtype=float), detection.threshold)
    _shade_events(figure, events, (low, high), detection, translate)
    for is_train, name, colour in ((True, N_("training rows"), NEUTRAL_COLOUR), (False, N_("score"), PALETTE[0])):
        part = rows[rows["fitted"].to_numpy() == is_train]
        is_visible = None if span is None else part["time"].between(*span).to_numpy()
        line_rows = part.iloc[choose_points(part["score"].to_numpy(dtype=float), MAX_POINTS, is_visible)]
        if len(line_rows):
            figure.add_scatter(
                x=line_rows["time"],
                y=to_float32(np.minimum(line_rows["score"].to_numpy(dtype=float), high)),
                mode="lines",
                name=translate(name),
                customdata=line_rows["score"].round(3),
                line={"width": 1.2, "color": colour},
                hovertemplate=f"{_format_hover_time(detection)}<br>%{{customdata:,}}<extra>%{{fullData.name}}</extra>",
            )
    _draw_threshold(figure, rows, detection, translate)
    _draw_labels(figure, rows, low, translate)
    _draw_peaks(figure, events, rows, (low, high), detection, translate)
    figure.update_yaxes(range=[low, high])
    return align_time_axis(apply_layout(figure, translate, y=translate(N_("score")), height=360), detection, entity)


def align_time_axis(figure: go.Figure, detection: SequenceDetection, entity: str) -> go.Figure:
    """Return the figure with the time axis that all figures of one entity share.

    The left margin holds the longest name next to the plot, see `shorten_name`.
    """
    times = detection.rows["time"][(detection.rows["entity"] == entity).to_numpy()]
    half_interval = compute_half_interval(detection)
    left_margin = 24 + LETTER_WIDTH_PX * max(6, *(len(shorten_name(column)) for column in detection.data.columns))
    figure.update_layout(margin={"l": left_margin, "r": RIGHT_MARGIN_PX})
    return figure.update_yaxes(automargin=False).update_xaxes(
        range=[times.iloc[0] - half_interval, times.iloc[-1] + half_interval]
    )


def shorten_name(name: str) -> str:
    """Return a name, shortened to `MAX_NAME_LETTERS` letters."""
    return name if len(name) <= MAX_NAME_LETTERS else f"{name[: MAX_NAME_LETTERS - 1]}…"


def compute_half_interval(detection: SequenceDetection) -> Any:
    """Return half the sampling interval, as a duration or as a number of rows."""
    return pd.Timedelta(seconds=(detection.sampling_seconds or 0) / 2) if detection.is_dated else 0.5


def _compute_score_range(scores: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """Return the range of the score axis."""
    median, bottom, top = float(np.median(scores)), float(np.quantile(scores, 0.001)), float(scores.max())
    limit = max(threshold, median) + AXIS_TOP_THRESHOLDS * max(
        threshold - median, float(np.quantile(scores, 0.99)) - median, 1e-6
    )
    top = min(max(top, threshold), limit)
    height = max(top - bottom, 1e-6)
    return bottom - 0.06 * height, top + 0.06 * height


def _shade_events(
    figure: go.Figure,
    events: pd.DataFrame,
    axis_range: tuple[float, float],
    detection: SequenceDetection,
    translate: Translate,
    **subplot: Any,
) -> None:
    """Shade the events, lasting changes lighter; `axis_range` is the range of the y axis."""
    is_lasting = events["kind"] == "lasting change"
    for mask, name, colour in (
        (is_lasting, N_("lasting change"), LASTING_COLOUR),
        (~is_lasting, N_("event"), SHADE_COLOUR),
    ):
        if mask.any():
            _shade_spans(figure, events[mask], axis_range, detection, translate(name), colour, **subplot)


def _shade_spans(
    figure: go.Figure,
    events: pd.DataFrame,
    axis_range: tuple[float, float],
    detection: SequenceDetection,
    name: str,
    colour: str,
    **subplot: Any,
) -> None:
    """Draw all events as one polygon, each as wide as its rows."""
    half_interval = compute_half_interval(detection)
    x: list[object] = []
    y: list[float | None] = []
    for start, end in zip(events["start"], events["end"], strict=True):
        x += [start - half_interval, start - half_interval, end + half_interval, end + half_interval, None]
        y += [axis_range[0], axis_range[1], axis_range[1], axis_range[0], None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        fill="toself",
        fillcolor=colour,
        line={"width": 1, "color": colour},
        name=name,
        hoverinfo="skip",
        legendgroup=name,
        **({"showlegend": False} if subplot else {}),
        **subplot,
    )


def _draw_threshold(figure: go.Figure, rows: pd.DataFrame, detection: SequenceDetection, translate: Translate) -> None:
    ends = rows.iloc[[0, -1]]
    line = (
        rows.iloc[:: max(len(rows) // MAX_POINTS, 1)]
        if "threshold" in rows
        else ends.assign(threshold=detection.threshold)
    )
    figure.add_scatter(
        x=line["time"],
        y=line["threshold"],
        mode="lines",
        name=translate(N_("threshold")),
        line={"color": HIGHLIGHT_COLOUR, "dash": "dash", "width": 1.4},
        hovertemplate="%{y:,.4g}<extra>%{fullData.name}</extra>",
    )


def _draw_labels(figure: go.Figure, rows: pd.DataFrame, low: float, translate: Translate) -> None:
    """Draw a bar below the curve for rows that are labelled abnormal."""
    if "label" not in rows:
        return
    times = rows["time"].to_numpy()
    spans = merge_anomalies(rows["label"].to_numpy(), gap=0)[:MAX_SHADED_EVENTS]
    if spans:
        figure.add_scatter(
            x=[time for first, last in spans for time in (times[first], times[last], None)],
            y=[low, low, None] * len(spans),
            mode="lines+markers",
            name=translate(N_("labelled abnormal")),
            line={"width": 9, "color": PALETTE[7]},
            cliponaxis=False,
            marker={"size": 5, "symbol": "square", "color": PALETTE[7]},
            connectgaps=False,
            hovertemplate=f"%{{x}}<extra>{translate(N_('labelled abnormal'))}</extra>",
        )


def _draw_peaks(
    figure: go.Figure,
    events: pd.DataFrame,
    rows: pd.DataFrame,
    axis_range: tuple[float, float],
    detection: SequenceDetection,
    translate: Translate,
) -> None:
    """Draw the peak of every event by severity; peaks beyond the axis are drawn at its edge."""
    first = rows.index[0] if len(rows) else 0
    scores, times = rows["score"].to_numpy(), rows["time"].to_numpy()
    for severity in (3, 2, 1, 0):
        group = events[events["severity"] == severity]
        if group.empty:
            continue
        peak_positions = [
            begin + int(scores[begin : end + 1].argmax())
            for begin, end in zip(group["first"] - first, group["last"] - first, strict=True)
        ]
        edge = axis_range[1] - 0.03 * (axis_range[1] - axis_range[0])
        is_beyond_axis = group["peak"] > axis_range[1]
        figure.add_scatter(
            x=times[peak_positions],
            y=np.minimum(group["peak"], edge),
            name=translate(SEVERITIES[severity]),
            cliponaxis=False,
            mode="markers+text" if is_beyond_axis.any() else "markers",
            textposition="middle right",
            texttemplate=["%{customdata[1]:,.3~g}" if is_outside else "" for is_outside in is_beyond_axis],
            marker={
                "symbol": SEVERITY_SYMBOLS[severity],
                "size": 8 + 2 * severity,
                "color": HIGHLIGHT_COLOUR,
                "line": {"width": 1.2},
            },
            customdata=list(zip(group.index + 1, group["peak"].round(3), group["causes"], strict=True)),
            hovertemplate=(
                f"#%{{customdata[0]}} · {_format_hover_time(detection)}<br>%{{customdata[1]:,}}<br>"
                "%{customdata[2]}<extra></extra>"
            ),
        )


def _format_hover_time(detection: SequenceDetection) -> str:
    return "%{x|%Y-%m-%d %H:%M}" if detection.is_dated else "%{x}"


def draw_values(
    dataset: Dataset, detection: SequenceDetection, entity: str, columns: list[str], translate: Translate = str
) -> go.Figure:
    """Draw the values of some columns of one entity, one panel per column, with the events shaded."""
    entity_rows = dataset.filter_rows([entity])
    order = np.argsort(entity_rows.time, kind="stable")
    events = detection.select_events(entity).head(MAX_SHADED_EVENTS)
    figure = _build_panels(columns)
    for number, column in enumerate(columns, start=1):
        column_values = entity_rows.frame[column].to_numpy()[order]
        positions = downsample(column_values, MAX_POINTS // 2)
        finite_values = column_values[np.isfinite(column_values)]
        axis_range = (float(finite_values.min()), float(finite_values.max())) if len(finite_values) else (0.0, 1.0)
        _shade_events(figure, events, axis_range, detection, translate, row=number, col=1)
        figure.add_scatter(
            x=entity_rows.time[order][positions],
            y=to_float32(column_values[positions]),
            mode="lines",
            name=column,
            showlegend=False,
            line={"width": 1.2, "color": PALETTE[(number - 1) % len(PALETTE)]},
            row=number,
            col=1,
            hovertemplate=f"{_format_hover_time(detection)}<br>%{{y:,.4g}}<extra>%{{fullData.name}}</extra>",
        )
    return align_time_axis(
        apply_layout(figure, translate, height=60 + PANEL_HEIGHT_PX * len(columns)), detection, entity
    )


def _build_panels(titles: list[str]) -> go.Figure:
    """Return a figure with one titled panel per column on a common time axis."""
    figure = make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.24 / max(len(titles), 1)
    )
    figure.update_annotations(font={"size": 12}, x=0, xanchor="left")
    return figure


def draw_event(detection: SequenceDetection, number: int, translate: Translate = str) -> go.Figure:
    """Draw the first causes of one event with their usual ranges, and the range in which it is not flagged."""
    cells = detection.cells[(detection.cells["event"] == number) & (detection.cells["rank"] < MAX_PANELS)]
    columns = [str(name) for name in cells.drop_duplicates("column").sort_values("rank")["column"]]
    event_rows, figure = detection.events.iloc[[number]], _build_panels(columns)
    for panel, column in enumerate(columns, start=1):
        column_cells, subplot = cells[cells["column"] == column], {"row": panel, "col": 1}
        measured = column_cells[["value", "low", "high"]].to_numpy(dtype=float)
        axis_range = (
            (float(np.nanmin(measured)), float(np.nanmax(measured))) if np.isfinite(measured).any() else (0.0, 1.0)
        )
        _shade_events(figure, event_rows, axis_range, detection, translate, **subplot)
        _draw_usual_range(figure, column_cells, translate, panel)
        _draw_unflagged_range(figure, detection.events.loc[number], column_cells, translate, panel)
        figure.add_scatter(
            x=column_cells["time"],
            y=column_cells["value"],
            mode="lines",
            name=translate(N_("measured")),
            legendgroup="measured",
            showlegend=panel == 1,
            line={"color": PALETTE[0], "width": 1.8},
            hovertemplate=f"{_format_hover_time(detection)}<br>%{{y:,.4g}}<extra>{column}</extra>",
            **subplot,
        )
    height = 90 + PANEL_HEIGHT_PX * len(columns)
    figure = apply_layout(figure, translate, height=height)
    return figure.update_layout(margin={"t": 60}, legend={"y": 1 + 24 / height})  # above the name of the first panel


def _draw_unflagged_range(
    figure: go.Figure, event: pd.Series, column_cells: pd.DataFrame, translate: Translate, panel: int
) -> None:
    """Draw the range in which this column alone would not have been flagged; nothing for another column."""
    if event["unflagged_by"] != "one column" or event["unflagged_column"] != column_cells["column"].iloc[0]:
        return
    for level in (event["unflagged_low"], event["unflagged_high"]):
        figure.add_scatter(
            x=column_cells["time"].iloc[[0, -1]],
            y=[level, level],
            mode="lines",
            name=translate(N_("not flagged between")),
            legendgroup="unflagged",
            showlegend=bool(level == event["unflagged_low"]),
            line={"color": HIGHLIGHT_COLOUR, "dash": "dot", "width": 1.3},
            hoverinfo="skip",
            row=panel,
            col=1,
        )


def _draw_usual_range(figure: go.Figure, column_cells: pd.DataFrame, translate: Translate, panel: int) -> None:
    """Draw the usual range and its middle; nothing where they are unknown."""
    if column_cells["expected"].isna().all():
        return
    subplot = {"row": panel, "col": 1}
    figure.add_scatter(
        x=column_cells["time"],
        y=column_cells["high"],
        mode="lines",
        line={"width": 0},
        showlegend=False,
        hoverinfo="skip",
        **subplot,
    )
    figure.add_scatter(
        x=column_cells["time"],
        y=column_cells["low"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=BAND_COLOUR,
        hoverinfo="skip",
        name=translate(N_("usual range")),
        legendgroup="band",
        showlegend=panel == 1,
        **subplot,
    )
    figure.add_scatter(
        x=column_cells["time"],
        y=column_cells["expected"],
        mode="lines",
        name=translate(N_("expected")),
        legendgroup="expected",
        showlegend=panel == 1,
        line={"color": NEUTRAL_COLOUR, "dash": "dash", "width": 1.3},
        hoverinfo="skip",
        **subplot,
    )


def draw_training_curves(detection: SequenceDetection, translate: Translate = str) -> go.Figure:
    """Draw the training curves."""
    figure = go.Figure()
    for number, (name, curve) in enumerate(detection.curves.groupby("curve", sort=False)):
        figure.add_scatter(
            x=curve["step"],
            y=curve["value"],
            mode="lines",
            name=translate(str(name)),
            line={"width": 1.6, "color": PALETTE[number % len(PALETTE)]},
        )
    return apply_layout(figure, translate, x=translate(N_("step")), y=translate(N_("loss")), height=280)
