"""Intermittent demand: amounts that are zero most of the time."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import Forecaster, build_history_error
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

MIN_VALUES = 8  # known amounts of an entity
CROSTON, TSB = "croston", "tsb"


@dataclass
class Intermittent(Forecaster):
    """Expected amount of a period: the probability of an amount other than zero, times its usual size.

    Both are smoothed exponentially, the size at amounts other than zero. The form "tsb" smooths the probability at
    every period, so that a demand that ends is forgotten. Teunter, Syntetos, Babai: Intermittent Demand: Linking
    Forecasting to Inventory Obsolescence, European Journal of Operational Research 214, 2011.

    The form "croston" smooths the time between two amounts, with the correction of its bias. Syntetos, Boylan: The
    Accuracy of Intermittent Demand Estimates, International Journal of Forecasting 21, 2005.

    The forecast is the same for every number of periods ahead. Missing amounts change nothing.

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=40)
        >>> amounts = np.where(np.arange(40) % 4 == 3, 8.0, 0.0)  # 8 on every fourth day
        >>> series = Panel(days, ("Lyon",), ("day",), amounts[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((41, 1), dtype=bool))
        >>> [Intermittent(form).fit(series, known, 1).predict(series, known, 1, 39).round(1).item()
        ...  for form in ("tsb", "croston")]
        [1.7, 1.9]
    """

    name = "intermittent"
    label = N_("Intermittent amounts (TSB, Croston)")

    form: str = hyperparameter(
        TSB,
        choices=(TSB, CROSTON),
        words={TSB: "Teunter, Syntetos, Babai", CROSTON: "Croston (Syntetos, Boylan)"},
        help=N_("TSB forgets a demand that ends. Croston changes only at amounts other than zero."),
        label=N_("Form"),
    )
    smoothing: float = hyperparameter(
        0.1,
        low=0.01,
        high=1.0,
        help=N_("Weight of the last period in the probability and in the size of an amount."),
        label=N_("Weight of the last period"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        count = int(np.isfinite(series.amounts).sum(axis=0).max(initial=0))
        if count < MIN_VALUES:
            raise build_history_error(series, count, MIN_VALUES)
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        rates = self._compute_rates(series)
        origins = np.arange(first_day, len(series)) - step + 1  # periods before the first unknown one
        return np.where((origins >= 0)[:, None], rates[np.maximum(origins, 0)], np.nan)

    def _compute_rates(self, series: Panel) -> Floats:
        """Return the expected amount after every number of periods, (periods + 1, entities).

        NaN before the first known amount, and where the last known one, or that a season before, is too old.
        """
        amounts, is_recent = series.amounts, np.isfinite(series.last_known)
        is_recent &= is_recent[np.maximum(np.arange(len(series)) - series.season, 0)]
        share, size, gap = (np.full(amounts.shape[1], np.nan) for _ in range(3))  # state of every entity
        since = np.ones(amounts.shape[1])  # periods since the last amount other than zero
        rates = np.full((len(amounts) + 1, amounts.shape[1]), np.nan)
        for number, values in enumerate(amounts):
            is_known, is_demand = np.isfinite(values), np.isfinite(values) & (values != 0)
            share = np.where(is_known, _smooth(share, is_demand.astype(float), self.smoothing), share)
            size = np.where(is_demand, _smooth(size, values, self.smoothing), size)
            gap = np.where(is_demand, _smooth(gap, since, self.smoothing), gap)
            since = np.where(is_demand, 1.0, since + is_known)
            rate = share if self.form == TSB else (1 - self.smoothing / 2) / gap
            rate = np.where(np.isnan(size), np.where(np.isnan(share), np.nan, 0.0), rate * size)
            rates[number + 1] = np.where(is_recent[number], rate, np.nan)
        return rates


def _smooth(state: Floats, value: Floats, weight: float) -> Floats:
    """Return the smoothed state; the first value where there is none."""
    return np.where(np.isnan(state), value, state + weight * (value - state))
