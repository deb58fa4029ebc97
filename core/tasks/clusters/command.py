"""Output of `python -m core cluster`."""

from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.clusters.result import Clustering
from core.tasks.clusters.summary import describe_clusters

JSON_METRICS = ("clusters", "noise_points", "noise_ratio", "inertia", "silhouette")
"""Metrics that are always in the output of `--json`; null if they do not exist."""


def to_lines(clustering: Clustering, run: Run) -> Iterator[str]:
    """Yield the counts, the size of every cluster, the clusters in words and the notes."""
    metrics = clustering.metrics()
    yield (
        f"{metrics['clusters']:,} clusters of {metrics['points']:,} points, {metrics['noise_points']:,} noise, "
        f"{run.summary}"
    )
    for number, size in enumerate(clustering.sizes):
        yield f"  {number:>3}  {size:>10,}"
    for message in (*describe_clusters(clustering), *clustering.notes):
        yield f"  {message}"


def to_answer(clustering: Clustering, run: Run) -> dict[str, Any]:
    """Return the metrics and the size of every cluster; null for a metric that does not exist."""
    metrics = {name: run.metrics.get(name) for name in JSON_METRICS} | run.metrics
    return {"metrics": {**metrics, "sizes": clustering.sizes}}
