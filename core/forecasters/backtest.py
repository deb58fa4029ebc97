"""Rolling-origin backtest: every day of a test period is forecast from what was known some days before."""

import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates import Drivers
from core.data.panel import STALE, Panel
from core.errors import DataError
from core.evaluation.intervals import USUAL, Calibration, Errors
from core.forecasters.base import Forecaster
from core.forecasters.features import same_weekday
from core.forecasters.known import Known, Weather, shifted, usable_columns
from core.forecasters.shape import spread_over_day
from core.messages import N_
from core.progress import Progress

Floats = NDArray[np.float64]

LEAST_HISTORY = 120  # days of training before the first forecast
YEAR, WEEK = 365, 7


@dataclass(frozen=True)
class Backtest:
    """Forecasts of a test period by a forecaster that is fitted once, on the days before.

    A forecast `step` days ahead exists only if its origin lies in the period, because the days before were training
    data.

    series        all days
    test_start    index of the first test day in `series`
    errors_start  index of the first day of `errors` in `series`
    errors        of the period, and of up to a year before it, which calibrates the first intervals
    naive         "naive1": the last known day, "naive7": the last known day of the same weekday; shape as the
                  forecasts of `errors`
    weekly_error  mean absolute error of the weekly naive forecast before the period, (entities, slots)
    forecaster    the tested forecaster; None for a backtest rebuilt from its errors
    covariates    as known to the forecaster; None like `forecaster`
    """

    series: Panel
    first: int
    start: int
    errors: Errors
    naive: dict[str, Floats]
    weekly_error: Floats
    forecaster: Forecaster | None = None
    known: Known | None = None

    @property
    def horizon(self) -> int:
        """Largest number of days ahead."""
        return len(self.errors.forecast)

    @property
    def days(self) -> pd.DatetimeIndex:
        """Days of the test period."""
        return self.series.days[self.first :]

    def actual(self) -> Floats:
        """Return the measured values, (days, entities, slots)."""
        return self.series.values[self.first :]

    def forecast(self, step: int) -> Floats:
        """Return the forecasts `step` days ahead, (days, entities, slots); NaN for the first `step` − 1 days."""
        return self.errors.forecast[step - 1, self.first - self.start :]

    def bands(self, step: int, quantiles: Floats) -> Floats:
        """Return the quantiles of the forecasts `step` days ahead, (days, entities, slots, quantiles).

        Each day uses only the errors known `step` days before.
        """
        return self.errors.rolling(step, quantiles, self.first - self.start)

    def naive_forecast(self, which: str, step: int) -> Floats:
        """Return the naive forecast `which`, made `step` days ahead, (days, entities, slots)."""
        return self.naive[which][step - 1, self.first - self.start :]


def backtest(
    forecaster: Forecaster,
    series: Panel,
    drivers: Drivers,
    *,
    start: pd.Timestamp,
    horizon: int,
    weather: Weather = "as given",
    calibration: Calibration = USUAL,
    progress: Progress | None = None,
) -> Backtest:
    """Forecast every day from `start_date` on, 1 to `horizon` days ahead.

    The `forecaster` is fitted on the days before `start_date`. The year before is forecast by a second model, fitted on
    the days before that year; its errors calibrate the first intervals. Raises DataError for too few days before or
    after `start_date`.
    """
    first = int(series.days.searchsorted(start))
    before = first - _calibration_days(first)
    if before < LEAST_HISTORY or len(series) - first < horizon:
        raise DataError(
            N_(
                "A back-test from {start} needs {least} days before it and {horizon} from it on; the data "
                "reach from {first} to {last}."
            ),
            start=str(start)[:10],
            least=2 * LEAST_HISTORY,
            horizon=horizon,
            first=str(series.days[0])[:10],
            last=str(series.days[-1])[:10],
        )
    count = len(series) - before
    forecast = np.full((horizon, count, len(series.entities), len(series.slots)), np.nan)
    columns = usable_columns(series.until(series.days[before]), drivers, weather)
    known = Known.of(series, drivers, columns, weather, horizon)
    for number, (begin, end) in enumerate(((before, first), (first, len(series)))):
        own, past = copy.deepcopy(forecaster), series.until(series.days[begin])
        own.fit(
            past,
            Known.of(past, drivers, columns, weather, horizon),
            horizon,
            None if progress is None else progress.part(number, 2),
        )
        for step in range(1, horizon + 1):
            days = slice(begin + step - 1, end)
            amounts = own.predict(series, known, step, days.start)
            moments = spread_over_day(amounts, series, step, days.start)
            forecast[step - 1, days.start - before : end - before] = moments[: max(end - days.start, 0)]
    errors = Errors(forecast, series.values[before:], calibration)
    naive = naive_forecasts(series, before, horizon)
    return Backtest(series, first, before, errors, naive, weekly_error(series, first), own, known)


def _calibration_days(days: int) -> int:
    """Return the days before the test period that are forecast too: a year, or half of a shorter history."""
    return min(YEAR, days // 2)


def naive_forecasts(series: Panel, before: int, horizon: int) -> dict[str, Floats]:
    """Return the naive forecasts of the days from index `first_day` on, by name, (steps, days, entities, slots).

    "naive1" is the last known day, "naive7" the last known day of the same weekday. Missing values are filled from up
    to 14 days before.

    Example:
        >>> series = Panel(pd.date_range("2024-01-01", periods=9), ("Lyon",), ("day",), np.arange(9.0)[:, None, None])
        >>> naive = naive_forecasts(series, 7, 2)
        >>> naive["naive1"][1].ravel().tolist(), naive["naive7"][1].ravel().tolist()  # horizon 2
        ([5.0, 6.0], [0.0, 1.0])
    """
    count = len(series)
    flat = series.values.reshape(count, -1)
    recent = pd.DataFrame(flat).ffill(limit=STALE).to_numpy().reshape(series.values.shape)
    steps = range(1, horizon + 1)
    return {
        "naive1": np.stack([shifted(recent, step)[before:] for step in steps]),
        "naive7": np.stack([shifted(recent, same_weekday(step))[before:] for step in steps]),
    }


def weekly_error(series: Panel, first: int) -> Floats:
    """Return the mean absolute error of the weekly naive forecast before the test period, (entities, slots).

    It is the scale of MASE.

    Example:
        >>> series = Panel(pd.date_range("2024-01-01", periods=9), ("Lyon",), ("day",), np.arange(9.0)[:, None, None])
        >>> weekly_error(series, 9).tolist()
        [[7.0]]
    """
    past = series.values[:first]
    change = pd.DataFrame(np.abs(past[WEEK:] - past[:-WEEK]).reshape(len(past) - WEEK, -1))
    return change.mean().to_numpy().reshape(past.shape[1:])
