"""Gradient boosting: small trees, each grown on what those before it got wrong."""

from dataclasses import dataclass
from typing import Any

from sklearn import ensemble
from typing_extensions import override

from core.forecasters.trees import Trees
from core.messages import N_
from core.spec.hyperparameters import get_params, hyperparameter


@dataclass
class GradientBoosting(Trees):
    """One model for all entities and days ahead.

    Friedman: Greedy Function Approximation, Annals of Statistics 29, 2001; the implementation is scikit-learn's, on
    histograms.
    """

    name = "gradient-boosting"
    label = N_("Gradient boosting")

    max_iter: int = hyperparameter(400, low=10, high=5000, help=N_("Number of trees."))
    learning_rate: float = hyperparameter(
        0.05, low=0.001, high=1.0, help=N_("Share of each tree's answer that is kept.")
    )
    max_leaf_nodes: int = hyperparameter(24, low=2, high=500, help=N_("Leaves of each tree."))
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Seed: the same seed gives the same forecasts.")
    )

    @override
    def learner(self) -> Any:
        return ensemble.HistGradientBoostingRegressor(**get_params(self), early_stopping=False)
