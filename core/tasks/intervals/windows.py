"""Periods of the history: what the forecaster is fitted on, what calibrates its intervals, and what is judged."""

from dataclasses import dataclass, replace
from typing import TypeVar

from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.messages import N_
from core.tasks.intervals.spec import JudgingSpec

S = TypeVar("S", bound=JudgingSpec)
MIN_WEEKS = 4  # of history for a horizon of one week
TRAINING_WEEKS = 2  # that are left for the training, where the data have `MIN_WEEKS`; else one and a horizon
HELD_OUT_SHARE, MAX_HELD_OUT = 0.4, 8  # of the history, in horizons, that the forecaster is not fitted on
CALIBRATION_SHARE = 0.4  # of the held-out horizons


@dataclass(frozen=True)
class WindowPlan:
    """Numbers of steps: `fit_end` is the first step after the training, `test_start` the first judged one.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> times = pd.date_range("2024-01-01", periods=4 * 168, freq="h")
        >>> series = RegularSeries(times, ("T1",), np.ones((len(times), 1)), pd.Timedelta(hours=1))
        >>> spec = fill_windows(JudgingSpec(), series)
        >>> spec.horizon, spec.calibration_windows, spec.test_windows
        (168, 1, 1)
        >>> plan_windows(spec, series)
        WindowPlan(fit_end=336, test_start=504, end=672)
    """

    fit_end: int
    test_start: int
    end: int


def choose_horizon(series: RegularSeries) -> int:
    """Return a week where the data cover four weeks, else a day, in steps; an eighth of the data without either."""
    if series.week_steps and len(series) >= MIN_WEEKS * series.week_steps:
        return series.week_steps
    return series.day_steps or max(len(series) // 8, 1)


def fill_windows(spec: S, series: RegularSeries) -> S:
    """Return the spec with a horizon and numbers of windows that suit the length of the history."""
    horizon = spec.horizon or choose_horizon(series)
    is_long = len(series) >= MIN_WEEKS * series.week_steps
    training_steps = TRAINING_WEEKS * series.week_steps if is_long else series.week_steps + horizon
    spare = (len(series) - training_steps) // horizon
    count = max(min(round(HELD_OUT_SHARE * (len(series) // horizon)), spare, MAX_HELD_OUT), 2)
    calibration_windows = spec.calibration_windows or max(round(CALIBRATION_SHARE * count), 1)
    test_windows = spec.test_windows or max(count - calibration_windows, 1)
    calibration_windows = spec.calibration_windows or max(count - test_windows, 1)
    return replace(spec, horizon=horizon, test_windows=test_windows, calibration_windows=calibration_windows)


def plan_windows(spec: JudgingSpec, series: RegularSeries) -> WindowPlan:
    """Return the periods of a spec with its defaults filled.

    Raises DataError where less than one horizon is left for the training.
    """
    assert spec.horizon is not None
    assert spec.test_windows is not None
    assert spec.calibration_windows is not None
    test_start = len(series) - spec.test_windows * spec.horizon
    fit_end = test_start - spec.calibration_windows * spec.horizon
    if fit_end < spec.horizon:
        windows = spec.calibration_windows + spec.test_windows
        raise DataError(
            N_(
                "{count} step is too little for {windows} held-out horizons of {horizon} steps: at least "
                "{needed} are needed. Choose a shorter horizon.",
                "{count} steps are too few for {windows} held-out horizons of {horizon} steps: at least "
                "{needed} are needed. Choose a shorter horizon.",
            ),
            count=len(series),
            windows=windows,
            horizon=spec.horizon,
            needed=(windows + 1) * spec.horizon,
        )
    return WindowPlan(fit_end, test_start, len(series))
