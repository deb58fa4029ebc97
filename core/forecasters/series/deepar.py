"""DeepAR of GluonTS: a recurrent network that draws sample paths of the steps ahead."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from typing_extensions import override

from core.array_types import Floats
from core.forecasters.series.gluonts_training import Batch, restore_weights, start_at_seasonal_mean
from core.forecasters.series.neural_forecaster import NeuralForecaster, clip_residuals
from core.forecasters.series.seasonal_residuals import MAX_RESIDUAL, Mask, Positions, ResidualGrid
from core.lazy_import import LazyModule
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

TRAIN_DAYS = 2  # length of the forecasts in training
MIN_TRAIN_BLOCKS = 7
DROPOUT = 0.1  # between two recurrent layers
WEIGHT_DECAY = 1e-3
CHUNK_WINDOWS = 32  # windows forecast together
NOISE_VALUES = 4001  # values that represent the distribution of the residuals within a block
MIN_TAIL_SAMPLES = 5  # samples beyond every quantile
FEATURE_COUNT = 4  # of `encode_clock`


@dataclass
class DeepAR(NeuralForecaster):
    """Recurrent network on seasonal residuals, with a Student's t-distribution for the next block.

    It is trained on windows of two days. A forecast feeds every sampled block back into the network, to the end of the
    horizon. The steps of a block spread around it as in the training series. The inputs are the blocks one, two, a day
    and a week before, and the time of the day on the local clock. All origins share their random
    numbers.

    Salinas, Flunkert, Gasthaus, Januschowski: DeepAR: Probabilistic forecasting with autoregressive recurrent networks,
    International Journal of Forecasting 36, 2020.

    noise_  quantiles of the residuals of steps around the mean of their block
    """

    name = "deepar"
    label = N_("DeepAR (neural)")

    batch_size: ClassVar[int] = 32

    layers: int = hyperparameter(1, low=1, high=4, help=N_("Number of recurrent layers."), label=N_("Recurrent layers"))
    samples: int = hyperparameter(
        200,
        low=100,
        high=10_000,
        help=N_("Number of sample paths of a forecast. More samples make the quantiles smoother, never wider."),
        label=N_("Sample paths"),
    )

    @override
    def _build_module(self) -> Any:
        from gluonts.torch.model.deepar.lightning_module import DeepARLightningModule

        module = DeepARLightningModule(self._list_dimensions(), lr=self.learning_rate, weight_decay=WEIGHT_DECAY)
        start_at_seasonal_mean(module.model.param_proj)
        return module

    @override
    def _build_network(self) -> Any:
        from gluonts.torch.model.deepar.module import DeepARModel

        return restore_weights(DeepARModel(**self._list_dimensions()), self.weights_)

    def _list_dimensions(self) -> dict[str, Any]:
        return {
            "freq": "h",
            "prediction_length": self._train_blocks,
            "context_length": self.context_blocks,
            "num_feat_dynamic_real": FEATURE_COUNT,
            "num_layers": self.layers,
            "hidden_size": self.hidden_size,
            "dropout_rate": DROPOUT if self.layers > 1 else 0.0,
            "lags_seq": self._lags,
            "scaling": False,  # residuals have the same scale for all entities
        }

    @property
    def _lags(self) -> list[int]:
        return sorted({1, 2, *(blocks for blocks in self.season_blocks_ if blocks)})

    @property
    def _train_blocks(self) -> int:
        return min(self.blocks_, max(TRAIN_DAYS * self.season_blocks_[0], MIN_TRAIN_BLOCKS))

    @override
    def build_batch(
        self, grid: ResidualGrid, origins: Positions, entities: Positions, end: int, rng: np.random.Generator
    ) -> Batch:
        horizon = self._train_blocks * self.block_steps_
        future = grid.compute_future(origins, entities, horizon)[0]
        future[origins[:, None] + np.arange(horizon) >= end] = np.nan
        target, observed = clip_residuals(average_blocks(future, self.block_steps_))
        return {
            **self._build_context(grid, origins, entities, self._train_blocks),
            "future_target": target,
            "future_observed_values": observed,
        }

    def _build_context(self, grid: ResidualGrid, origins: Positions, entities: Positions, blocks: int) -> Batch:
        """Return the inputs of the network, with the time of `blocks` blocks ahead."""
        past_blocks = self.context_blocks + max(self._lags)
        past, observed = clip_residuals(
            grid.compute_past(origins, entities, self.block_steps_ * np.arange(past_blocks, -1, -1))
        )
        starts = origins[:, None] + self.block_steps_ * np.arange(-past_blocks, blocks)
        features = encode_clock(grid.clock)[np.clip(starts, 0, len(grid.clock) - 1)]
        time_features = torch.from_numpy(features.astype(np.float32))
        return {
            "feat_static_cat": torch.zeros(len(origins), 1, dtype=torch.long),
            "feat_static_real": torch.zeros(len(origins), 1),
            "past_time_feat": time_features[:, :past_blocks],
            "past_target": past,
            "past_observed_values": observed,
            "future_time_feat": time_features[:, past_blocks:],
        }

    @override
    def _fit_noise(self, grid: ResidualGrid) -> None:
        size = self.block_steps_
        steps = np.clip(
            grid.residuals[: grid.step_count // size * size].T.astype(np.float64), -MAX_RESIDUAL, MAX_RESIDUAL
        )
        deviations = steps - np.repeat(average_blocks(steps, size), size, axis=1)
        known = deviations[np.isfinite(deviations)]
        self.noise_ = np.quantile(known, np.linspace(0, 1, NOISE_VALUES)).astype(np.float32)

    def _count_samples(self, quantiles: Floats) -> int:
        """Return the number of sample paths: enough for every quantile to have samples beyond it."""
        tail = min(*quantiles, *(1 - quantiles))
        return max(self.samples, ceil(MIN_TAIL_SAMPLES / max(tail, 1e-4)))

    @override
    def _choose_chunk_size(self, quantile_count: int) -> int:
        return CHUNK_WINDOWS

    @override
    def _predict_residuals(
        self,
        network: Any,
        grid: ResidualGrid,
        origins: Positions,
        entities: Positions,
        is_known: Mask,
        quantiles: Floats,
    ) -> Floats:
        blocks, sample_count = is_known.shape[1], self._count_samples(quantiles)
        rng = np.random.default_rng(self.seed)
        uniforms = rng.random((blocks, sample_count))
        paths = self._draw_paths(network, self._build_context(grid, origins, entities, blocks), is_known, uniforms)
        noise = rng.choice(self.noise_, (blocks, self.block_steps_, sample_count)) if self.block_steps_ > 1 else 0.0
        steps = (paths[:, :, None] + noise).reshape(len(origins), -1, sample_count)
        return np.moveaxis(np.quantile(steps, quantiles, axis=2, method="weibull"), 0, 2)

    def _draw_paths(self, network: Any, context: Batch, is_known: Mask, uniforms: Floats) -> Floats:
        """Return sample paths of the residuals of blocks, (windows, blocks, samples).

        Unknown blocks are 0, as they are in training.
        """
        from scipy.special import stdtrit  # type: ignore[import-untyped]

        (blocks, samples), windows = uniforms.shape, len(context["past_target"])
        context = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in context.items()}
        time_features = context.pop("future_time_feat")
        parameters, _, _, static, state = network.unroll_lagged_rnn(**context, future_time_feat=time_features[:, :1])
        static = static.repeat_interleave(samples, dim=0)[:, None]
        state = tuple(part.repeat_interleave(samples, dim=1) for part in state)
        history = max(self._lags)
        values = torch.zeros(windows * samples, history + blocks, dtype=torch.float64)
        values[:, :history] = context["past_target"][:, -history:].repeat_interleave(samples, dim=0)
        df, loc, scale = (part[:, -1].repeat_interleave(samples, dim=0).numpy() for part in parameters)
        for block in range(blocks):
            if block > 0:
                lags = torch.stack([values[:, history + block - lag] for lag in self._lags], dim=1)[:, None]
                features = time_features[:, block : block + 1].repeat_interleave(samples, dim=0)
                output, state = network.rnn(torch.cat([lags, static, features], dim=2), state)
                df, loc, scale = (part[:, -1].numpy() for part in network.param_proj(output))
            drawn = loc + scale * stdtrit(df, np.tile(uniforms[block], windows))
            values[:, history + block] = torch.from_numpy(
                np.clip(drawn, -MAX_RESIDUAL, MAX_RESIDUAL) * np.repeat(is_known[:, block], samples)
            )
        paths = values[:, history:].numpy().reshape(windows, samples, blocks)
        return paths.transpose(0, 2, 1)


def average_blocks(values: Floats, block_steps: int) -> Floats:
    """Return the means of blocks of known values, (windows, blocks); NaN for a block without one.

    Example:
        >>> average_blocks(np.array([[1.0, 3.0, np.nan, 5.0, np.nan, np.nan]]), 2).tolist()
        [[2.0, 5.0, nan]]
    """
    blocks = values.reshape(len(values), -1, block_steps)
    known = np.isfinite(blocks)
    with np.errstate(invalid="ignore"):
        return np.where(known, blocks, 0).sum(axis=2) / known.sum(axis=2)


def encode_clock(clock: pd.DatetimeIndex) -> Floats:
    """Return two sine and cosine waves of the day, (steps, 4).

    The week is in the seasonal residuals. A month of data has too few weeks for a network to learn a weekday from.

    Example:
        >>> encode_clock(pd.DatetimeIndex(["2024-01-01 06:00"])).round().tolist()
        [[1.0, 0.0, 0.0, -1.0]]
    """
    day = np.asarray((clock - clock.normalize()) / pd.Timedelta(days=1), dtype=float)
    angles = 2 * np.pi * np.stack([day, 2 * day], axis=1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
