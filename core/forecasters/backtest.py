"""Rolling-origin backtest: every day of a test period is forecast from what was known some days before."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.dataset import DAY
from core.data.panel import STALE_DAYS, Panel
from core.errors import DataError
from core.evaluation.conformal import DEFAULT_CONFIG, ConformalConfig, ResidualHistory
from core.forecasters.base import Forecaster
from core.forecasters.covariate_panel import CovariatePanel, WeatherMode, select_covariates, shift_days
from core.forecasters.day_shape import DayShape
from core.forecasters.features import find_weekday_lag
from core.messages import N_
from core.progress import Progress

MIN_HISTORY_DAYS = 120  # days of training before the first forecast
YEAR_DAYS, WEEK_DAYS = 365, 7


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
    test_start: int
    errors_start: int
    errors: ResidualHistory
    naive: dict[str, Floats]
    weekly_error: Floats
    forecaster: Forecaster | None = None
    covariates: CovariatePanel | None = None

    @property
    def horizon(self) -> int:
        """Largest number of days ahead."""
        return len(self.errors.forecast)

    @property
    def periods(self) -> pd.DatetimeIndex:
        """Periods of the test."""
        return self.series.periods[self.test_start :]

    def get_actual(self) -> Floats:
        """Return the measured values, (days, entities, slots)."""
        return self.series.values[self.test_start :]

    def get_forecast(self, step: int) -> Floats:
        """Return the forecasts `step` days ahead, (days, entities, slots); NaN for the first `step` − 1 days."""
        return self.errors.forecast[step - 1, self.test_start - self.errors_start :]

    def compute_quantiles(self, step: int, quantiles: Floats) -> Floats:
        """Return the quantiles of the forecasts `step` days ahead, (days, entities, slots, quantiles).

        Each day uses only the errors known `step` days before.
        """
        return self.errors.compute_rolling_quantiles(step, quantiles, self.test_start - self.errors_start)

    def get_naive_forecast(self, name: str, step: int) -> Floats:
        """Return the naive forecast `name`, made `step` days ahead, (days, entities, slots)."""
        return self.naive[name][step - 1, self.test_start - self.errors_start :]


def run_backtest(
    forecaster: Forecaster,
    series: Panel,
    covariates: Covariates,
    *,
    start_date: pd.Timestamp,
    horizon: int,
    weather: WeatherMode = "original",
    calibration: ConformalConfig = DEFAULT_CONFIG,
    progress: Progress | None = None,
) -> Backtest:
    """Forecast every day from `start_date` on, 1 to `horizon` days ahead.

    The `forecaster` is fitted on the days before `start_date`. The year before is forecast by a second model, fitted on
    the days before that year; its errors calibrate the first intervals. Raises DataError for too few days before or
    after `start_date`.
    """
    test_start = int(series.periods.searchsorted(start_date))
    errors_start = test_start - _count_calibration_days(test_start)
    if errors_start < MIN_HISTORY_DAYS or len(series) - test_start < horizon:
        raise DataError(
            N_(
                "A backtest from {start} needs at least {least} days before this date and "
                "{horizon} days from it on. The data range from {first} to {last}."
            ),
            start=str(start_date)[:10],
            least=2 * MIN_HISTORY_DAYS,
            horizon=horizon,
            first=str(series.periods[0])[:10],
            last=str(series.periods[-1])[:10],
        )
    day_count = len(series) - errors_start
    forecast = np.full((horizon, day_count, len(series.entities), len(series.slots)), np.nan)
    columns = select_covariates(series.select_before(series.periods[errors_start]), covariates, weather).names
    covariate_panel = CovariatePanel.from_covariates(series, covariates, columns, weather, horizon)
    fold_forecaster = forecaster
    for fold, (begin, end) in enumerate(((errors_start, test_start), (test_start, len(series)))):
        fold_forecaster, train_series = fold_forecaster.renew(), series.select_before(series.periods[begin])
        train_covariates = CovariatePanel.from_covariates(train_series, covariates, columns, weather, horizon)
        fold_forecaster.fit(
            train_series, train_covariates, horizon, None if progress is None else progress.create_part(fold, 2)
        )
        day_shape = DayShape().fit(train_series, train_covariates, horizon)
        fold_series = series.select_before(series.periods[end - 1] + DAY)
        fold_amounts = fold_forecaster.predict_steps(series, covariate_panel, horizon, begin, end)
        for step in range(1, min(horizon, end - begin) + 1):
            first_day = begin + step - 1
            amounts = fold_amounts[step - 1, step - 1 :]
            slot_amounts = day_shape.spread(amounts, fold_series, covariate_panel, step, first_day)
            forecast[step - 1, first_day - errors_start : end - errors_start] = slot_amounts
    errors = ResidualHistory(forecast, series.values[errors_start:], calibration, series.frequency)
    naive = compute_naive_forecasts(series, errors_start, horizon)
    return Backtest(
        series,
        test_start,
        errors_start,
        errors,
        naive,
        compute_weekly_error(series, test_start),
        fold_forecaster,
        covariate_panel,
    )


def _count_calibration_days(day_count: int) -> int:
    """Return the days before the test period that are forecast too: a year, or half of a shorter history."""
    return min(YEAR_DAYS, day_count // 2)


def compute_naive_forecasts(series: Panel, first_day: int, horizon: int) -> dict[str, Floats]:
    """Return the naive forecasts of the days from index `first_day` on, by name, (steps, days, entities, slots).

    "naive1" is the last known day, "naive7" the last known day of the same weekday. Missing values are filled from up
    to 14 days before.

    Example:
        >>> series = Panel(pd.date_range("2024-01-01", periods=9), ("Lyon",), ("day",), np.arange(9.0)[:, None, None])
        >>> naive = compute_naive_forecasts(series, 7, 2)
        >>> naive["naive1"][1].ravel().tolist(), naive["naive7"][1].ravel().tolist()  # horizon 2
        ([5.0, 6.0], [0.0, 1.0])
    """
    day_count = len(series)
    flat = series.values.reshape(day_count, -1)
    last_known = pd.DataFrame(flat).ffill(limit=STALE_DAYS).to_numpy().reshape(series.values.shape)
    steps = range(1, horizon + 1)
    return {
        "naive1": np.stack([shift_days(last_known, step)[first_day:] for step in steps]),
        "naive7": np.stack([shift_days(last_known, find_weekday_lag(step))[first_day:] for step in steps]),
    }


def compute_weekly_error(series: Panel, test_start: int) -> Floats:
    """Return the mean absolute error of the weekly naive forecast before the test period, (entities, slots).

    It is the scale of MASE.

    Example:
        >>> series = Panel(pd.date_range("2024-01-01", periods=9), ("Lyon",), ("day",), np.arange(9.0)[:, None, None])
        >>> compute_weekly_error(series, 9).tolist()
        [[7.0]]
    """
    train_values = series.values[:test_start]
    change = pd.DataFrame(
        np.abs(train_values[WEEK_DAYS:] - train_values[:-WEEK_DAYS]).reshape(len(train_values) - WEEK_DAYS, -1)
    )
    return change.mean().to_numpy().reshape(train_values.shape[1:])
