"""What the run card says about clusters."""

from core.messages import N_, Text
from core.runs.card_data import CardData, describe_part
from core.runs.card_model import Picture
from core.tasks.clusters.result import Clustering

OWN_PLACE = ("cluster_", "explained_")  # metrics that the picture shows, and those of the map


def describe(clustering: Clustering) -> CardData:
    """Return the counts, the figures of merit, and how many points each cluster has."""
    sizes = clustering.sizes
    return CardData(
        files=clustering.data.files,
        part=describe_part(clustering.rows, clustering.spec),
        counts={name: value for name, value in clustering.metrics().items() if not name.startswith(OWN_PLACE)},
        picture=Picture(
            "bars",
            Text(N_("Points in each cluster")),
            tuple(map(str, range(len(sizes)))),
            {"points": tuple(map(float, sizes))},
        ),
        notes=clustering.notes,
    )
