"""Judgement of measured values by the forecasts made before them: of single periods, and of the mean of several."""

from dataclasses import dataclass, replace

import numpy as np

from core.array_types import Floats
from core.evaluation.adaptive_conformal import AdaptiveCalibrator, BandForecast
from core.evaluation.conformal import ResidualHistory
from core.evaluation.interval_events import measure_distance

BASE_LEVELS = np.array([0.05, 0.95])  # of the forecast interval that is stretched to the level of the alarms
START_SHARE, MAX_START_PERIODS = 0.25, 90  # of the periods before the judged ones, which only start the base interval
PAST_PERIODS = 1000  # whose errors calibrate the interval, at most
MAX_LASTING_PERIODS = 7  # whose mean is judged beside the single ones: a week of days
MIN_LASTING_PERIODS = 3


@dataclass(frozen=True)
class JudgedValues:
    """Measured values beside their forecasts and intervals, each (periods, entities, slots); NaN where unknown.

    distance  signed distance to the interval, 0 inside
    """

    actual: Floats
    forecast: Floats
    low: Floats
    high: Floats
    distance: Floats


def judge_values(errors: ResidualHistory, first: int, level: float, step: int = 1) -> JudgedValues:
    """Judge the periods from number `first` on by the forecasts made `step` periods ahead.

    The interval promises that a usual period is inside with the probability `level`, with all its slots. It is the
    interval of the forecast, stretched by one factor for all slots of a period. The factor comes from the largest
    deviations of past periods by an `AdaptiveCalibrator`: each period uses only what was known before it, and a fault
    cannot widen the interval that the next one is judged by much. The periods before `first` calibrate it, but for the
    first of them, see `count_start_periods`.

    Example:
        >>> actual = 100 + np.random.default_rng(0).normal(size=(400, 1, 1))
        >>> actual[350] = 130
        >>> errors = ResidualHistory(np.full((1, 400, 1, 1), 100.0), actual)
        >>> judged = judge_values(errors, 300, 0.99)
        >>> bool(judged.high[50] < 106), bool(judged.high[60] < 106)  # of the fault, and after it
        (True, True)
    """
    start = count_start_periods(first)
    forecast, actual = errors.forecast[step - 1, start:], errors.actual[start:]
    bounds = fix_width(errors).compute_rolling_quantiles(step, BASE_LEVELS, start)
    below, above = (measure_width(*ends) for ends in ((bounds[..., 0], forecast), (forecast, bounds[..., -1])))
    difference = actual - forecast
    deviation = np.nan_to_num(np.abs(difference) / np.where(difference < 0, below, above), nan=-1.0).max(axis=2)
    deviation = np.where(deviation < 0, np.nan, deviation)  # of the worst slot, (periods, entities)
    factor = _calibrate_factor(deviation, first - start, level, step)[:, :, None]
    judged = slice(first - start, None)
    low, high = forecast[judged] - factor * below[judged], forecast[judged] + factor * above[judged]
    if not (errors.actual < 0).any():
        low, high = np.maximum(low, 0.0), np.maximum(high, 0.0)
    distance = measure_distance(actual[judged], low, high)
    return JudgedValues(actual[judged], forecast[judged], low, high, distance)


def _calibrate_factor(deviation: Floats, first: int, level: float, step: int) -> Floats:
    """Return the deviation that a usual period does not exceed, from number `first` on, (periods, entities)."""
    shape = (*deviation.shape, 1)
    forecast = BandForecast(np.tile([0.0, 1.0], shape), np.zeros(deviation.shape), np.ones(deviation.shape))
    past, judged = (
        BandForecast(forecast.quantiles[part], forecast.median[part], forecast.scale[part])
        for part in (slice(first), slice(first, None))
    )
    calibrator = AdaptiveCalibrator(np.array([1 - level, level]), PAST_PERIODS, delay=step).start(deviation.shape[1])
    calibrator.learn(deviation[:first], past)
    return calibrator.calibrate(deviation[first:], judged).bounds[..., -1]


def fix_width(errors: ResidualHistory) -> ResidualHistory:
    """Return the errors with intervals that do not widen after a large error: a fault must not hide the next day."""
    return replace(errors, calibration=replace(errors.calibration, adaptation=0.0))


def count_start_periods(first: int) -> int:
    """Return how many of the `first` periods are only errors of the forecast interval, before it is calibrated.

    Example:
        >>> count_start_periods(365), count_start_periods(40)
        (90, 10)
    """
    return min(int(START_SHARE * first), MAX_START_PERIODS)


