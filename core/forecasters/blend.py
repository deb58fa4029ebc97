"""Blend: the mean of a line, which extrapolates, and of trees, which see what is not a sum."""

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
    """Ridge and trees with the same weight: their errors differ, so that their mean errs less than either.

    Bates, Granger: The Combination of Forecasts, Operational Research Quarterly 20, 1969.
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
