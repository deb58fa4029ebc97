"""Specs of the task clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core import clusterers as algorithms
from core.clusterers.base import Clusterer
from core.clusterers.cluster_model import IncompleteRows
from core.clusterers.points import Aspect, PointKind, has_daily_profiles
from core.data.dataset import Dataset
from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import PartSpec

MAX_COMPONENTS = 10_000
MIN_GROUPED_ENTITIES = 6  # entities that are grouped by default

POINT_KINDS: Mapping[str, str] = {"days": N_("Days (rows)"), "entities": N_("Entities")}
ASPECTS: Mapping[str, str] = {
    "level": N_("Level"),
    "relative": N_("Level relative to the entity"),
    "shape": N_("Shape"),
}
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

    of          "days": each row is a point; "entities": each entity is a point, by its typical profile; "" for entities
                where at least 6 have daily profiles, else days; also days for a density-based clusterer, which needs
                many points, and with "column-mean"
    look        "level": the values; "relative": the values divided by the mean of their entity; "shape": the values
                divided by the mean of the point; "" for the default: with daily profiles the shape of entities, and
                for days of several entities "relative", because otherwise their sizes decide; else "level"
    incomplete  rows with missing measurements: "drop" leaves them out; "impute" fills them from the same entity;
                "column-mean" fills them with the mean of the column over all rows
    components  number of principal components for the clusterer; 0 for all columns
    """

    clusterer: Clusterer = algorithm(
        list_clusterers, "kmeans", help=N_("Clustering algorithm."), label=N_("Clustering algorithm")
    )
    of: PointKind | Literal[""] = hyperparameter(
        "",
        help=N_("Points to group: days (rows) or entities (default: entities, if at least 6 have daily profiles)."),
        label=N_("Points to group"),
        choices=("", *POINT_KINDS),
        words=POINT_KINDS,
        captions={
            "days": N_("Each row is a point."),
            "entities": N_("Each entity is a point, described by its typical week and year."),
        },
    )
    look: Aspect | Literal[""] = hyperparameter(
        "",
        help=N_(
            "Compare the values as they are (level), divided by the mean of their entity (relative; default for days "
            "of several entities), or divided by their own mean (shape; default for entities with daily profiles)."
        ),
        label=N_("Compare by"),
        choices=("", *ASPECTS),
        words=ASPECTS,
        captions={
            "level": N_("The values as they are. Large and small entities are different."),
            "relative": N_("The values divided by the mean of their entity. Its size does not count."),
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

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted; one cluster is no grouping."""
        super().check()
        if getattr(self.clusterer, "n_clusters", 0) == 1:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="n_clusters",
                value=1,
                low=2,
                high=100,
            )

    @classmethod
    def list_choices(cls, name: str, dataset: Dataset) -> tuple[Any, ...]:
        """Return the choices of a field; those of `of` and `look` begin with the default for `dataset`."""
        if name not in ("of", "look"):
            return super().list_choices(name, dataset)
        default = getattr(cls().fill_defaults(dataset), name)
        return tuple(sorted(POINT_KINDS if name == "of" else ASPECTS, key=lambda choice: choice != default))

    def fill_defaults(self, dataset: Dataset) -> "ClusteringSpec":
        """Return the spec with the digest of `dataset`, and the default points and aspect filled in.

        Example:
            >>> from core.data.samples import load_sample
            >>> spec = ClusteringSpec().fill_defaults(load_sample("gas_daily"))
            >>> spec.of, spec.look  # four entities are too few to be grouped
            ('days', 'relative')
        """
        has_profiles = has_daily_profiles(dataset)
        is_grouping_entities = (
            has_profiles
            and len(self.entities or dataset.entities) >= MIN_GROUPED_ENTITIES
            and not self.clusterer.is_density_based  # needs many points
            and self.incomplete != "column-mean"  # for comparison with older results
        )
        kind = self.of or ("entities" if is_grouping_entities else "days")
        aspect = self.look or self._choose_aspect(dataset, kind, has_profiles=has_profiles)
        return replace(self, dataset=dataset.digest, of=kind, look=aspect)

    def _choose_aspect(self, dataset: Dataset, kind: PointKind, *, has_profiles: bool) -> Aspect:
        """Return the aspect that compares entities of different sizes."""
        if not has_profiles or self.incomplete == "column-mean":  # for comparison with older results
            return "level"
        if kind == "entities":
            return "shape"
        return "relative" if len(self.entities or dataset.entities) > 1 else "level"
