"""Matrix of features of periods and entities, and its builder."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of every day and entity.

    values  (days, entities, features), NaN where unknown
    names   name of every feature
    groups  group of every feature: "calendar", "past", "weather", "strike" …
    base    known value that the forecast is a change of, (days, entities)
    """

    values: Floats
    names: list[str]
    groups: list[str]
    base: Floats

    @property
    def complete_mask(self) -> NDArray[np.bool_]:
        """Mask of the days with a value for every feature, (days, entities)."""
        return np.asarray(np.isfinite(self.values).all(axis=2))


class FeatureBuilder:
    """Builder of the feature matrix of the days from index `first_day` on.

    A feature of shape (days,) is repeated for every entity.
    """

    def __init__(self, entities: int, first_day: int) -> None:
        self.entity_count, self.first_day = entities, first_day
        self.arrays: list[Floats] = []
        self.names: list[str] = []
        self.groups: list[str] = []

    def add_feature(self, group: str, name: str, values: Floats) -> None:
        """Add a feature of all days, (days,) or (days, entities)."""
        values = values[self.first_day :]
        self.arrays.append(
            np.broadcast_to(values[:, None], (len(values), self.entity_count)) if values.ndim == 1 else values
        )
        self.names.append(name)
        self.groups.append(group)

    def build_matrix(self, base: Floats) -> FeatureMatrix:
        """Return the features as one array; `base` has all days, (days, entities)."""
        return FeatureMatrix(np.stack(self.arrays, axis=2), self.names, self.groups, base[self.first_day :])
