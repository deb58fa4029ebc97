"""Rolling-origin backtest: every period of a test is forecast from what was known some periods before."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.dataset import DAY, format_timestamp
from core.data.panel import Panel
from core.errors import DataError
from core.evaluation.conformal import DEFAULT_CONFIG, ConformalConfig, ResidualHistory
from core.forecasters.base import Forecaster
from core.forecasters.intraday.day_shape import DayShape
from core.forecasters.intraday.step_times import choose_times
from core.forecasters.panels.covariate_panel import CovariatePanel, WeatherMode, select_covariates, shift_periods
from core.messages import N_
from core.progress import Progress

YEAR_DAYS = 365
MAX_STEP_PERIODS = 6000  # of a test, and of the errors before it, in steps shorter than a day
MIN_TRAINING_VALUES = 3
CALIBRATION_SHARES = (1 / 2, 1 / 4)  # of the history before the test; less where the forecaster needs more


@dataclass(frozen=True)
class FittedFold:
    """Forecaster and shape of the day, fitted before a fold.

    has_times  True where covariates at the times of the day are features of the forecaster or of the shape
    """

    forecaster: Forecaster
    day_shape: DayShape
    has_times: bool

    def select_covariates(self, covariates: CovariatePanel) -> CovariatePanel:
        """Return the covariates as the forecaster was fitted with them."""
        return covariates if self.has_times else covariates.drop_times()


@dataclass(frozen=True)
class Backtest:
    """Forecasts of a test period by a forecaster that is fitted once, on the periods of the panel before.

    A forecast `step` days ahead exists only if its origin lies in the period, because the days before were training
    data.

    series        all days
    test_start    index of the first test day in `series`
    errors_start  index of the first day of `errors` in `series`
    errors        of the period, and of up to a year before it, which calibrates the first intervals
    naive         "naive1": the last known amount, "naive7": the last known one a season before, see
                  `get_naive_season`; shape as the forecasts of `errors`
    weekly_error  mean absolute error of the seasonal naive forecast before the period, (entities, slots)
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
    """Forecast every period from `start_date` on, 1 to `horizon` periods ahead.

    The `forecaster` is fitted on the periods before `start_date`. Up to a year before it is forecast by a second model,
    fitted on the periods before that year; its errors calibrate the first intervals. A short history leaves less for
    it, or nothing: intervals then begin with the errors of the test. Raises DataError for too little history, with the
    number of values needed, or too few periods from `start_date` on.
    """
    test_start = int(series.periods.searchsorted(start_date))
    _check_history(series, test_start, start_date, horizon)
    training_end = _list_error_starts(series, test_start)[0]
    selection = select_covariates(series.select_before(series.periods[training_end]), covariates, weather)
    columns, timed = selection.names, selection.timed
    covariate_panel = CovariatePanel.from_covariates(series, covariates, columns, weather, horizon, timed)

    def fit_before(end: int, source: Forecaster) -> FittedFold:
        train_series = series.select_before(series.periods[end])
        known = CovariatePanel.from_covariates(train_series, covariates, columns, weather, horizon, timed)
        known, _ = choose_times(train_series, known, horizon)
        part_progress = None if progress is None else progress.create_part(int(end == test_start), 2)
        fold_forecaster = source.renew().fit(train_series, known, horizon, part_progress)
        return FittedFold(fold_forecaster, DayShape().fit(train_series, known, horizon), bool(known.at_times))

    errors_start, first_fold = _fit_before_errors(series, test_start, lambda end: fit_before(end, forecaster))
    source = forecaster if first_fold is None else first_fold.forecaster
    test_fold = _fit_before_test(series, test_start, lambda end: fit_before(end, source))
    day_count = len(series) - errors_start
    forecast = np.full((horizon, day_count, len(series.entities), len(series.slots)), np.nan)
    folds = ((first_fold, errors_start, test_start), (test_fold, test_start, len(series)))
    for fold, begin, end in folds:
        if fold is None:
            continue
        fold_covariates = fold.select_covariates(covariate_panel)
        fold_series = series.select_before(series.periods[end]) if end < len(series) else series
        fold_amounts = fold.forecaster.predict_steps(series, fold_covariates, horizon, begin, end)
        for step in range(1, min(horizon, end - begin) + 1):
            first_day = begin + step - 1
            amounts = fold_amounts[step - 1, step - 1 :]
            slot_amounts = fold.day_shape.spread(amounts, fold_series, fold_covariates, step, first_day)
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
        test_fold.forecaster,
        test_fold.select_covariates(covariate_panel),
    )


