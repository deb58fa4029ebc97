"""Specs of the task clusters."""

from collections.abc import Mapping
from dataclasses import dataclass

from core import clusterers as algorithms
from core.clusterers.base import Clusterer
from core.clusterers.cluster_model import IncompleteRows
from core.clusterers.points import Aspect, PointKind
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import PartSpec

MAX_COMPONENTS = 10_000

POINT_KINDS: Mapping[str, str] = {"days": N_("Days (rows)"), "entities": N_("Entities")}
ASPECTS: Mapping[str, str] = {"level": N_("Level"), "shape": N_("Shape")}
INCOMPLETE_CHOICES: Mapping[str, str] = {
    "drop": N_("leave out"),
    "impute": N_("fill from the same entity"),
    "column-mean": N_("fill with the column mean"),
}


def list_clusterers() -> dict[str, type[Clusterer]]:
    """Return name → class of every clusterer."""
    return discover_classes(algorithms, Clusterer)


@dataclass(frozen=True)
class ClusteringSpec(PartSpec):
    """Group similar days or entities, and save the result as a run.

    of          "days": each row is a point; "entities": each entity is a point, by its typical profile
    look        "level": the values; "shape": the values divided by the mean of the point
    incomplete  rows with missing measurements: "drop" leaves them out; "impute" fills them from the same entity;
                "column-mean" fills them with the mean of the column over all rows
    components  number of principal components for the clusterer; 0 for all columns
    """

    clusterer: Clusterer = algorithm(
        list_clusterers, "kmeans", help=N_("Clustering algorithm."), label=N_("Clustering algorithm")
    )
    of: PointKind = hyperparameter(
        "days",
        help=N_("Points to group: days (rows) or entities."),
        label=N_("Points to group"),
        choices=tuple(POINT_KINDS),
        words=POINT_KINDS,
        captions={
            "days": N_("Each row is a point."),
            "entities": N_("Each entity is a point, described by its typical week and year."),
        },
    )
    look: Aspect = hyperparameter(
        "level",
        help=N_("Compare the values (level), or the values divided by their mean (shape)."),
        label=N_("Compare by"),
        choices=tuple(ASPECTS),
        words=ASPECTS,
        captions={
            "level": N_("The values as they are."),
            "shape": N_("The values divided by their mean. Only the profile of the day counts."),
        },
    )
    incomplete: IncompleteRows = hyperparameter(
        "drop",
        help=N_("Treatment of rows with missing values."),
        label=N_("Rows with missing values"),
        choices=tuple(INCOMPLETE_CHOICES),
        words=INCOMPLETE_CHOICES,
        captions={"column-mean": N_("Mixes entities. Use it for comparison with older results only.")},
    )
    components: int = hyperparameter(
        0,
        help=N_("Number of principal components to group by. 0 uses all columns."),
        label=N_("Principal components"),
        low=0,
        high=MAX_COMPONENTS,
    )
