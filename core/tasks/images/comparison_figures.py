"""Figures of a comparison of detectors of images: mean areas with the spread of the seeds, and the line to beat."""

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go

from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_
from core.tasks.images.comparison_result import ImageComparison

BAR_HEIGHT_PX = 30
MIN_AREA, CHANCE = 0.0, 0.5


def draw_means(comparison: ImageComparison, name: Callable[[str], str], translate: Translate = str) -> go.Figure:
    """Draw the mean area of every detector with its spread over the seeds, published means, and the line to beat.

    `name` returns the label of a detector. The axis starts below the lowest value, because the differences matter.
    """
    ranking = comparison.ranking.dropna(subset="auc_roc")
    published = average_published(comparison)
    figure = go.Figure()
    figure.add_bar(
        y=[name(detector) for detector in ranking["detector"]],
        x=ranking["auc_roc"],
        error_x={"array": ranking["sd"].fillna(0.0), "thickness": 1.5},
        orientation="h",
        name=translate(N_("measured here")),
        marker={"color": PALETTE[0]},
        hovertemplate="%{y} · %{x:.2%}<extra>%{fullData.name}</extra>",
    )
    if published:
        figure.add_bar(
            y=list(published),
            x=list(published.values()),
            orientation="h",
            name=translate(N_("published")),
            marker={"color": NEUTRAL_COLOUR, "pattern": {"shape": "/"}},
            hovertemplate="%{y} · %{x:.2%}<extra>%{fullData.name}</extra>",
        )
    values = [*ranking["auc_roc"], *published.values()]
    if np.isfinite(comparison.line_to_beat):
        figure.add_vline(
            comparison.line_to_beat,
            line={"color": HIGHLIGHT_COLOUR, "dash": "dash", "width": 1.5},
            name=translate(N_("reference")),
            showlegend=True,
        )
    low = max(MIN_AREA, min([*values, CHANCE + 0.2]) - 0.05) if values else MIN_AREA
    figure.update_xaxes(range=[low, 1.005], tickformat=".0%")
    figure.update_yaxes(autorange="reversed", type="category", automargin=True)
    figure.update_layout(bargap=0.3)
    height = 90 + BAR_HEIGHT_PX * max(len(values), 2)
    return apply_layout(figure, translate, x=translate(N_("Mean area under the ROC curve")), height=height)


def average_published(comparison: ImageComparison) -> dict[str, float]:
    """Return published model → its mean area over the compared classes; only models with a value for each of them."""
    classes = list(dict.fromkeys(comparison.cells["normal_class"]))
    rows = comparison.published[comparison.published["normal_class"].isin(classes)]
    groups = rows.groupby("model", sort=False)["auc_roc"]
    return {str(model): float(areas.mean()) for model, areas in groups if areas.notna().sum() == len(classes)}
