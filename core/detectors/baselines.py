"""Baselines: the normal values that a row is compared with.

Each baseline is fitted on one dataset. It turns the rows of any dataset into features for a detector, into expected
values, and into the deviations that explain a row.
"""

from typing import Self

import numpy as np
import pandas as pd
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import CACHE_BLOCK_ROWS, Dataset
from core.data.nameless import code_fitted_entities
from core.data.quality.baseline import GroupMedian
from core.detectors.baseline import BAND_HALF_WIDTH, MIN_LEVEL_SPREAD_SHARE, Baseline, RowLevels, apply_spread_floor
from core.detectors.day_features import MIN_PATTERN_SPREADS, ORDINARY_PATTERNS, measure_patterns
from core.messages import N_

MIN_SHAPE_SPREAD_SHARE = 0.01  # share of the row's level: smaller spreads are rounding
MIN_LEVEL_SHARE = 0.05  # share of the entity's typical level: smallest unit of a row's shape


class GlobalBaseline(Baseline):
    """Baseline of all rows together; the features are the raw measurements.

    Large entities in their highest season get the highest scores.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> frame = pd.DataFrame({"load": [9.0, 10.0, 11.0, 99.0, 100.0, 101.0]},
        ...                      index=make_index(["a"] * 3 + ["b"] * 3, list(range(3)) * 2))
        >>> dataset = Dataset(frame, layout="demo")
        >>> GlobalBaseline().fit(dataset).predict_values(dataset)[0].ravel().tolist()  # one median for both entities
        [55.0, 55.0, 55.0, 55.0, 55.0, 55.0]
    """

    name = "everything"
    label = N_("All rows together")
    help = N_("Raw values of all entities together. Large entities stand out by their size alone.")

    @override
    def fit(self, dataset: Dataset) -> Self:
        pooled_rows = dataset.replace(frame=dataset.frame.set_axis(_build_single_entity_index(dataset), axis=0))
        self.group_median_ = GroupMedian("entity").fit(pooled_rows)
        return self

    @override
    def compute_features(self, dataset: Dataset) -> Floats:
        return dataset.values

    @override
    def predict_values(self, dataset: Dataset) -> tuple[Floats, Floats]:
        group = np.zeros(len(dataset), dtype=np.intp)
        return self._widen_spread(self.group_median_.median_[group], self.group_median_.spread_[group])


def _build_single_entity_index(dataset: Dataset) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([np.repeat("", len(dataset)), dataset.time], names=["entity", "time"])


class EntityBaseline(Baseline):
    """Baseline of each entity: deviations from the entity's median, in the entity's spreads.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> frame = pd.DataFrame({"load": [9.0, 10.0, 11.0, 99.0, 100.0, 101.0]},
        ...                      index=make_index(["a"] * 3 + ["b"] * 3, list(range(3)) * 2))
        >>> dataset = Dataset(frame, layout="demo")
        >>> baseline = EntityBaseline().fit(dataset)
        >>> baseline.predict_values(dataset)[0].ravel().tolist()
        [10.0, 10.0, 10.0, 100.0, 100.0, 100.0]
        >>> baseline.compute_features(dataset).round(2).ravel().tolist()
        [-0.67, 0.0, 0.67, -0.5, 0.0, 0.5]
    """

    name = "entity"
    label = N_("Same entity")
    help = N_("Deviation from the entity's median, in units of its spread. The high season still stands out.")

    @override
    def fit(self, dataset: Dataset) -> Self:
        self.group_median_ = GroupMedian("entity").fit(dataset)
        return self

    @override
    def compute_features(self, dataset: Dataset) -> Floats:
        return self.compute_deviations(dataset).to_numpy()

    @override
    def predict_values(self, dataset: Dataset) -> tuple[Floats, Floats]:
        return self._widen_spread(*self.group_median_.predict(dataset))


