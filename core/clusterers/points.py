"""Points of a clustering: the rows of a dataset, or its entities by their typical profiles."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import DAY, Dataset
from core.data.quality.baseline import GroupMedian
from core.errors import DataError
from core.messages import N_

PointKind = Literal["days", "entities"]
Aspect = Literal["level", "relative", "shape"]

WORKING, SATURDAY, SUNDAY, MONTH = N_("working day"), N_("Saturday"), N_("Sunday"), N_("month")
MIN_MEAN_SHARE = 0.01  # share of the largest value of a point; with a smaller mean it has no shape


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
    profile_parts: tuple[str, ...]
    entity: pd.Categorical
    time: pd.Index | None

    def __len__(self) -> int:
        return len(self.values)

    def select(self, mask: NDArray[np.bool_]) -> "Points":
        """Return the points with True in the mask `mask`, (points,)."""
        if mask.all():
            return self
        return replace(
            self,
            values=self.values[mask],
            entity=self.entity[mask],
            time=None if self.time is None else self.time[mask],
        )


def to_daily_profiles(dataset: Dataset) -> Dataset:
    """Return a series of one measurement with several rows a day as daily profiles, any other dataset unchanged.

    Raises DataError for a timestamp that is no multiple of the step.
    """
    return dataset.to_profile() if has_daily_profiles(dataset) and not dataset.profile else dataset


def has_daily_profiles(dataset: Dataset) -> bool:
    """Tell whether the rows of a dataset are daily profiles, or make up some: one measurement, several times a day."""
    if dataset.profile or not dataset.has_dates or dataset.step is None or len(dataset.columns) != 1:
        return dataset.profile
    return bool(dataset.step < DAY and DAY % dataset.step == pd.Timedelta(0))


def make_points(dataset: Dataset, kind: PointKind) -> Points:
    """Return the points of a dataset without missing values.

    Example:
        >>> index = pd.MultiIndex.from_arrays([pd.Categorical(["a", "a", "b"]), [0, 1, 0]], names=["entity", "time"])
        >>> dataset = Dataset(pd.DataFrame({"load": [1.0, 2.0, 9.0]}, index=index), layout="demo")
        >>> make_points(dataset, "entities").values.ravel().tolist()  # medians
        [1.5, 9.0]
    """
    if kind == "days":
        entity = pd.Categorical.from_codes(dataset.entity_codes, dataset.entities)
        columns = tuple(dataset.columns)
        return Points(dataset.values, columns, ("",) * len(columns), entity, dataset.time)
    entity = pd.Categorical(dataset.entities, categories=dataset.entities)
    values, features, profile_parts = (
        _compute_typical_profiles(dataset) if dataset.profile and dataset.has_dates else _compute_medians(dataset)
    )
    return Points(values, features, profile_parts, entity, None)


def _compute_typical_profiles(dataset: Dataset) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return the typical week and year of every entity (entities, features), the features and their parts.

    The week is the usual working day, Saturday and Sunday; the year is the usual level of each month. Both are means of
    the medians by month and kind of day, so that neither an outlier nor a frequent season dominates. A month without
    data is filled from the other months of the entity.
    """
    medians = GroupMedian("calendar").fit(dataset).median_
    medians = medians.reshape(len(dataset.entities), 12, 3, len(dataset.columns))
    week = medians.mean(axis=1).reshape(len(medians), -1)
    year = (medians.mean(axis=3) * (5 / 7, 1 / 7, 1 / 7)).sum(axis=2)
    column_count = len(dataset.columns)
    features = (*dataset.columns * 3, *(f"{month:02d}" for month in range(1, 13)))
    profile_parts = tuple(part for part in (WORKING, SATURDAY, SUNDAY) for _ in range(column_count)) + (MONTH,) * 12
    return np.concatenate([week, year], axis=1), features, profile_parts


def _compute_medians(dataset: Dataset) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return the median of every column by entity (entities, columns), the features and their parts."""
    return GroupMedian("entity").fit(dataset).median_, tuple(dataset.columns), ("",) * len(dataset.columns)


def divide_by_mean(points: Points, dataset: Dataset) -> Points:
    """Return the points divided by their own mean; points with a mean near 0 are left out.

    Raises DataError for columns that are different measurements, because their mean has no meaning.
    """
    _require_profile(dataset)
    mean = points.values.mean(axis=1)
    has_shape = np.abs(mean) > MIN_MEAN_SHARE * np.abs(points.values).max(axis=1)
    shape_points = points.select(has_shape)
    return replace(shape_points, values=shape_points.values / mean[has_shape][:, None])


def measure_levels(dataset: Dataset) -> dict[str, float]:
    """Return entity → mean of all its values, for complete rows; entities whose mean is near 0 are left out.

    Raises DataError for columns that are different measurements, because their mean has no meaning.

    Example:
        >>> from core.data.samples import load_sample
        >>> gas = load_sample("gas_daily")
        >>> levels = measure_levels(gas.take_rows(gas.is_complete))
        >>> max(levels, key=levels.get)
        'North Gas · Plain'
    """
    _require_profile(dataset)
    means = pd.DataFrame({"level": dataset.values.mean(axis=1), "size": np.abs(dataset.values).mean(axis=1)})
    by_entity = means.groupby(dataset.entity_codes).mean()
    levels = by_entity["level"][by_entity["level"].abs() > MIN_MEAN_SHARE * by_entity["size"]]
    return {str(dataset.entities[code]): float(level) for code, level in levels.items()}


def divide_by_levels(points: Points, levels: Mapping[str, float]) -> Points:
    """Return the points divided by the level of their entity; those of an entity without a level are left out."""
    by_code = np.array([levels.get(str(name), np.nan) for name in points.entity.categories])
    level = by_code[points.entity.codes]
    has_level = np.isfinite(level)
    level_points = points.select(has_level)
    return replace(level_points, values=level_points.values / level[has_level][:, None])


def _require_profile(dataset: Dataset) -> None:
    if not dataset.profile:
        raise DataError(
            N_(
                "The shape needs one measurement per column of the day. The columns of {file} "
                "are different measurements. Compare the level instead."
            ),
            file=", ".join(dataset.files),
        )
