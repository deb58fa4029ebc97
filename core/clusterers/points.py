"""What is clustered: the days (rows) of a dataset, or its entities, each by its typical profile."""

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
FLAT = 0.01  # of a row's largest value: means below it say nothing of its shape


@dataclass(frozen=True)
class Points:
    """One point a row of `values`, (points, features), in the dataset's unit.

    panels     for every feature the part of the profile it belongs to, "" where there is only one
    entity     of every point; `time` likewise, None where a point is an entity
    """

    values: Floats
    features: tuple[str, ...]
    panels: tuple[str, ...]
    entity: pd.Categorical
    time: pd.Index | None

    def __len__(self) -> int:
        return len(self.values)

    def keep(self, which: NDArray[np.bool_]) -> "Points":
        """Return the points of which `which` is True."""
        if which.all():
            return self
        return replace(
            self,
            values=self.values[which],
            entity=self.entity[which],
            time=None if self.time is None else self.time[which],
        )


def daily(dataset: Dataset) -> Dataset:
    """A series of one measurement with several moments a day as daily profiles; any other dataset as it is.

    Raises DataError where a moment does not sit on the step.
    """
    several = (
        dataset.dated and dataset.step is not None and dataset.step < DAY and DAY % dataset.step == pd.Timedelta(0)
    )
    return dataset.to_profile() if several and not dataset.profile and len(dataset.columns) == 1 else dataset


def points(dataset: Dataset, of: Of) -> Points:
    """The points of a dataset without missing values."""
    if of == "days":
        entity = pd.Categorical.from_codes(dataset.entity_codes, dataset.entities)
        columns = tuple(dataset.columns)
        return Points(dataset.values, columns, ("",) * len(columns), entity, dataset.time)
    entity = pd.Categorical(dataset.entities, categories=dataset.entities)
    values, features, panels = _typical(dataset) if dataset.profile and dataset.dated else _median(dataset)
    return Points(values, features, panels, entity, None)


def _typical(dataset: Dataset) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return an entity's typical week and year.

    They are the usual working day, Saturday and Sunday, then the usual level of each month. Both are means of the
    medians of month × kind of day, so that neither an absurd value nor a season seen more often than the others
    weighs in; a month never seen is filled from the entity's other months.
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
    """An entity's median of every column."""
    return Expectation("entity").fit(dataset).median_, tuple(dataset.columns), ("",) * len(dataset.columns)


def shaped(found: Points, dataset: Dataset) -> Points:
    """Points divided by their own mean; those whose mean is next to nothing are left out.

    Raises DataError where the columns are different measurements, so that their mean means nothing.
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
