"""Gradient-boosted quantiles: trees fitted to the quantile loss, on calendar and lags."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn import ensemble
from typing_extensions import override

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.forecasters.series.base import (
    RECENT_STEPS,
    SeriesForecaster,
    bound_quantiles,
    mark_known_entities,
    require_history,
)
from core.forecasters.series.lag_features import LagTable, require_whole_week
from core.forecasters.series.quantile_levels import interpolate_quantiles
from core.forecasters.series.training_rows import draw_training_rows
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

LEVELS = (0.025, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.975)  # one model each; other levels are interpolated


@dataclass
class GradientBoostingQuantiles(SeriesForecaster):
    """Gradient-boosted trees that forecast the difference to the mean of the same clock in the weeks before.

    One model for each of nine levels serves all entities and all numbers of steps ahead. Differences are divided by the
    level of their entity. The features are those of `LagTable`. Friedman: Greedy Function Approximation, Annals of
    Statistics 29, 2001. Koenker, Bassett: Regression Quantiles, Econometrica 46, 1978.
    """

    name = "gradient-boosting-quantiles"
    label = N_("Gradient-boosted quantiles")

    max_iter: int = hyperparameter(
        40, low=5, high=2000, help=N_("Number of trees for each quantile."), label=N_("Number of trees")
    )
    learning_rate: float = hyperparameter(
        0.08,
        low=0.001,
        high=1.0,
        help=N_("Learning rate: share of the correction of each tree that is applied (0–1)."),
        label=N_("Learning rate"),
    )
    max_leaf_nodes: int = hyperparameter(
        12, low=2, high=500, help=N_("Maximum number of leaves of a tree."), label=N_("Maximum of leaves")
    )
    min_samples_leaf: int = hyperparameter(
        300,
        low=1,
        high=10_000,
        help=N_("Smallest number of training rows in a leaf. More give smoother forecasts."),
        label=N_("Fewest rows in a leaf"),
    )
    max_train_rows: int = hyperparameter(
        30_000,
        low=1000,
        high=2_000_000,
        help=N_("Training rows drawn over entities, origins and steps ahead."),
        label=N_("Maximum of training rows"),
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same forecasts."), label=N_("Seed")
    )

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        require_whole_week(series)
        require_history(series, series.week_steps + max(series.day_steps, RECENT_STEPS))
        rows = draw_training_rows(series, horizon, self.max_train_rows, self.random_state)
        self.regressors_: list[Any] = []
        for number, level in enumerate(LEVELS):
            regressor = ensemble.HistGradientBoostingRegressor(
                loss="quantile",
                quantile=level,
                max_iter=self.max_iter,
                learning_rate=self.learning_rate,
                max_leaf_nodes=self.max_leaf_nodes,
                min_samples_leaf=min(self.min_samples_leaf, max(len(rows.targets) // 20, 1)),
                early_stopping=False,
                random_state=self.random_state,
            )
            self.regressors_.append(regressor.fit(rows.features, rows.targets))
            if progress is not None:
                progress.report((number + 1) / len(LEVELS))
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        return self.predict_origins(series, [len(series)], horizon, quantiles)[0]

    @override
    def predict_origins(self, series: RegularSeries, origins: list[int], horizon: int, quantiles: Floats) -> Floats:
        table, leads = LagTable(series, horizon), np.arange(1, horizon + 1)
        features = [table.build_features(origin, leads) for origin in origins]
        stacked = np.stack([each.values for each in features])
        predictions = np.stack(
            [regressor.predict(stacked.reshape(-1, stacked.shape[-1])) for regressor in self.regressors_], axis=-1
        ).reshape(*stacked.shape[:3], len(LEVELS))
        forecasts = []
        for origin, each, differences in zip(origins, features, predictions, strict=True):
            known_series = series.select(0, origin)
            values = each.baseline[:, :, None] + each.scale[:, None] * np.sort(differences, axis=2)
            values[:, ~mark_known_entities(known_series)] = np.nan
            forecasts.append(bound_quantiles(interpolate_quantiles(values, np.array(LEVELS), quantiles), known_series))
        return np.stack(forecasts)
