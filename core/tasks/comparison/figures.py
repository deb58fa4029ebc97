"""Figure of the comparison of detectors: the main metric of every detector and baseline."""

import plotly.graph_objects as go

from core.figures.style import NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.spec.metric import BASELINE_NAMES
from core.spec.task import get_metric
from core.tasks.comparison.labels import label_line
from core.tasks.comparison.result import HEADLINE_METRIC, DetectorComparison

BAR_HEIGHT_PX = 28


def draw_scores(comparison: DetectorComparison, translate: Translate = str) -> go.Figure:
    """Draw the main metric of every line of the score card, the best at the top; baselines are grey and hatched."""
    lines = [str(line) for line in comparison.card["line"]]
    is_baseline = [line in BASELINE_NAMES for line in lines]
    figure = go.Figure()
    figure.add_bar(
        x=comparison.card[HEADLINE_METRIC],
        y=[translate(label_line(line)) for line in lines],
        orientation="h",
        marker={
            "color": [NEUTRAL_COLOUR if simple else PALETTE[0] for simple in is_baseline],
            "pattern": {"shape": ["/" if simple else "" for simple in is_baseline]},
        },
        texttemplate="%{x:.3f}",
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}<br>%{x:.3f}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(autorange="reversed", type="category", automargin=True)
    label = translate(get_metric(HEADLINE_METRIC).label)
    return apply_layout(figure, translate, x=label, height=80 + BAR_HEIGHT_PX * len(lines))
