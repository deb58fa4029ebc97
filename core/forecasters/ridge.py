"""Ridge: one regularised linear model per entity and number of days ahead."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn import linear_model
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import DirectForecaster, build_history_error
from core.forecasters.covariate_panel import CovariatePanel, shift_days
from core.forecasters.features import FeatureMatrix, build_linear_features
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

MIN_TRAIN_DAYS = 90


@dataclass
class Ridge(DirectForecaster):
    """Linear model of the change since the last known day, one per entity and number of days ahead.

    The features are degree-days, past amounts, the calendar and the covariates. Regularisation shrinks the change: with
    little training data the forecast is close to the last known day.

    The model extrapolates to days colder than any training day, as heating does. It finds no interactions.
    Hoerl, Kennard: Ridge Regression, Technometrics 12, 1970. The implementation is scikit-learn's.

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
        self.models_: dict[int, list[tuple[Floats, Floats, Floats, float]]] = {}
        for step in range(1, horizon + 1):
            features = self.build_features(series, covariates, step)
            change = series.training_targets - shift_days(series.last_known, step)
            complete_mask = features.complete_mask & np.isfinite(change)
            self.models_[step] = [
                self._fit_line(
                    features.values[complete_mask[:, entity], entity], change[complete_mask[:, entity], entity]
                )
                for entity in range(len(series.entities))
            ]
            if not complete_mask.sum(axis=0).max(initial=0) >= MIN_TRAIN_DAYS:
                raise build_history_error(series, int(complete_mask.sum(axis=0).max(initial=0)), MIN_TRAIN_DAYS)
            if progress is not None:
                progress.report(step / horizon)
        return self

    def _fit_line(self, features: Floats, change: Floats) -> tuple[Floats, Floats, Floats, float]:
        """Return the mean, the scale and the coefficient of every feature, and the intercept of the change.

        All are NaN for fewer than `MIN_TRAIN_DAYS` training rows.
        """
        if len(features) < MIN_TRAIN_DAYS:
            return (*np.full((3, features.shape[1]), np.nan), float("nan"))
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale < 1e-9 * np.maximum(np.abs(mean), 1)] = np.inf  # weight 0 for a constant feature
        scaled_features = (features - mean) / scale
        if self.alpha == "auto":
            regression = linear_model.RidgeCV(alphas=(1, 3, 10, 30, 100, 300, 1000)).fit(scaled_features, change)
        else:
            regression = linear_model.Ridge(alpha=float(self.alpha)).fit(scaled_features, change)
        return mean, scale, regression.coef_, float(regression.intercept_)

    @override
    def build_features(self, series: Panel, covariates: CovariatePanel, step: int) -> FeatureMatrix:
        return build_linear_features(series, covariates, series.last_known, step, self.history_years_)

    @override
    def predict_from_features(self, features: FeatureMatrix, series: Panel, step: int, first_day: int) -> Floats:
        forecast = shift_days(series.last_known, step)[first_day:].copy()
        for entity, (mean, scale, coefficients, intercept) in enumerate(self.models_[step]):
            forecast[:, entity] += (features.values[first_day:, entity] - mean) / scale @ coefficients + intercept
        return forecast
