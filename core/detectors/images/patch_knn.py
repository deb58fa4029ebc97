"""Nearest neighbours of patches: where an image shows something that no training image shows anywhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper
from core.detectors.images.network_training import ImageLoss
from core.detectors.images.residual_net import Norms
from core.detectors.images.transformations import TransformationPrediction
from core.detectors.vectors.distances import find_nearest, split_blocks
from core.lazy_import import LazyModule
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

PATCH_LEVEL = 1  # of the network: a patch stands every 4 pixels of the network's input
SMALLEST_SPREAD = 1e-6
MAX_BANK_IMAGES = 2000  # of which patches are drawn


@dataclass
class PatchNeighbours(TransformationPrediction, HeatMapper):
    """Score patches by their distance to the nearest patch of the training images, and images by their patches.

    The features are the first maps of a network that learnt to name transformations of these images; nothing is
    downloaded. The bank is a random sample of patches: unlike a spread-out one, it does not collect intruders. Roth et
    al.: Towards total recall in industrial anomaly detection (PatchCore), CVPR 2022.

    bank_    (patches, features) float32, standardised
    centre_  (features,) float32, means of the features
    spread_  (features,) float32, standard deviations of the features
    """

    name = "patch-knn"
    label = N_("Nearest neighbours (patches)")

    patches: int = hyperparameter(
        5000, low=10, high=1_000_000, help=N_("Number of patches of training images that are kept for comparison.")
    )
    pooling: Literal["mean", "max"] = hyperparameter(
        "mean",
        choices=("mean", "max"),
        help=N_(
            "Score of an image. mean: mean over its patches, for other kinds of images. max: that of its worst patch, "
            "for small defects."
        ),
    )

    @override
    def _set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        """Keep the weights, and a sample of the patches of the training images."""
        super()._set_vector(vector, loss)
        rng = np.random.default_rng(self.seed)
        chosen = np.sort(rng.permutation(len(loss.pixels))[:MAX_BANK_IMAGES])
        maps = self._extract_patches(loss.pixels[torch.from_numpy(chosen)].cpu().numpy())
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

        They are the map of `PATCH_LEVEL` and the finer ones before it, reduced to the same size.
        """

        def extract(weights: "dict[str, Tensor]", norms: Norms, inputs: "Tensor") -> "Tensor":
            maps = self.net.extract_maps(weights, inputs, norms)[: PATCH_LEVEL + 1]
            size = maps[-1].shape[2:]
            joined = torch.cat([functional.adaptive_avg_pool2d(values.float(), size) for values in maps], dim=1)
            return functional.avg_pool2d(joined, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)

        return self.map_images(images, extract)
