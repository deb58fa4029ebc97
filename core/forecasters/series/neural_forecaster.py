"""Common base of the neural forecasters: residuals, windows for training, and forecasts of many origins."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from typing_extensions import override

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.errors import OptionError
from core.forecasters.series.base import SeriesForecaster
from core.forecasters.series.gluonts_training import Batch, NetworkTraining, isolate_torch, train_network
from core.forecasters.series.seasonal_residuals import MAX_RESIDUAL, Mask, Positions, ResidualGrid, SeasonalResiduals
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

LONGEST_BLOCK = pd.Timedelta(hours=3)
MIN_BLOCKS = 24  # blocks in a forecast
VALIDATION_SHARE = 0.15  # last steps of the training series, held out for early stopping
VALIDATION_WINDOWS = 256
SIGNS = np.array([-1, 1], dtype=np.float32)
CHUNK_VALUES = 4_000_000  # numbers held by the forecasts that are computed together


@dataclass
class NeuralForecaster(SeriesForecaster):
    """Contract of a network that forecasts seasonal residuals in blocks of steps.

    The network sees and forecasts blocks of steps: three hours for shorter steps, so that a week of quarter-hours is 56
    blocks. One network serves all entities. The last 15 % of the steps are held out for early stopping. The untrained
    network, which forecasts the seasonal mean, is a candidate too.

    residuals_      transform between values and residuals
    weights_        name → weights of the network
    block_steps_    steps of a block
    blocks_         blocks of the longest forecast
    season_blocks_  blocks of a day and of a week; 0 where it is no whole number
    """

    batch_size: ClassVar[int] = 64
    epoch_batches: ClassVar[int] = 50
    patience: ClassVar[int] = 5

    hidden_size: int = hyperparameter(
        16, low=2, high=512, help=N_("Size of the hidden layers of the network."), label=N_("Size of the hidden layers")
    )
    context: float = hyperparameter(
        1.0,
        low=0.1,
        high=8.0,
        help=N_("Weeks of history that the network sees before a forecast."),
        label=N_("History, weeks"),
    )
    epochs: int = hyperparameter(
        20,
        low=1,
        high=1000,
        help=N_(
            "Maximum number of epochs of 50 batches. The training ends earlier when the held-out steps "
            "no longer improve."
        ),
        label=N_("Maximum of epochs"),
    )
    learning_rate: float = hyperparameter(
        0.001, low=0.00001, high=0.1, help=N_("Learning rate of the Adam optimiser."), label=N_("Learning rate")
    )
    seconds: float = hyperparameter(
        40.0,
        low=0.1,
        high=86_400.0,
        help=N_("Time limit of the training, in seconds. A run that reaches it cannot be reproduced exactly."),
        label=N_("Time limit (s)"),
    )
    seed: int = hyperparameter(
        0, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same forecasts."), label=N_("Seed")
    )

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        self.residuals_ = SeasonalResiduals.from_series(series)
        self.block_steps_ = choose_block_steps(series, horizon)
        self.blocks_ = ceil(horizon / self.block_steps_)
        self.season_blocks_ = tuple(steps // self.block_steps_ for steps in (series.day_steps, series.week_steps))
        grid = ResidualGrid(self.residuals_, series, horizon)
        train, validation = self._split_origins(series, horizon)
        with isolate_torch(self.seed):
            self.weights_ = train_network(
                self._build_module(),
                WindowBatches(self, grid, train),
                WindowBatches(self, grid, validation, is_validation=True),
                NetworkTraining(self.epochs, self.seconds, self.patience),
                progress,
            )
        self._fit_noise(grid)
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        return self.predict_origins(series, [len(series)], horizon, quantiles)[0]

    @override
    def predict_origins(self, series: RegularSeries, origins: list[int], horizon: int, quantiles: Floats) -> Floats:
        if horizon > self.blocks_ * self.block_steps_:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="horizon",
                value=horizon,
                low=1,
                high=self.blocks_ * self.block_steps_,
            )
        entity_count = len(series.entities)
        grid = ResidualGrid(self.residuals_, series, horizon)
        windows = np.stack(np.meshgrid(origins, np.arange(entity_count), indexing="ij"), -1).reshape(-1, 2)
        forecasts = np.empty((len(windows), horizon, len(quantiles)))
        size = self._choose_chunk_size(len(quantiles))
        with isolate_torch(self.seed), torch.inference_mode():
            network = self._build_network()
            for first in range(0, len(windows), size):
                chunk = windows[first : first + size]
                forecasts[first : first + size] = self._predict_windows(network, grid, chunk, horizon, quantiles)
        return forecasts.reshape(len(origins), entity_count, horizon, len(quantiles)).transpose(0, 2, 1, 3)

    def _predict_windows(
        self, network: Any, grid: ResidualGrid, windows: Positions, horizon: int, quantiles: Floats
    ) -> Floats:
        origins, entities = windows.T
        _, expected, spread = grid.compute_future(origins, entities, horizon)
        padding = -horizon % self.block_steps_
        is_known = np.pad(np.isfinite(expected), ((0, 0), (0, padding))).reshape(len(windows), -1, self.block_steps_)
        residuals = self._predict_residuals(network, grid, origins, entities, np.any(is_known, axis=2), quantiles)
        levels = expected[..., None] + spread[..., None] * residuals[:, :horizon]
        levels[grid.is_stale(origins, entities)] = np.nan
        return self.residuals_.inverse_transform(levels, entities[:, None, None])

    @property
    def context_blocks(self) -> int:
        """Number of blocks that the network sees before a forecast."""
        season = max(*self.season_blocks_, 7)
        return max(ceil(self.context * season), 4)

    def _split_origins(self, series: RegularSeries, horizon: int) -> tuple[Positions, Positions]:
        """Return the origins of the training windows and of the held-out windows."""
        season, count = self.residuals_.season_steps, len(series)
        first = season + max(season // 7, self.block_steps_)
        cut = count - max(int(VALIDATION_SHARE * count), 2 * self.block_steps_)
        last = count - min(horizon, (count - cut) // 2)
        return np.arange(first, cut - self.block_steps_ + 1), np.arange(cut, last + 1)

    def _fit_noise(self, grid: ResidualGrid) -> None:
        """Learn what the network does not forecast; nothing by default."""

    @abstractmethod
    def _build_module(self) -> Any:
        """Return the untrained Lightning module."""

    @abstractmethod
    def _build_network(self) -> Any:
        """Return the trained network."""

    @abstractmethod
    def build_batch(
        self, grid: ResidualGrid, origins: Positions, entities: Positions, end: int, rng: np.random.Generator
    ) -> Batch:
        """Return the windows at `origins` as the inputs and targets of the network; targets end before step `end`."""

    @abstractmethod
    def _choose_chunk_size(self, quantile_count: int) -> int:
        """Return the number of windows forecast together."""

    @abstractmethod
    def _predict_residuals(
        self,
        network: Any,
        grid: ResidualGrid,
        origins: Positions,
        entities: Positions,
        is_known: Mask,
        quantiles: Floats,
    ) -> Floats:
        """Return the quantiles of the residuals, (windows, steps of the blocks, quantiles).

        `is_known` tells which blocks have an expected level, (windows, blocks).
        """


class WindowBatches:
    """Batches of windows at random origins of random entities; every iteration is an epoch.

    Every epoch of training has other windows; those of the validation stay the same. Half of the training windows are
    upside down: residuals above and below 0 are equally likely, and the network cannot learn single weeks by heart.
    """

    def __init__(
        self, forecaster: NeuralForecaster, grid: ResidualGrid, origins: Positions, *, is_validation: bool = False
    ) -> None:
        self.forecaster, self.grid, self.origins, self.is_validation = forecaster, grid, origins, is_validation
        self.end = grid.step_count if is_validation else int(origins[-1]) + forecaster.block_steps_ - 1
        self.rng = np.random.default_rng(forecaster.seed)
        self.validation_batches: list[Batch] = []

    def __len__(self) -> int:
        if self.is_validation:
            return ceil(VALIDATION_WINDOWS / self.forecaster.batch_size)
        return self.forecaster.epoch_batches

    def __iter__(self) -> Iterator[Batch]:
        if not self.is_validation:
            return self._draw_batches()
        self.validation_batches = self.validation_batches or list(self._draw_batches())
        return iter(self.validation_batches)

    def _draw_batches(self) -> Iterator[Batch]:
        size, entity_count = self.forecaster.batch_size, self.grid.residuals.shape[1]
        for _ in range(len(self)):
            origins = self.rng.choice(self.origins, size)
            entities = self.rng.integers(entity_count, size=size)
            batch = self.forecaster.build_batch(self.grid, origins, entities, self.end, self.rng)
            if not self.is_validation:
                sign = torch.from_numpy(self.rng.choice(SIGNS, (size, 1)))
                batch |= {name: batch[name] * sign for name in ("past_target", "future_target")}
            yield batch


def choose_block_steps(series: RegularSeries, horizon: int) -> int:
    """Return the number of steps in a block: a part of three hours, with at least 24 blocks in the horizon.

    Example:
        >>> times = pd.date_range("2024-01-01", periods=9, freq="15min")
        >>> series = RegularSeries(times, ("T1",), np.ones((9, 1)), pd.Timedelta(minutes=15))
        >>> choose_block_steps(series, 672), choose_block_steps(series, 48)
        (12, 2)
    """
    if LONGEST_BLOCK % series.step != pd.Timedelta(0):
        return 1
    longest = int(LONGEST_BLOCK // series.step)
    sizes = (size for size in range(1, longest + 1) if longest % size == 0)
    return max((size for size in sizes if size * MIN_BLOCKS <= horizon), default=1)


def clip_residuals(residuals: Floats) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return residuals with 0 for unknown ones, and 1 where they are known, in single precision."""
    known = np.isfinite(residuals)
    values = np.clip(np.where(known, residuals, 0), -MAX_RESIDUAL, MAX_RESIDUAL)
    return torch.from_numpy(values.astype(np.float32)), torch.from_numpy(known.astype(np.float32))
