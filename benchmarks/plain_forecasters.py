"""The forecasters that an analyst would write by hand: seasonal naive, AutoETS, and boosting on lags."""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from statsforecast.models import AutoETS
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import Forecaster
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods
from core.forecasters.seasons import list_repeated_seasons
from core.progress import Progress

HISTORY_PERIODS = 1500  # that AutoETS is fitted on, and reads before a forecast; more takes minutes a series
MAX_ETS_SEASON = 60  # periods; a longer season takes AutoETS minutes a series
ORIGIN_COUNT = 150  # of AutoETS in each part of a backtest; the forecasts of other origins are missing


@dataclass
class PlainEts(Forecaster):
    """AutoETS of statsforecast with its defaults, one model a series; later origins only update its states."""

    name = "plain-ets"
    label = "AutoETS"

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        seasons = [
            season for season in list_repeated_seasons(series) if 2 * season <= len(series) and season <= MAX_ETS_SEASON
        ]
        history = _fill(series)[-HISTORY_PERIODS:]
        self.models_ = [AutoETS(season_length=max(seasons, default=1)).fit(column) for column in history.T]
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        return self.predict_steps(series, covariates, step, first_day - step + 1, len(series))[-1][step - 1 :]

    @override
    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        forecasts = np.full((horizon, end_day - first_day, len(series.entities)), np.nan)
        history = _fill(series)
        origins = np.unique(np.linspace(first_day, end_day - 1, min(ORIGIN_COUNT, end_day - first_day)).astype(int))
        for entity, model in enumerate(self.models_):
            for origin in origins:
                steps = min(horizon, end_day - origin)
                known = history[max(origin - HISTORY_PERIODS, 0) : origin, entity]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    mean = model.forward(known, h=steps)["mean"]
                forecasts[np.arange(steps), origin - first_day + np.arange(steps), entity] = mean
        return forecasts


@dataclass
class PlainBoosting(Forecaster):
    """Boosted trees with default settings on the clock, the calendar and lags; one model for each step ahead."""

    name = "plain-boosting"
    label = "boosting on lags"

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        self.models_: dict[int, Any] = {}
        for step in range(1, horizon + 1):
            features, targets = self._build_rows(series, step), series.amounts.ravel()
            is_known = np.isfinite(targets) & np.isfinite(features).any(axis=1)
            features = np.where(np.isfinite(features).any(axis=0), features, 0.0)
            self.models_[step] = HistGradientBoostingRegressor(random_state=0).fit(
                features[is_known], targets[is_known]
            )
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        rows = self._build_rows(series, step).reshape(*series.amounts.shape, -1)[first_day:]
        origin = shift_periods(series.amounts, step)[first_day:]
        values = self.models_[step].predict(rows.reshape(-1, rows.shape[2])).reshape(origin.shape)
        return np.where(np.isfinite(origin), values, np.nan)

    def _build_rows(self, series: Panel, step: int) -> Floats:
        """Return the features of every period and entity, (periods × entities, features)."""
        amounts, periods = series.amounts, series.periods
        seasons = list_repeated_seasons(series)
        lags = {step + back for back in range(7)} | {
            step + -step % season + season * k for season in seasons for k in (0, 1)
        }
        columns = [shift_periods(amounts, lag) for lag in sorted(lags)]
        table = pd.DataFrame(amounts)
        columns += [shift_periods(table.rolling(season, min_periods=1).mean().to_numpy(), step) for season in seasons]
        clock = (periods.hour + periods.minute / 60, periods.dayofweek, periods.month, periods.dayofyear)
        columns += [np.repeat(np.asarray(part, dtype=float)[:, None], amounts.shape[1], axis=1) for part in clock]
        columns.append(np.tile(np.arange(amounts.shape[1], dtype=float), (len(amounts), 1)))
        return np.stack(columns, axis=2).reshape(amounts.size, -1)


def _fill(series: Panel) -> Floats:
    """Return the amounts without gaps, (periods, entities)."""
    return pd.DataFrame(series.amounts).interpolate(limit_direction="both").fillna(0.0).to_numpy()
