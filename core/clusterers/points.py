"""Points of a clustering: the rows of a dataset, or its entities by their typical profiles."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.clusterers.base import Floats
from core.data.dataset import DAY, Dataset
from core.data.quality.expectation import Expectation
from core.errors import DataError
from core.messages import N_

Of = Literal["days", "entities"]
Look = Literal["level", "shape"]

WORKING, SATURDAY, SUNDAY, MONTH = N_("working day"), N_("Saturday"), N_("Sunday"), N_("month")
FLAT = 0.01  # share of the largest value of a point; with a smaller mean it has no shape


@dataclass(frozen=True)
class Points:
    """Points of a clustering, one per row of `values`.

    values         (points, features), in the unit of the dataset
    profile_parts  part of the profile of every feature (working day, Saturday …); "" for a single part
    entity         entity of every point
    time           time of every point; None if the points are entities
    """

    values: Floats
    features: tuple[str, ...]
    panels: tuple[str, ...]
    entity: pd.Categorical
    time: pd.Index | None

    def __len__(self) -> int:
        return len(self.values)

    def keep(self, which: NDArray[np.bool_]) -> "Points":
        """Return the points with True in the mask `which`, (points,)."""
        if which.all():
            return self
        return replace(
            self,
            values=self.values[which],
            entity=self.entity[which],
            time=None if self.time is None else self.time[which],
        )


def daily(dataset: Dataset) -> Dataset:
    """Return a series of one measurement with several rows a day as daily profiles, any other dataset unchanged.

    Raises DataError for a timestamp that is no multiple of the step.
    """
    several = (
        dataset.dated and dataset.step is not None and dataset.step < DAY and DAY % dataset.step == pd.Timedelta(0)
    )
    return dataset.to_profile() if several and not dataset.profile and len(dataset.columns) == 1 else dataset


def points(dataset: Dataset, of: Of) -> Points:
    """Return the points of a dataset without missing values.

    Example:
        >>> index = pd.MultiIndex.from_arrays([pd.Categorical(["a", "a", "b"]), [0, 1, 0]], names=["entity", "time"])
        >>> dataset = Dataset(pd.DataFrame({"load": [1.0, 2.0, 9.0]}, index=index), layout="demo")
        >>> points(dataset, "entities").values.ravel().tolist()  # medians
        [1.5, 9.0]
    """
    if of == "days":
        entity = pd.Categorical.from_codes(dataset.entity_codes, dataset.entities)
        columns = tuple(dataset.columns)
        return Points(dataset.values, columns, ("",) * len(columns), entity, dataset.time)
    entity = pd.Categorical(dataset.entities, categories=dataset.entities)
    values, features, panels = _typical(dataset) if dataset.profile and dataset.dated else _median(dataset)
    return Points(values, features, panels, entity, None)


def _typical(dataset: Dataset) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return the typical week and year of every entity (entities, features), the features and their parts.

    The week is the usual working day, Saturday and Sunday; the year is the usual level of each month. Both are means of
    the medians by month and kind of day, so that neither an outlier nor a frequent season dominates. A month without
    data is filled from the other months of the entity.
    """
    usual = Expectation("calendar").fit(dataset).median_
    usual = usual.reshape(len(dataset.entities), 12, 3, len(dataset.columns))
    week = usual.mean(axis=1).reshape(len(usual), -1)
    year = (usual.mean(axis=3) * (5 / 7, 1 / 7, 1 / 7)).sum(axis=2)
    count = len(dataset.columns)
    features = (*dataset.columns * 3, *(f"{month:02d}" for month in range(1, 13)))
    panels = tuple(part for part in (WORKING, SATURDAY, SUNDAY) for _ in range(count)) + (MONTH,) * 12
    return np.concatenate([week, year], axis=1), features, panels


def _median(dataset: Dataset) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return the median of every column by entity (entities, columns), the features and their parts."""
    return Expectation("entity").fit(dataset).median_, tuple(dataset.columns), ("",) * len(dataset.columns)


def shaped(found: Points, dataset: Dataset) -> Points:
    """Return the points divided by their own mean; points with a mean near 0 are left out.

    Raises DataError for columns that are different measurements, because their mean has no meaning.
    """
    if not dataset.profile:
        raise DataError(
            N_(
                "A shape is the course of one measurement over the day; {file} has different measurements in "
                "its columns: compare the level."
            ),
            file=", ".join(dataset.files),
        )
    mean = found.values.mean(axis=1)
    sound = np.abs(mean) > FLAT * np.abs(found.values).max(axis=1)
    kept = found.keep(sound)
    return replace(kept, values=kept.values / mean[sound][:, None])
