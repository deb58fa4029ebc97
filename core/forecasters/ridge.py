"""Ridge: one regularised linear model per entity and number of days ahead."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import EVERY_ENTITY, DirectForecaster, build_history_error
from core.forecasters.covariate_panel import CovariatePanel
from core.forecasters.features import FeatureMatrix, build_linear_features
from core.forecasters.panel_parts import select_entities
from core.forecasters.ridge_regression import RidgeLines, fit_ridge_lines
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

MIN_TRAIN_DAYS = 90
AUTO_ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass
class Ridge(DirectForecaster):
    """Linear model of the change since the last known day, one per entity and number of days ahead.

    The features are degree-days, past amounts, the calendar and the covariates. Regularisation shrinks the change: with
    little training data the forecast is close to the last known day.

    The model extrapolates to days colder than any training day, as heating does. It finds no interactions.
    Hoerl, Kennard: Ridge Regression, Technometrics 12, 1970.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2022-01-01", periods=300)
        >>> temperature = 10 + 8 * np.cos(np.arange(301) / 20)
        >>> columns = {"temperature": temperature[:, None]}
        >>> until_tomorrow = days.append(days[-1:] + pd.Timedelta(days=1))
        >>> known = CovariatePanel(until_tomorrow, columns, np.zeros((301, 1), dtype=bool))
        >>> load = 100 + 5 * np.maximum(16 - temperature[:300], 0)  # 5 GWh for each degree below 16 °C
        >>> series = Panel(days, ("Lyon",), ("day",), load[:, None, None])
        >>> forecast = Ridge().fit(series, known, horizon=3).predict(series, known, 3, 297)
        >>> bool((abs(forecast.ravel() / load[297:] - 1) < 0.02).all())  # the forecast errs by less than 2 %
        True
    """

    name = "ridge"
    label = N_("Ridge")

    alpha: float | str = hyperparameter(
        "auto",
        low=0.0001,
        high=1e6,
        choices=("auto",),
        help=N_("Strength of the regularisation. auto chooses it for each regression by leave-one-out error."),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        self.history_years_ = len(series) / 365.25
        self.models_: dict[int, RidgeLines] = {}
        alphas = AUTO_ALPHAS if self.alpha == "auto" else (float(self.alpha),)
        for step in range(1, horizon + 1):
            lines, max_rows = [], 0
            for entities, features in self.split_features(series, covariates, step):
                change = series.training_targets[:, entities] - features.base
                is_row = features.complete_mask & np.isfinite(change)
                lines.append(fit_ridge_lines(features.values, change, is_row, alphas, MIN_TRAIN_DAYS))
                max_rows = max(max_rows, int(is_row.sum(axis=0).max(initial=0)))
            if max_rows < MIN_TRAIN_DAYS:
                raise build_history_error(series, max_rows, MIN_TRAIN_DAYS)
            self.models_[step] = RidgeLines.concatenate(lines)
            if progress is not None:
                progress.report(step / horizon)
        return self

    @override
    def build_features(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0, entities: slice = EVERY_ENTITY
    ) -> FeatureMatrix:
        part, known = select_entities(series, covariates, entities)
        last_known = series.last_known[:, entities]
        return build_linear_features(part, known, last_known, step, self.history_years_, first_day)

    @override
    def predict_from_features(self, features: FeatureMatrix, step: int, entities: slice = EVERY_ENTITY) -> Floats:
        return features.base + self.models_[step].predict(features.values, entities)
