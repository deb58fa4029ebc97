"""AutoETS: exponential smoothing of the daily level, with the form that fits best."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from core.forecasters.series.daily_remainder import DailyRemainderForecaster
from core.lazy_import import LazyModule
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

models: Any = LazyModule("statsforecast.models")


@dataclass
class AutoEts(DailyRemainderForecaster):
    """Exponential smoothing of the daily remainder; the form with the smallest information criterion is taken.

    Hyndman, Koehler, Snyder, Grose: A State Space Framework for Automatic Forecasting Using Exponential Smoothing
    Methods, International Journal of Forecasting 18, 2002. The implementation is that of statsforecast.
    """

    name = "auto-ets"
    label = N_("AutoETS on the daily level")

    trend: bool = hyperparameter(
        False,
        help=N_("Also try forms with a trend, which continues. Without it the level stays where it is."),
        label=N_("Trend"),
    )

    @override
    def build_model(self, season: int = 1) -> Any:
        form = ("ZZ" if self.trend else "AN") + ("N" if season == 1 else "A")
        return models.AutoETS(season_length=season, model=form, damped=None)
