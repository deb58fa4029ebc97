"""Blend: the mean of a linear forecast and a tree forecast."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from core.data.panel import Panel
from core.forecasters.base import Direct, Floats, Forecaster
from core.forecasters.gradient_boosting import GradientBoosting
from core.forecasters.known import Known
from core.forecasters.random_forest import RandomForest
from core.forecasters.ridge import Ridge
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

TREES: dict[str, type[Direct]] = {each.name: each for each in (GradientBoosting, RandomForest)}


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
        >>> known = Known(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((251, 1), dtype=bool))
        >>> blend = Blend("random-forest").fit(series, known, horizon=1)
        >>> ridge, trees = (part.predict(series, known, 1, 249) for part in blend.parts_)
        >>> bool(blend.predict(series, known, 1, 249) == (ridge + trees) / 2)
        True
    """

    name = "blend"
    label = N_("Blend of Ridge and trees")

    trees: str = hyperparameter(
        "gradient-boosting", choices=tuple(TREES), help=N_("The trees that are averaged with the Ridge.")
    )

    @override
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        self.parts_: list[Forecaster] = [
            part.fit(series, drivers, horizon, None if progress is None else progress.part(number, 2))
            for number, part in enumerate((Ridge(), TREES[self.trees]()))
        ]
        return self

    @override
    def predict(self, series: Panel, drivers: Known, step: int, first: int = 0) -> Floats:
        line, trees = (part.predict(series, drivers, step, first) for part in self.parts_)
        return (line + trees) / 2

    @override
    def importance(self, series: Panel, drivers: Known, step: int, first: int) -> dict[str, float]:
        line, trees = (part.importance(series, drivers, step, first) for part in self.parts_)
        return {group: (line.get(group, 0.0) + trees.get(group, 0.0)) / 2 for group in {**line, **trees}}
