"""Amounts over time with their incidents: chosen entities in colour with their names, the others in grey.

Severities differ by marker shape as well as by size, for colour-blind readers.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.figures.style import (
    HIGHLIGHT_COLOUR,
    MAX_POINTS,
    NEUTRAL_COLOUR,
    PALETTE,
    SEVERITY_SYMBOLS,
    Translate,
    apply_layout,
    compute_axis_range,
    downsample,
    pick_hover_time,
    to_float32,
)
from core.messages import N_, Message
from core.tasks.anomalies.result import SEVERITIES, Detection

MAX_MARKERS = 1000
MAX_CONTEXT_ENTITIES = 60
MAX_FOCUS_ENTITIES = len(PALETTE)
PALE_OPACITY = 0.3
MIN_LABEL_GAP = 0.06  # between two names at the right edge, in shares of the height
Render = Callable[[Message], str]


def draw_timeline(
    dataset: Dataset, detection: Detection, translate: Translate = str, render: Render = str, focus: Sequence[str] = ()
) -> go.Figure:
    """Draw the amount of the entities over time, with one mark per incident, by severity.

    The entities `focus` are coloured and named, by default those of the worst incidents; the others are grey. A mark is
    at the row with the highest score; a thick line covers the other rows of its incident. The axis ends slightly above
    the ordinary amounts, so that one extreme value does not flatten the curves. Incidents beyond the axis are drawn at
    its edge, labelled with their amount. `render` gives the text of messages.
    """
    amounts = compute_amounts(dataset, detection.data.profile)
    focus = [*(focus or choose_focus(detection, dataset.entities))][:MAX_FOCUS_ENTITIES]
    figure = go.Figure()
    _draw_context(figure, dataset, amounts, [name for name in dataset.entities if name not in focus])
    unit, hover_time = label_amount(detection, translate), pick_hover_time(dataset.time)
    ends = {}
    for colour, entity in zip(PALETTE, focus, strict=False):
        positions = sort_positions(dataset, entity)
        positions = positions[downsample(amounts[positions], max(200, MAX_POINTS // len(focus)))]
        draw_line(figure, dataset.time[positions], amounts[positions], entity, hover_time, unit, colour)
        ends[entity] = amounts[positions][-1]
    axis_range = compute_axis_range(amounts)
    draw_incidents(figure, detection, dataset.entities, axis_range, translate, render)
    figure.update_yaxes(range=list(axis_range))
    figure.update_xaxes(range=[dataset.time.min(), dataset.time.max()])
    apply_layout(figure, translate, y=unit, height=420)
    if len(dataset.entities) > 1:
        _name_lines(figure, ends, axis_range)
    return figure


def choose_focus(detection: Detection, entities: Sequence[str]) -> list[str]:
    """Return the entities to colour: all of a few, else those of the three worst incidents."""
    if len(entities) <= 3:
        return list(entities)
    incidents = detection.incidents
    worst = incidents["entity"][incidents["entity"].isin(entities)].astype(str).drop_duplicates()
    return list(worst.head(3))


def draw_line(
    figure: go.Figure, times: object, values: Floats, name: str, hover_time: str, unit: str, colour: str, **place: int
) -> None:
    """Draw a line that tells its name, the time and its value with its unit where it is pointed at."""
    told_name = f"{name}<br>" if name else ""
    figure.add_scatter(
        x=times,
        y=to_float32(values),
        mode="lines",
        name=name,
        showlegend=False,
        line={"width": 1.4, "color": colour},
        hovertemplate=f"{told_name}{hover_time}<br>%{{y:,.1f}} {unit}<extra></extra>",
        **place,
    )


def sort_positions(dataset: Dataset, entity: str) -> NDArray[np.intp]:
    """Return the positions of the rows of an entity in the order of time."""
    positions = np.flatnonzero(dataset.entity_codes == dataset.entities.index(entity))
    return positions[np.argsort(dataset.time[positions], kind="stable")]


def compute_amounts(dataset: Dataset, is_profile: bool) -> Floats:
    """Return the amount per row, (rows,): the sum of a daily profile, else the mean.

    It is computed block by block, so that memory stays constant.
    """
    reduce = np.nansum if is_profile else np.nanmean
    return np.concatenate([reduce(block, axis=1) for _, block in dataset.iter_blocks()] or [np.zeros(0)])


def label_amount(detection: Detection, translate: Translate) -> str:
    """Return the unit of amounts."""
    per_day = translate(N_("per day"))
    return f"{detection.data.unit} {per_day}".strip() if detection.data.profile else detection.data.unit


def _draw_context(figure: go.Figure, dataset: Dataset, amounts: Floats, entities: list[str]) -> None:
    """Draw the other entities as one grey line with gaps: one trace, however many they are.

    Its `meta` holds their names and numbers of points, for the table of the figure.
    """
    entities = entities[:: max(1, -(-len(entities) // MAX_CONTEXT_ENTITIES))]
    if not entities:
        return
    budget = max(50, MAX_POINTS // len(entities))
    pieces = []
    for entity in entities:
        positions = sort_positions(dataset, entity)
        pieces.append(positions[downsample(amounts[positions], budget)])
    times = np.concatenate([np.append(dataset.time[piece], dataset.time[piece[-1:]]) for piece in pieces])
    values = np.concatenate([np.append(amounts[piece], np.nan) for piece in pieces])  # NaN ends a line
    figure.add_scatter(
        x=times,
        y=to_float32(values),
        mode="lines",
        line={"width": 0.8, "color": NEUTRAL_COLOUR},
        opacity=0.35,
        showlegend=False,
        hoverinfo="skip",
        meta={"pieces": [[name, len(piece) + 1] for name, piece in zip(entities, pieces, strict=True)]},
    )


def _name_lines(figure: go.Figure, ends: dict[str, float], axis_range: tuple[float, float]) -> None:
    """Write the names of the coloured lines at the right edge, near their last value and apart from one another."""
    span = axis_range[1] - axis_range[0]
    names = shorten_names(list(ends))
    place = -MIN_LABEL_GAP
    for number in np.argsort(list(ends.values())):
        end = np.clip(list(ends.values())[number], *axis_range)
        place = max((end - axis_range[0]) / span, place + MIN_LABEL_GAP)
        figure.add_annotation(
            text=f"<b>{names[number]}</b>",
            x=1,
            xref="paper",
            xanchor="left",
            xshift=7,
            y=float(place),
            yref="paper",
            showarrow=False,
            font={"color": PALETTE[number], "size": 11},
        )
    figure.update_layout(margin={"r": 16 + 6.5 * max(map(len, names))})


def shorten_names(names: Sequence[str], length: int = 14) -> list[str]:
    """Return names without the part that many entities begin alike, cut at `length`; whole where two would be equal.

    Example:
        >>> shorten_names(["GRTgaz · bourgogne-franche-comté", "GRTgaz · normandie"])
        ['bourgogne-fra…', 'normandie']
    """
    short = [name.rsplit(" · ", 1)[-1] for name in names]
    short = short if len(set(short)) == len(short) else list(names)
    return [name if len(name) <= length else f"{name[: length - 1]}…" for name in short]


# ---- incidents ------------------------------------------------------------------------------------------------------


def draw_incidents(
    figure: go.Figure,
    detection: Detection,
    entities: Sequence[str],
    axis_range: tuple[float, float],
    translate: Translate,
    render: Render,
    strong: int | None = None,
    **place: int,
) -> None:
    """Draw the incidents of `entities` by severity; all but the incident `strong` are pale, unless it is None.

    `axis_range` is the range of the y axis.
    """
    incidents = detection.measured_incidents
    incidents = incidents[incidents["entity"].isin(entities)].head(MAX_MARKERS)
    span, unit = axis_range[1] - axis_range[0], label_amount(detection, translate)
    _draw_spans(figure, detection.anomalies, incidents, axis_range, place)
    amounts = detection.rows["amount"].reindex(incidents["row"]).set_axis(incidents.index)
    heights = amounts.clip(axis_range[0] + 0.03 * span, axis_range[1] - 0.03 * span)
    is_beyond_axis = (amounts > axis_range[1]) | (amounts < axis_range[0])
    for severity in (3, 2, 1, 0):
        group = incidents.index[incidents["severity"] == severity]
        if not len(group):
            continue
        texts = list(map(render, detection.describe_incidents(group)))
        figure.add_scatter(
            x=incidents["time"][group],
            y=heights[group],
            mode="markers+text" if is_beyond_axis[group].any() else "markers",
            name=translate(SEVERITIES[severity]),
            textposition="middle right",
            cliponaxis=False,
            texttemplate=["%{customdata[0]:,.0f}" if is_outside else "" for is_outside in is_beyond_axis[group]],
            marker={
                "symbol": SEVERITY_SYMBOLS[severity],
                "size": 8 + 2 * severity,
                "color": HIGHLIGHT_COLOUR,
                "line": {"width": 1.2},
                "opacity": [1.0 if strong in (None, number) else PALE_OPACITY for number in group],
            },
            customdata=list(zip(amounts[group].round(1), texts, strict=True)),
            hovertemplate=f"%{{customdata[1]}}<br>%{{customdata[0]:,.1f}} {unit}<extra></extra>",
            **place,
        )


def _draw_spans(
    figure: go.Figure,
    anomalies: pd.DataFrame,
    incidents: pd.DataFrame,
    axis_range: tuple[float, float],
    place: dict[str, int],
) -> None:
    """Draw a thick line over the rows of every incident with several rows."""
    several = incidents.index[incidents["rows"] > 1]
    rows = anomalies[anomalies["incident"].isin(several)]
    if rows.empty:
        return
    last = rows.sort_values("time").drop_duplicates("incident", keep="last").assign(amount=np.nan)  # NaN ends the line
    rows = pd.concat([rows, last]).sort_values(["incident", "time"], kind="stable")
    figure.add_scatter(
        x=rows["time"],
        y=rows["amount"].clip(*axis_range),
        mode="lines",
        line={"width": 5, "color": HIGHLIGHT_COLOUR},
        opacity=0.35,
        showlegend=False,
        hoverinfo="skip",
        **place,
    )
