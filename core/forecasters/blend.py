"""Blend: the mean of a linear forecast and a tree forecast."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import DirectForecaster, Forecaster, gather_limits
from core.forecasters.gradient_boosting import GradientBoosting
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.random_forest import RandomForest
from core.forecasters.ridge import Ridge
from core.messages import N_, Message
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

TREE_FORECASTERS: dict[str, type[DirectForecaster]] = {
    forecaster_class.name: forecaster_class for forecaster_class in (GradientBoosting, RandomForest)
}


@dataclass
class Blend(Forecaster):
    """Mean of the Ridge forecast and a tree forecast, with equal weights.

    Ridge extrapolates; trees find interactions. Their errors differ, so the error of the mean is smaller than either.
    Bates, Granger: The Combination of Forecasts, Operational Research Quarterly 20, 1969.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2022-01-01", periods=250)
        >>> week = np.where(days.dayofweek < 5, 100.0, 60.0)
        >>> series = Panel(days, ("Lyon",), ("day",), week[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((251, 1), dtype=bool))
        >>> blend = Blend("random-forest").fit(series, known, horizon=1)
        >>> ridge, trees = (part.predict(series, known, 1, 249) for part in blend.forecasters_)
        >>> bool(blend.predict(series, known, 1, 249) == (ridge + trees) / 2)
        True
    """

    name = "blend"
    label = N_("Blend of Ridge and trees")

    trees: str = hyperparameter(
        "gradient-boosting",
        choices=tuple(TREE_FORECASTERS),
        help=N_("Tree-based method that is averaged with Ridge."),
        label=N_("Tree-based method"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        self.forecasters_: list[Forecaster] = [
            forecaster.fit(series, covariates, horizon, None if progress is None else progress.create_part(number, 2))
            for number, forecaster in enumerate((Ridge(), TREE_FORECASTERS[self.trees]()))
        ]
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        ridge_forecast, tree_forecast = (
            forecaster.predict(series, covariates, step, first_day) for forecaster in self.forecasters_
        )
        return (ridge_forecast + tree_forecast) / 2

    @override
    def list_limits(self) -> tuple[Message, ...]:
        return gather_limits(self.forecasters_)

    @override
    def compute_importance(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int
    ) -> dict[str, float]:
        ridge_importance, tree_importance = (
            forecaster.compute_importance(series, covariates, step, first_day) for forecaster in self.forecasters_
        )
        return {
            group: (ridge_importance.get(group, 0.0) + tree_importance.get(group, 0.0)) / 2
            for group in {**ridge_importance, **tree_importance}
        }
