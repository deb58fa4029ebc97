"""A small convolutional encoder and decoder for images of any size, as functions of one vector of weights.

The weights lie in the vector as (out, height, width, in). Their views are channels-last, the fast layout of oneDNN.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.detectors.images.fast_layers import apply_tanh, contract_maps, expand_maps, is_trained_fast, order_batch_last
from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

Activation = Literal["leaky-relu", "elu", "relu", "tanh"]
LatentKind = Literal["flat", "spatial"]
Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, "Tensor"]

SMALLEST_MAP_PIXELS = 4  # the map before the latent has about this side
LEAKY_SLOPE = 0.1
MAX_WIDENING = 4  # channels of the deepest maps, times the width
CONDITION_FEATURES = 32
MIN_KEY_CHANNELS = 8
SCALE_GAIN = 1.5  # of the initial scales: both ends of the condition begin with networks that differ


@dataclass(frozen=True)
class ConvNet:
    """Encoder and decoder for images (B, channels, height, width) with values of about 0–1.

    The encoder halves the map at each contraction, down to about 4 × 4 super-pixels. The decoder mirrors it.

    latents        latent vectors per image: 1, or 2 for a mean and a log-variance
    latent_size    size of a latent vector, or channels per super-pixel for a spatial latent
    latent_kind    flat: one linear layer mixes the whole map. spatial: x, y and channels are not mixed with others
    width          channels of the first map; the deepest ones have four times as many
    attention      adds self-attention between super-pixels; its output is concatenated with its input
    encoder_bias   False for a network without any constant, which cannot map every image to one point by it
    has_decoder    False leaves the decoder out
    is_conditioned True for a network that is given a number 0–1 with each image, which scales its maps (FiLM)
    """

    height: int
    image_width: int
    channels: int
    latent_size: int = 32
    latent_kind: LatentKind = "flat"
    latents: int = 1
    width: int = 16
    activation: Activation = "leaky-relu"
    attention: bool = False
    extra_contraction: int = 0
    encoder_bias: bool = True
    has_decoder: bool = True
    is_conditioned: bool = False

    # ---- shapes -----------------------------------------------------------------------------------------------------

    @property
    def map_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the image and of the map after each contraction.

        Example:
            >>> ConvNet(28, 28, 1).map_sizes
            [(28, 28), (14, 14), (7, 7), (4, 4)]
        """
        side = min(self.height, self.image_width)
        count = max(round(math.log2(side / SMALLEST_MAP_PIXELS)) + self.extra_contraction, 1)
        sizes = [(self.height, self.image_width)]
        for _ in range(count):
            sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
        return sizes

    @property
    def map_channels(self) -> list[int]:
        """Channels of the image and of the map after each contraction."""
        count = len(self.map_sizes) - 1
        return [self.channels, *(self.width * min(2**level, MAX_WIDENING) for level in range(count))]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent of an image: (size,), or (channels, height, width) of super-pixels."""
        return (self.latent_size,) if self.latent_kind == "flat" else (self.latent_size, *self.map_sizes[-1])

    def list_weight_shapes(self) -> Shapes:
        """Return name → shape of the weights; those of the encoder come first and do not depend on the decoder."""
        maps, deepest = self.map_channels, self.map_channels[-1]
        pixels = math.prod(self.map_sizes[-1])
        keys, mixed = max(deepest // 4, MIN_KEY_CHANNELS), deepest + (deepest // 2 if self.attention else 0)
        outputs = self.latents * self.latent_size
        shapes: Shapes = {}
        for level, (inputs, features) in enumerate(itertools.pairwise(maps)):
            shapes[f"encoder.{level}"] = (features, 3, 3, inputs)
        if self.attention:
            shapes |= {"query": (keys, 1, 1, deepest), "key": (keys, 1, 1, deepest)}
            shapes["value"] = (deepest // 2, 1, 1, deepest)
        shapes["latent"] = (outputs, mixed * pixels) if self.latent_kind == "flat" else (outputs, 1, 1, mixed)
        if self.encoder_bias:
            shapes |= {f"{name}.bias": (shape[0],) for name, shape in list(shapes.items())}
        if self.is_conditioned:
            shapes["condition"] = (CONDITION_FEATURES, 4)
            for level, features in enumerate(maps[1:]):
                shapes[f"encoder.{level}.scale"] = (features, CONDITION_FEATURES)
        return {**shapes, **self._list_decoder_shapes()} if self.has_decoder else shapes

    def _list_decoder_shapes(self) -> Shapes:
        maps = self.map_channels
        if self.latent_kind == "flat":
            shapes: Shapes = {"decoder": (maps[-1] * math.prod(self.map_sizes[-1]), self.latent_size)}
        else:
            shapes = {"decoder": (maps[-1], 1, 1, self.latent_size)}
        shapes["decoder.bias"] = (shapes["decoder"][0],)
        for level in reversed(range(len(maps) - 1)):
            shapes[f"decoder.{level}"] = (maps[level + 1], 4, 4, maps[level])  # transposed: (in, height, width, out)
            shapes[f"decoder.{level}.bias"] = (maps[level],)
        if self.is_conditioned:
            for level, features in enumerate(maps[1:]):
                shapes[f"decoder.{level}.scale"] = (features, CONDITION_FEATURES)
        return shapes

    def init_weights(self, seed: int) -> "Tensor":
        """Return the vector of initial weights: Kaiming's normal ones, larger for scales; biases are zero."""
        rng, parts = torch.Generator().manual_seed(seed), []
        for name, shape in self.list_weight_shapes().items():
            fan_in = 4 * shape[0] if name.startswith("decoder.") and len(shape) == 4 else math.prod(shape[1:])
            gain = 0.0 if len(shape) == 1 else SCALE_GAIN if name.endswith(".scale") else 1.0
            gain *= math.sqrt((1 if name in ("latent", "decoder") else 2) / fan_in)
            parts.append(torch.randn(math.prod(shape), generator=rng) * gain)
        return torch.cat(parts)

    def split_weights(self, vector: "Tensor") -> dict[str, "Tensor"]:
        """Return name → weights: views of `vector`, convolutions as (out, in, height, width) channels-last."""
        shapes = self.list_weight_shapes()
        parts = vector.split([math.prod(shape) for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return {name: part.permute(0, 3, 1, 2) if part.ndim == 4 else part for name, part in weights.items()}

    # ---- network ----------------------------------------------------------------------------------------------------

    def extract_features(self, weights: Weights, images: "Tensor", condition: "Tensor | None" = None) -> "Tensor":
        """Return the map of super-pixels before the latent layer, (B, channels, height, width).

        `condition`, (B,) of values 0–1, is needed by a conditioned network.
        """
        features = images
        for level in range(len(self.map_sizes) - 1):
            name = f"encoder.{level}"
            features = contract_maps(features, weights[name], weights.get(f"{name}.bias"))
            features = self._activate(self._scale_maps(weights, name, features, condition))
        return torch.cat([features, self._attend(weights, features)], dim=1) if self.attention else features

    def encode(self, weights: Weights, images: "Tensor", condition: "Tensor | None" = None) -> "Tensor":
        """Return the latents of `images` (B, channels, height, width), float32 (B, latents, *latent_shape)."""
        features, bias = self.extract_features(weights, images, condition), weights.get("latent.bias")
        if self.latent_kind == "flat":
            latent = functional.linear(features.flatten(1), weights["latent"], bias)
        else:
            latent = functional.conv2d(features, weights["latent"], bias)
        return latent.float().reshape(len(images), self.latents, *self.latent_shape)

    def decode(self, weights: Weights, latent: "Tensor", condition: "Tensor | None" = None) -> "Tensor":
        """Return the images of `latent` (B, *latent_shape), float32 (B, channels, height, width) of values 0–1."""
        if self.latent_kind == "flat":
            features = functional.linear(latent, weights["decoder"], weights["decoder.bias"])
            features = features.view(len(latent), *self.map_sizes[-1], self.map_channels[-1]).permute(0, 3, 1, 2)
        else:
            features = functional.conv2d(latent, weights["decoder"], weights["decoder.bias"])
        if is_trained_fast(features, weights["decoder"]):
            features = order_batch_last(features)
        for level in reversed(range(len(self.map_sizes) - 1)):
            name, (height, width) = f"decoder.{level}", self.map_sizes[level]
            features = self._activate(self._scale_maps(weights, name, features, condition))
            features = expand_maps(features, weights[name], weights[f"{name}.bias"], height, width)
        return torch.sigmoid(features.float())

    def _activate(self, features: "Tensor") -> "Tensor":
        match self.activation:
            case "leaky-relu":
                return functional.leaky_relu(features, LEAKY_SLOPE)
            case "elu":
                return functional.elu(features)
            case "relu":
                return functional.relu(features)
            case "tanh":
                return apply_tanh(features)

    def _scale_maps(self, weights: Weights, name: str, features: "Tensor", condition: "Tensor | None") -> "Tensor":
        """Multiply each map by a function of the condition: FiLM (Perez et al. 2018) without its shift.

        A shift would be a constant, which a network without bias must not have.
        """
        if condition is None or not self.is_conditioned:
            return features
        both = torch.stack([condition, 1 - condition], dim=1)
        inputs = torch.cat([both, both.sqrt()], dim=1)  # the roots change fast near both ends
        hidden = functional.relu(functional.linear(inputs, weights["condition"]))
        return features * (1 + functional.linear(hidden, weights[f"{name}.scale"]))[:, :, None, None]

    def _attend(self, weights: Weights, features: "Tensor") -> "Tensor":
        """Return the self-attention between super-pixels (Vaswani et al. 2017), (B, channels / 2, height, width)."""
        query, key, value = (
            functional.conv2d(features, weights[name], weights.get(f"{name}.bias")).flatten(2).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).reshape(len(features), -1, *features.shape[2:])
