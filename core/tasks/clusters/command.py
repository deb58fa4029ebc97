"""What `python -m core cluster` prints."""

from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.clusters.result import Clustering

METRICS = ("clusters", "noise_points", "noise_ratio", "inertia", "silhouette")
"""Those that `--json` always has: null where these clusters have no such figure."""


def to_lines(clustering: Clustering, run: Run) -> Iterator[str]:
    """Yield the counts, the size of every cluster, and what has to be known of them."""
    metrics = clustering.metrics()
    yield (
        f"{metrics['clusters']:,} clusters of {metrics['points']:,} points, {metrics['noise_points']:,} noise, "
        f"{run.summary}"
    )
    for number, size in enumerate(clustering.sizes):
        yield f"  {number:>3}  {size:>10,}"
    for note in clustering.notes:
        yield f"  {note}"


def to_answer(clustering: Clustering, run: Run) -> dict[str, Any]:
    """Return the metrics with null for a figure that does not exist, and the size of every cluster."""
    metrics = {name: run.metrics.get(name) for name in METRICS} | run.metrics
    return {"metrics": {**metrics, "sizes": clustering.sizes}}
