"""Notes of a clustering: limits that a reader has to know."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.clusterers.base import Clusterer, Labels
from core.evaluation import cluster_metrics
from core.messages import N_, Message
from core.tasks.clusters.quality import choose_contamination
from core.tasks.clusters.result import Clustering

HIGH_NOISE_RATIO = 0.9
TRIVIAL_SHARE = 0.95  # of the points in one cluster, or of the variance on one axis
ONE_AXIS_NOTES = {
    "level": N_(
        "{share} % of the differences lie on one axis: the clusters separate large points from small ones. "
        "To see which points behave alike, compare by shape."
    ),
    "relative": N_(
        "{share} % of the differences lie on one axis: the clusters are points with high and with low values. To see "
        "which points behave alike, compare by shape."
    ),
}


def describe_data(clustering: Clustering) -> Iterator[Message]:
    """Yield the notes on rows and points left out, values filled and metrics of a sample."""
    if clustering.rows_left_out:
        yield Message(N_("Incomplete rows that were left out: {count}."), {"count": clustering.rows_left_out})
    if clustering.flat_points:
        yield Message(
            N_("Points that were left out because they have no shape (mean close to 0): {count}."),
            {"count": clustering.flat_points},
        )
    if clustering.model_spec.incomplete == "column-mean":
        yield Message(
            N_(
                "Missing values were filled with the mean of their column over all entities. "
                "Use this for comparison with older results only."
            )
        )
    silhouette_points = clustering.quality.get("silhouette_rows", len(clustering.rows))
    if silhouette_points == cluster_metrics.MAX_SILHOUETTE_ROWS:
        yield Message(
            N_("The silhouette was computed on {count} points drawn at random."), {"count": int(silhouette_points)}
        )


def describe_noise(labels: Labels, isolated: NDArray[np.bool_]) -> Iterator[Message]:
    """Yield a note on how many noise points Isolation Forest flags too; nothing without noise."""
    noise = int((labels < 0).sum())
    if noise:
        yield Message(
            N_(
                "Isolation Forest (default settings, contamination {share} %) also flags {count} of the {noise} "
                "noise points."
            ),
            {"share": round(100 * choose_contamination(labels), 2), "count": int(isolated.sum()), "noise": noise},
        )


def describe_fit(clustering: Clustering, clusterer: Clusterer) -> Iterator[Message]:
    """Yield the notes on useless clusters, and on a fit that used a sample of the points."""
    noise_ratio = clustering.metrics()["noise_ratio"]
    if not clustering.sizes:
        yield Message(N_("No cluster was found. Every point is noise. Choose a larger eps or a smaller min_samples."))
    elif noise_ratio >= HIGH_NOISE_RATIO:
        yield Message(
            N_("{share} % of the points are noise. Choose a larger eps or a smaller min_samples."),
            {"share": round(100 * noise_ratio, 1)},
        )
    if len(clustering.sizes) == 1:
        yield Message(N_("Only one cluster was found. Choose a smaller eps, or KMeans."))
    yield from _describe_trivial_answer(clustering)
    if clusterer.sampled_:
        yield Message(clusterer.sampling_note, {"count": clusterer.sampled_})


def _describe_trivial_answer(clustering: Clustering) -> Iterator[Message]:
    """Yield what to try where one cluster or one axis is nearly all, or where no entity differs from the others."""
    spec, sizes = clustering.model_spec, clustering.sizes
    if len(sizes) < 2:
        return
    if max(sizes) > TRIVIAL_SHARE * len(clustering.rows):
        yield Message(
            N_("One cluster holds {share} % of the points. Compare by shape, or choose another number of clusters."),
            {"share": round(100 * max(sizes) / len(clustering.rows), 1)},
        )
    if spec.look in ONE_AXIS_NOTES and clustering.explained_shares and clustering.explained_shares[0] > TRIVIAL_SHARE:
        yield Message(ONE_AXIS_NOTES[spec.look], {"share": round(100 * clustering.explained_shares[0], 1)})
    counts = clustering.count_by_entity()
    most_frequent = counts.idxmax(axis=1)
    if spec.of == "days" and len(counts) > 1 and most_frequent.nunique() == 1:
        yield Message(
            N_(
                "Cluster {cluster} is the most frequent one of every entity, so the clusters do not tell the entities "
                "apart. To see which entities behave alike, group entities by shape."
            ),
            {"cluster": int(most_frequent.iloc[0])},
        )
