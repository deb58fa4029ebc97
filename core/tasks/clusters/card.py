"""Data of the run card of a clustering."""

from core.messages import N_, Message
from core.runs.card_data import CardData, describe_part
from core.runs.card_model import Picture
from core.tasks.clusters.result import Clustering

HIDDEN_METRIC_PREFIXES = ("cluster_", "explained_")  # metrics shown by the picture and by the map


def describe(clustering: Clustering) -> CardData:
    """Return the counts, the metrics and the size of every cluster."""
    sizes = clustering.sizes
    return CardData(
        files=clustering.data.files,
        part=describe_part(clustering.rows, clustering.spec),
        counts={
            name: value for name, value in clustering.metrics().items() if not name.startswith(HIDDEN_METRIC_PREFIXES)
        },
        picture=Picture(
            "bars",
            Message(N_("Points in each cluster")),
            tuple(map(str, range(len(sizes)))),
            {"points": tuple(map(float, sizes))},
        ),
        notes=clustering.notes,
    )
