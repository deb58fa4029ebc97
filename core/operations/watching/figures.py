"""Figures of watches: the calendar of incidents, and the scores of a replay with its incidents."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.time_zones import to_local_times
from core.figures.annotations import draw_events
from core.figures.style import (
    HIGHLIGHT_COLOUR,
    MAX_POINTS,
    NEUTRAL_COLOUR,
    PALETTE,
    TIME_FORMAT,
    Translate,
    apply_layout,
    choose_points,
    to_float32,
)
from core.messages import N_
from core.operations.watching.replay_result import Replay
from core.watches.incident import Incident

MAX_DAYS = 45  # of a calendar of days; a longer one has weeks
MAX_LINES = 30  # entities of a calendar; the others share a line
MAX_LABELS = 9  # along the days of a calendar
DAY_MS = 86_400_000
MAX_NAME_CHARS = 28
LINE_HEIGHT_PX, HEADER_HEIGHT_PX = 24, 110
MAX_MARKERS = 1000
SEVERITY_WORDS = (N_("mild"), N_("notable"), N_("rare"), N_("extreme"))
SEVERITY_COLOURS = ("#FDE3CF", "#F2A66B", "#D55E00", "#7A2E00")  # differ by lightness, for colour-blind readers
TRUTH_STYLES = (
    (1.0, N_("true alarm"), "circle", PALETTE[0]),
    (0.0, N_("false alarm"), "x", HIGHLIGHT_COLOUR),
    (np.nan, N_("incident"), "diamond-open", HIGHLIGHT_COLOUR),
)
"""Truth about an incident → its label, symbol and colour."""

NO_EVENTS = pd.DataFrame({"start": [], "end": [], "kind": [], "text": []})


# ---- calendar -------------------------------------------------------------------------------------------------------


def draw_incident_calendar(
    incidents: Sequence[Incident], start: datetime, end: datetime, zone: str = "UTC", translate: Translate = str
) -> go.Figure:
    """Draw the incidents of each entity by day, of more than 45 days by week.

    Args:
        incidents: in any order; an incident counts on each day that it touches.
        start: first instant of the calendar.
        end: last instant, included.
        zone: of the days.
        translate: translates texts.

    A cell tells the number of incidents, its colour the largest severity. The worst entities come first; those beyond
    30 share the last line.
    """
    first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in (start, end))
    length = 1 if (last - first).days < MAX_DAYS else 7
    first -= timedelta(days=first.weekday() if length == 7 else 0)
    columns = [first + timedelta(days=offset) for offset in range(0, (last - first).days + 1, length)]
    shown = [(incident, *_find_cells(incident, first, length, len(columns), zone)) for incident in incidents]
    shown = [(incident, begin, stop) for incident, begin, stop in shown if begin < stop]
    lines = _rank_entities([incident for incident, _, _ in shown])
    names = list(dict.fromkeys(lines.values()))
    counts = np.zeros((len(names), len(columns)), dtype=int)
    worst = np.full((len(names), len(columns)), -1)
    for incident, begin, stop in shown:
        line = names.index(lines[incident.entity])
        counts[line, begin:stop] += 1
        worst[line, begin:stop] = np.maximum(worst[line, begin:stop], incident.severity)
    labels = [_name_line(name, translate) for name in names]
    figure = go.Figure(_build_cells(counts, worst, columns, labels, length, translate))
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, fixedrange=True)
    days = length * -(-len(columns) // MAX_LABELS)  # a label names the cell whose middle it is above
    figure.update_xaxes(side="top", showgrid=False, type="date", tickformat="%d %b")
    figure.update_xaxes(tick0=columns[0].isoformat(), dtick=days * DAY_MS)
    return apply_layout(figure, translate, height=HEADER_HEIGHT_PX + LINE_HEIGHT_PX * max(len(names), 1))


def _find_cells(incident: Incident, first: date, length: int, count: int, zone: str) -> tuple[int, int]:
    """Return the range of columns that an incident touches."""
    begin, last = (
        (moment.astimezone(ZoneInfo(zone)).date() - first).days // length for moment in (incident.start, incident.end)
    )
    return max(begin, 0), min(last, count - 1) + 1


def _rank_entities(incidents: Sequence[Incident]) -> dict[str, str | None]:
    """Return entity → name of its line, the worst first; None for those that share the last line."""
    ranks: dict[str, tuple[int, int]] = {}
    for incident in incidents:
        severity, count = ranks.get(incident.entity, (-1, 0))
        ranks[incident.entity] = max(severity, incident.severity), count + 1
    ordered = sorted(ranks, key=lambda entity: (-ranks[entity][0], -ranks[entity][1], entity))
    limit = MAX_LINES if len(ordered) <= MAX_LINES else MAX_LINES - 1
    return {entity: entity if position < limit else None for position, entity in enumerate(ordered)}


def _name_line(entity: str | None, translate: Translate) -> str:
    if entity is None:
        return translate(N_("other entities"))
    name = entity or translate(N_("no data"))
    return escape(name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 1]}…", quote=False)


def _build_cells(
    counts: NDArray[np.int_],
    worst: NDArray[np.int_],
    columns: Sequence[date],
    labels: Sequence[str],
    length: int,
    translate: Translate,
) -> go.Heatmap:
    words = [translate(word) for word in SEVERITY_WORDS]
    name, severity_name = translate(N_("incidents")), translate(N_("severity"))
    texts = [
        [
            f"{label}<br>{_format_days(day, length)}<br>{name}: {counts[line, column]}, "
            f"{severity_name}: {words[worst[line, column]]}"
            for column, day in enumerate(columns)
        ]
        for line, label in enumerate(labels)
    ]
    steps = len(SEVERITY_COLOURS)
    scale = [[(number + edge) / steps, colour] for number, colour in enumerate(SEVERITY_COLOURS) for edge in (0, 1)]
    return go.Heatmap(
        x=pd.to_datetime(list(columns)).to_numpy(),
        y=list(labels),
        z=np.where(counts > 0, worst, np.nan),
        text=[[count or "" for count in line] for line in counts.tolist()],
        texttemplate="%{text}",
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        name=name,
        xgap=2,
        ygap=2,
        zmin=-0.5,
        zmax=steps - 0.5,
        colorscale=scale,
        colorbar={
            "title": {"text": severity_name, "side": "right", "font": {"size": 11}},
            "tickvals": list(range(steps)),
            "ticktext": words,
            "thickness": 10,
        },
    )


def _format_days(day: date, length: int) -> str:
    return f"{day:%Y-%m-%d}" if length == 1 else f"{day:%Y-%m-%d} – {day + timedelta(days=length - 1):%Y-%m-%d}"


# ---- replay ---------------------------------------------------------------------------------------------------------


def draw_replay(
    replay: Replay,
    threshold: float | None = None,
    entity: str = "",
    events: pd.DataFrame = NO_EVENTS,
    translate: Translate = str,
) -> go.Figure:
    """Draw the scores of one entity over time, on the clock of the data, with the incidents at a threshold.

    Args:
        replay: answer.
        threshold: of the slider; None for that of the model.
        entity: "" for the one with the worst incident.
        events: known events with the columns start, end, kind and text, on the clock of the data.
        translate: translates texts.

    Incidents that are known to be true or false have marks of their own. Known faults are a line at the bottom,
    re-fittings vertical lines.
    """
    limit = replay.threshold if threshold is None else threshold
    incidents = replay.list_incidents(limit)
    entity = entity or choose_replayed_entity(replay, incidents)
    rows = replay.rows[replay.rows["entity"] == entity].sort_values("instant", kind="stable")
    scores = rows["score"].to_numpy(dtype=np.float64)
    limits = rows["threshold"].to_numpy(dtype=np.float64) + limit - replay.threshold
    times = _to_clock(rows["instant"], replay.zone)
    points = choose_points(np.nan_to_num(scores), MAX_POINTS, scores > limits)
    figure = go.Figure()
    _add_line(figure, times[points], scores[points], translate(N_("Score")), PALETTE[0])
    _add_limits(figure, times, limits, translate)
    _add_incidents(figure, incidents[incidents["entity"] == entity].head(MAX_MARKERS), replay.zone, translate)
    _add_faults(figure, replay, entity, float(np.nanmin(scores)) if len(scores) else 0.0, translate)
    for instant in replay.refits.loc[replay.refits["is_used"].astype(bool), "instant"].iloc[1:]:
        moment = _to_clock(pd.Series([instant]), replay.zone)[0]
        figure.add_vline(
            x=moment, line={"width": 1, "dash": "dot", "color": NEUTRAL_COLOUR}, name=translate(N_("retraining"))
        )
    draw_events(figure, events, translate)
    return apply_layout(figure, translate, y=translate(N_("Score")), height=380)


def choose_replayed_entity(replay: Replay, incidents: pd.DataFrame) -> str:
    """Return the entity of the highest peak; the first entity where there is no incident."""
    table = incidents if len(incidents) else replay.rows
    return str(table["entity"].iloc[0])


def _to_clock(instants: pd.Series, zone: str) -> pd.DatetimeIndex:
    times = pd.DatetimeIndex(instants)
    is_named = zone and "/+" not in zone and "/-" not in zone
    return to_local_times(times, zone)[0] if is_named else times


def _add_line(figure: go.Figure, times: pd.DatetimeIndex, values: Floats, name: str, colour: str) -> None:
    figure.add_scatter(
        x=times,
        y=to_float32(values),
        mode="lines",
        name=name,
        line={"width": 1.2, "color": colour},
        hovertemplate=f"{TIME_FORMAT}<br>%{{y:.4~g}}<extra>%{{fullData.name}}</extra>",
    )


def _add_limits(figure: go.Figure, times: pd.DatetimeIndex, limits: Floats, translate: Translate) -> None:
    """Draw the threshold: a line across the figure, or steps where models replaced one another."""
    style = {"width": 2, "dash": "dash", "color": HIGHLIGHT_COLOUR}
    if len(limits) and (limits == limits[0]).all():
        figure.add_hline(y=float(limits[0]), line=style, name=translate(N_("threshold")))
        return
    changes = np.flatnonzero(np.diff(limits, prepend=np.nan, append=np.nan) != 0)
    places = np.unique(np.clip(np.concatenate([changes, changes - 1]), 0, max(len(limits) - 1, 0)))
    figure.add_scatter(
        x=times[places],
        y=limits[places],
        mode="lines",
        line={**style, "shape": "hv"},
        name=translate(N_("threshold")),
        hovertemplate="%{y:.4~g}<extra>%{fullData.name}</extra>",
    )


def _add_incidents(figure: go.Figure, incidents: pd.DataFrame, zone: str, translate: Translate) -> None:
    """Draw one mark per incident, at its peak."""
    for truth, label, symbol, colour in TRUTH_STYLES:
        group = incidents[incidents["truth"].isna() if np.isnan(truth) else incidents["truth"] == truth]
        if group.empty:
            continue
        starts, ends = (_to_clock(group[name], zone).strftime("%Y-%m-%d %H:%M") for name in ("start", "end"))
        figure.add_scatter(
            x=_to_clock(group["peak_at"], zone),
            y=group["peak"].to_numpy(dtype=np.float64),
            mode="markers",
            name=translate(label),
            marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.5, "color": colour}},
            customdata=[f"{start} – {end}" for start, end in zip(starts, ends, strict=True)],
            hovertemplate="%{customdata}<br>%{y:.4~g}<extra>%{fullData.name}</extra>",
        )


def _add_faults(figure: go.Figure, replay: Replay, entity: str, height: float, translate: Translate) -> None:
    """Draw the known faults of an entity as thick lines at the bottom."""
    spans = replay.spans[(replay.spans["entity"] == entity) & replay.spans["is_true"].astype(bool)]
    if spans.empty:
        return
    edges = spans.assign(gap=spans["end"])[["start", "end", "gap"]].to_numpy("datetime64[ns]").ravel()
    figure.add_scatter(
        x=_to_clock(pd.Series(edges), replay.zone),
        y=np.tile([height, height, np.nan], len(spans)),
        mode="lines+markers",
        name=translate(N_("known fault")),
        line={"width": 5, "color": PALETTE[7]},
        marker={"symbol": "line-ns", "size": 8, "color": PALETTE[7]},
        hovertemplate=f"{TIME_FORMAT}<extra>%{{fullData.name}}</extra>",
    )
