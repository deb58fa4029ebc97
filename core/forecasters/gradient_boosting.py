"""Gradient boosting: small trees, each fitted on the errors of the trees before it."""

from dataclasses import dataclass
from typing import Any

from sklearn import ensemble
from typing_extensions import override

from core.forecasters.trees import TreeForecaster
from core.messages import N_
from core.spec.hyperparameters import get_params, hyperparameter


@dataclass
class GradientBoosting(TreeForecaster):
    """Gradient-boosted trees: one model for all entities and all numbers of days ahead.

    Friedman: Greedy Function Approximation, Annals of Statistics 29, 2001. The implementation is scikit-learn's, on
    histograms.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from core.data.panel import Panel
        >>> from core.forecasters.panels.covariate_panel import CovariatePanel
        >>> days = pd.date_range("2022-01-01", periods=300)  # begins on a Saturday
        >>> week = np.where(days.dayofweek < 5, 100.0, 60.0)
        >>> series = Panel(days, ("Lyon",), ("day",), week[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((301, 1), dtype=bool))
        >>> forecaster = GradientBoosting(max_iter=100).fit(series, known, horizon=1)
        >>> forecaster.predict(series, known, 1, 293).ravel().round(-1).tolist()  # Friday, Saturday …
        [100.0, 60.0, 60.0, 100.0, 100.0, 100.0, 100.0]
    """

    name = "gradient-boosting"
    label = N_("Gradient boosting")

    max_iter: int = hyperparameter(400, low=10, high=5000, help=N_("Number of trees."), label=N_("Number of trees"))
    learning_rate: float = hyperparameter(
        0.05,
        low=0.001,
        high=1.0,
        help=N_("Learning rate: share of the correction of each tree that is applied (0–1)."),
        label=N_("Learning rate"),
    )
    max_leaf_nodes: int = hyperparameter(
        24, low=2, high=500, help=N_("Maximum number of leaves of a tree."), label=N_("Maximum of leaves")
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same forecasts."), label=N_("Seed")
    )

    @override
    def build_regressor(self) -> Any:
        return ensemble.HistGradientBoostingRegressor(**get_params(self), early_stopping=False)
