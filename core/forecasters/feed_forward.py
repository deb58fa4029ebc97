"""Feed-forward network of GluonTS: the distributions of all steps ahead at once, from the steps before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.forecasters.gluonts_training import Batch, restore_weights
from core.forecasters.neural_forecaster import CHUNK_VALUES, NeuralForecaster, clip_residuals
from core.forecasters.seasonal_residuals import Positions, ResidualGrid
from core.lazy_import import LazyModule
from core.messages import N_

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

ANCHOR_SHARE = 0.25  # ones appended to the context, as a share of its length


@dataclass
class FeedForward(NeuralForecaster):
    """Feed-forward network on seasonal residuals; its output is a Student's t-distribution for every block ahead.

    The distribution of a block is that of each of its steps. Quantiles are those of the distribution: no samples.
    GluonTS scales its inputs and outputs by the mean absolute input. Ones at the end of the input keep that scale above
    0, and tell the network about it.

    Alexandrov et al.: GluonTS: Probabilistic and Neural Time Series Modeling in Python, Journal of Machine Learning
    Research 21, 2020.
    """

    name = "feed-forward"
    label = N_("Feed-forward network (neural)")

    @override
    def _build_module(self) -> Any:
        from gluonts.torch.model.simple_feedforward.lightning_module import SimpleFeedForwardLightningModule

        return SimpleFeedForwardLightningModule(
            self._list_dimensions(), lr=self.learning_rate, weight_decay=WEIGHT_DECAY
        )

    @override
    def _build_network(self) -> Any:
        from gluonts.torch.model.simple_feedforward.module import SimpleFeedForwardModel

        return restore_weights(SimpleFeedForwardModel(**self._list_dimensions()), self.weights_)

    def _list_dimensions(self) -> dict[str, Any]:
        return {
            "prediction_length": self.blocks_,
            "context_length": self.context_blocks + self._anchor_count,
            "hidden_dimensions": [self.hidden_size, HEAD_SIZE],
        }

    @property
    def _anchor_count(self) -> int:
        return max(int(ANCHOR_SHARE * self.context_blocks), 1)

    @override
    def build_batch(
        self, grid: ResidualGrid, origins: Positions, entities: Positions, end: int, rng: np.random.Generator
    ) -> Batch:
        horizon = self.blocks_ * self.block_steps_
        future = grid.compute_future(origins, entities, horizon)[0]
        future[origins[:, None] + np.arange(horizon) >= end] = np.nan
        future = future.reshape(len(origins), self.blocks_, self.block_steps_)
        steps = rng.integers(self.block_steps_, size=(len(origins), self.blocks_, 1))  # one step of each block
        target, observed = clip_residuals(np.take_along_axis(future, steps, axis=2)[..., 0])
        return {
            "past_target": self._build_context(grid, origins, entities),
            "future_target": target,
            "future_observed_values": observed,
        }

    def _build_context(self, grid: ResidualGrid, origins: Positions, entities: Positions) -> "torch.Tensor":
        past = clip_residuals(grid.compute_past(origins, entities, self.context_blocks, self.block_steps_))[0]
        return torch.cat([past, torch.ones(len(origins), self._anchor_count)], dim=1)

    @override
    def _choose_chunk_size(self, quantile_count: int) -> int:
        return max(CHUNK_VALUES // (self.blocks_ * self.block_steps_ * (quantile_count + 8)), 1)

    @override
    def _predict_residuals(
        self, network: Any, grid: ResidualGrid, origins: Positions, entities: Positions, blocks: int, quantiles: Floats
    ) -> Floats:
        from scipy.special import stdtrit

        (df, loc, scale), _, window_scale = network(self._build_context(grid, origins, entities).double())
        df, loc, scale = (array.numpy()[:, :blocks, None] for array in (df, loc * window_scale, scale * window_scale))
        return np.repeat(loc + scale * stdtrit(df, quantiles), self.block_steps_, axis=1)


HEAD_SIZE = 8
WEIGHT_DECAY = 1e-4
