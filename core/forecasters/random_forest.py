"""Random forest: many trees, each grown on a draw of the days, averaged."""

from dataclasses import dataclass
from typing import Any, Self

from sklearn import ensemble
from typing_extensions import override

from core.data.panel import Panel
from core.forecasters.known import Known
from core.forecasters.trees import Trees
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import get_params, hyperparameter


@dataclass
class RandomForest(Trees):
    """One forest for all entities and days ahead.

    Breiman: Random Forests, Machine Learning 45, 2001; the implementation is scikit-learn's.
    """

    name = "random-forest"
    label = N_("Random forest")
    rows = 30_000  # twice as many take twice as long and err by 0.1 % less

    n_estimators: int = hyperparameter(
        100, low=10, high=1000, help=N_("Number of trees; more give steadier forecasts but take longer.")
    )
    min_samples_leaf: int = hyperparameter(3, low=1, high=500, help=N_("Days that a leaf holds at least."))
    max_features: float = hyperparameter(
        0.33, low=0.01, high=1.0, help=N_("Share of the features each cut chooses from.")
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Seed: the same seed gives the same forecasts.")
    )

    @override
    def learner(self) -> Any:
        return ensemble.RandomForestRegressor(**get_params(self), n_jobs=-1)

    @override
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        super().fit(series, drivers, horizon, progress)
        self.learner_.n_jobs = 1  # trees that answer side by side are added up in any order, and the last digit changes
        return self
