"""Figures of one model of images: scores, ROC curve, embeddings, their moments, and the curves of the training."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout, to_float32
from core.messages import N_
from core.tasks.images.diagnosis import AUC_CURVE, PRECISION_CURVE
from core.tasks.images.model_result import ImageModelResult

BINS = 60
EDGE_QUANTILES = (0.002, 0.998)  # scores beyond them are counted in the outermost bars
NORMAL_COLOUR, ABNORMAL_COLOUR = PALETTE[0], HIGHLIGHT_COLOUR
SYMBOLS = ("circle", "diamond", "square", "cross", "x", "triangle-up", "star")
ROW_HEIGHT_PX = 190
MOMENT_LABELS = {"mean": N_("mean"), "sd": N_("standard deviation")}


def draw_scores(result: ImageModelResult, threshold: float, translate: Translate = str) -> go.Figure:
    """Draw the distribution of the scores of normal and of abnormal test images, with a threshold.

    Each kind adds up to 100 %, because there are usually more images of one of them. Bars at the ends hold all scores
    beyond.
    """
    rows, figure = result.test_rows, go.Figure()
    scores = rows["score"].to_numpy(np.float64)
    low, high = np.quantile(scores, EDGE_QUANTILES)
    low, high = min(low, threshold), max(high, threshold)
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    is_abnormal = rows["is_abnormal"].to_numpy(bool)
    for kind, name, colour in ((False, N_("normal"), NORMAL_COLOUR), (True, N_("abnormal"), ABNORMAL_COLOUR)):
        part = np.clip(scores[is_abnormal == kind], edges[0], edges[-1])
        if len(part):
            figure.add_bar(
                x=to_float32((edges[1:] + edges[:-1]) / 2),
                y=to_float32(np.histogram(part, edges)[0] / len(part)),
                width=edges[1] - edges[0],
                name=translate(name),
                marker={"color": colour, "line": {"width": 0}},
                opacity=0.6,
                hovertemplate="%{x:.4g} · %{y:.2%}<extra>%{fullData.name}</extra>",
            )
    figure.add_vline(threshold, line={"color": NEUTRAL_COLOUR, "dash": "dash", "width": 2})
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_yaxes(tickformat=".0%")
    return apply_layout(figure, translate, x=translate(N_("Score")), y=translate(N_("Share of the images")), height=320)


def draw_roc(result: ImageModelResult, threshold: float, translate: Translate = str) -> go.Figure:
    """Draw the ROC curve of the test part with the point of a threshold, and the diagonal of chance."""
    confusion, figure = result.count_confusion(threshold), go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": NEUTRAL_COLOUR, "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=to_float32(1 - result.roc["specificity"].to_numpy(np.float64)),
        y=to_float32(result.roc["sensitivity"].to_numpy(np.float64)),
        mode="lines",
        line={"color": NORMAL_COLOUR, "width": 2},
        showlegend=False,
        hovertemplate="%{x:.2%} · %{y:.2%}<extra></extra>",
    )
    figure.add_scatter(
        x=[1 - confusion.specificity],
        y=[confusion.sensitivity],
        mode="markers",
        marker={"color": HIGHLIGHT_COLOUR, "size": 13},
        showlegend=False,
        hovertemplate="%{x:.2%} · %{y:.2%}<extra></extra>",
    )
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    return apply_layout(figure, translate, x=translate(N_("False alarms")), y=translate(N_("Sensitivity")), height=320)


def draw_points(result: ImageModelResult, kind: str, translate: Translate = str) -> go.Figure:
    """Draw the embeddings of test images in the plane, coloured by class; `kind` is "pca" or "tsne".

    The normal class is drawn last, in dark.
    """
    figure, points = go.Figure(), result.points
    normal = result.spec.normal_class
    names = [*(name for name in result.data.classes if name != normal), normal]
    for number, name in enumerate(names):
        part = points[(points["class"] == name).to_numpy()]
        if part.empty:
            continue
        is_normal = name == normal
        figure.add_scatter(
            x=to_float32(part[f"{kind}_1"].to_numpy(np.float64)),
            y=to_float32(part[f"{kind}_2"].to_numpy(np.float64)),
            mode="markers",
            name=translate(N_("{name} (normal)")).format(name=name) if is_normal else name,
            text=part["image"],
            customdata=to_float32(part["score"].to_numpy(np.float64)),
            marker={
                "color": "#1F2D3A" if is_normal else PALETTE[number % len(PALETTE)],
                "symbol": "circle" if is_normal else SYMBOLS[number // len(PALETTE) % len(SYMBOLS)],
                "size": 5,
                "opacity": 0.75,
            },
            hovertemplate="%{text}<br>%{customdata:.4g}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(showticklabels=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, zeroline=False)
    return apply_layout(figure, translate, height=460)


def draw_moments(result: ImageModelResult, translate: Translate = str) -> go.Figure:
    """Draw mean and standard deviation per dimension of the embedding, of normal and of abnormal test images."""
    moments = result.moments
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.12,
        subplot_titles=[*map(translate, MOMENT_LABELS.values())],
    )
    for row, moment in enumerate(MOMENT_LABELS, start=1):
        for kind, name, colour in (
            ("normal", N_("normal"), NORMAL_COLOUR),
            ("abnormal", N_("abnormal"), ABNORMAL_COLOUR),
        ):
            figure.add_scatter(
                x=moments["dimension"],
                y=to_float32(moments[f"{moment}_{kind}"].to_numpy(np.float64)),
                mode="markers" if len(moments) > BINS else "lines+markers",
                marker={"size": 4, "color": colour},
                line={"width": 1, "color": colour},
                name=translate(name),
                legendgroup=kind,
                showlegend=row == 1,
                row=row,
                col=1,
            )
    figure.update_annotations(font={"size": 12})
    figure.update_xaxes(title={"text": translate(N_("dimension"))}, row=2, col=1)
    return apply_layout(figure, translate, height=2 * ROW_HEIGHT_PX).update_layout(margin={"t": 48}, legend={"y": 1.06})


def draw_history(result: ImageModelResult, translate: Translate = str) -> go.Figure:
    """Draw accuracy on a validation part, losses and norms of gradients per epoch, one below another."""
    groups = group_curves(result.history)
    figure = make_subplots(
        rows=len(groups),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.25 / len(groups),
        subplot_titles=[*map(translate, groups)],
    )
    colours = iter(range(len(result.history)))
    for row, curves in enumerate(groups.values(), start=1):
        for name in curves:
            curve = result.history[result.history["curve"] == name]
            figure.add_scatter(
                x=curve["step"],
                y=to_float32(curve["value"].to_numpy(np.float64)),
                mode="lines" if len(curve) > 1 else "markers",
                name=translate(name),
                line={"width": 1.6, "color": PALETTE[next(colours) % len(PALETTE)]},
                row=row,
                col=1,
            )
    figure.update_annotations(font={"size": 12})
    figure.update_xaxes(title={"text": translate(N_("epoch"))}, row=len(groups), col=1)
    height = 90 + ROW_HEIGHT_PX * len(groups)
    return apply_layout(figure, translate, height=height).update_layout(margin={"t": 56}, legend={"y": 1.04})


def group_curves(history: pd.DataFrame) -> dict[str, list[str]]:
    """Return the heading of a panel → its curves: accuracy, losses, gradients, as far as they exist.

    Example:
        >>> history = pd.DataFrame({"curve": ["loss", "gradient norm: distance", "AUC (validation)"]})
        >>> list(group_curves(history))
        ['Accuracy on a validation part', 'Loss', 'Norm of the gradients']
    """
    names = list(dict.fromkeys(history["curve"]))
    accuracies = [name for name in names if name in (AUC_CURVE, PRECISION_CURVE)]
    gradients = [name for name in names if "gradient" in name.lower()]
    losses = [name for name in names if name not in (*accuracies, *gradients)]
    groups = {
        N_("Accuracy on a validation part"): accuracies,
        N_("Loss"): losses,
        N_("Norm of the gradients"): gradients,
    }
    return {heading: curves for heading, curves in groups.items() if curves}