class CalendarBaseline(Baseline):
    """Baseline of each entity by month and kind of day (working day, Saturday, Sunday).

    A daily profile is split into its level (median of the row) and its shape (rest of the row, divided by the level).
    The detector gets five features:

    - the deviation of the level
    - the largest deviation of the shape
    - the largest deviation of the roughness (distance of each hour to the mean of its neighbours)
    - the largest roughness
    - the deviation of the largest roughness from that of the entity

    Twenty-four hourly features hide a single wrong hour: a forest on them found 0 of 26 injected faults, a forest on
    these five found all.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> days = pd.date_range("2024-03-01", periods=31)  # begins on a Friday
        >>> load = [10.0 if day < 5 else 4.0 for day in days.dayofweek]
        >>> load[4] = 4.0  # a Tuesday that looks like a Sunday
        >>> frame = pd.DataFrame({"load": load}, index=make_index(["a"] * 31, days))
        >>> dataset = Dataset(frame, layout="demo", step=pd.Timedelta(days=1))
        >>> baseline = CalendarBaseline().fit(dataset)
        >>> baseline.predict_values(dataset)[0][:5].ravel().tolist()
        [10.0, 4.0, 4.0, 10.0, 10.0]
        >>> baseline.compute_deviations(dataset)["load"].round(1).tolist()[:5]  # in spreads of at least 2 %
        [0.0, 0.0, 0.0, 0.0, -30.0]
    """

    name = "calendar"
    label = N_("Same entity and kind of day")
    help = N_(
        "Deviation from the entity's usual day of the same month and kind of day (working day, Saturday, Sunday)."
    )
    needs_dates = True

    @override
    def fit(self, dataset: Dataset) -> Self:
        self.profile_ = dataset.profile
        if not dataset.profile:
            self.group_median_ = GroupMedian().fit(dataset)
            return self
        level = dataset.row_median
        self.typical_level_ = pd.Series(np.abs(level)).groupby(dataset.entity_codes).median().to_numpy()
        self.entities_ = dataset.entities
        self.level_median_ = GroupMedian().fit(dataset, level[:, None])
        scale = self._compute_shape_scale(dataset, level)
        shape, roughness = np.empty_like(dataset.values), np.empty_like(dataset.values)
        for rows, block in dataset.iter_blocks(CACHE_BLOCK_ROWS):
            shape[rows] = (block - level[rows, None]) / scale[rows]
            roughness[rows] = _compute_roughness(block) / scale[rows]
        self.shape_median_ = GroupMedian().fit(dataset, shape)
        self.roughness_median_ = GroupMedian().fit(dataset, roughness)
        self.max_roughness_median_ = GroupMedian("entity").fit(dataset, roughness.max(axis=1)[:, None])
        return self

    @override
    def compute_features(self, dataset: Dataset) -> Floats:
        if not self.profile_:
            return self.compute_deviations(dataset).to_numpy()
        level = dataset.row_median
        scale, group = self._compute_shape_scale(dataset, level), self.shape_median_.assign_groups(dataset)
        features = np.empty((len(dataset), 5))
        features[:, 0] = np.abs(self._compute_level_deviation(dataset, level))
        for rows, block in dataset.iter_blocks(CACHE_BLOCK_ROWS):
            row_group, roughness = group[rows], _compute_roughness(block) / scale[rows]
            shape = (block - level[rows, None]) / scale[rows]
            shape_deviation = _standardise(
                shape,
                self.shape_median_.median_[row_group],
                self.shape_median_.spread_[row_group],
                MIN_SHAPE_SPREAD_SHARE,
            )
            roughness_deviation = _standardise(
                roughness,
                self.roughness_median_.median_[row_group],
                self.roughness_median_.spread_[row_group],
                MIN_SHAPE_SPREAD_SHARE,
            )
            features[rows, 1] = np.abs(shape_deviation).max(axis=1)
            features[rows, 2] = roughness_deviation.clip(min=0).max(axis=1)
            features[rows, 3] = roughness.max(axis=1)
        features[:, 4] = _standardise(
            features[:, [3]], *self.max_roughness_median_.predict(dataset), MIN_SHAPE_SPREAD_SHARE
        )[:, 0]
        return features

    @override
    def predict_values(self, dataset: Dataset) -> tuple[Floats, Floats]:
        if not self.profile_:
            return self._widen_spread(*self.group_median_.predict(dataset))
        level, level_spread = self.level_median_.predict(dataset)
        shape, shape_spread = self.shape_median_.predict(dataset)
        scale = self._compute_shape_scale(dataset, level[:, 0])
        center = level + shape * scale
        spread = np.hypot((1 + shape) * level_spread, shape_spread * scale)
        return center, apply_spread_floor(spread, center, MIN_SHAPE_SPREAD_SHARE * scale)

    @override
    def predict_levels(self, dataset: Dataset) -> RowLevels | None:
        if not self.profile_:
            return None
        level = dataset.row_median
        expected_level, spread = self.level_median_.predict(dataset)
        shape, _ = self.shape_median_.predict(dataset)
        scale, expected_scale = (
            self._compute_shape_scale(dataset, row_level) for row_level in (level, expected_level[:, 0])
        )
        return RowLevels(
            level,
            expected_level[:, 0],
            apply_spread_floor(spread, expected_level, 0.0)[:, 0],
            level[:, None] - expected_level + shape * (scale - expected_scale),
        )

    @override
    def predict_jumps(self, dataset: Dataset) -> tuple[Floats, Floats] | None:
        if not self.profile_:
            return None
        median, spread = self.roughness_median_.predict(dataset)
        largest = median + BAND_HALF_WIDTH * np.maximum(spread, MIN_SHAPE_SPREAD_SHARE)
        return _compute_roughness(dataset.values), largest * self._compute_shape_scale(dataset, dataset.row_median)

    def _compute_level_deviation(self, dataset: Dataset, level: Floats) -> Floats:
        """Return the signed deviation of the level of every row, in spreads, (rows,)."""
        expected_level, spread = self.level_median_.predict(dataset)
        floor = np.maximum(spread, MIN_LEVEL_SPREAD_SHARE * np.abs(expected_level)).clip(min=np.finfo(float).tiny)
        deviation: Floats = ((level[:, None] - expected_level) / floor)[:, 0]
        return deviation

    def _compute_shape_scale(self, dataset: Dataset, level: Floats) -> Floats:
        """Return the unit of the shape of every row, (rows, 1)."""
        return np.maximum(np.abs(level), MIN_LEVEL_SHARE * self._find_typical_level(dataset)).clip(min=1e-12)[:, None]

    def _find_typical_level(self, dataset: Dataset) -> Floats:
        """Return the typical level of the entity of every row, (rows,)."""
        codes = code_fitted_entities(dataset, self.entities_).clip(min=0)
        level: Floats = self.typical_level_[codes][dataset.entity_codes]
        return level


