"""Seasonal naive: a day brings what the same day of the week brought last."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from core.data.panel import Panel
from core.forecasters.base import Floats, Forecaster
from core.forecasters.known import Known, shifted
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter


@dataclass
class SeasonalNaive(Forecaster):
    """The last known amount one or more whole seasons before; a missing one is filled from the days before it.

    The forecast that every other has to beat: it knows no weather and learns nothing.
    """

    name = "seasonal-naive"
    label = N_("Seasonal naive")

    season: int = hyperparameter(
        7, low=1, high=366, help=N_("Days after which a series repeats itself: 7 is the same weekday.")
    )

    @override
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        return self

    @override
    def predict(self, series: Panel, drivers: Known, step: int, first: int = 0) -> Floats:
        return shifted(series.recent, step + (-step) % self.season)[first:]
