"""Test of covariates at the times of the day: are they measurably better than their values of the day?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.array_types import Floats

MIN_GAIN = 0.01  # smallest gain that counts, as a share of the error
MIN_STANDARD_ERRORS = 1.65  # of the gain from week to week, by which it has to be above 0: chance 5 % without a gain
WEEK_DAYS = 7


@dataclass(frozen=True)
class TimesTest:
    """Errors on the last days of the training data with covariates at the times of the day, and with those of the day.

    names        covariates that are known at the times of the day
    days         tested days
    day_error    absolute error with the values of the day, as a share of the amounts
    times_error  the same with the values at the times of the day
    is_gain      True if these are measurably better
    """

    names: tuple[str, ...]
    days: int
    day_error: float
    times_error: float
    is_gain: bool

    @classmethod
    def from_losses(cls, names: Sequence[str], day_losses: Floats, times_losses: Floats, total: float) -> "TimesTest":
        """Return the test for absolute errors of every day, (days,); `total` is the sum of the amounts."""
        total = total or 1.0
        errors = (float(day_losses.sum()) / total, float(times_losses.sum()) / total)
        return cls(tuple(names), len(day_losses), *errors, has_gain(day_losses, times_losses))


def has_gain(losses: Floats, new_losses: Floats) -> bool:
    """Tell whether losses of days (days,) became smaller by more than chance.

    Example:
        >>> usual = np.tile([1.0, 3.0], 14)
        >>> has_gain(usual, 0.9 * usual), has_gain(usual, usual[::-1]), has_gain(usual, usual)
        (True, False, False)
    """
    gains = losses - new_losses
    weekly = np.array([week.mean() for week in np.array_split(gains, max(len(gains) // WEEK_DAYS, 2))])
    noise = float(weekly.std(ddof=1)) / len(weekly) ** 0.5
    is_large = float(gains.sum()) > MIN_GAIN * float(losses.sum())
    return is_large and float(weekly.mean()) > MIN_STANDARD_ERRORS * noise
