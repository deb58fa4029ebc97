"""Zero-shot: a small network that was trained on many other series forecasts without any training here."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.regular_series import RegularSeries
from core.errors import OptionError
from core.forecasters.series.base import (
    RECENT_STEPS,
    SeriesForecaster,
    bound_quantiles,
    mark_known_entities,
    require_history,
)
from core.forecasters.series.quantile_levels import interpolate_quantiles
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

fracast: Any = LazyModule("fracast")

CONTEXT_STEPS = 2048  # read by the network
LEVELS = tuple(number / 10 for number in range(1, 10))  # of its quantiles
BATCH_SERIES = 16  # the fastest batch on a CPU
WEIGHTS_FILE = "model.safetensors"  # other files of weights may run code


@dataclass
class ZeroShot(SeriesForecaster):
    """Fracast-0, a convolutional network of 85,001 parameters whose weights are part of its package.

    It reads the last 2,048 steps of a series and gives nine quantiles of the next 48. Longer horizons continue from the
    median of the block before, so intervals do not grow from block to block. The outermost quantiles are 0.1 and 0.9.
    Beyond them the distance to the median grows as it does for a normal distribution.

    Nothing is downloaded. Time grows with the number of series: about 1 s for 672 steps of one series. Source of the
    model: https://github.com/ztxtech/fracast-0 (Apache-2.0).

    A model of the Chronos family replaces it if its folder is given. The package chronos-forecasting is then needed.
    Ansari et al.: Chronos: Learning the Language of Time Series, Transactions on Machine Learning Research, 2024.
    """

    name = "zero-shot"
    label = N_("Zero-shot network (Fracast-0)")

    chronos_folder: str = hyperparameter(
        "",
        help=N_(
            "Folder on the server with a Chronos model (config.json, model.safetensors), used instead of Fracast-0. "
            "It needs the package chronos-forecasting."
        ),
        label=N_("Folder of the Chronos model"),
    )

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        require_history(series, (series.week_steps or RECENT_STEPS) + max(series.day_steps, RECENT_STEPS))
        if self.chronos_folder:
            _load_chronos(self.chronos_folder)
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        return self.predict_origins(series, [len(series)], horizon, quantiles)[0]

    @override
    def predict_origins(self, series: RegularSeries, origins: list[int], horizon: int, quantiles: Floats) -> Floats:
        histories = [series.select(0, origin) for origin in origins]
        clocks = [_count_clock_steps(history, horizon) for history in histories]
        is_known = np.stack([mark_known_entities(history) for history in histories])
        contexts = np.stack([_take_context(*each) for each in zip(histories, clocks, strict=True)])
        is_known &= np.isfinite(contexts).sum(axis=2) >= RECENT_STEPS
        clock_horizon = max(int(clock[-horizon:].max()) for clock in clocks)
        rows = np.full((*is_known.shape, clock_horizon, len(LEVELS)), np.nan)
        if is_known.any():
            rows[is_known] = self._predict_rows(contexts[is_known], clock_horizon)
        forecasts = interpolate_quantiles(rows, np.array(LEVELS), quantiles)
        return np.stack(
            [
                bound_quantiles(forecast[:, np.maximum(clock[-horizon:] - 1, 0)].transpose(1, 0, 2), history)
                for forecast, clock, history in zip(forecasts, clocks, histories, strict=True)
            ]
        )

    def _predict_rows(self, contexts: Floats, horizon: int) -> Floats:
        """Return the nine quantiles of the next steps of every series, (series, horizon, levels)."""
        batches = [contexts[start : start + BATCH_SERIES] for start in range(0, len(contexts), BATCH_SERIES)]
        if self.chronos_folder:
            return np.concatenate([_predict_with_chronos(self.chronos_folder, batch, horizon) for batch in batches])
        model = _load_fracast()
        return np.concatenate([model.forecast_batch(batch, horizon=horizon) for batch in batches]).astype(float)


def _count_clock_steps(series: RegularSeries, horizon: int) -> NDArray[np.intp]:
    """Return the steps on the local clock from the last step of `series` to every step and the next `horizon` ones.

    A clock change repeats or skips numbers, so that a time of the day stays a whole number of days away.
    """
    if series.step > DAY:  # months differ in length
        return np.arange(1 - len(series), horizon + 1, dtype=np.intp)
    clock = series.extend(horizon).local_times.tz_localize(None)
    return np.asarray((clock - clock[len(series) - 1]) // series.step, dtype=np.intp)


def _take_context(series: RegularSeries, clock_steps: NDArray[np.intp]) -> Floats:
    """Return the last 2,048 steps of the local clock, (entities, 2,048).

    NaN for a step that the clock skips, and before the first step.
    """
    context = np.full((len(series.entities), CONTEXT_STEPS), np.nan)
    columns = CONTEXT_STEPS - 1 + clock_steps[: len(series)]
    is_inside = (columns >= 0) & (columns < CONTEXT_STEPS)
    context[:, columns[is_inside]] = series.values[is_inside].T
    return context


@cache
def _load_fracast() -> Any:
    return fracast.FracastModel.from_pretrained()


@cache
def _load_chronos(folder: str) -> Any:
    """Load the model of `folder`. Raises OptionError without its files or without the package."""
    if not (Path(folder) / WEIGHTS_FILE).is_file() or not (Path(folder) / "config.json").is_file():
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="chronos_folder",
            value=folder,
            accepted=f"config.json + {WEIGHTS_FILE}",
        )
    try:
        from chronos import BaseChronosPipeline  # type: ignore[import-not-found]
    except ImportError as error:
        raise OptionError(
            N_("A Chronos model needs the Python package {package}, which is not installed on this server."),
            package="chronos-forecasting",
        ) from error
    return BaseChronosPipeline.from_pretrained(folder, device_map="cpu")


def _predict_with_chronos(folder: str, contexts: Floats, horizon: int) -> Floats:
    import torch

    inputs = [torch.from_numpy(context[np.isfinite(context).argmax() :].astype(np.float32)) for context in contexts]
    quantiles, _ = _load_chronos(folder).predict_quantiles(inputs, horizon, quantile_levels=list(LEVELS))
    rows = [np.asarray(each, dtype=float).reshape(horizon, len(LEVELS)) for each in quantiles]
    return np.stack(rows)
