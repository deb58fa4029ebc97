"""Training of networks of images: batches of pixels, bfloat16 where it is fast, curves of each term of the loss.

Pixels stay uint8 in memory. A batch is one gather; it becomes floating-point values of 0–1 in the batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.training_threads import use_idle_cores
from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

VALIDATION_SHARE = 0.1
MAX_VALIDATION_IMAGES = 1024
MIN_SPLIT_IMAGES = 10  # below this number the images are their own held-out images
MIN_BFLOAT16_PIXELS = 256  # smaller images lose more by the conversion than they gain
MIN_STEPS_PER_EPOCH = 8  # batches are smaller for few images
SCORING_PIXELS = 2**20  # of a batch
MAX_SCORING_IMAGES = 1024
NOISE_SIGMA = 0.2
BLOCK_SIDE_SHARES = (0.15, 0.4)  # of the side of the image

ComputeTerms = Callable[["Tensor", "Tensor", "Tensor", "torch.Generator"], dict[str, "Tensor"]]
"""Function of (vector of weights, images, images to be drawn, random numbers) → term → mean over the batch."""
CombineTerms = Callable[[dict[str, "Tensor"], "Tensor"], "Tensor"]
"""Function of (terms, vector of weights) → number to be minimised."""


# ---- numbers --------------------------------------------------------------------------------------------------------


def use_fast_numbers(device: str, pixels: int) -> AbstractContextManager[Any]:
    """Return the context in which a network trains fastest on images of `pixels` pixels.

    It is bfloat16 on graphics cards, and on processors with instructions for it. There it takes half of the time.
    """
    kind = device.partition(":")[0]
    is_fast = kind == "cuda" or (kind == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(kind, torch.bfloat16) if is_fast and pixels >= MIN_BFLOAT16_PIXELS else nullcontext()


# ---- batches --------------------------------------------------------------------------------------------------------


def to_values(pixels: "Tensor") -> "Tensor":
    """Return pixels (B, height, width, channels) as values 0–1, (B, channels, height, width) channels-last."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def count_batch_images(height: int, width: int) -> int:
    """Return how many images of a size are scored together.

    Example:
        >>> count_batch_images(28, 28), count_batch_images(256, 256)
        (1024, 16)
    """
    return min(max(SCORING_PIXELS // (height * width), 1), MAX_SCORING_IMAGES)


def iterate_batches(images: Pixels, device: str) -> Iterator["Tensor"]:
    """Yield the values 0–1 of all images in batches of bounded memory."""
    size = count_batch_images(*images.shape[1:3])
    for first in range(0, len(images), size):
        yield to_values(torch.from_numpy(np.array(images[first : first + size])).to(device))


def map_batches(images: Pixels, device: str, function: Callable[["Tensor"], "Tensor"]) -> Floats32:
    """Return `function` of the values 0–1 of all images, (images, …), computed in batches without gradients."""
    with torch.no_grad(), use_idle_cores():
        return np.concatenate([function(batch).float().cpu().numpy() for batch in iterate_batches(images, device)])


def corrupt_values(values: "Tensor", share: float, rng: "torch.Generator") -> "Tensor":
    """Return `values` (B, channels, height, width) with noise and an erased block in a `share` of the images.

    The block has one random grey; its sides are 15–40 % of those of the image. The random numbers are drawn on the CPU,
    so that they are the same for every device.
    """
    count, _, height, width = values.shape

    def draw_uniform(low: float, high: float) -> "Tensor":
        return low + (high - low) * torch.rand(count, 1, generator=rng)

    def draw_span(side: int) -> "Tensor":
        length = draw_uniform(*BLOCK_SIDE_SHARES) * side
        start = torch.rand(count, 1, generator=rng) * (side - length)
        places = torch.arange(side) + 0.5
        return (places >= start) & (places < start + length)

    block = draw_span(height)[:, None, :, None] & draw_span(width)[:, None, None, :]
    noise = torch.randn(values.shape, generator=rng) * NOISE_SIGMA
    is_chosen = draw_uniform(0, 1)[:, :, None, None] < share
    fill = draw_uniform(0, 1)[:, :, None, None]
    device = values.device
    noisy = torch.where(block.to(device), fill.to(device), values + noise.to(device))
    return torch.where(is_chosen.to(device), noisy, values)


# ---- loss -----------------------------------------------------------------------------------------------------------


@dataclass
class ImageLoss:
    """Loss over batches of images (implements `core.detectors.training.Loss`).

    A seeded share of the images is held out. Every epoch has its own order, which depends on the seed and the number of
    the epoch only, so that a resumed training sees the same batches.

    pixels      (images, height, width, channels), uint8
    compute     terms of the loss of a batch
    combine     one number of the terms
    corruption  share of the images that are given corrupted
    """

    pixels: "Tensor"
    compute: ComputeTerms
    combine: CombineTerms
    batch_size: int
    seed: int
    device: str = "cpu"
    corruption: float = 0.0
    _order: tuple[int, "Tensor | None"] = field(default=(-1, None), init=False)

    def __post_init__(self) -> None:
        count = len(self.pixels)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed))
        held_out_count = min(int(count * VALIDATION_SHARE), MAX_VALIDATION_IMAGES) if count >= MIN_SPLIT_IMAGES else 0
        self.train_positions = order[held_out_count:]
        self.validation_positions = order[:held_out_count] if held_out_count else order
        self.batch_size = max(min(self.batch_size, len(self.train_positions) // MIN_STEPS_PER_EPOCH), 1)
        self.pixels = self.pixels.to(self.device)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the images that fill no batch are left out, other ones in each epoch."""
        return len(self.train_positions) // self.batch_size

    def batch_loss(self, vector: "Tensor", step: int, rng: "torch.Generator") -> "Tensor":
        """Return the loss of batch number `step`; only the noise is drawn with `rng`."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            shuffle = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._order = (epoch, torch.randperm(len(self.train_positions), generator=shuffle))
        order = self._order[1]
        assert order is not None
        positions = self.train_positions[order[place * self.batch_size : (place + 1) * self.batch_size]]
        return self.combine(self._compute_terms(vector, positions, rng, self.corruption), vector)

    def validation_loss(self, vector: "Tensor", step: int) -> "Tensor":
        """Return the loss of the held-out images with the same noise at every call."""
        return self.combine(self.compute_validation_terms(vector), vector)

    def compute_validation_terms(self, vector: "Tensor") -> dict[str, "Tensor"]:
        """Return the terms of the loss of the held-out images."""
        rng = torch.Generator().manual_seed(self.seed)
        batches = self.validation_positions.split(self.batch_size)
        parts = [self._compute_terms(vector, positions, rng, 0.0) for positions in batches]
        shares = [len(positions) / len(self.validation_positions) for positions in batches]
        return {
            name: torch.stack([share * part[name] for share, part in zip(shares, parts, strict=True)]).sum()
            for name in parts[0]
        }

    def iterate_training(self) -> Iterator["Tensor"]:
        """Yield the values 0–1 of the training images in batches of bounded memory, in a fixed order."""
        for positions in self.train_positions.split(count_batch_images(*self.pixels.shape[1:3])):
            yield to_values(self.pixels[positions.to(self.device)])

    def measure_gradients(self, vector: "Tensor", shared: slice) -> dict[str, float]:
        """Return term → norm of its gradient at the weights `shared`, on one batch of held-out images."""
        vector = vector.detach().clone().requires_grad_()
        rng = torch.Generator().manual_seed(self.seed)
        terms = self._compute_terms(vector, self.validation_positions[: self.batch_size], rng, 0.0)
        gradients = {}
        for name, term in terms.items():
            if term.requires_grad:
                gradient = torch.autograd.grad(term, vector, retain_graph=True)[0]
                gradients[name] = float(gradient[shared].norm())
        return gradients

    def _compute_terms(
        self, vector: "Tensor", positions: "Tensor", rng: "torch.Generator", corruption: float
    ) -> dict[str, "Tensor"]:
        targets = to_values(self.pixels[positions.to(self.device)])
        inputs = corrupt_values(targets, corruption, rng) if corruption else targets
        with use_fast_numbers(self.device, targets.shape[2] * targets.shape[3]):
            return self.compute(vector, inputs, targets, rng)
