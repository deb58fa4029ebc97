"""Report of a clustering: the clusters in numbers, their profiles, and the points without a cluster in words."""

from collections.abc import Iterator

import numpy as np

from core.data.dataset import Dataset
from core.messages import N_, Message
from core.phrases import to_percent
from core.runs.report_content import (
    MAX_EVENTS,
    Cell,
    EventList,
    KeyFigure,
    ReportContent,
    ReportEvent,
    ReportFigure,
    ReportTable,
    name_entity,
    name_event,
)
from core.tasks.clusters import figures
from core.tasks.clusters.result import Clustering
from core.tasks.clusters.summary import describe_clusters

MAX_TABLE_CLUSTERS = 20
QUALITY_TEXTS = {
    "silhouette": N_("Silhouette {value}: 1 for clearly separated points, 0 for points between two clusters."),
    "stability": N_("Stability {value} (agreement with fits on subsamples: 1 identical, 0 random)."),
    "davies_bouldin": N_("Davies–Bouldin {value} (lower is better)."),
    "calinski_harabasz": N_("Calinski–Harabasz {value} (higher is better)."),
}


def describe_report(clustering: Clustering, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; the result holds all that it needs, so the rows are not used."""
    metrics = clustering.metrics()
    noise = clustering.noise
    return ReportContent(
        summary=_summarise(clustering),
        key_figures=(
            KeyFigure(
                Message(N_("Clusters")),
                int(metrics["clusters"]),
                Message(N_("of {points} points"), {"points": int(metrics["points"])}),
            ),
            KeyFigure(Message(N_("Points without a cluster")), len(noise), _tell_share(metrics["noise_ratio"])),
            KeyFigure(Message(N_("Silhouette")), metrics.get("silhouette"), Message(N_("1 is best"))),
        ),
        tables=_tabulate_sizes(clustering),
        events=EventList(
            Message(N_("Points without a cluster, most distant first")),
            tuple(_list_noise(clustering)),
            len(noise),
            Message(N_("There is no noise. Every point belongs to a cluster.")),
        ),
        figures=tuple(_list_figures(clustering)),
        certainty=tuple(
            Message(text, {"value": round(float(clustering.quality[name]), 3)})
            for name, text in QUALITY_TEXTS.items()
            if np.isfinite(clustering.quality.get(name, np.nan))
        ),
        notes=clustering.notes,
    )


def _summarise(clustering: Clustering) -> tuple[Message, ...]:
    sizes = clustering.sizes
    if not any(sizes):
        return (Message(N_("There is no cluster to show.")),)
    largest = int(np.argmax(sizes))
    values = {
        "clusters": sum(size > 0 for size in sizes),
        "number": largest,
        "share": to_percent(sizes[largest] / len(clustering.rows), 1),
        "noise": len(clustering.noise),
    }
    return (
        Message(
            N_(
                "Clusters: {clusters}. The largest is cluster {number}, with {share} of the points. Points without a "
                "cluster: {noise}."
            ),
            values,
        ),
        *describe_clusters(clustering),
    )


def _tell_share(share: float) -> Message:
    return Message(N_("{share} of the points"), {"share": to_percent(share)})


def _tabulate_sizes(clustering: Clustering) -> tuple[ReportTable, ...]:
    """Return the size, the share and the mean of every cluster, the first ones of many."""
    has_level = clustering.model_spec.look == "level"
    means = clustering.profiles.groupby("cluster")["mean"].mean() if len(clustering.profiles) else {}
    head = [Message(N_("Cluster")), Message(N_("Points")), Message(N_("Share"))]
    if has_level:
        head.append(Message(N_("Mean {unit}"), {"unit": clustering.data.unit}))
    rows: list[tuple[Cell, ...]] = []
    for number, size in enumerate(clustering.sizes[:MAX_TABLE_CLUSTERS]):
        level = (float(means.get(number, np.nan)),) if has_level else ()
        rows.append((str(number), size, to_percent(size / len(clustering.rows), 1), *level))
    more = len(clustering.sizes) - len(rows)
    note = Message(N_("{count} more clusters are not listed here."), {"count": more}) if more > 0 else None
    return (ReportTable(Message(N_("Size and mean of each cluster")), tuple(head), tuple(rows), note),) if rows else ()


def _list_noise(clustering: Clustering) -> Iterator[ReportEvent]:
    for point in clustering.noise.head(MAX_EVENTS).to_dict("records"):
        title = name_event(point["entity"], point["time"], point["time"]) if "time" in point else None
        sentences = []
        if np.isfinite(point["distance"]):
            distance = {"distance": float(f"{point['distance']:.3g}")}
            sentences.append(Message(N_("Distance to the nearest cluster: {distance} standard deviations."), distance))
        if point["isolated"]:
            sentences.append(Message(N_("Isolation Forest flags it too.")))
        yield ReportEvent(title or name_entity(point["entity"]), tuple(sentences))


def _list_figures(clustering: Clustering) -> Iterator[ReportFigure]:
    if not clustering.profiles.empty:
        yield ReportFigure(
            Message(N_("Mean profile of each cluster with its band")),
            lambda language: figures.draw_profiles(clustering, language.translate),
            note=Message(N_("Mean of each cluster. The band contains 80 % of its points.")),
        )
    yield ReportFigure(
        Message(N_("Points on the two axes of greatest variance, by cluster")),
        lambda language: figures.draw_pca_map(clustering, language.translate),
        note=Message(N_("Each point is a day or an entity. Similar points are close to each other.")),
    )
    if clustering.rows["entity"].nunique() > 1:
        yield ReportFigure(
            Message(N_("Number of points by entity and cluster")),
            lambda language: figures.draw_crosstab(clustering.count_by_entity(), language.translate),
        )
    seasons = clustering.count_by_season()
    if not seasons.empty:
        yield ReportFigure(
            Message(N_("Number of points by season and cluster")),
            lambda language: figures.draw_crosstab(seasons, language.translate),
        )
    if figures.has_french_regions(clustering):
        yield ReportFigure(
            Message(N_("Regions of France as tiles, by cluster")),
            lambda language: figures.draw_france_map(clustering, language.translate),
        )