class DayBaseline(CalendarBaseline):
    """Calendar baseline that also sees days where every single value is plausible.

    The detector gets two more features of a daily profile, both as deviations upwards from the days of the entity:

    - the longest run of equal neighbouring values, from three values on
    - the gain of a shift: the share of the distance to the expected shape that a move by up to 3 hours removes

    Of 20 flat stretches and 20 shifted days, planted in days of electricity, the five features of the calendar baseline
    show 9 and 2 (docs/results/anomalies-rows.md). Other rows get the features of the calendar baseline.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_clock_labels, make_index
        >>> days = np.sin(np.arange(24) / 4) + np.random.default_rng(0).normal(10, 0.01, (60, 24))
        >>> days[40, 3:9] = days[40, 3]
        >>> days[50] = np.roll(days[50], 2)
        >>> index = make_index(["a"] * 60, pd.date_range("2024-03-01", periods=60))
        >>> frame = pd.DataFrame(days, index=index, columns=make_clock_labels(24))
        >>> dataset = Dataset(frame, layout="demo", profile=True, step=pd.Timedelta(hours=1))
        >>> features = DayBaseline().fit(dataset).compute_features(dataset)
        >>> features.shape, features[:, 5:].argmax(axis=0).tolist()
        ((60, 7), [40, 50])
    """

    name = "day"
    label = N_("Same entity and kind of day, repeats and shifts")
    help = N_(
        "Deviation from the entity's usual day of the same month and kind of day, and in addition hours that repeat "
        "one value or lie too early or too late. Only for daily profiles."
    )
    needs_profile = True

    @override
    def fit(self, dataset: Dataset) -> Self:
        self._fit_patterns(dataset)
        return self

    @override
    def compute_features(self, dataset: Dataset) -> Floats:
        features = super().compute_features(dataset)
        if not self.profile_:
            return features
        return np.hstack([features, self._compare_patterns(dataset, self._measure_patterns(dataset))])

    @override
    def fit_features(self, dataset: Dataset) -> Floats:
        patterns = self._fit_patterns(dataset)
        features = super().compute_features(dataset)
        return features if patterns is None else np.hstack([features, self._compare_patterns(dataset, patterns)])

    @override
    def group_features(self, features: Floats) -> list[Floats]:
        return [features[:, :-2], features[:, -2:]] if self.profile_ else [features]

    @override
    def predict_patterns(self, dataset: Dataset) -> tuple[Floats, Floats] | None:
        if not self.profile_:
            return None
        median, spread = self.pattern_median_.predict(dataset)
        usual = np.maximum(median, ORDINARY_PATTERNS)
        return self._measure_patterns(dataset), usual + BAND_HALF_WIDTH * np.maximum(spread, MIN_PATTERN_SPREADS)

    def _fit_patterns(self, dataset: Dataset) -> Floats | None:
        """Fit the baseline and return the patterns of the rows, (rows, 2); None for rows that are no days."""
        super().fit(dataset)
        if not self.profile_:
            return None
        patterns = self._measure_patterns(dataset)
        self.pattern_median_ = GroupMedian("entity").fit(dataset, patterns)
        return patterns

    def _compare_patterns(self, dataset: Dataset, patterns: Floats) -> Floats:
        """Return the deviations of patterns upwards from those of the entities, in spreads, (rows, 2)."""
        median, spread = self.pattern_median_.predict(dataset)
        deviations = (patterns - np.maximum(median, ORDINARY_PATTERNS)) / np.maximum(spread, MIN_PATTERN_SPREADS)
        return deviations.clip(min=0)

    def _measure_patterns(self, dataset: Dataset) -> Floats:
        """Return the longest run of equal values and the gain of a shift of every day, (rows, 2)."""
        level = dataset.row_median
        scale, group = self._compute_shape_scale(dataset, level), self.shape_median_.assign_groups(dataset)
        patterns = np.empty((len(dataset), 2))
        for rows, block in dataset.iter_blocks(CACHE_BLOCK_ROWS):
            shape, expected = (block - level[rows, None]) / scale[rows], self.shape_median_.median_[group[rows]]
            patterns[rows] = measure_patterns(block, shape, expected, scale[rows])
        return patterns


