"""Notes of a clustering: limits that a reader has to know."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.clusterers.base import Clusterer, Labels
from core.evaluation import clusterings
from core.messages import N_, Text
from core.tasks.clusters.quality import contamination_of_noise
from core.tasks.clusters.result import Clustering

HIGH_NOISE_RATIO = 0.9


def describe_data(clustering: Clustering) -> Iterator[Text]:
    """Yield the notes on rows and points left out, values filled and metrics of a sample."""
    if clustering.rows_left_out:
        yield Text(N_("{count} incomplete rows were left out."), {"count": clustering.rows_left_out})
    if clustering.flat_points:
        yield Text(
            N_("{count} points were left out: their mean is next to nothing, so they have no shape."),
            {"count": clustering.flat_points},
        )
    if clustering.model_spec.incomplete == "column-mean":
        yield Text(
            N_(
                "Missing values were filled with the mean of their column over all entities: for "
                "comparison with older results only."
            )
        )
    judged = clustering.quality.get("silhouette_rows", len(clustering.rows))
    if judged == clusterings.SILHOUETTE_ROWS:
        yield Text(N_("The silhouette was found from {count} points drawn at random."), {"count": int(judged)})


def describe_noise(labels: Labels, isolated: NDArray[np.bool_]) -> Iterator[Text]:
    """Yield a note on how many noise points Isolation Forest flags too; nothing without noise."""
    noise = int((labels < 0).sum())
    if noise:
        yield Text(
            N_(
                "Isolation Forest (default settings, contamination {share} %) also flags {count} of the {noise} "
                "noise points."
            ),
            {"share": round(100 * contamination_of_noise(labels), 2), "count": int(isolated.sum()), "noise": noise},
        )


def describe_fit(clustering: Clustering, clusterer: Clusterer) -> Iterator[Text]:
    """Yield the notes on useless clusters, and on a fit that used a sample of the points."""
    noise_ratio = clustering.metrics()["noise_ratio"]
    if not clustering.sizes:
        yield Text(N_("No cluster was found: every point is noise. Take a larger eps or a smaller min_samples."))
    elif noise_ratio >= HIGH_NOISE_RATIO:
        yield Text(
            N_("{share} % of the points are noise: take a larger eps or a smaller min_samples."),
            {"share": round(100 * noise_ratio, 1)},
        )
    if len(clustering.sizes) == 1:
        yield Text(N_("Only one cluster was found: this groups nothing. Take a smaller eps, or KMeans."))
    if clusterer.sampled_:
        yield Text(clusterer.sampling, {"count": clusterer.sampled_})
