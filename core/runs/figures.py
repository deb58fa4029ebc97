"""Figures that compare runs: accuracy and emissions, and a thumbnail of each run."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_
from core.runs.card_model import Picture

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot")
THUMBNAIL_HEIGHT_PX = 260


def draw_accuracy_and_cost(points: pd.DataFrame, metric: str, translate: Translate = str) -> go.Figure:
    """Draw accuracy against emissions in g CO₂ (logarithmic), a symbol per dataset, stars on the Pareto front."""
    figure = go.Figure()
    for number, (_, group) in enumerate(points.groupby("dataset", sort=False)):
        front = group[group["front"]].sort_values("emissions_g")
        colour, symbol = PALETTE[number % len(PALETTE)], SYMBOLS[number % len(SYMBOLS)]
        name = str(group["files"].iloc[0])[:40]
        figure.add_scatter(
            x=front["emissions_g"],
            y=front["accuracy"],
            mode="lines",
            line={"color": colour, "dash": "dot", "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=group["emissions_g"],
            y=group["accuracy"],
            mode="markers+text",
            textposition="top center",
            name=_escape_markup(name),
            text=[_escape_markup(model) for model in group["model"]],
            marker={
                "color": colour,
                "symbol": ["star" if is_on_front else symbol for is_on_front in group["front"]],
                "size": [14 if is_on_front else 9 for is_on_front in group["front"]],
                "line": {"width": 1, "color": NEUTRAL_COLOUR},
            },
            hovertemplate="%{text}<br>%{y:.4g}, %{x:.3g} g CO₂<extra></extra>",
        )
    figure.update_xaxes(type="log", dtick="D2")
    return apply_layout(figure, translate, x="g CO₂", y=metric, height=380)


def draw_thumbnail(
    picture: Picture, translate: Translate = str, value_range: tuple[float, float] | None = None
) -> go.Figure:
    """Draw the picture of a run card; `value_range` fixes the y axis, so that runs can be compared."""
    figure = go.Figure()
    if picture.kind == "histogram":
        values = next(iter(picture.series.values()), ())
        bins = list(pairwise(float(x) for x in picture.x))
        middles, widths = [(low + high) / 2 for low, high in bins], [high - low for low, high in bins]
        figure.add_bar(x=middles, y=values, width=widths, marker_color=PALETTE[0], showlegend=False)
        if picture.mark is not None:
            line = {"color": HIGHLIGHT_COLOUR, "dash": "dash"}
            figure.add_vline(picture.mark, line=line, name=translate(N_("threshold")))
    elif picture.kind == "bars":
        for values in picture.series.values():
            figure.add_bar(
                x=[_escape_markup(str(name)) for name in picture.x], y=values, marker_color=PALETTE[0], showlegend=False
            )
        figure.update_xaxes(type="category")
    else:
        for number, (name, values) in enumerate(picture.series.items()):
            figure.add_scatter(
                x=list(picture.x),
                y=values,
                mode="lines+markers",
                name=_escape_markup(name),
                line={"color": PALETTE[number % len(PALETTE)], "dash": DASHES[number % len(DASHES)]},
            )
    if value_range is not None:
        figure.update_yaxes(range=value_range)
    return apply_layout(figure, translate, height=THUMBNAIL_HEIGHT_PX)


def find_common_range(pictures: Sequence[Picture]) -> tuple[float, float] | None:
    """Return a y range for all pictures; None where they show different quantities."""
    if len({(picture.kind, picture.title.template) for picture in pictures}) != 1:
        return None
    values_by_picture = [
        value for picture in pictures for values in picture.series.values() for value in values if value is not None
    ]
    return (0.0, 1.05 * max(values_by_picture)) if values_by_picture and max(values_by_picture) > 0 else None


def to_shares(picture: Picture) -> Picture:
    """Return a histogram as shares 0–1 of its rows, so that runs can be compared; other pictures unchanged."""
    if picture.kind != "histogram":
        return picture
    (name, values), *_ = picture.series.items()
    total = sum(value or 0.0 for value in values) or 1.0
    return Picture(
        picture.kind, picture.title, picture.x, {name: tuple((value or 0.0) / total for value in values)}, picture.mark
    )


def _escape_markup(text: str) -> str:
    """Return `text` with < and > replaced, because Plotly renders some tags as markup."""
    return text.replace("<", "‹").replace(">", "›")
