"""A small residual network with batch normalisation, as functions of one vector of weights.

The weights lie in the vector as (out, height, width, in). Their views are channels-last, the fast layout of oneDNN.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, "Tensor"]
LEVELS = 3  # blocks; each halves the map and all but the first double its channels


@dataclass(frozen=True)
class ResidualNet:
    """Classifier of images (B, channels, side, side): three blocks of two convolutions, then the mean over the map.

    Blocks normalise before they convolve. He, Zhang, Ren, Sun: Identity mappings in deep residual networks, ECCV 2016.

    channels  channels of the images
    width     channels of the first maps; the last ones have four times as many
    outputs   values per image
    """

    channels: int
    width: int
    outputs: int

    @property
    def level_channels(self) -> list[int]:
        """Channels of the maps of each level, the stem first."""
        return [self.width, *(self.width * 2**level for level in range(LEVELS))]

    def list_weight_shapes(self) -> Shapes:
        """Return name → shape of the weights."""
        sizes = self.level_channels
        shapes: Shapes = {"stem": (sizes[0], 3, 3, self.channels)}
        for level in range(LEVELS):
            inputs, outputs = sizes[level], sizes[level + 1]
            shapes |= {f"{level}.first": (outputs, 3, 3, inputs), f"{level}.second": (outputs, 3, 3, outputs)}
            shapes[f"{level}.short"] = (outputs, 1, 1, inputs)
        for name, size in self.list_norm_sizes().items():
            shapes |= {f"{name}.scale": (size,), f"{name}.shift": (size,)}
        return {**shapes, "head": (self.outputs, sizes[-1]), "head.bias": (self.outputs,)}

    def list_norm_sizes(self) -> dict[str, int]:
        """Return name → channels of the normalisations."""
        sizes = self.level_channels
        norms: dict[str, int] = {}
        for level in range(LEVELS):
            norms |= {f"{level}.first.norm": sizes[level], f"{level}.second.norm": sizes[level + 1]}
        return {**norms, "norm": sizes[-1]}

    def init_weights(self, seed: int) -> "Tensor":
        """Return the vector of initial weights: Kaiming's normal ones, 1 for scales, 0 for shifts and biases."""
        rng, parts = torch.Generator().manual_seed(seed), []
        for name, shape in self.list_weight_shapes().items():
            if len(shape) == 1:
                parts.append(torch.full(shape, 1.0 if name.endswith(".scale") else 0.0))
            else:
                gain = math.sqrt((1 if name == "head" else 2) / math.prod(shape[1:]))
                parts.append(torch.randn(math.prod(shape), generator=rng) * gain)
        return torch.cat(parts)

    def split_weights(self, vector: "Tensor") -> dict[str, "Tensor"]:
        """Return name → weights: views of `vector`, convolutions as (out, in, height, width) channels-last."""
        shapes = self.list_weight_shapes()
        parts = vector.split([math.prod(shape) for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return {name: part.permute(0, 3, 1, 2) if part.ndim == 4 else part for name, part in weights.items()}

    def extract_maps(self, weights: Weights, images: "Tensor", norms: "Norms") -> "list[Tensor]":
        """Return the maps of `images` after each level, halved at each one: (B, channels, height, width) each."""
        maps = [functional.conv2d(images, weights["stem"], padding=1)]
        for level in range(LEVELS):
            first, second = f"{level}.first", f"{level}.second"
            inputs = torch.relu(norms.normalise(weights, f"{first}.norm", maps[-1]))
            hidden = functional.conv2d(inputs, weights[first], stride=2, padding=1)
            hidden = torch.relu(norms.normalise(weights, f"{second}.norm", hidden))
            # equals a stride of 2, for which oneDNN's gradient damages memory below 8 or 16 channels (oneDNN #6035)
            short = functional.conv2d(inputs[:, :, ::2, ::2], weights[f"{level}.short"])
            maps.append(short + functional.conv2d(hidden, weights[second], padding=1))
        return maps[1:]

    def embed(self, weights: Weights, images: "Tensor", norms: "Norms") -> "Tensor":
        """Return the mean of the last map, (B, 4 · width)."""
        last = self.extract_maps(weights, images, norms)[-1]
        return torch.relu(norms.normalise(weights, "norm", last)).mean((2, 3))

    def classify(self, weights: Weights, vectors: "Tensor") -> "Tensor":
        """Return the outputs of the vectors of `embed`, (B, outputs), before any softmax."""
        return functional.linear(vectors, weights["head"], weights["head.bias"])


@dataclass
class Norms:
    """Statistics by which batch normalisation works: those of the batch, or fixed ones.

    Without `fixed`, each batch has its own, as in training. `record` averages them over batches into `fixed`.

    fixed    name → means and variances of the channels
    batches  number of batches that were recorded; None where nothing is recorded
    """

    fixed: "dict[str, tuple[Tensor, Tensor]] | None" = None
    batches: int | None = None

    @classmethod
    def record(cls, net: ResidualNet, device: str) -> "Norms":
        """Return norms that record the statistics of batches; `count_batch` follows each one."""
        sizes = net.list_norm_sizes()
        return cls(
            {name: (torch.zeros(n, device=device), torch.ones(n, device=device)) for name, n in sizes.items()}, 0
        )

    @classmethod
    def split(cls, net: ResidualNet, vector: "Tensor") -> "Norms":
        """Return the fixed norms of `vector`, as `join` gives it."""
        sizes = net.list_norm_sizes()
        parts = vector.split([size for size in sizes.values() for _ in range(2)])
        return cls(dict(zip(sizes, zip(parts[::2], parts[1::2], strict=True), strict=True)))

    def join(self) -> "Tensor":
        """Return all means and variances as one vector."""
        return torch.cat([part for pair in (self.fixed or {}).values() for part in pair])

    def count_batch(self) -> None:
        """Count a recorded batch."""
        self.batches = (self.batches or 0) + 1

    def normalise(self, weights: Weights, name: str, maps: "Tensor") -> "Tensor":
        """Return `maps` with channels of mean 0 and variance 1, then scaled and shifted by the weights of `name`."""
        mean, variance = (None, None) if self.fixed is None else self.fixed[name]
        is_training = self.fixed is None or self.batches is not None
        share = 0.0 if self.batches is None else 1 / (self.batches + 1)  # a cumulative mean over batches
        scale, shift = weights[f"{name}.scale"], weights[f"{name}.shift"]
        return functional.batch_norm(maps, mean, variance, scale, shift, is_training, share)
