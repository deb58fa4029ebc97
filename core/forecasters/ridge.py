"""Ridge: one regularised linear model per entity and number of days ahead."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import EVERY_ENTITY, DirectForecaster, count_min_rows, require_rows
from core.forecasters.damping import TRUST_PERIODS, DampingTrial, compute_trust, mark_late_rows
from core.forecasters.features.feature_matrix import FeatureMatrix
from core.forecasters.features.feature_plan import FeaturePlan
from core.forecasters.features.features import build_linear_features
from core.forecasters.features.seasonal_base import choose_bases, select_base
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_entities
from core.forecasters.ridge_regression import RidgeLines, fit_ridge_lines
from core.messages import N_, Message
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

SMALL_LIMIT = 1.0  # standard deviations: a little history does not tell what lies outside its range
AUTO_ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass
class Ridge(DirectForecaster):
    """Linear model of the change since the last known day, one per entity and number of days ahead.

    The features are degree-days, past amounts, the calendar and the covariates. Regularisation shrinks the change: with
    little training data the forecast is close to the last known day.

    Less than a year does not teach what other seasons do: there the change counts as long as it has been right.

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
        label=N_("Regularisation (α)"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        self.plan_ = FeaturePlan.from_series(series)
        self.bases_: dict[int, NDArray[np.intp]] = {}
        self.models_: dict[int, RidgeLines] = {}
        alphas = AUTO_ALPHAS if self.alpha == "auto" else (float(self.alpha),)
        min_rows = count_min_rows(self.plan_)
        steps, trial = self.plan_.list_fitted_steps(horizon), DampingTrial()
        for number, step in enumerate(steps, start=1):
            self.bases_[step] = choose_bases(series.last_known, series.training_targets, step, self.plan_)
            lines, max_rows = [], 0
            for entities, features in self.split_features(series, covariates, step):
                change = series.training_targets[:, entities] - features.base
                is_row = features.complete_mask & np.isfinite(change)
                lines.append(fit_ridge_lines(features.values, change, is_row, alphas, min_rows))
                if self.plan_.is_small:
                    is_late = mark_late_rows(is_row)
                    early_lines = fit_ridge_lines(features.values, change, is_row & ~is_late, alphas, min_rows // 2)
                    trial.add_errors(change, early_lines.predict(features.values, limit=SMALL_LIMIT), is_row & is_late)
                max_rows = max(max_rows, int(is_row.sum(axis=0).max(initial=0)))
            require_rows(series, max_rows, self.plan_, step)
            self.models_[step] = RidgeLines.concatenate(lines)
            if progress is not None:
                progress.report(number / len(steps))
        self.share_ = trial.choose_share()
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        fitted_step = min(fitted for fitted in self.models_ if fitted >= step)
        if not self.plan_.is_small or self.plan_.is_complete:
            return super().predict(series, covariates, fitted_step, first_day)
        start = max(first_day - fitted_step - TRUST_PERIODS, 0)
        forecasts = super().predict(series, covariates, fitted_step, start)
        base = select_base(series.last_known, fitted_step, self.plan_, self.bases_[fitted_step])[start:]
        usable = np.where(series.amounts == series.last_known, series.amounts, np.nan)[start:]
        trust = compute_trust(forecasts, base, usable, fitted_step)
        return np.asarray((base + trust * (forecasts - base))[first_day - start :])

    @override
    def build_features(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0, entities: slice = EVERY_ENTITY
    ) -> FeatureMatrix:
        part, known = select_entities(series, covariates, entities)
        last_known = series.last_known[:, entities]
        base = select_base(last_known, step, self.plan_, self.bases_[step][entities])
        return build_linear_features(part, known, last_known, step, self.plan_, first_day, base)

    @override
    def predict_from_features(self, features: FeatureMatrix, step: int, entities: slice = EVERY_ENTITY) -> Floats:
        limit = SMALL_LIMIT if self.plan_.is_small else np.inf
        return features.base + self.share_ * self.models_[step].predict(features.values, entities, limit)

    @override
    def list_limits(self) -> tuple[Message, ...]:
        return tuple(self.plan_.list_limits())
