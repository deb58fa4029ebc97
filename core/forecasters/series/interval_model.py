"""Model of intervals: a forecaster of quantiles for one measure, with the calibration that goes on with new values."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.frequencies import WEEK
from core.data.nameless import takes_place
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.evaluation.adaptive_conformal import AdaptiveCalibrator, BandForecast, CalibratedBand
from core.evaluation.forecast_metrics import LOSS_LEVELS
from core.evaluation.ratio_intervals import RatioHistory, widen_ratio_quantiles
from core.forecasters.series.base import SeriesForecaster
from core.messages import N_
from core.progress import Progress

MIN_WINDOW_STEPS, WINDOW_WEEKS = 1000, 2  # past errors that a bound is computed from
LEVEL_STEPS = 14  # errors whose median is the level, for data without times of the day; else those of half a day
MIN_WIDTH_SHARE = 0.05  # of the usual width of the band of an entity, that every width counts as at least
OFFSET_SHARE = 0.1  # of the mean of an entity, added before the logarithm
MAX_LOG = 700.0  # of which the exponential is finite
MAX_CHUNK_VALUES = 20_000_000  # quantiles that are forecast together
MAX_ATTEMPT_WEEKS = 60  # back from a step, at whose clock attempts are looked for


@dataclass(frozen=True)
class WindowForecast:
    """Forecasts of consecutive windows, without calibration.

    start      position of the first step in the series
    quantiles  at `levels`, (steps, entities, levels)
    """

    start: int
    levels: Floats
    quantiles: Floats

    @property
    def median(self) -> Floats:
        """Median, (steps, entities)."""
        return self.select(np.array([0.5]))[..., 0]

    def select(self, levels: Floats) -> Floats:
        """Return the quantiles at some of the levels, (steps, entities, levels)."""
        positions = [int(np.abs(self.levels - level).argmin()) for level in levels]
        return self.quantiles[..., positions]

    def slice(self, start: int, end: int) -> "WindowForecast":
        """Return the steps from position `start` of the series up to, not including, `end`."""
        return WindowForecast(start, self.levels, self.quantiles[start - self.start : end - self.start])

    def __len__(self) -> int:
        return len(self.quantiles)


@dataclass
class MeasureModel:
    """Forecaster of one measure and the calibration of its intervals.

    A bound of a judged step uses the values until the step before. A bound of the future is calibrated by the forecasts
    of whole horizons, because no later values are known there.

    horizon  steps of one forecast
    level    promised share of usual points inside the interval
    """

    forecaster: SeriesForecaster
    horizon: int
    level: float = 0.95

    entities_: tuple[str, ...] = field(default=(), init=False)
    step_s_: float = field(default=0.0, init=False)
    offset_: Floats = field(default_factory=lambda: np.zeros(0), init=False)
    lowest_: Floats = field(default_factory=lambda: np.zeros(0), init=False)
    highest_: float = field(default=np.inf, init=False)
    ratios_: RatioHistory | None = field(default=None, init=False)
    min_width_: Floats = field(default_factory=lambda: np.zeros(0), init=False)
    fitted_until_: str = field(default="", init=False)
    calibrated_until_: str = field(default="", init=False)
    calibrator_: AdaptiveCalibrator | None = field(default=None, init=False)
    ahead_calibrator_: AdaptiveCalibrator | None = field(default=None, init=False)

    @property
    def band_levels(self) -> Floats:
        """Levels of the bounds: the interval of `level`, and around the median the 50 % interval."""
        tail = round((1 - self.level) / 2, 9)
        return np.array([tail, 0.25, 0.75, 1 - tail])

    @property
    def levels(self) -> Floats:
        """All levels that are forecast."""
        return np.unique(np.round(np.concatenate([self.band_levels, LOSS_LEVELS, [0.5]]), 9))

    def fit(self, history: RegularSeries, progress: Progress | None = None) -> Self:
        """Fit the forecaster on `history`, which is cleaned. Raises DataError if it is too short."""
        self.forecaster.fit_series(history, self.horizon, progress)
        self.entities_, self.step_s_ = history.entities, history.step.total_seconds()
        self.lowest_ = np.where((history.values < 0).any(axis=0), -np.inf, 0.0)
        self.highest_ = np.inf if history.attempts is None else 1.0
        self.offset_ = _choose_offsets(history)
        if history.attempts is not None:
            self.ratios_ = RatioHistory.from_ratios(history.values, history.attempts)
        self.fitted_until_ = str(history.times[-1])
        return self

    def forecast_windows(
        self, series: RegularSeries, start: int, end: int, progress: Progress | None = None
    ) -> WindowForecast:
        """Forecast the steps from position `start` up to `end`, one horizon after the other."""
        origins = list(range(start, end, self.horizon))
        size = max(MAX_CHUNK_VALUES // (self.horizon * len(series.entities) * len(self.levels)), 1)
        windows = []
        for first in range(0, len(origins), size):
            if progress is not None:
                progress.report(first / len(origins))
            chunk = self.forecaster.predict_origins(series, origins[first : first + size], self.horizon, self.levels)
            windows.append(chunk.reshape(-1, *chunk.shape[2:]))
        return WindowForecast(start, self.levels, np.concatenate(windows)[: end - start])

    def start_calibration(self, actual: RegularSeries, forecast: WindowForecast) -> CalibratedBand:
        """Calibrate with forecasts of windows that were not used for fitting, and return their band.

        `actual` holds the original values, NaN where they are missing or imputed.
        """
        window = max(MIN_WINDOW_STEPS, WINDOW_WEEKS * actual.week_steps)
        level_steps = max(actual.day_steps // 2, 2) if actual.day_steps else LEVEL_STEPS
        self.calibrator_ = AdaptiveCalibrator(self.band_levels, window, level_steps)
        self.ahead_calibrator_ = AdaptiveCalibrator(self.band_levels, window, 0, self.horizon)
        if self.ratios_ is not None and actual.attempts is not None:
            steps = slice(forecast.start, forecast.start + len(forecast))
            self.ratios_ = self.ratios_.learn_structure(
                actual.values[steps],
                forecast.select(self.band_levels),
                forecast.median,
                self.band_levels,
                actual.attempts[steps],
            )
        widths = np.ptp(self._transform(self._widen(actual, forecast)), axis=2)
        known = np.isfinite(widths).any(axis=0)
        usual = np.full(widths.shape[1], np.nan)
        usual[known] = np.nanmedian(widths[:, known], axis=0)
        least = np.nanmedian(usual) if known.any() else 1.0
        self.min_width_ = np.maximum(MIN_WIDTH_SHARE * np.where(known, usual, least), 1e-9)
        values, band_forecast = self._prepare(actual, forecast)
        self.ahead_calibrator_.start(values.shape[1]).learn(values, band_forecast)
        band = self.calibrator_.start(values.shape[1]).learn(values, band_forecast)
        self.calibrated_until_ = str(actual.times[forecast.start + len(forecast) - 1])
        return self._bound(band, forecast)

    def judge(self, actual: RegularSeries, forecast: WindowForecast) -> tuple[CalibratedBand, CalibratedBand]:
        """Return the band of every step, calibrated by the values before it, and by those before its forecast."""
        assert self.calibrator_ is not None, "start_calibration comes first"
        assert self.ahead_calibrator_ is not None
        values, band_forecast = self._prepare(actual, forecast)
        band = self.calibrator_.calibrate(values, band_forecast)
        ahead_band = self.ahead_calibrator_.calibrate(values, band_forecast)
        self.calibrated_until_ = str(actual.times[forecast.start + len(forecast) - 1])
        return self._bound(band, forecast), self._bound(ahead_band, forecast)

    def predict_future(self, series: RegularSeries) -> tuple[WindowForecast, CalibratedBand]:
        """Return the forecast of the horizon after the end of the cleaned `series`, and its band."""
        assert self.ahead_calibrator_ is not None, "start_calibration comes first"
        quantiles = self.forecaster.predict_quantiles(series, self.horizon, self.levels)
        forecast = WindowForecast(len(series), self.levels, quantiles)
        extended_series = series.extend(self.horizon)
        if series.attempts is not None:
            attempts = _repeat_attempts(extended_series, len(series))
            extended_series = replace(extended_series, attempts=attempts)
        _, band_forecast = self._prepare(extended_series, forecast)
        return forecast, self._bound(self.ahead_calibrator_.predict(band_forecast), forecast)

    def align(self, series: RegularSeries) -> RegularSeries:
        """Return the entities of the model; those that `series` lacks have no values.

        Raises DataError for another step, and where no entity is one of the model.
        """
        if series.step.total_seconds() != self.step_s_:
            raise DataError(
                N_("The model was trained on {accepted}. The data have {value}."),
                accepted=str(pd.Timedelta(seconds=self.step_s_)),
                value=str(series.step),
            )
        names = self.entities_ if takes_place(series.entities, series.is_nameless, self.entities_) else series.entities
        positions = {entity: number for number, entity in enumerate(names)}
        if not positions.keys() & set(self.entities_):
            raise DataError(
                N_("The model was trained on {accepted}. The data have {value}."),
                accepted=", ".join(self.entities_[:4]),
                value=", ".join(series.entities[:4]),
            )

        def pick(values: Floats) -> Floats:
            padded = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
            return padded[:, [positions.get(entity, -1) for entity in self.entities_]]

        attempts = None if series.attempts is None else pick(series.attempts)
        return RegularSeries(
            series.times, self.entities_, pick(series.values), series.step, series.unit, series.zone, attempts
        )

    def _prepare(self, actual: RegularSeries, forecast: WindowForecast) -> tuple[Floats, BandForecast]:
        """Return the values of the steps of a forecast, and what the calibration needs, both transformed."""
        steps = slice(forecast.start, forecast.start + len(forecast))
        quantiles = self._transform(self._widen(actual, forecast))
        width = np.maximum(np.ptp(quantiles, axis=2), self.min_width_)
        median = self._transform(forecast.median[..., None])[..., 0]
        return self._transform(actual.values[steps][..., None])[..., 0], BandForecast(quantiles, median, width)

    def _transform(self, values: Floats) -> Floats:
        """Return the logarithm of amounts, because their level shifts by a factor; (steps, entities, levels)."""
        offset = self.offset_[:, None]
        amounts = np.maximum(values, 0) + np.where(offset > 0, offset, 1.0)
        return np.where(offset > 0, np.log(amounts), values)

    def _restore(self, values: Floats) -> Floats:
        """Return the values of transformed ones, within the range of possible values."""
        offset = self.offset_[:, None]
        amounts = np.exp(np.where(offset > 0, np.minimum(values, MAX_LOG), 0.0)) - offset
        return np.clip(np.where(offset > 0, amounts, values), self.lowest_[:, None], self.highest_)

    def _widen(self, actual: RegularSeries, forecast: WindowForecast) -> Floats:
        """Return the quantiles of the bounds, for a ratio with the chance of its attempts."""
        quantiles = forecast.select(self.band_levels)
        if actual.attempts is None or self.ratios_ is None:
            return quantiles
        attempts = actual.attempts[forecast.start : forecast.start + len(forecast)]
        return widen_ratio_quantiles(quantiles, forecast.median, self.band_levels, attempts, self.ratios_)

    def _bound(self, band: CalibratedBand, forecast: WindowForecast) -> CalibratedBand:
        """Return the band in the unit of the values."""
        median = self._restore(band.median[..., None])[..., 0]
        return CalibratedBand(self._restore(band.bounds), median, median - forecast.median, band.is_shifted)


def _choose_offsets(history: RegularSeries) -> Floats:
    """Return the amount added before the logarithm, (entities,): a share of the mean; 0 for values without it.

    Ratios, and values of which some are negative, have no logarithm.
    """
    known = np.isfinite(history.values)
    mean = np.where(known, history.values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    is_amount = ~(history.values < 0).any(axis=0) & (history.attempts is None)
    return np.where(is_amount, np.where(mean > 0, OFFSET_SHARE * mean, 1.0), 0.0)


def _repeat_attempts(series: RegularSeries, start: int) -> Floats:
    """Return the attempts of `series`; from position `start` on those of the same clock in the last week known."""
    assert series.attempts is not None
    attempts = series.attempts.copy()
    for weeks in range(1, MAX_ATTEMPT_WEEKS + 1):
        is_missing = ~np.isfinite(attempts[start:])
        if not is_missing.any():
            break
        positions = series.compute_lag_positions(weeks * WEEK)[start:]
        if (positions < 0).all():
            break
        earlier = np.where((positions < 0)[:, None], np.nan, series.attempts[positions])
        attempts[start:] = np.where(is_missing, earlier, attempts[start:])
    return attempts


@dataclass
class IntervalModel:
    """Models of all measures of a run, with the cleaning of the history; saved as one object.

    attempts  measure → column with the number of events behind it; only for ratios
    """

    horizon: int
    level: float
    spike_window: int
    spike_threshold: str
    fill_from: str
    attempts: dict[str, str]

    measures_: dict[str, MeasureModel] = field(default_factory=dict, init=False)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the forecast after the end of a table with the columns `measure`, `entity`, `time` and `value`.

        MLflow serves this. Times are UTC where the data have a known zone.
        """
        parts = []
        for measure, rows in table.groupby("measure", sort=False):
            model = self.measures_[str(measure)]
            series = model.align(_read_table(rows, model.step_s_))
            forecast, band = model.predict_future(series)
            times = series.extend(self.horizon).times[-self.horizon :]
            parts.append(
                pd.DataFrame(
                    {
                        "measure": str(measure),
                        "entity": np.tile(np.array(series.entities, dtype=object), self.horizon),
                        "time": times.repeat(len(series.entities)),
                        "yhat": forecast.median.ravel(),
                        "yhat_lower": band.bounds[..., 0].ravel(),
                        "yhat_upper": band.bounds[..., -1].ravel(),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)


def _read_table(rows: pd.DataFrame, step_seconds: float) -> RegularSeries:
    wide = rows.pivot(index="time", columns="entity", values="value")
    step = pd.Timedelta(seconds=step_seconds)
    times = pd.date_range(wide.index.min(), wide.index.max(), freq=step)
    values = wide.reindex(times).to_numpy(np.float64)
    return RegularSeries(times, tuple(map(str, wide.columns)), values, step)