def measure_width(low: Floats, high: Floats) -> Floats:
    """Return the width of intervals, above 0."""
    return np.maximum(high - low, 1e-9 * np.maximum(np.abs(high), 1.0))


def count_lasting_periods(horizon: int) -> int:
    """Return the number of periods whose mean is judged: a week of days, or a shorter horizon; 0 for a single one.

    Example:
        >>> count_lasting_periods(28), count_lasting_periods(3), count_lasting_periods(1)
        (7, 3, 0)
    """
    return min(horizon, MAX_LASTING_PERIODS) if horizon >= MIN_LASTING_PERIODS else 0


def judge_means(errors: ResidualHistory, first: int, level: float, is_averaged: bool) -> JudgedValues | None:
    """Judge the mean amounts of several periods that follow one another, by what was forecast before the first of them.

    Row d is about the `count_lasting_periods` that end with period d. A mean is outside if it is so with and without
    the period that is worst forecast, so that one bad period is no lasting change. `is_averaged` is that of
    `average_periods`. None for a horizon that is too short.

    Example:
        >>> actual = 100 + np.random.default_rng(0).normal(size=(400, 1, 1))
        >>> actual[340], actual[360:367] = 130, 104
        >>> errors = ResidualHistory(np.full((7, 400, 1, 1), 100.0), actual)
        >>> judged = judge_means(errors, 300, 0.999, is_averaged=False)
        >>> bool(judged.distance[40:47].any()), bool(judged.distance[66] > 0)  # one day, a week
        (False, True)
    """
    count = count_lasting_periods(len(errors.forecast))
    if not count:
        return None
    means, steady_means = average_periods(errors, count, is_averaged)
    judged = judge_values(steady_means, first, level)
    actual = means.actual[first:]
    distances = np.stack([judged.distance, measure_distance(actual, judged.low, judged.high)])
    is_one_sided = np.sign(distances[0]) == np.sign(distances[1])
    smaller = np.sign(distances[0]) * np.abs(distances).min(axis=0)
    distance = np.where(np.isfinite(judged.distance), np.where(is_one_sided, smaller, 0.0), np.nan)
    return replace(judged, actual=actual, distance=distance)


def average_periods(errors: ResidualHistory, count: int, is_averaged: bool) -> tuple[ResidualHistory, ResidualHistory]:
    """Return the means of `count` periods that follow one another, and the same without the worst error.

    Row d is about the periods d − count + 1 to d, of which the first is forecast one step ahead, the last `count`
    steps. The slots of a period are summed, or averaged where `is_averaged`. NaN where a value or a forecast is
    missing. The shapes are (1, periods, entities, 1) and (periods, entities, 1).

    Example:
        >>> forecast = np.array([[1.0, 2.0, 3.0], [np.nan, 20.0, 30.0]]).reshape(2, 3, 1, 1)
        >>> errors = ResidualHistory(forecast, np.array([4.0, 5.0, 6.0]).reshape(3, 1, 1))
        >>> means, steady_means = average_periods(errors, 2, is_averaged=False)
        >>> means.forecast.ravel().tolist(), means.actual.ravel().tolist(), steady_means.actual.ravel().tolist()
        ([nan, 10.5, 16.0], [nan, 4.5, 5.5], [nan, 13.5, 19.0])
    """

    def add_slots(values: Floats) -> Floats:
        return values.mean(axis=-1, keepdims=True) if is_averaged else values.sum(axis=-1, keepdims=True)

    actual, forecasts = add_slots(errors.actual), add_slots(errors.forecast[:count])
    mean_forecast, mean_error, steady_error = (np.full_like(actual, np.nan) for _ in range(3))
    starts = len(actual) - count + 1
    if starts > 0:
        forecast = np.stack([forecasts[period, period : starts + period] for period in range(count)])
        error = np.stack([actual[period : starts + period] for period in range(count)]) - forecast
        worst = np.take_along_axis(error, np.abs(np.nan_to_num(error)).argmax(axis=0)[None], axis=0)[0]
        mean_forecast[count - 1 :] = forecast.mean(axis=0)
        mean_error[count - 1 :] = error.mean(axis=0)
        steady_error[count - 1 :] = (error.sum(axis=0) - worst) / (count - 1)
    means, steady_means = (
        replace(errors, forecast=mean_forecast[None], actual=mean_forecast + part)
        for part in (mean_error, steady_error)
    )
    return means, steady_means
