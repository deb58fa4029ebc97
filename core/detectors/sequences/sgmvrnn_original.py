"""SGmVRNN as published: the parts in which the original code differs from the default model.

Encoder and decoder are convolutions over the columns. Their kernels equal their strides, so that each one is a
product over a view. A LeakyReLU follows every layer but the decoder's last, also those that give means, log-variances
and logits. Shapes in comments as in `sgmvrnn.py`.
"""

import math
from typing import TYPE_CHECKING

from core.detectors.sequences.sgmvrnn import ENCODED, LOG_2PI, MIXED, ModelDims, Shapes, SwitchingVRNN, leaky_relu
from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as functional
    from torch import Tensor
else:
    torch, functional = LazyModule("torch"), LazyModule("torch.nn.functional")

MIN_LOG_SIGMA = -1.0  # the smallest value of its tanh
CHANNELS = (1, 8, 16, 32)  # before and after each convolution


def compute_padded_width(columns: int) -> int:
    """Return the number of columns with zero padding that the strides of the convolutions divide.

    Example:
        >>> [(columns, compute_padded_width(columns), choose_conv_strides(columns)) for columns in (8, 12, 38)]
        [(8, 8, (2, 2, 2)), (12, 12, (3, 2, 2)), (38, 40, (2, 2, 2))]
    """
    return next(width for width in range(columns, columns + 12) if width % 12 == 0 or width % 8 == 0)


def choose_conv_strides(columns: int) -> tuple[int, int, int]:
    """Return the strides, equal to the kernel sizes, of the three convolutions."""
    width = compute_padded_width(columns)
    return (3, 2, 2) if width % 12 == 0 and width % 8 else (2, 2, 2)


def compute_flat_size(columns: int) -> int:
    """Return the size of a row after the convolutions."""
    return CHANNELS[-1] * (compute_padded_width(columns) // math.prod(choose_conv_strides(columns)))


class OriginalVRNN(SwitchingVRNN):
    """Published network; it ignores `log_sigma_floor`, because its σ has a floor of its own."""

    head_init_scale = 1.0

    def __init__(
        self, dims: ModelDims, vector: "Tensor", log_sigma_floor: float = MIN_LOG_SIGMA, *, with_logvar: bool = True
    ) -> None:
        super().__init__(dims, vector, MIN_LOG_SIGMA, with_logvar=with_logvar)
        self.padding = (compute_padded_width(dims.columns) - dims.columns) // 2  # zeros before the first column

    @classmethod
    def list_row_layers(cls, dims: ModelDims) -> dict[str, tuple[int, int]]:
        """Return name → shape of the layers of encoder and decoder."""
        strides, flat = choose_conv_strides(dims.columns), compute_flat_size(dims.columns)
        convolutions = [(stride * CHANNELS[i], CHANNELS[i + 1]) for i, stride in enumerate(strides)]
        layers = {f"encoder.{i}": shape for i, shape in enumerate([*convolutions, (flat, MIXED), (MIXED, ENCODED)])}
        transposed = [(outputs, inputs) for inputs, outputs in reversed(convolutions)]
        for head in ("mu", "log_sigma"):
            head_layers = [(dims.state + dims.latent, MIXED), (MIXED, flat), *transposed]
            layers |= {f"{head}.{i}": shape for i, shape in enumerate(head_layers)}
        return layers

    @classmethod
    def list_weight_shapes(cls, dims: ModelDims) -> Shapes:
        """Return name → shape of every weight; a transposed convolution has one bias per channel."""
        heads = {f"{head}.{4 - i}.bias": (CHANNELS[i],) for head in ("mu", "log_sigma") for i in range(3)}
        return super().list_weight_shapes(dims) | heads

    def encode(self, x: "Tensor") -> "Tensor":
        """Encode rows (…, n) as (…, ENCODED)."""
        total_padding = compute_padded_width(self.dims.columns) - self.dims.columns
        x = functional.pad(x, (self.padding, total_padding - self.padding)).unsqueeze(-1)  # (…, width, 1)
        for i, stride in enumerate(choose_conv_strides(self.dims.columns)):
            x = x.reshape(*x.shape[:-2], x.shape[-2] // stride, stride * x.shape[-1])
            x = leaky_relu(self.linear(f"encoder.{i}", x))  # (…, width / strides so far, channels)
        return leaky_relu(self.linear("encoder.4", leaky_relu(self.linear("encoder.3", x.flatten(-2)))))

    def decode(self, h: "Tensor", z: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Return mean and log σ of every column, (…, n) each, for a state (…, H) and a latent (…, Z)."""
        inputs = torch.cat([h, z], -1)
        return self._apply_deconvolutions("mu", inputs), self._apply_deconvolutions("log_sigma", inputs)

    def _apply_deconvolutions(self, head: str, x: "Tensor") -> "Tensor":
        """Apply the transposed convolutions of `head`, (…, H + Z) → (…, n)."""
        x = leaky_relu(self.linear(f"{head}.1", leaky_relu(self.linear(f"{head}.0", x))))
        for i in (2, 1, 0):
            x = x.view(*x.shape[:-1], -1, CHANNELS[i + 1])
            matrix, bias = self.weights[f"{head}.{4 - i}"], self.weights[f"{head}.{4 - i}.bias"]
            x = functional.linear(x, matrix.t(), bias.repeat(matrix.shape[1] // CHANNELS[i])).flatten(-2)
            x = leaky_relu(x) if i else torch.tanh(x)
        return x[..., self.padding : self.padding + self.dims.columns]

    def activate_output(self, x: "Tensor") -> "Tensor":
        """Return the original's activation of means and logits."""
        return leaky_relu(x)

    def activate_logvar(self, x: "Tensor") -> "Tensor":
        """Return the original's activation of log-variances."""
        return leaky_relu(x)

    def gaussian_nll(self, x: "Tensor", mu: "Tensor", log_sigma: "Tensor") -> "Tensor":
        """Return the negative log-likelihood as the original computes it."""
        variance = torch.exp(2 * log_sigma) + 1e-8
        return (LOG_2PI + torch.log(variance) + (x - mu) ** 2 / variance) / 2

    def categorical_kl(self, logits: "Tensor") -> "Tensor":
        """Return KL(q(c) ‖ uniform) of each row, (T, B)."""
        log_shares = torch.log_softmax(logits, -1)
        return math.log(self.dims.categories) + (log_shares.exp() * log_shares).sum(-1)

    def sum_terms(self, nll: "Tensor", latent_kl: "Tensor", category_kl: "Tensor") -> "Tensor":
        """Return the mean over windows of the summed terms; categories weigh 1 / (T B) of the others."""
        return (nll.sum() + latent_kl.sum() + category_kl.mean()) / nll.shape[1]
