"""Random forest: the mean of many trees, each fitted on a random sample of the days."""

from dataclasses import dataclass
from typing import Any, Self

from sklearn import ensemble
from typing_extensions import override

from core.data.panel import Panel
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.trees import TreeForecaster
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import get_params, hyperparameter


@dataclass
class RandomForest(TreeForecaster):
    """Random forest: one forest for all entities and all numbers of days ahead.

    Breiman: Random Forests, Machine Learning 45, 2001. The implementation is scikit-learn's.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from core.data.panel import Panel
        >>> days = pd.date_range("2022-01-01", periods=300)  # begins on a Saturday
        >>> week = np.where(days.dayofweek < 5, 100.0, 60.0)
        >>> series = Panel(days, ("Lyon",), ("day",), week[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((301, 1), dtype=bool))
        >>> forecaster = RandomForest(n_estimators=10).fit(series, known, horizon=1)
        >>> forecaster.predict(series, known, 1, 293).ravel().round(-1).tolist()  # Friday, Saturday …
        [100.0, 60.0, 60.0, 100.0, 100.0, 100.0, 100.0]
    """

    name = "random-forest"
    label = N_("Random forest")
    max_train_rows = 30_000  # twice as many rows take twice as long; the error falls by 0.1 %

    n_estimators: int = hyperparameter(
        100,
        low=10,
        high=1000,
        help=N_("Number of trees. More trees give more stable forecasts and take longer."),
        label=N_("Number of trees"),
    )
    min_samples_leaf: int = hyperparameter(
        3, low=1, high=500, help=N_("Minimum number of days in a leaf."), label=N_("Fewest days in a leaf")
    )
    max_features: float = hyperparameter(
        0.33,
        low=0.01,
        high=1.0,
        help=N_("Share of the features that each split chooses from (0–1)."),
        label=N_("Share of the features"),
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same forecasts."), label=N_("Seed")
    )

    @override
    def build_regressor(self) -> Any:
        return ensemble.RandomForestRegressor(**get_params(self), n_jobs=-1)

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        super().fit(series, covariates, horizon, progress)
        for regressor in self.regressors_.values():
            regressor.n_jobs = 1  # parallel trees are summed in any order, which changes the last digit
        return self
