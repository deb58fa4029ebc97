"""Season line: the last value, or the last one a whole season before."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import Forecaster, build_history_error
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods
from core.forecasters.seasons import list_repeated_seasons
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter


@dataclass
class SeasonLine(Forecaster):
    """Last known amount a whole number of seasons before, for periods of any length; nothing is learnt.

    The automatic choice measures every other forecaster against these lines.

    Example:
        >>> import pandas as pd
        >>> hours = pd.date_range("2024-01-01", periods=48, freq="h")
        >>> series = Panel(hours, ("Lyon",), ("day",), np.arange(48.0)[:, None, None], frequency="h")
        >>> known = CovariatePanel(hours, {}, np.zeros((48, 1), dtype=bool))
        >>> [SeasonLine(periods).fit(series, known, 2).predict(series, known, 2, 47).item() for periods in (1, 24)]
        [45.0, 23.0]
    """

    name = "season-line"
    label = N_("Last value, or that of a season before")

    periods: int = hyperparameter(
        0,
        low=0,
        high=1_000_000,
        help=N_("Season in periods. 1 repeats the last value; 0 takes the shortest season of the data."),
        label=N_("Season, periods"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        self.season_ = self.periods or min(list_repeated_seasons(series))
        known_count = int(np.isfinite(series.amounts).sum(axis=0).max(initial=0))
        if known_count <= self.season_:
            raise build_history_error(series, known_count, self.season_ + 1)
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        return shift_periods(series.last_known, step + (-step) % self.season_)[first_day:]
