"""AutoARIMA: an autoregressive model of the daily level, with the orders that fit best."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from core.forecasters.series.daily_remainder import DailyRemainderForecaster
from core.lazy_import import LazyModule
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

models: Any = LazyModule("statsforecast.models")


@dataclass
class AutoArima(DailyRemainderForecaster):
    """ARIMA model of the daily remainder; the orders with the smallest information criterion are taken.

    Hyndman, Khandakar: Automatic Time Series Forecasting: the forecast Package for R, Journal of Statistical Software
    27, 2008. The implementation is that of statsforecast.
    """

    name = "auto-arima"
    label = N_("AutoARIMA on the daily level")

    max_order: int = hyperparameter(
        2,
        low=1,
        high=5,
        help=N_("Largest number of past days, and of past errors, that the model may use."),
        label=N_("Largest order"),
    )

    @override
    def build_model(self, season: int = 1) -> Any:
        return models.AutoARIMA(
            season_length=season,
            seasonal=season > 1,
            max_p=self.max_order,
            max_q=self.max_order,
            max_P=1,
            max_Q=1,
            max_d=1,
            max_D=1,
            approximation=True,
        )
