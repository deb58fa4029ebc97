"""Figures of images: scores, ROC curve, embeddings, moments, training curves, and the comparison of detectors."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.diagnosis import AUC_CURVE, PRECISION_CURVE
from core.tasks.images.model_result import ImageModelResult
from core.tasks.images.spec import LINE_TO_BEAT

HISTOGRAM_BINS = 60
CLIPPED_QUANTILE = 0.999  # of the scores: beyond it they are counted in the last bin
MAX_BARS = 200  # dimensions of the embedding that are drawn
SHARE_CURVES = (AUC_CURVE, PRECISION_CURVE)
GRADIENT_WORD = "gradient"
PROJECTIONS = {"pca": N_("principal components"), "tsne": N_("t-SNE")}


def draw_score_histogram(
    result: ImageModelResult, threshold: float | None = None, translate: Translate = str
) -> go.Figure:
    """Draw the shares of normal and abnormal test images by score, with a threshold (default: that of the model)."""
    rows = result.test_rows if len(result.test_rows) else result.rows
    figure = go.Figure()
    if len(rows):
        low, high = float(rows["score"].min()), float(rows["score"].quantile(CLIPPED_QUANTILE))
        edges = np.linspace(low, high if high > low else low + 1, HISTOGRAM_BINS + 1)
        for is_abnormal, name, colour in ((False, N_("normal"), PALETTE[0]), (True, N_("abnormal"), HIGHLIGHT_COLOUR)):
            scores = rows.loc[rows["is_abnormal"] == is_abnormal, "score"].clip(upper=edges[-1])
            if len(scores):
                counts, _ = np.histogram(scores, edges)
                figure.add_bar(
                    x=(edges[:-1] + edges[1:]) / 2,
                    y=counts / len(scores),
                    width=edges[1] - edges[0],
                    name=translate(name),
                    marker_color=colour,
                    opacity=0.6,
                    customdata=counts,
                    hovertemplate="%{x:.4~g}<br>%{customdata:,}<extra>%{fullData.name}</extra>",
                )
    value = result.threshold if threshold is None else threshold
    if value is not None:
        figure.add_vline(
            value,
            line={"color": NEUTRAL_COLOUR, "dash": "dash"},
            name=translate(N_("threshold")),
            annotation_text=translate(N_("threshold")),
        )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_yaxes(tickformat=".0%")
    return apply_layout(figure, translate, x=translate(N_("score")), y=translate(N_("share of the images")))


def draw_roc(
    result: ImageModelResult,
    threshold: float | None = None,
    translate: Translate = str,
    format_area: Callable[[float], str] = "{:.3f}".format,
) -> go.Figure:
    """Draw the ROC curve of the test part, and the point of a threshold (default: that of the model)."""
    figure = go.Figure()
    chance = {"color": NEUTRAL_COLOUR, "dash": "dot", "width": 1}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=chance, name=translate(N_("chance")), hoverinfo="skip")
    roc = result.roc
    if len(roc):
        figure.add_scatter(
            x=1 - roc["specificity"],
            y=roc["sensitivity"],
            mode="lines",
            line={"color": PALETTE[0], "width": 2, "shape": "hv"},
            name=translate(N_("area {value}")).format(value=format_area(result.measurements["auc_roc"])),
            customdata=roc["threshold"],
            hovertemplate="%{x:.1%} → %{y:.1%}<br>%{customdata:.4~g}<extra></extra>",
        )
        value = result.threshold if threshold is None else threshold
        if value is not None:
            confusion = result.count_confusion(value)
            figure.add_scatter(
                x=[1 - confusion.specificity],
                y=[confusion.sensitivity],
                mode="markers",
                marker={"color": HIGHLIGHT_COLOUR, "size": 12},
                name=translate(N_("threshold")),
            )
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    return apply_layout(
        figure,
        translate,
        x=translate(N_("normal images above the threshold")),
        y=translate(N_("abnormal images above it")),
    )


def draw_points(result: ImageModelResult, projection: str = "pca", translate: Translate = str) -> go.Figure:
    """Draw the embeddings of test images in the plane, coloured by class, the normal one first."""
    figure, points = go.Figure(), result.points
    normal_class = result.spec.normal_class
    names = sorted(points["class"].unique(), key=lambda name: (name != normal_class, name)) if len(points) else []
    for number, name in enumerate(names):
        part = points[points["class"] == name]
        figure.add_scattergl(
            x=part[f"{projection}_1"],
            y=part[f"{projection}_2"],
            mode="markers",
            name=f"{name} ({translate(N_('normal'))})" if name == normal_class else name,
            marker={
                "color": NEUTRAL_COLOUR if name == normal_class else (*PALETTE, HIGHLIGHT_COLOUR)[number % 9],
                "size": 5,
                "symbol": "circle" if number < 9 else "x",
                "opacity": 0.75,
            },
            customdata=np.column_stack([part["image"], part["score"]]),
            hovertemplate="%{customdata[0]}<br>%{customdata[1]:.4~g}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(legend={"itemsizing": "constant"})
    return apply_layout(figure, translate, height=480)


def draw_moments(result: ImageModelResult, moment: str = "mean", translate: Translate = str) -> go.Figure:
    """Draw a moment ("mean", "sd", "skew", "kurtosis") of every dimension of the embedding, by kind of image."""
    figure, moments = go.Figure(), result.moments
    rows = moments.iloc[np.linspace(0, len(moments) - 1, min(MAX_BARS, len(moments))).astype(int)]
    for kind, name, colour in (("normal", N_("normal"), PALETTE[0]), ("abnormal", N_("abnormal"), HIGHLIGHT_COLOUR)):
        figure.add_scatter(
            x=rows["dimension"],
            y=rows[f"{moment}_{kind}"],
            mode="lines+markers",
            marker={"size": 4},
            line={"color": colour, "width": 1},
            name=translate(name),
        )
    return apply_layout(figure, translate, x=translate(N_("dimension of the embedding")))


def list_curve_groups(history: pd.DataFrame) -> dict[str, list[str]]:
    """Return title → curves that share an axis: losses, norms of gradients, and shares 0–1; without empty groups.

    Example:
        >>> list_curve_groups(pd.DataFrame({"curve": ["loss", "gradient of KL", "loss"]}))
        {'losses': ['loss'], 'norms of the gradients': ['gradient of KL']}
    """
    groups: dict[str, list[str]] = {N_("losses"): [], N_("norms of the gradients"): [], N_("AUC and precision"): []}
    losses, gradients, shares = groups.values()
    for curve in history["curve"].unique():
        group = shares if curve in SHARE_CURVES else gradients if GRADIENT_WORD in curve.lower() else losses
        group.append(str(curve))
    return {title: curves for title, curves in groups.items() if curves}


def draw_history(history: pd.DataFrame, curves: list[str], translate: Translate = str) -> go.Figure:
    """Draw curves of the training by epoch."""
    figure = go.Figure()
    for number, curve in enumerate(curves):
        part = history[history["curve"] == curve].sort_values("step")
        figure.add_scatter(
            x=part["step"],
            y=part["value"],
            mode="lines+markers",
            marker={"size": 4},
            name=translate(curve),
            line={"color": PALETTE[number % len(PALETTE)]},
        )
    if set(curves) <= set(SHARE_CURVES):
        figure.update_yaxes(range=[0, 1.02])
    return apply_layout(figure, translate, x=translate(N_("epoch")))


def draw_comparison(result: ImageComparison, translate: Translate = str) -> go.Figure:
    """Draw the area of every detector and normal class with its spread, published rows hollow, and the line to beat."""
    figure, table = go.Figure(), result.table
    for number, (detector, part) in enumerate(table.groupby("detector", sort=False)):
        figure.add_scatter(
            x=part["normal_class"],
            y=part["auc_roc"],
            error_y={"array": part["sd"].fillna(0), "thickness": 1},
            mode="lines+markers" if detector == LINE_TO_BEAT else "markers",
            line={"dash": "dot", "color": NEUTRAL_COLOUR, "width": 1},
            marker={"color": NEUTRAL_COLOUR if detector == LINE_TO_BEAT else PALETTE[number % len(PALETTE)], "size": 9},
            name=str(detector),
        )
    for number, (model, part) in enumerate(result.published.groupby("model", sort=False)):
        figure.add_scatter(
            x=part["normal_class"],
            y=part["auc_roc"],
            mode="markers",
            marker={"symbol": "diamond-open", "color": PALETTE[number % len(PALETTE)], "size": 8},
            name=f"{model} ({translate(N_('published'))})",
            visible=True if number == len(result.published["model"].unique()) - 1 else "legendonly",
        )
    figure.update_yaxes(tickformat=".0%")
    figure.update_xaxes(type="category")
    return apply_layout(figure, translate, x=translate(N_("normal class")), y="AUC-ROC", height=460)
