"""A forecaster of sample paths, and a slow one, for the tests of intervals."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.forecasters.series.base import SeriesForecaster, bound_quantiles
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter


@dataclass
class SamplingForecaster(SeriesForecaster):
    """Draw the value of the last week with the noise of its changes, as often as `samples` says."""

    name = "sampling"
    label = "Sampling"

    samples: int = hyperparameter(100, low=1, high=100_000, help="Sample paths.")

    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        """Learn the relative change from week to week."""
        for share in (0.0, 0.5, 1.0):
            if progress is not None:
                progress.report(share)
        week = series.week_steps
        self.spread_ = np.nanstd(np.log1p(series.values[week:]) - np.log1p(series.values[:-week]), axis=0)
        return self

    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        """Return the quantiles of the samples."""
        week = series.week_steps
        last = np.resize(series.values[-week:], (horizon, len(series.entities)))
        random = np.random.default_rng(len(series))
        noise = random.normal(size=(self.samples, *last.shape)) * self.spread_
        paths = np.expm1(np.log1p(last) + noise)
        return bound_quantiles(np.moveaxis(np.quantile(paths, quantiles, axis=0), 0, 2), series)
