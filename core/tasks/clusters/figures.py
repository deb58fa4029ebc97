"""Figures of clusters, told apart by symbol, hatching or number as well as by colour."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.clusterers.base import NOISE
from core.clusterers.model_selection import ClusterSuggestion
from core.data.regions import CURRENT_REGIONS, find_region
from core.evaluation.cluster_metrics import sample_rows
from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate, apply_layout, compute_axis_range
from core.messages import N_
from core.tasks.clusters.result import Clustering

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star")  # 7, with 8 colours: 56 pairs
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SCALED_UNITS = {"shape": N_("multiple of the point's mean"), "relative": N_("multiple of the entity's mean")}
MAX_MAP_POINTS = 4000
MAX_LABELS = 30  # entities whose names are written beside their points
MIN_CLUSTER_POINTS = 40  # of each cluster, at least
MAX_PROFILES = 8
MAX_ENTITIES = 40
DARK_INK, LABEL_BACKGROUND = "#1B2733", "rgba(255, 255, 255, 0.78)"
SHARE_COLOURS = ((0.0, "rgba(122, 139, 153, 0.08)"), (1.0, "#0072B2"))

REGION_TILES = {
    "hauts-de-france": (2, 0),
    "bretagne": (0, 1),
    "normandie": (1, 1),
    "île-de-france": (2, 1),
    "grand est": (3, 1),
    "pays de la loire": (1, 2),
    "centre-val de loire": (2, 2),
    "bourgogne-franche-comté": (3, 2),
    "nouvelle-aquitaine": (1, 3),
    "auvergne-rhône-alpes": (2, 3),
    "occitanie": (1, 4),
    "provence-alpes-côte d'azur": (2, 4),
    "corse": (3, 5),
}
"""Column and row of each region on the map of equal tiles."""


def choose_colour(cluster: int) -> str:
    """Return the colour of a cluster; noise is grey."""
    return NEUTRAL_COLOUR if cluster == NOISE else PALETTE[cluster % len(PALETTE)]


def name_cluster(cluster: int, translate: Translate) -> str:
    """Return the name of a cluster."""
    return translate(N_("noise")) if cluster == NOISE else translate(N_("cluster {number}")).format(number=cluster)


def draw_pca_map(clustering: Clustering, translate: Translate = str) -> go.Figure:
    """Draw the points on the first two principal axes.

    About 4,000 points are drawn, and at least 40 of every cluster. A few entities have their names beside them. Remote
    points lie on the edge, so that they do not squeeze the others.
    """
    rows = clustering.rows
    x_values, y_values = (
        rows[axis].to_numpy(np.float64) if axis in rows else np.zeros(len(rows)) for axis in ("pc1", "pc2")
    )
    ranges = compute_axis_range(x_values), compute_axis_range(y_values)
    has_labels = "time" not in rows and len(rows) <= MAX_LABELS
    figure = go.Figure()
    for cluster, indices in _sample_clusters(rows["cluster"].to_numpy()):
        is_noise = cluster == NOISE
        figure.add_scattergl(
            x=x_values[indices].clip(*ranges[0]).astype(np.float32),
            y=y_values[indices].clip(*ranges[1]).astype(np.float32),
            mode="markers+text" if has_labels else "markers",
            name=name_cluster(cluster, translate),
            text=_build_hover_text(rows.iloc[indices]),
            textposition="top center",
            textfont={"size": 11},
            legendrank=len(clustering.sizes) if is_noise else cluster,
            marker={
                "color": choose_colour(cluster),
                "symbol": "x-thin-open" if is_noise else SYMBOLS[cluster % len(SYMBOLS)],
                "size": 6 if is_noise else 7,
                "opacity": 0.7,
                "line": {"width": 1 if is_noise else 0},
            },
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(range=_widen_range(ranges[0]), zeroline=False)
    figure.update_yaxes(range=_widen_range(ranges[1]), zeroline=False)
    return apply_layout(
        figure, translate, x=_label_axis(clustering, 0, translate), y=_label_axis(clustering, 1, translate), height=480
    )


def count_outside_map(clustering: Clustering) -> int:
    """Return how many points lie outside the axes of the map."""
    is_outside = np.zeros(len(clustering.rows), dtype=bool)
    for axis in ("pc1", "pc2"):
        if axis in clustering.rows:
            coordinates = clustering.rows[axis].to_numpy(np.float64)
            low, high = compute_axis_range(coordinates)
            is_outside |= (coordinates < low) | (coordinates > high)
    return int(is_outside.sum())


def _widen_range(limits: tuple[float, float]) -> tuple[float, float]:
    margin = 0.02 * (limits[1] - limits[0])
    return limits[0] - margin, limits[1] + margin


def _sample_clusters(clusters: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield every cluster with the indices of its points to draw; the largest cluster first, so that it lies below."""
    numbers, sizes = np.unique(clusters, return_counts=True)
    for number in numbers[np.argsort(-sizes, kind="stable")]:
        indices = np.flatnonzero(clusters == number)
        yield (
            int(number),
            indices[sample_rows(len(indices), max(MIN_CLUSTER_POINTS, MAX_MAP_POINTS * len(indices) // len(clusters)))],
        )


def _build_hover_text(rows: pd.DataFrame) -> list[str]:
    """Return the hover text of every point: the entity, and the time if the point is a row."""
    entity = rows["entity"].astype(str)
    if "time" not in rows:
        return list(entity)
    time = rows["time"].astype(str)
    return [f"{entity_name} · {timestamp}" for entity_name, timestamp in zip(entity, time, strict=True)]


def _label_axis(clustering: Clustering, axis: int, translate: Translate) -> str:
    if axis >= len(clustering.explained_shares):
        return ""
    return translate(N_("axis {number}: {share} % of the variance")).format(
        number=axis + 1, share=round(100 * clustering.explained_shares[axis])
    )


def draw_profiles(clustering: Clustering, translate: Translate = str) -> go.Figure:
    """Draw the mean profile of the largest clusters, with the band of 80 % of their points."""
    table = clustering.profiles
    panels = list(dict.fromkeys(table["panel"])) or [""]
    counts = [int((table["panel"] == panel).sum()) for panel in panels]
    figure = make_subplots(
        1,
        len(panels),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        column_widths=[max(count, 1) for count in counts],
        subplot_titles=[translate(panel) for panel in panels] if len(panels) > 1 else None,
    )
    largest = np.argsort(-np.array(clustering.sizes), kind="stable")[:MAX_PROFILES]
    for cluster in sorted(map(int, largest)):
        for index, panel in enumerate(panels):
            profile = table[(table["cluster"] == cluster) & (table["panel"] == panel)]
            _draw_profile(figure, profile, cluster, index + 1, translate)
    unit = (
        translate(SCALED_UNITS[aspect])
        if (aspect := clustering.model_spec.look) in SCALED_UNITS
        else clustering.data.unit
    )
    apply_layout(figure, translate, height=440)
    if len(panels) > 1:  # legend above the titles of the panels
        figure.update_layout(legend={"y": 1.1}, margin={"t": 64})
    figure.update_xaxes(type="category", nticks=24 // len(panels))
    return figure.update_yaxes(title={"text": unit}, col=1)


def _draw_profile(figure: go.Figure, profile: pd.DataFrame, cluster: int, column: int, translate: Translate) -> None:
    group = {"legendgroup": str(cluster), "row": 1, "col": column}
    figure.add_scatter(
        x=profile["column"],
        y=profile["high"],
        mode="lines",
        line={"width": 0},
        showlegend=False,
        hoverinfo="skip",
        **group,
    )
    figure.add_scatter(
        x=profile["column"],
        y=profile["low"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        showlegend=False,
        fillcolor=_fade_colour(choose_colour(cluster)),
        hoverinfo="skip",
        **group,
    )
    figure.add_scatter(
        x=profile["column"],
        y=profile["mean"],
        mode="lines",
        name=name_cluster(cluster, translate),
        showlegend=column == 1,
        line={"color": choose_colour(cluster), "width": 2, "dash": DASHES[cluster % len(DASHES)]},
        hovertemplate="%{x}: %{y:,.4g}<extra>%{fullData.name}</extra>",
        **group,
    )


def _fade_colour(colour_: str) -> str:
    red, green, blue = _parse_rgb(colour_)
    return f"rgba({red}, {green}, {blue}, 0.12)"


def _choose_ink(background: str) -> str:
    """Return the text colour for a background: dark on light colours, white on dark colours."""
    red, green, blue = _parse_rgb(background)
    return DARK_INK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else "white"


def _parse_rgb(colour_: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour_[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def draw_elbow(suggestion: ClusterSuggestion, translate: Translate = str) -> go.Figure:
    """Draw inertia and silhouette by the number of clusters; the highest silhouette is marked."""
    figure = make_subplots(
        1,
        2,
        subplot_titles=(translate(N_("inertia (look for the elbow)")), translate(N_("silhouette (higher is better)"))),
    )
    for column, name in enumerate(("inertia", "silhouette"), start=1):
        figure.add_scatter(
            x=suggestion.kmeans_scores["k"],
            y=suggestion.kmeans_scores[name],
            mode="lines+markers",
            showlegend=False,
            row=1,
            col=column,
            line={"color": PALETTE[0]},
            marker={"symbol": SYMBOLS[column - 1], "size": 8},
            hovertemplate="k = %{x}: %{y:,.4g}<extra></extra>",
        )
    if suggestion.k:
        line = {"color": HIGHLIGHT_COLOUR, "dash": "dash"}
        figure.add_vline(x=suggestion.k, line=line, name=translate(N_("highest silhouette")), row=1, col=2)
    return apply_layout(figure, translate, x="k", height=300)


def draw_neighbour_distances(suggestion: ClusterSuggestion, translate: Translate = str) -> go.Figure:
    """Draw the distances to the min_samples-th neighbour, ascending; the suggested eps is marked."""
    share = np.linspace(0, 100, len(suggestion.curve))
    figure = go.Figure()
    figure.add_scatter(
        x=share,
        y=suggestion.curve,
        mode="lines",
        line={"color": PALETTE[0], "width": 2},
        showlegend=False,
        hovertemplate="%{x:.1f} %: %{y:.3g}<extra></extra>",
    )
    figure.add_hline(
        y=suggestion.eps,
        line={"color": HIGHLIGHT_COLOUR, "dash": "dash"},
        name="eps",
        annotation={"text": f"eps = {suggestion.eps:.3g}"},
    )
    figure.update_yaxes(range=[0, min(float(suggestion.curve[-1]), 6 * max(suggestion.eps, 1e-12)) * 1.05])
    return apply_layout(
        figure,
        translate,
        x=translate(N_("points, % (sorted by distance)")),
        y=translate(N_("distance to the neighbour")),
        height=300,
    )


def draw_crosstab(counts: pd.DataFrame, translate: Translate = str) -> go.Figure:
    """Draw a table of entities or seasons (rows) × clusters: numbers of points, colour by the share of the row."""
    counts = counts.loc[
        counts.sum(axis=1).sort_values(ascending=False, kind="stable").index[:MAX_ENTITIES]
    ].sort_index()
    values = counts.to_numpy()
    share = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    figure = go.Figure()
    figure.add_heatmap(
        z=share.round(4),
        x=[name_cluster(int(cluster), translate) for cluster in counts.columns],
        y=[translate(str(name)) for name in counts.index],
        text=values,
        texttemplate="%{text:,}",
        colorscale=SHARE_COLOURS,
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y}, %{x}: %{text:,} (%{z:.1%})<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", showgrid=False)
    figure.update_xaxes(side="top", type="category", showgrid=False)
    return apply_layout(figure, translate, height=90 + 26 * len(counts))


# ---- map of tiles --------------------------------------------------------------------------------------------------


def has_french_regions(clustering: Clustering) -> bool:
    """Tell whether the entities are French regions, at least two of them."""
    return len({find_region(str(name)) for name in clustering.rows["entity"].unique()} - {None}) >= 2


def draw_france_map(clustering: Clustering, translate: Translate = str) -> go.Figure:
    """Draw a map of equal tiles, one per French region, with the colour and the number of its cluster.

    A region with points in several clusters has the cluster with most points. A region with several entities has one
    part per entity.
    """
    counts = clustering.count_by_entity()
    figure = go.Figure()
    for region, (column, row) in REGION_TILES.items():
        region_counts = counts[[find_region(str(name)) == region for name in counts.index]]
        _draw_tile(figure, column, -row, None, 1.0)
        for index in range(len(region_counts)):
            _draw_tile(
                figure,
                column + (index + 0.5) / len(region_counts) - 0.5,
                -row,
                region_counts.iloc[[index]],
                1 / len(region_counts),
                translate,
            )
        figure.add_annotation(
            x=column,
            y=-row + 0.3,
            text=CURRENT_REGIONS[region][1].split()[0],
            showarrow=False,
            hovertext=region,
            font={"size": 11, "color": DARK_INK},
            bgcolor=LABEL_BACKGROUND,
        )
    figure.update_xaxes(visible=False, range=[-0.6, 3.6])
    figure.update_yaxes(visible=False, range=[-5.6, 0.6], scaleanchor="x")
    return apply_layout(figure, translate, height=520)


def _draw_tile(
    figure: go.Figure, x: float, y: float, counts: pd.DataFrame | None, width: float, translate: Translate = str
) -> None:
    """Draw a rectangle: empty without `counts`, otherwise in the colour of the cluster with most points."""
    half = width / 2 - 0.01
    corners = {"x0": x - half, "x1": x + half, "y0": y - 0.48, "y1": y + 0.48}
    if counts is None:
        figure.add_shape(
            type="rect", **corners, line={"color": NEUTRAL_COLOUR, "width": 1}, fillcolor="rgba(0,0,0,0)", layer="below"
        )
        return
    numbers = counts.iloc[0]
    cluster, share = int(numbers.idxmax()), float(numbers.max() / numbers.sum())
    figure.add_shape(type="rect", **corners, line={"width": 0}, fillcolor=choose_colour(cluster), layer="below")
    figure.add_scatter(
        x=[x],
        y=[y - 0.1],
        mode="text",
        showlegend=False,
        textfont={"size": 18, "color": _choose_ink(choose_colour(cluster))},
        text=["×" if cluster == NOISE else str(cluster)],
        hovertext=[f"{counts.index[0]}<br>{name_cluster(cluster, translate)} · {share:.0%}"],
        hoverinfo="text",
    )
