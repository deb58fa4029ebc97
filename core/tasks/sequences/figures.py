"""Figures of scored series: scores and events over time, values, one event in detail, training curves."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.data.dataset import Dataset
from core.figures.style import BAND, CALM, PALETTE, POINTS, STRONG, Say, laid_out, shortened, thinned
from core.messages import N_
from core.tasks.anomalies.figures import SYMBOLS
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences.events import merge_anomalies
from core.tasks.sequences.result import SequenceDetection

SHADE = "rgba(213, 94, 0, 0.20)"
SHADED = 1000
ABOVE = 5.0  # end of the score axis, in distances of the threshold to the usual score
PANELS = 6
PANEL = 112  # height in pixels
LETTER, LETTERS = 7, 18  # width in pixels and maximum number of letters in a name next to the axis
RIGHT = 12  # right margin in pixels


def timeline(detection: SequenceDetection, entity: str, say: Say = str) -> go.Figure:
    """Draw the scores of one entity over time, with the threshold, the shaded events and the labels.

    The axis ends a few thresholds above the usual score, so that one extreme score does not flatten the curve. Higher
    peaks are drawn at its edge, labelled with their score.
    """
    figure, rows = go.Figure(), detection.rows_of(entity)
    events = detection.events_of(entity).head(SHADED)
    low, high = _score_range(rows["score"].to_numpy(dtype=float), detection.threshold)
    _shade(figure, events, (low, high), detection, say(N_("event")))
    for fitted, name, colour in ((True, N_("learnt from"), CALM), (False, N_("score"), PALETTE[0])):
        part = rows[rows["fitted"].to_numpy() == fitted]
        kept = part.iloc[thinned(part["score"].to_numpy(dtype=float), POINTS)]
        if len(kept):
            figure.add_scatter(
                x=kept["time"],
                y=shortened(np.minimum(kept["score"].to_numpy(dtype=float), high)),
                mode="lines",
                name=say(name),
                customdata=kept["score"].round(3),
                line={"width": 1.2, "color": colour},
                hovertemplate=f"{_when(detection)}<br>%{{customdata:,}}<extra>%{{fullData.name}}</extra>",
            )
    _threshold(figure, rows, detection, say)
    _known(figure, rows, low, say)
    _peaks(figure, events, rows, (low, high), detection, say)
    figure.update_yaxes(range=[low, high])
    return aligned(laid_out(figure, say, y=say(N_("score")), height=360), detection, entity)


def aligned(figure: go.Figure, detection: SequenceDetection, entity: str) -> go.Figure:
    """Return the figure with the time axis that all figures of one entity share.

    The left margin holds the longest name next to the plot, see `brief`.
    """
    times = detection.rows["time"][(detection.rows["entity"] == entity).to_numpy()]
    half = half_row(detection)
    room = 24 + LETTER * max(6, *(len(brief(column)) for column in detection.data.columns))
    figure.update_layout(margin={"l": room, "r": RIGHT})
    return figure.update_yaxes(automargin=False).update_xaxes(range=[times.iloc[0] - half, times.iloc[-1] + half])


def brief(name: str) -> str:
    """Return a name, shortened to `LETTERS` letters."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def half_row(detection: SequenceDetection) -> Any:
    """Return half the sampling interval, as a duration or as a number of rows."""
    return pd.Timedelta(seconds=(detection.sampling_seconds or 0) / 2) if detection.is_dated else 0.5


