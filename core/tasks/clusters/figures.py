"""Figures of clusters, told apart by symbol, hatching or number as well as by colour."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.clusterers.base import NOISE
from core.clusterers.choosing import ClusterSuggestion
from core.data.regions import NEW, region_of
from core.evaluation.clusterings import drawn
from core.figures.style import CALM, PALETTE, STRONG, Say, laid_out, ordinary_range
from core.messages import N_
from core.tasks.clusters.result import Clustering

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star")  # 7, with 8 colours: 56 pairs
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MAP_POINTS = 4000
LEAST_POINTS = 40  # of each cluster, at least
PROFILES = 8
ENTITIES = 40
DARK, PAPER = "#1B2733", "rgba(255, 255, 255, 0.78)"
SHARES = ((0.0, "rgba(122, 139, 153, 0.08)"), (1.0, "#0072B2"))

TILES = {
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


def colour(cluster: int) -> str:
    """Return the colour of a cluster; noise is grey."""
    return CALM if cluster == NOISE else PALETTE[cluster % len(PALETTE)]


def named(cluster: int, say: Say) -> str:
    """Return the name of a cluster."""
    return say(N_("noise")) if cluster == NOISE else say(N_("cluster {number}")).format(number=cluster)


def pca_map(found: Clustering, say: Say = str) -> go.Figure:
    """Draw the points on the first two principal axes.

    About 4,000 points are drawn, and at least 40 of every cluster. Remote points lie on the edge, so that they do not
    squeeze the others.
    """
    rows = found.rows
    across, up = (rows[axis].to_numpy(np.float64) if axis in rows else np.zeros(len(rows)) for axis in ("pc1", "pc2"))
    ends = ordinary_range(across), ordinary_range(up)
    figure = go.Figure()
    for cluster, mine in _thinned(rows["cluster"].to_numpy()):
        noise = cluster == NOISE
        figure.add_scattergl(
            x=across[mine].clip(*ends[0]).astype(np.float32),
            y=up[mine].clip(*ends[1]).astype(np.float32),
            mode="markers",
            name=named(cluster, say),
            text=_names(rows.iloc[mine]),
            legendrank=len(found.sizes) if noise else cluster,
            marker={
                "color": colour(cluster),
                "symbol": "x-thin-open" if noise else SYMBOLS[cluster % len(SYMBOLS)],
                "size": 6 if noise else 7,
                "opacity": 0.7,
                "line": {"width": 1 if noise else 0},
            },
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(range=_wider(ends[0]), zeroline=False)
    figure.update_yaxes(range=_wider(ends[1]), zeroline=False)
    return laid_out(figure, say, x=_axis(found, 0, say), y=_axis(found, 1, say), height=480)


def beyond_the_map(found: Clustering) -> int:
    """Return how many points lie outside the axes of the map."""
    out = np.zeros(len(found.rows), dtype=bool)
    for axis in ("pc1", "pc2"):
        if axis in found.rows:
            place = found.rows[axis].to_numpy(np.float64)
            low, high = ordinary_range(place)
            out |= (place < low) | (place > high)
    return int(out.sum())


def _wider(ends: tuple[float, float]) -> tuple[float, float]:
    room = 0.02 * (ends[1] - ends[0])
    return ends[0] - room, ends[1] + room


def _thinned(clusters: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield every cluster with the indices of its points to draw; the largest cluster first, so that it lies below."""
    numbers, sizes = np.unique(clusters, return_counts=True)
    for number in numbers[np.argsort(-sizes, kind="stable")]:
        mine = np.flatnonzero(clusters == number)
        yield int(number), mine[drawn(len(mine), max(LEAST_POINTS, MAP_POINTS * len(mine) // len(clusters)))]


def _names(rows: pd.DataFrame) -> list[str]:
    """Return the hover text of every point: the entity, and the time if the point is a row."""
    entity = rows["entity"].astype(str)
    if "time" not in rows:
        return list(entity)
    time = rows["time"].astype(str)
    return [f"{one} · {when}" for one, when in zip(entity, time, strict=True)]


def _axis(found: Clustering, axis: int, say: Say) -> str:
    if axis >= len(found.explained):
        return ""
    return say(N_("axis {number}: {share} % of the variance")).format(
        number=axis + 1, share=f"{100 * found.explained[axis]:.1f}"
    )


def profiles(found: Clustering, say: Say = str) -> go.Figure:
    """Draw the mean profile of the largest clusters, with the band of 80 % of their points."""
    table = found.profiles
    panels = list(dict.fromkeys(table["panel"])) or [""]
    counts = [int((table["panel"] == panel).sum()) for panel in panels]
    figure = make_subplots(
        1,
        len(panels),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        column_widths=[max(count, 1) for count in counts],
        subplot_titles=[say(panel) for panel in panels] if len(panels) > 1 else None,
    )
    largest = np.argsort(-np.array(found.sizes), kind="stable")[:PROFILES]
    for cluster in sorted(map(int, largest)):
        for place, panel in enumerate(panels):
            mine = table[(table["cluster"] == cluster) & (table["panel"] == panel)]
            _profile(figure, mine, cluster, place + 1, say)
    unit = say(N_("share of the point's mean")) if found.model_spec.look == "shape" else found.data.unit
    laid_out(figure, say, height=440)
    if len(panels) > 1:  # legend above the titles of the panels
        figure.update_layout(legend={"y": 1.1}, margin={"t": 64})
    figure.update_xaxes(type="category", nticks=24 // len(panels))
    return figure.update_yaxes(title={"text": unit}, col=1)


def _profile(figure: go.Figure, mine: pd.DataFrame, cluster: int, column: int, say: Say) -> None:
    group = {"legendgroup": str(cluster), "row": 1, "col": column}
    figure.add_scatter(
        x=mine["column"], y=mine["high"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip", **group
    )
    figure.add_scatter(
        x=mine["column"],
        y=mine["low"],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        showlegend=False,
        fillcolor=_faded(colour(cluster)),
        hoverinfo="skip",
        **group,
    )
    figure.add_scatter(
        x=mine["column"],
        y=mine["mean"],
        mode="lines",
        name=named(cluster, say),
        showlegend=column == 1,
        line={"color": colour(cluster), "width": 2, "dash": DASHES[cluster % len(DASHES)]},
        hovertemplate="%{x}: %{y:,.4g}<extra>%{fullData.name}</extra>",
        **group,
    )


def _faded(colour_: str) -> str:
    red, green, blue = _parts(colour_)
    return f"rgba({red}, {green}, {blue}, 0.12)"


def _ink(ground: str) -> str:
    """Return the text colour for a background: dark on light colours, white on dark colours."""
    red, green, blue = _parts(ground)
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else "white"


def _parts(colour_: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour_[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def elbow(advice: ClusterSuggestion, say: Say = str) -> go.Figure:
    """Draw inertia and silhouette by the number of clusters; the highest silhouette is marked."""
    figure = make_subplots(
        1, 2, subplot_titles=(say(N_("inertia (look for the elbow)")), say(N_("silhouette (higher is better)")))
    )
    for column, name in enumerate(("inertia", "silhouette"), start=1):
        figure.add_scatter(
            x=advice.by_k["k"],
            y=advice.by_k[name],
            mode="lines+markers",
            showlegend=False,
            row=1,
            col=column,
            line={"color": PALETTE[0]},
            marker={"symbol": SYMBOLS[column - 1], "size": 8},
            hovertemplate="k = %{x}: %{y:,.4g}<extra></extra>",
        )
    if advice.k:
        figure.add_vline(x=advice.k, line={"color": STRONG, "dash": "dash"}, row=1, col=2)
    return laid_out(figure, say, x="k", height=300)


def neighbour_distances(advice: ClusterSuggestion, say: Say = str) -> go.Figure:
    """Draw the distances to the min_samples-th neighbour, ascending; the suggested eps is marked."""
    share = np.linspace(0, 100, len(advice.curve))
    figure = go.Figure()
    figure.add_scatter(
        x=share,
        y=advice.curve,
        mode="lines",
        line={"color": PALETTE[0], "width": 2},
        showlegend=False,
        hovertemplate="%{x:.1f} %: %{y:.3g}<extra></extra>",
    )
    figure.add_hline(
        y=advice.eps, line={"color": STRONG, "dash": "dash"}, annotation={"text": f"eps = {advice.eps:.3g}"}
    )
    figure.update_yaxes(range=[0, min(float(advice.curve[-1]), 6 * max(advice.eps, 1e-12)) * 1.05])
    return laid_out(
        figure,
        say,
        x=say(N_("points, % (nearest neighbours first)")),
        y=say(N_("distance to the neighbour")),
        height=300,
    )


def crossed(counts: pd.DataFrame, say: Say = str) -> go.Figure:
    """Draw a table of entities or seasons (rows) × clusters: numbers of points, colour by the share of the row."""
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index[:ENTITIES]].sort_index()
    values = counts.to_numpy()
    share = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    figure = go.Figure()
    figure.add_heatmap(
        z=share.round(4),
        x=[named(int(cluster), say) for cluster in counts.columns],
        y=[say(str(name)) for name in counts.index],
        text=values,
        texttemplate="%{text:,}",
        colorscale=SHARES,
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y}, %{x}: %{text:,} (%{z:.1%})<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", showgrid=False)
    figure.update_xaxes(side="top", type="category", showgrid=False)
    return laid_out(figure, say, height=90 + 26 * len(counts))


# ---- map of tiles --------------------------------------------------------------------------------------------------


def in_france(found: Clustering) -> bool:
    """Tell whether the entities are French regions, at least two of them."""
    return len({region_of(str(name)) for name in found.rows["entity"].unique()} - {None}) >= 2


def france(found: Clustering, say: Say = str) -> go.Figure:
    """Draw a map of equal tiles, one per French region, with the colour and the number of its cluster.

    A region with points in several clusters has the cluster with most points. A region with several entities has one
    part per entity.
    """
    counts = found.by_entity()
    figure = go.Figure()
    for region, (column, row) in TILES.items():
        mine = counts[[region_of(str(name)) == region for name in counts.index]]
        _tile(figure, column, -row, None, 1.0)
        for place in range(len(mine)):
            _tile(figure, column + (place + 0.5) / len(mine) - 0.5, -row, mine.iloc[[place]], 1 / len(mine), say)
        figure.add_annotation(
            x=column,
            y=-row + 0.3,
            text=NEW[region][1].split()[0],
            showarrow=False,
            hovertext=region,
            font={"size": 11, "color": DARK},
            bgcolor=PAPER,
        )
    figure.update_xaxes(visible=False, range=[-0.6, 3.6])
    figure.update_yaxes(visible=False, range=[-5.6, 0.6], scaleanchor="x")
    return laid_out(figure, say, height=520)


def _tile(figure: go.Figure, x: float, y: float, counts: pd.DataFrame | None, width: float, say: Say = str) -> None:
    """Draw a rectangle: empty without `counts`, otherwise in the colour of the cluster with most points."""
    half = width / 2 - 0.01
    box = {"x0": x - half, "x1": x + half, "y0": y - 0.48, "y1": y + 0.48}
    if counts is None:
        figure.add_shape(type="rect", **box, line={"color": CALM, "width": 1}, fillcolor="rgba(0,0,0,0)", layer="below")
        return
    numbers = counts.iloc[0]
    cluster, share = int(numbers.idxmax()), float(numbers.max() / numbers.sum())
    figure.add_shape(type="rect", **box, line={"width": 0}, fillcolor=colour(cluster), layer="below")
    figure.add_scatter(
        x=[x],
        y=[y - 0.1],
        mode="text",
        showlegend=False,
        textfont={"size": 18, "color": _ink(colour(cluster))},
        text=["×" if cluster == NOISE else str(cluster)],
        hovertext=[f"{counts.index[0]}<br>{named(cluster, say)} · {share:.0%}"],
        hoverinfo="text",
    )
