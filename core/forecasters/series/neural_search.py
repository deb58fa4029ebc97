"""Search for the settings of a neural forecaster on held-out windows."""

import time
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from core.data.regular_series import RegularSeries
from core.evaluation.forecast_metrics import quantile_loss
from core.forecasters.series.neural_forecaster import NeuralForecaster
from core.progress import Progress

Neural = TypeVar("Neural", bound=NeuralForecaster)

SEARCH_SPACE: dict[str, tuple[float, ...]] = {
    "hidden_size": (8, 16, 32, 64),
    "context": (0.5, 1.0, 2.0),
    "learning_rate": (0.0003, 0.0005, 0.001, 0.003),
    "epochs": (10, 20, 40),
}
HELD_OUT_SHARE = 0.25  # of the series, at most
MAX_ORIGINS = 8  # of the held-out forecasts
SEARCH_QUANTILES = np.array([0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975])


def search_settings(
    forecaster: Neural, series: RegularSeries, horizon: int, trials: int, progress: Progress | None = None
) -> tuple[Neural, pd.DataFrame]:
    """Return an unfitted forecaster with the best of `trials` settings, and the table of the settings and their losses.

    The first settings are those of `forecaster`; the others are drawn at random with its seed. The loss is the mean
    weighted quantile loss of forecasts of the last steps of `series`, which should end before any test. Raises
    DataError for too little history, and CancelledError.
    """
    progress = progress or Progress()
    candidates = draw_settings(forecaster, trials)
    rows: list[dict[str, Any]] = []
    for number, candidate in enumerate(candidates):
        started = time.perf_counter()
        loss = measure_loss(candidate, series, horizon, _TrialProgress(progress, number, len(candidates)))
        settings = {name: getattr(candidate, name) for name in SEARCH_SPACE}
        rows.append({"trial": number + 1, **settings, "mwql": loss, "seconds": time.perf_counter() - started})
        progress.add_point("mean weighted quantile loss", number + 1, loss)
    progress.report(1.0)
    table = pd.DataFrame(rows)
    return candidates[int(table["mwql"].fillna(np.inf).to_numpy().argmin())], table


def draw_settings(forecaster: Neural, trials: int) -> list[Neural]:
    """Return `trials` forecasters with different settings, the first one with those of `forecaster`.

    Example:
        >>> from core.forecasters.series.feed_forward import FeedForward
        >>> [candidate.hidden_size for candidate in draw_settings(FeedForward(hidden_size=5), 1)]
        [5]
    """
    grid = np.stack(np.meshgrid(*map(np.arange, map(len, SEARCH_SPACE.values())), indexing="ij"), -1)
    cells = grid.reshape(-1, len(SEARCH_SPACE))
    order = np.random.default_rng(forecaster.seed).permutation(len(cells))
    candidates = [replace(forecaster)]
    for cell in cells[order]:
        settings: dict[str, Any] = {
            name: values[i] for (name, values), i in zip(SEARCH_SPACE.items(), cell, strict=True)
        }
        if len(candidates) < trials and any(getattr(forecaster, name) != value for name, value in settings.items()):
            candidates.append(replace(forecaster, **settings))
    return candidates


def measure_loss(forecaster: NeuralForecaster, series: RegularSeries, horizon: int, progress: Progress) -> float:
    """Return the mean weighted quantile loss on the last steps of `series`, after a fit on the steps before them."""
    held_out = max(min(2 * horizon, int(HELD_OUT_SHARE * len(series))), 1)
    cut, steps = len(series) - held_out, min(horizon, held_out)
    fitted = replace(forecaster).fit_series(series.select(0, cut), steps, progress)
    origins = np.unique(np.linspace(cut, len(series) - steps, MAX_ORIGINS).astype(int)).tolist()
    forecasts = fitted.predict_origins(series, origins, steps, SEARCH_QUANTILES)
    actual = np.stack([series.values[origin : origin + steps] for origin in origins])
    return quantile_loss(actual, forecasts, SEARCH_QUANTILES)


class _TrialProgress(Progress):
    """Progress of one trial, whose curves have its number in their names."""

    def __init__(self, parent: Progress, number: int, trials: int) -> None:
        super().__init__(parent.folder)
        self.part, self.number = parent.create_part(number, trials), number

    def report(self, share: float, stage: str = "") -> None:
        self.part.report(share, stage)

    def add_point(self, curve: str, step: float, value: float) -> None:
        self.part.add_point(f"{curve} {self.number + 1}", step, value)

    def cancel(self) -> None:
        self.part.cancel()
