"""Profile of the day: deviations of the times of a day from its mean, and their usual values on recent days."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.features.features import find_weekday_lag
from core.forecasters.panels.covariate_panel import shift_periods

PROFILE_WEEKS = 4
WEEK_DAYS = 7


@dataclass(frozen=True)
class DeviationUnit:
    """Unit in which the times of a day deviate from the mean of the day.

    It is the mean itself where values are never negative. Otherwise a mean near 0 would blow up every deviation, so
    the unit is the usual size of the values.

    is_relative  True where the unit is the mean of the day, (entities,)
    usual_size   mean absolute value, (entities,)

    Example:
        >>> import pandas as pd
        >>> values = np.array([[[30.0, 10.0], [-1.0, 3.0]]])  # one day, two entities, two slots
        >>> series = Panel(pd.date_range("2024-01-01", periods=1), ("load", "price"), ("00:00", "12:00"), values)
        >>> unit = DeviationUnit.from_series(series)
        >>> unit.is_relative.tolist(), unit.compute_deviations(series)[0].tolist()
        ([True, False], [[0.5, -0.5], [-1.0, 1.0]])
    """

    is_relative: NDArray[np.bool_]
    usual_size: Floats

    @classmethod
    def from_series(cls, series: Panel) -> Self:
        """Return the unit for the values of `series`; missing values do not count."""
        is_known = np.isfinite(series.values)
        size = np.where(is_known, np.abs(series.values), 0).sum(axis=(0, 2))
        usual_size = size / np.maximum(is_known.sum(axis=(0, 2)), 1)
        return cls(np.asarray(~(series.values < 0).any(axis=(0, 2))), np.where(usual_size > 0, usual_size, 1.0))

    def select(self, entities: slice) -> "DeviationUnit":
        """Return the unit of some entities."""
        return DeviationUnit(self.is_relative[entities], self.usual_size[entities])

    def measure(self, means: Floats) -> Floats:
        """Return the unit for days with the given `means`, both (days, entities)."""
        return np.where(self.is_relative, means, self.usual_size)

    def compute_deviations(self, series: Panel) -> Floats:
        """Return the deviations of every slot, (days, entities, slots); NaN for incomplete days and a unit of 0."""
        means = series.values.mean(axis=2)
        unit = self.measure(means)
        deviations: Floats = (series.values - means[:, :, None]) / np.where(unit == 0, np.nan, unit)[:, :, None]
        return deviations

    def apply_deviations(self, means: Floats, deviations: Floats) -> Floats:
        """Return the values of days with the given `means` and `deviations`, (days, entities, slots).

        Where values are never negative, a share below 0 becomes 0, and the others shrink so that the mean holds.
        """
        shares = np.maximum(1 + deviations, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = shares / shares.mean(axis=2, keepdims=True)
        relative_values = means[:, :, None] * shares
        other_values = means[:, :, None] + self.usual_size[:, None] * deviations
        return np.where(self.is_relative[:, None], relative_values, other_values)


def compute_slot_means(amounts: Floats, series: Panel) -> Floats:
    """Return the mean of the slots of days with the given `amounts`, shape unchanged."""
    return amounts if series.is_averaged else amounts / len(series.slots)


def compute_usual_deviations(deviations: Floats, step: int, is_empty: NDArray[np.bool_] | None = None) -> Floats:
    """Return the usual deviations of every day, as known `step` days before it, (days, entities, slots).

    They are the mean of the known ones among the last four days of the same weekday. Without any, they are the mean of
    the last known week; then 0 (all slots alike) if these weeks have days without consumption, and NaN if not.
    `is_empty` marks such days, (days, entities).

    Example:
        >>> deviations = np.tile([0.5, -0.5], (9, 1, 1))  # nine days, one entity, two slots
        >>> deviations[0] = 0.1, -0.1
        >>> compute_usual_deviations(deviations, 1)[[0, 1, 7, 8], 0, 0].tolist()
        [nan, 0.1, 0.1, 0.5]
    """
    weekday_lags = [find_weekday_lag(step) + WEEK_DAYS * week for week in range(PROFILE_WEEKS)]
    last_lags = [step + day for day in range(WEEK_DAYS)]
    usual, last_week = (_compute_known_mean(deviations, lags) for lags in (weekday_lags, last_lags))
    usual = np.where(np.isfinite(usual), usual, last_week)
    if is_empty is None:
        return usual
    flat = _compute_known_mean(np.where(is_empty, 0.0, np.nan), [*weekday_lags, *last_lags])
    return np.where(np.isfinite(usual), usual, flat[:, :, None])


def _compute_known_mean(values: Floats, lags: list[int]) -> Floats:
    """Return the mean of the known `values` some days before, shape unchanged; NaN where none is known."""
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for lag in lags:
        past_values = shift_periods(values, lag)
        is_known = np.isfinite(past_values)
        total += np.where(is_known, past_values, 0)
        count += is_known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
