"""Contract of the forecasters of quantiles: series at any even step, many steps ahead at once."""

import math
from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.panel import Panel
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.forecasters.base import Forecaster
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.messages import N_
from core.progress import Progress

MEDIAN = np.array([0.5])
MIN_KNOWN_SHARE = 0.25  # of the steps of the last week, for a forecast of the entity
RECENT_STEPS = 8  # stand for the last week where a week is no whole number of steps, or one step
MAX_ORIGINS = 300  # of a backtest of steps shorter than a day


class SeriesForecaster(Forecaster):
    """Contract of a forecaster that gives the quantiles of the next steps of any regular series.

    It is a `Forecaster` of panels too: periods are then the steps, and the forecast is the median. Covariates are not
    used. In addition to the rules of `Forecaster`, one test checks for every class:

    - `predict_quantiles` uses the steps of `series` only, and knows how many steps ahead each of them is.
    - The quantiles ascend. They are quantiles of a distribution, never the extremes of samples, so the number of
      samples changes their noise only.
    - Amounts that are never negative get no negative quantile, and ratios with `attempts` stay between 0 and 1.
    - A fitted instance holds plain values, NumPy arrays and trusted classes only (`core.runs.model_files`).
    - Nothing is printed, and no file is left anywhere.
    """

    @abstractmethod
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        """Fit the forecaster on all steps of `series`, for 1 to `horizon` steps ahead.

        Missing values are NaN. Raises DataError if there is too little history, with the number of steps needed.
        """

    @abstractmethod
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        """Return the quantiles of the `horizon` steps after the end of `series`, (horizon, entities, quantiles).

        `series` has the entities of the training series. NaN where the history does not allow a forecast.
        """

    def predict_origins(self, series: RegularSeries, origins: list[int], horizon: int, quantiles: Floats) -> Floats:
        """Return the forecasts from several origins, (origins, horizon, entities, quantiles).

        The forecast of origin `i` uses the steps before position `i`. Subclasses may compute all origins together.
        """
        return np.stack([self.predict_quantiles(series.select(0, origin), horizon, quantiles) for origin in origins])

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        return self.fit_series(RegularSeries.from_panel(series), horizon, progress)

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        regular_series = RegularSeries.from_panel(series)
        forecasts = np.full((len(series) - first_day, len(series.entities)), np.nan)
        days = [day for day in range(first_day, len(series)) if day - step >= 0]
        if days:
            origins = [day - step + 1 for day in days]
            quantiles = self.predict_origins(regular_series, origins, step, MEDIAN)
            forecasts[np.array(days) - first_day] = quantiles[:, step - 1, :, 0]
        return forecasts

    @override
    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        day_count = end_day - first_day
        forecasts = np.full((horizon, day_count, len(series.entities)), np.nan)
        origins = np.arange(first_day, end_day, _choose_stride(series, day_count))
        medians = self.predict_origins(RegularSeries.from_panel(series), origins.tolist(), horizon, MEDIAN)[..., 0]
        for step in range(1, min(horizon, day_count) + 1):
            days = origins - first_day + step - 1
            forecasts[step - 1, days[days < day_count]] = medians[days < day_count, step - 1]
        return forecasts

    @override
    def predict_next(self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int) -> Floats:
        medians = self.predict_origins(RegularSeries.from_panel(series), [first_day], horizon, MEDIAN)
        return np.asarray(medians[0, :, :, 0])


def _choose_stride(series: Panel, period_count: int) -> int:
    """Return the periods between two origins of a backtest; it meets every time of the day.

    Every day, week or month is an origin. Shorter steps have at most 300 origins, because each takes a fit.
    """
    stride = 1 if series.step >= DAY else math.ceil(period_count / MAX_ORIGINS)
    while math.gcd(stride, series.season) > 1:
        stride += 1
    return stride


def require_history(series: RegularSeries, min_steps: int) -> None:
    """Raise DataError if no entity has `min_steps` steps from its first to its last known value."""
    is_known = np.isfinite(series.values)
    lengths = np.where(is_known.any(axis=0), len(series) - is_known.argmax(axis=0) - is_known[::-1].argmax(axis=0), 0)
    if lengths.max(initial=0) < min_steps:
        raise DataError(
            N_("{entity}: too few steps for training: {count}. At least {accepted} are needed."),
            entity=", ".join(series.entities[:3]),
            count=int(lengths.max(initial=0)),
            accepted=min_steps,
        )


def mark_known_entities(series: RegularSeries) -> NDArray[np.bool_]:
    """Tell for every entity whether enough of its last week is known for a forecast, (entities,).

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=14)
        >>> values = np.ones((14, 2))
        >>> values[7:13, 1] = np.nan
        >>> series = RegularSeries(days, ("north", "south"), values, pd.Timedelta(days=1))
        >>> mark_known_entities(series).tolist()
        [True, False]
    """
    recent_values = series.values[-(series.week_steps if series.week_steps > 1 else RECENT_STEPS) :]
    return np.isfinite(recent_values).mean(axis=0) >= MIN_KNOWN_SHARE


def bound_quantiles(quantiles: Floats, series: RegularSeries) -> Floats:
    """Return `quantiles` (horizon, entities, quantiles) in ascending order and within the range of possible values.

    An entity without a negative value gets no negative quantile. A ratio, which has `attempts`, is at most 1.
    Sorting never increases the quantile loss. Chernozhukov et al.: Quantile and Probability Curves Without Crossing,
    Econometrica 78, 2010.
    """
    is_amount = ~(series.values < 0).any(axis=0)
    lower = np.where(is_amount, 0.0, -np.inf)[:, None]
    return np.clip(np.sort(quantiles, axis=2), lower, np.inf if series.attempts is None else 1.0)