class ShapeBaseline(Baseline):
    """Baseline of the shape: each row is divided by its own mean, so its size does not count.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> frame = pd.DataFrame([[1.0, 3.0], [10.0, 30.0], [3.0, 1.0]], columns=["00:00", "12:00"],
        ...                      index=make_index(["a", "b", "a"], [0, 0, 1]))
        >>> dataset = Dataset(frame, layout="demo", profile=True)
        >>> ShapeBaseline().fit(dataset).compute_features(dataset).tolist()  # the first two rows have the same shape
        [[0.5, 1.5], [0.5, 1.5], [1.5, 0.5]]
    """

    name = "shape"
    label = N_("Shape of the day")
    help = N_("Each row is divided by its mean. The shape of the day counts, not its size.")

    @override
    def fit(self, dataset: Dataset) -> Self:
        shape = dataset.replace(frame=dataset.frame.set_axis(_build_single_entity_index(dataset), axis=0))
        self.group_median_ = GroupMedian("entity").fit(shape, self.compute_features(dataset))
        return self

    @override
    def compute_features(self, dataset: Dataset) -> Floats:
        return dataset.values / self._compute_row_mean(dataset)

    @override
    def predict_values(self, dataset: Dataset) -> tuple[Floats, Floats]:
        mean = self._compute_row_mean(dataset)
        center, spread = self.group_median_.median_[[0]] * mean, self.group_median_.spread_[[0]] * np.abs(mean)
        return center, apply_spread_floor(spread, center, 0.0)  # other rows give no bound: it grows with the row's mean

    def _compute_row_mean(self, dataset: Dataset) -> Floats:
        mean = dataset.values.mean(axis=1, keepdims=True)
        return np.where(np.abs(mean) < 1e-12, 1.0, mean)


BASELINE_CLASSES: dict[str, type[Baseline]] = {
    baseline.name: baseline
    for baseline in (CalendarBaseline, DayBaseline, EntityBaseline, ShapeBaseline, GlobalBaseline)
}


def _standardise(values: Floats, center: Floats, spread: Floats, floor: float) -> Floats:
    result: Floats = (values - center) / np.maximum(spread, floor)
    return result


def _compute_roughness(values: Floats) -> Floats:
    """Return the distance of each column to the mean of its neighbours, shape of `values`; 0 at both ends."""
    roughness = np.zeros_like(values)
    roughness[:, 1:-1] = np.abs(values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2)
    return roughness
