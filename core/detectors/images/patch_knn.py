"""Nearest neighbours of patches: where an image shows something that no training image shows anywhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.devices import run_on_device
from core.detectors.images.base import HeatMapper, Monitor
from core.detectors.images.image_checks import require_shape
from core.detectors.images.network_training import ImageLoss, map_batches, use_fast_numbers
from core.detectors.images.pretrained_net import INPUT_SIDE, extract_patch_maps, read_resnet_weights
from core.detectors.images.residual_net import Norms
from core.detectors.images.transformations import TransformationPrediction
from core.detectors.vectors.distances import find_nearest, split_blocks
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

PATCH_LEVEL = 1  # of the network: a patch stands every 4 pixels of the network's input
PRETRAINED_BATCH_IMAGES = 64
SMALLEST_SPREAD = 1e-6
MAX_BANK_IMAGES = 2000  # of which patches are drawn


@dataclass
class PatchNeighbours(TransformationPrediction, HeatMapper):
    """Score patches by their distance to the nearest patch of the training images, and images by their patches.

    The features are the first maps of a network that learnt to name transformations of these images, or maps of a
    ResNet from a file. Nothing is downloaded. The bank is a random sample of patches: unlike a spread-out one, it does
    not collect intruders. Roth et al.: Towards total recall in industrial anomaly detection (PatchCore), CVPR 2022.

    bank_        (patches, features) float32, standardised
    centre_      (features,) float32, means of the features
    spread_      (features,) float32, standard deviations of the features
    pretrained_  name → weights of the ResNet from the file; empty for a network that was trained here
    """

    name = "patch-knn"
    label = N_("Nearest neighbours (patches)")

    patches: int = hyperparameter(
        5000,
        low=10,
        high=1_000_000,
        help=N_("Number of patches of training images that are kept for comparison."),
        label=N_("Patches"),
    )
    pooling: Literal["mean", "max"] = hyperparameter(
        "mean",
        choices=("mean", "max"),
        help=N_(
            "Score of an image. mean: mean over its patches, for other kinds of images. max: that of its worst patch, "
            "for small defects."
        ),
        label=N_("Score of an image"),
    )

    weights_file: str = hyperparameter(
        "",
        metavar="FILE.pth",
        help=N_(
            "File on this machine with the weights of a ResNet of torchvision (state_dict). Its features replace those "
            "of the network trained here, and nothing is trained."
        ),
        label=N_("File of weights"),
    )

    @override
    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Train the network, or read its weights, and keep a sample of patches.

        Raises UnreadableFileError for a file without such weights, and the errors of the training.
        """
        self.pretrained_: dict[str, Floats32] = {}
        if not self.weights_file:
            return super().fit(images, progress, abnormal=abnormal, monitor=monitor)
        self.prepare(images)
        progress.report(0.0)
        weights = read_resnet_weights(Path(self.weights_file))
        self.pretrained_ = {name: value.numpy() for name, value in weights.items()}
        self._fill_bank(images)
        if monitor is not None:
            monitor(1, self.score)
        progress.report(1.0)
        return self

    @override
    def set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        """Keep the weights, and a sample of the patches of the training images."""
        super().set_vector(vector, loss)
        self._fill_bank(loss.pixels.cpu().numpy())

    def _fill_bank(self, images: Pixels) -> None:
        """Keep a random sample of the patches of `images`."""
        rng = np.random.default_rng(self.seed)
        maps = self._extract_patches(images[np.sort(rng.permutation(len(images))[:MAX_BANK_IMAGES])])
        rows = maps.reshape(-1, maps.shape[-1])
        rows = rows[np.sort(rng.permutation(len(rows))[: self.patches])]
        self.centre_, spread = rows.mean(axis=0), rows.std(axis=0)
        self.spread_ = np.where(spread > SMALLEST_SPREAD, spread, np.float32(1))
        self.bank_ = (rows - self.centre_) / self.spread_

    @override
    def score(self, images: Pixels) -> Floats32:
        distances = self._measure_patches(images).reshape(len(images), -1)
        return distances.mean(axis=1) if self.pooling == "mean" else distances.max(axis=1)

    @override
    def embed(self, images: Pixels) -> Floats32:
        """Return the standardised features of all patches of each image, (images, rows · columns · features)."""
        return ((self._extract_patches(images) - self.centre_) / self.spread_).reshape(len(images), -1)

    @override
    def heat_map(self, images: Pixels) -> Floats32:
        """Return the distance of the patch around every pixel to the nearest known one, (images, height, width)."""
        distances = torch.from_numpy(self._measure_patches(images))[:, None]
        size = (int(images.shape[1]), int(images.shape[2]))
        return functional.interpolate(distances, size, mode="bilinear")[:, 0].numpy()

    def _measure_patches(self, images: Pixels) -> Floats32:
        """Return the distance of each patch to the nearest one of the bank, (images, rows, columns)."""
        blocks = list(split_blocks(len(images), images[0].size)) if len(images) else [slice(0)]
        parts = []
        for block in blocks:
            maps = (self._extract_patches(images[block]) - self.centre_) / self.spread_
            distances, _ = find_nearest(maps.reshape(-1, maps.shape[-1]), self.bank_, count=1)
            parts.append(distances.reshape(maps.shape[:3]))
        return np.concatenate(parts)

    def _extract_patches(self, images: Pixels) -> Floats32:
        """Return the features of the patches, (images, rows, columns, features), each a mean over its neighbours.

        They are the map of `PATCH_LEVEL` and the finer ones before it, or the maps of two layers of the ResNet, all of
        one size.
        """

        def extract(weights: "dict[str, Tensor]", norms: Norms, inputs: "Tensor") -> "Tensor":
            return _join_maps(self.net.extract_maps(weights, inputs, norms)[: PATCH_LEVEL + 1], PATCH_LEVEL)

        if not self.pretrained_:
            return self.map_images(images, extract)
        require_shape(images, self.image_shape_)

        def extract_on_device(device: str) -> Floats32:
            weights = {name: torch.from_numpy(value).to(device) for name, value in self.pretrained_.items()}

            def extract_pretrained(batch: "Tensor") -> "Tensor":
                with use_fast_numbers(device, INPUT_SIDE**2):
                    parts = [extract_patch_maps(weights, part) for part in batch.split(PRETRAINED_BATCH_IMAGES)]
                return torch.cat([_join_maps(maps, 0) for maps in parts])

            return map_batches(images, device, extract_pretrained)

        features, used = run_on_device(self.device, extract_on_device)
        self.device_, self.device_failure_ = used.name, used.failure
        return features


def _join_maps(maps: "list[Tensor]", level: int) -> "Tensor":
    """Return `maps` at the size of number `level`, (B, rows, columns, features), each place a mean over 3 × 3."""
    height, width = maps[level].shape[2:]
    joined = torch.cat([_resize(values.float(), height, width) for values in maps], dim=1)
    return functional.avg_pool2d(joined, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)


def _resize(values: "Tensor", height: int, width: int) -> "Tensor":
    """Return maps (B, channels, …, …) of `height` × `width`: means where they shrink, interpolated where they grow."""
    if values.shape[2] >= height:
        return functional.adaptive_avg_pool2d(values, (height, width))
    return functional.interpolate(values, (height, width), mode="bilinear")