def choose_test_start(series: Panel, horizon: int) -> int:
    """Return the first period of the test: the last year, or the last fifth of a history shorter than five years.

    A short history leaves at least one horizon, and two where two seasons of training remain. A test of steps shorter
    than a day has at most 6,000 of them.

    Example:
        >>> days = [Panel(pd.date_range("2020-01-01", periods=count), ("a",), ("day",), np.ones((count, 1, 1)))
        ...         for count in (2000, 700, 30, 14)]
        >>> [len(series) - choose_test_start(series, 7) for series in days]
        [365, 140, 14, 7]
    """
    count = min(_get_longest_test(series), len(series) // 5)
    spare = len(series) - 2 * get_naive_season(series)
    return max(len(series) - max(count, min(2 * horizon, spare), horizon), _count_min_training(series))


def count_min_history(series: Panel, horizon: int) -> int:
    """Return the values that a backtest needs: two days of hours, two weeks of days, and what precedes one horizon.

    Weeks and months can be forecast without a year of them, and then have no season.
    """
    season = series.season if series.step <= DAY else 1
    return max(2 * season, _count_min_training(series) + horizon)


def get_naive_season(series: Panel) -> int:
    """Return the periods of the season of the naive forecast: a day of hours, a week of days, a year of months.

    1 for less than two years of weeks or months, whose season is not known.
    """
    is_long = len(series) >= 2 * series.season or series.step <= DAY
    return series.season if is_long else 1


def _check_history(series: Panel, test_start: int, start_date: pd.Timestamp, horizon: int) -> None:
    """Raise DataError for too few values of every entity, or too few periods before or after the start of the test."""
    known = np.isfinite(series.amounts)
    count, least = int(known.sum(axis=0).max(initial=0)), count_min_history(series, horizon)
    if count < least:
        raise DataError(
            N_(
                "A forecast {horizon} periods ahead, with a test of it, needs at least {least} values. "
                "The data have {count}, one per {frequency}."
            ),
            horizon=horizon,
            least=least,
            count=count,
            frequency=series.frequency,
        )
    least_before = _count_min_training(series)
    if test_start < least_before or len(series) - test_start < horizon:
        raise DataError(
            N_(
                "A backtest from {start} needs at least {least} periods before this date and "
                "{horizon} periods from it on. The data range from {first} to {last}."
            ),
            start=format_timestamp(start_date),
            least=least_before,
            horizon=horizon,
            first=format_timestamp(series.periods[0]),
            last=format_timestamp(series.periods[-1]),
        )


def _fit_before_errors(
    series: Panel, test_start: int, fit_before: Callable[[int], FittedFold]
) -> tuple[int, FittedFold | None]:
    """Return the start of the errors before the test, and the forecaster fitted before it.

    Half of the history before the test has errors, at most a year. Where the forecaster needs more history, a quarter
    has; where that is too little, none, and there is no forecaster.
    """
    for errors_start in _list_error_starts(series, test_start):
        if MIN_TRAINING_VALUES <= errors_start < test_start:
            try:
                return errors_start, fit_before(errors_start)
            except DataError:
                continue
    return test_start, None


def _count_min_training(series: Panel) -> int:
    """Return the values before the first forecast: a day of hours, a week of days, three weeks or months."""
    return max(series.season if series.step <= DAY else 1, MIN_TRAINING_VALUES)


def _list_error_starts(series: Panel, test_start: int) -> list[int]:
    """Return the possible starts of the errors before the test, that with the most errors first."""
    longest = _get_longest_test(series)
    return [test_start - min(longest, int(test_start * share)) for share in CALIBRATION_SHARES]


def _get_longest_test(series: Panel) -> int:
    return MAX_STEP_PERIODS if series.step < DAY else YEAR_DAYS


def _fit_before_test(series: Panel, test_start: int, fit_before: Callable[[int], FittedFold]) -> FittedFold:
    """Return the forecaster fitted before the test. Raises its DataError, with what the test takes."""
    try:
        return fit_before(test_start)
    except DataError as error:
        raise DataError(
            N_(
                "{reason} The last of {total} periods is kept for the test.",
                "{reason} The last {count} of {total} periods are kept for the test.",
            ),
            reason=error.message,
            count=len(series) - test_start,
            total=len(series),
        ) from error


def compute_naive_forecasts(series: Panel, first_day: int, horizon: int) -> dict[str, Floats]:
    """Return the naive forecasts of the periods from index `first_day` on, by name, (steps, periods, entities, slots).

    "naive1" is the last known amount, "naive7" the last known one a season before (see `get_naive_season`). Missing
    values are filled from up to 14 days before.

    Example:
        >>> series = Panel(pd.date_range("2024-01-01", periods=9), ("Lyon",), ("day",), np.arange(9.0)[:, None, None])
        >>> naive = compute_naive_forecasts(series, 7, 2)
        >>> naive["naive1"][1].ravel().tolist(), naive["naive7"][1].ravel().tolist()  # horizon 2
        ([5.0, 6.0], [0.0, 1.0])
    """
    last_known, season = series.fill_stale(series.values), get_naive_season(series)
    steps = range(1, horizon + 1)
    return {
        "naive1": np.stack([shift_periods(last_known, step)[first_day:] for step in steps]),
        "naive7": np.stack([shift_periods(last_known, step + -step % season)[first_day:] for step in steps]),
    }


def compute_weekly_error(series: Panel, test_start: int) -> Floats:
    """Return the mean absolute error of the seasonal naive forecast before the test period, (entities, slots).

    It is the scale of MASE. The season is a week of days, see `get_naive_season`; NaN where no value has another one a
    season before.

    Example:
        >>> series = Panel(pd.date_range("2024-01-01", periods=9), ("Lyon",), ("day",), np.arange(9.0)[:, None, None])
        >>> compute_weekly_error(series, 9).tolist()
        [[7.0]]
    """
    train_values, season = series.values[:test_start], get_naive_season(series)
    if len(train_values) <= season:
        return np.full(train_values.shape[1:], np.nan)
    change = np.abs(train_values[season:] - train_values[:-season])
    return pd.DataFrame(change.reshape(len(change), -1)).mean().to_numpy().reshape(train_values.shape[1:])
