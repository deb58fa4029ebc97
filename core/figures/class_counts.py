"""Figure of the images per class, in the training and in the test part."""

from collections.abc import Mapping

import plotly.graph_objects as go

from core.figures.style import NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_

BAR_HEIGHT_PX, MIN_HEIGHT_PX = 26, 160


def draw_class_counts(counts: Mapping[str, tuple[int, int]], translate: Translate = str) -> go.Figure:
    """Draw the images per class as bars. `counts` maps a class to its numbers outside and in the test part."""
    names, figure = list(counts), go.Figure()
    has_test = any(test for _, test in counts.values())
    parts = [(0, translate(N_("training")), PALETTE[0]), (1, translate(N_("test")), NEUTRAL_COLOUR)]
    for number, name, colour in parts if has_test else [(0, translate(N_("images")), PALETTE[0])]:
        figure.add_bar(
            y=names,
            x=[pair[number] for pair in counts.values()],
            name=name,
            orientation="h",
            marker={"color": colour},
            hovertemplate="%{y} · %{x:,}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25, showlegend=has_test)
    figure.update_yaxes(autorange="reversed", type="category")
    height = max(MIN_HEIGHT_PX, 60 + BAR_HEIGHT_PX * len(names))
    return apply_layout(figure, translate, x=translate(N_("Images")), height=height)
