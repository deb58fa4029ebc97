"""Feed-forward network of GluonTS: the distributions of all steps ahead at once, from the steps before."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.forecasters.series.gluonts_training import Batch, restore_weights, start_at_seasonal_mean
from core.forecasters.series.neural_forecaster import CHUNK_VALUES, NeuralForecaster, clip_residuals
from core.forecasters.series.seasonal_residuals import Mask, Positions, ResidualGrid
from core.lazy_import import LazyModule
from core.messages import N_

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

HEAD_SIZE = 8  # numbers that describe a block before its distribution
WEIGHT_DECAY = 1e-4
ANCHOR, ANCHOR_SHARE = 4.0, 0.25  # constants appended to the context, and their number as a share of its length


@dataclass
class FeedForward(NeuralForecaster):
    """Feed-forward network on seasonal residuals; its output is a Student's t-distribution for every block ahead.

    The inputs are means over spans that grow with their distance: up to a day they double, then there is one a day. The
    distribution of a block is that of each of its steps. Quantiles are those of the distribution: no samples.

    GluonTS scales its inputs and outputs by the mean absolute input, which is small where means of residuals cancel
    out. Constants at the end of the input keep that scale near 1.

    Alexandrov et al.: GluonTS: Probabilistic and Neural Time Series Modeling in Python, Journal of Machine Learning
    Research 21, 2020.
    """

    name = "feed-forward"
    label = N_("Feed-forward network (neural)")

    @override
    def _build_module(self) -> Any:
        from gluonts.torch.model.simple_feedforward.lightning_module import SimpleFeedForwardLightningModule

        module = SimpleFeedForwardLightningModule(
            self._list_dimensions(), lr=self.learning_rate, weight_decay=WEIGHT_DECAY
        )
        start_at_seasonal_mean(module.model.args_proj)
        return module

    @override
    def _build_network(self) -> Any:
        from gluonts.torch.model.simple_feedforward.module import SimpleFeedForwardModel

        return restore_weights(SimpleFeedForwardModel(**self._list_dimensions()), self.weights_)

    def _list_dimensions(self) -> dict[str, Any]:
        return {
            "prediction_length": self.blocks_,
            "context_length": len(self._context_edges) - 1 + self._anchor_count,
            "hidden_dimensions": [self.hidden_size, HEAD_SIZE],
        }

    @property
    def _anchor_count(self) -> int:
        return max(int(ANCHOR_SHARE * len(self._context_edges)), 1)

    @property
    def _context_edges(self) -> Positions:
        """Ends of the spans of the input, in steps before the origin."""
        day = max(self.season_blocks_[0], 1)
        spans = [2**power for power in range(day.bit_length()) if 2**power < day]
        days = [day * number for number in range(1, ceil(self.context_blocks / day) + 1)]
        return self.block_steps_ * np.array([*days[::-1], *spans[::-1], 0], dtype=np.intp)

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
        past = clip_residuals(grid.compute_past(origins, entities, self._context_edges))[0]
        return torch.cat([past, torch.full((len(origins), self._anchor_count), ANCHOR)], dim=1)

    @override
    def _choose_chunk_size(self, quantile_count: int) -> int:
        return max(CHUNK_VALUES // (self.blocks_ * self.block_steps_ * (quantile_count + 8)), 1)

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
        from scipy.special import stdtrit  # type: ignore[import-untyped]

        (df, loc, scale), _, window_scale = network(self._build_context(grid, origins, entities).double())
        df, loc, scale = (
            array.numpy()[:, : is_known.shape[1], None] for array in (df, loc * window_scale, scale * window_scale)
        )
        return np.repeat(loc + scale * stdtrit(df, quantiles), self.block_steps_, axis=1)