def _score_range(scores: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """Return the range of the score axis."""
    usual, bottom, top = float(np.median(scores)), float(np.quantile(scores, 0.001)), float(scores.max())
    ends = max(threshold, usual) + ABOVE * max(threshold - usual, float(np.quantile(scores, 0.99)) - usual, 1e-6)
    top = min(max(top, threshold), ends)
    room = max(top - bottom, 1e-6)
    return bottom - 0.06 * room, top + 0.06 * room


def _shade(
    figure: go.Figure,
    events: pd.DataFrame,
    ends: tuple[float, float],
    detection: SequenceDetection,
    name: str,
    **where: Any,
) -> None:
    """Draw all events as one polygon, each as wide as its rows; `ends` is the range of the y axis."""
    if events.empty:
        return
    half = half_row(detection)
    x: list[object] = []
    y: list[float | None] = []
    for start, end in zip(events["start"], events["end"], strict=True):
        x += [start - half, start - half, end + half, end + half, None]
        y += [ends[0], ends[1], ends[1], ends[0], None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        fill="toself",
        fillcolor=SHADE,
        line={"width": 1, "color": SHADE},
        name=name,
        hoverinfo="skip",
        legendgroup="event",
        **({"showlegend": False} if where else {}),
        **where,
    )


def _threshold(figure: go.Figure, rows: pd.DataFrame, detection: SequenceDetection, say: Say) -> None:
    figure.add_scatter(
        x=[rows["time"].iloc[0], rows["time"].iloc[-1]],
        y=[detection.threshold] * 2,
        mode="lines",
        name=say(N_("threshold")),
        line={"color": STRONG, "dash": "dash", "width": 1.4},
        hovertemplate="%{y:,.4g}<extra>%{fullData.name}</extra>",
    )


def _known(figure: go.Figure, rows: pd.DataFrame, low: float, say: Say) -> None:
    """Draw a bar below the curve for rows that are labelled abnormal."""
    if "label" not in rows:
        return
    times = rows["time"].to_numpy()
    spans = merge_anomalies(rows["label"].to_numpy(), gap=0)[:SHADED]
    if spans:
        figure.add_scatter(
            x=[each for first, last in spans for each in (times[first], times[last], None)],
            y=[low, low, None] * len(spans),
            mode="lines+markers",
            name=say(N_("labelled abnormal")),
            line={"width": 9, "color": PALETTE[7]},
            cliponaxis=False,
            marker={"size": 5, "symbol": "square", "color": PALETTE[7]},
            connectgaps=False,
            hovertemplate=f"%{{x}}<extra>{say(N_('labelled abnormal'))}</extra>",
        )


def _peaks(
    figure: go.Figure,
    events: pd.DataFrame,
    rows: pd.DataFrame,
    ends: tuple[float, float],
    detection: SequenceDetection,
    say: Say,
) -> None:
    """Draw the peak of every event by severity; peaks beyond the axis are drawn at its edge."""
    first = rows.index[0] if len(rows) else 0
    scores, times = rows["score"].to_numpy(), rows["time"].to_numpy()
    for severity in (3, 2, 1, 0):
        own = events[events["severity"] == severity]
        if own.empty:
            continue
        at = [
            begin + int(scores[begin : end + 1].argmax())
            for begin, end in zip(own["first"] - first, own["last"] - first, strict=True)
        ]
        edge = ends[1] - 0.03 * (ends[1] - ends[0])
        off = own["peak"] > ends[1]
        figure.add_scatter(
            x=times[at],
            y=np.minimum(own["peak"], edge),
            name=say(SEVERITIES[severity]),
            cliponaxis=False,
            mode="markers+text" if off.any() else "markers",
            textposition="middle right",
            text=[f"{peak:,.3g}" if out else "" for peak, out in zip(own["peak"], off, strict=True)],
            marker={"symbol": SYMBOLS[severity], "size": 8 + 2 * severity, "color": STRONG, "line": {"width": 1.2}},
            customdata=list(zip(own.index + 1, own["peak"].round(3), own["causes"], strict=True)),
            hovertemplate=(
                f"#%{{customdata[0]}} · {_when(detection)}<br>%{{customdata[1]:,}}<br>%{{customdata[2]}}<extra></extra>"
            ),
        )


def _when(detection: SequenceDetection) -> str:
    return "%{x|%Y-%m-%d %H:%M}" if detection.is_dated else "%{x}"


def values(
    dataset: Dataset, detection: SequenceDetection, entity: str, columns: list[str], say: Say = str
) -> go.Figure:
    """Draw the values of some columns of one entity, one panel per column, with the events shaded."""
    own = dataset.select([entity])
    order = np.argsort(own.time, kind="stable")
    events = detection.events_of(entity).head(SHADED)
    figure = _panels(columns)
    for number, column in enumerate(columns, start=1):
        line = own.frame[column].to_numpy()[order]
        kept = thinned(line, POINTS // 2)
        known = line[np.isfinite(line)]
        ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        _shade(figure, events, ends, detection, say(N_("event")), row=number, col=1)
        figure.add_scatter(
            x=own.time[order][kept],
            y=shortened(line[kept]),
            mode="lines",
            name=column,
            showlegend=False,
            line={"width": 1.2, "color": PALETTE[(number - 1) % len(PALETTE)]},
            row=number,
            col=1,
            hovertemplate=f"{_when(detection)}<br>%{{y:,.4g}}<extra>%{{fullData.name}}</extra>",
        )
    return aligned(laid_out(figure, say, height=60 + PANEL * len(columns)), detection, entity)


def _panels(titles: list[str]) -> go.Figure:
    """Return a figure with one titled panel per column on a common time axis."""
    figure = make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.24 / max(len(titles), 1)
    )
    figure.update_annotations(font={"size": 12}, x=0, xanchor="left")
    return figure


def event(detection: SequenceDetection, number: int, by: str, say: Say = str) -> go.Figure:
    """Draw the columns that explain one event, ranked `by` "share" or "distance", with their expected bands."""
    cells = detection.cells[(detection.cells["event"] == number) & (detection.cells[f"by_{by}"] < PANELS)]
    columns = [str(each) for each in cells.drop_duplicates("column").sort_values(f"by_{by}")["column"]]
    opened, figure = detection.events.iloc[[number]], _panels(columns)
    for place, column in enumerate(columns, start=1):
        own, where = cells[cells["column"] == column], {"row": place, "col": 1}
        measured = own[["value", "low", "high"]].to_numpy(dtype=float)
        ends = (float(np.nanmin(measured)), float(np.nanmax(measured))) if np.isfinite(measured).any() else (0.0, 1.0)
        _shade(figure, opened, ends, detection, say(N_("event")), **where)
        _expected(figure, own, say, place)
        figure.add_scatter(
            x=own["time"],
            y=own["value"],
            mode="lines",
            name=say(N_("measured")),
            legendgroup="measured",
            showlegend=place == 1,
            line={"color": PALETTE[0], "width": 1.8},
            hovertemplate=f"{_when(detection)}<br>%{{y:,.4g}}<extra>{column}</extra>",
            **where,
        )
    height = 90 + PANEL * len(columns)
    figure = laid_out(figure, say, height=height)
    return figure.update_layout(margin={"t": 60}, legend={"y": 1 + 24 / height})  # above the name of the first panel


def _expected(figure: go.Figure, own: pd.DataFrame, say: Say, place: int) -> None:
    """Draw the expected band and its middle; nothing for a detector without expectation."""
    if own["expected"].isna().all():
        return
    where = {"row": place, "col": 1}
    figure.add_scatter(
        x=own["time"], y=own["high"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip", **where
    )
    figure.add_scatter(
        x=own["time"],
        y=own["low"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=BAND,
        hoverinfo="skip",
        name=say(N_("expected ± 2σ")),
        legendgroup="band",
        showlegend=place == 1,
        **where,
    )
    figure.add_scatter(
        x=own["time"],
        y=own["expected"],
        mode="lines",
        name=say(N_("expected")),
        legendgroup="expected",
        showlegend=place == 1,
        line={"color": CALM, "dash": "dash", "width": 1.3},
        hoverinfo="skip",
        **where,
    )


def training(detection: SequenceDetection, say: Say = str) -> go.Figure:
    """Draw the training curves."""
    figure = go.Figure()
    for number, (name, curve) in enumerate(detection.curves.groupby("curve", sort=False)):
        figure.add_scatter(
            x=curve["step"],
            y=curve["value"],
            mode="lines",
            name=say(str(name)),
            line={"width": 1.6, "color": PALETTE[number % len(PALETTE)]},
        )
    return laid_out(figure, say, x=say(N_("step")), y=say(N_("loss")), height=280)
