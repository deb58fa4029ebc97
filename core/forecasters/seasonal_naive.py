"""Seasonal naive: the last known amount of the same weekday."""

from dataclasses import dataclass
from typing import Self

from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import Forecaster
from core.forecasters.covariate_panel import CovariatePanel, shift_days
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter


@dataclass
class SeasonalNaive(Forecaster):
    """Last known amount one or more whole seasons before; a missing amount is filled from the days before it.

    It is the baseline of all forecasters: no weather, nothing to fit.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=14)
        >>> series = Panel(days, ("Lyon",), ("day",), np.arange(14.0)[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((15, 1), dtype=bool))
        >>> SeasonalNaive().predict(series, known, 1, 10).ravel().tolist()  # 7 days before
        [3.0, 4.0, 5.0, 6.0]
        >>> SeasonalNaive().predict(series, known, 8, 10).ravel().tolist()  # 14 days before
        [nan, nan, nan, nan]
    """

    name = "seasonal-naive"
    label = N_("Seasonal naive")

    season: int = hyperparameter(
        7, low=1, high=366, help=N_("Period of the series in days. With 7, the forecast is the same weekday.")
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        return shift_days(series.last_known, step + (-step) % self.season)[first_day:]
