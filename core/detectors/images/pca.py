"""PCA residual of pixels."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper, Reconstructor
from core.detectors.images.pixel_detector import PixelDetector
from core.detectors.images.pixel_features import MAX_VALUE, restore_images
from core.detectors.vectors.pca_subspace import PcaSubspace
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class PcaPixels(PixelDetector[PcaSubspace], Reconstructor, HeatMapper):
    """Score images by what the first principal components of the training images cannot draw."""

    name = "pca-pixels"
    label = N_("PCA residual (pixels)")

    variance: float = hyperparameter(
        0.7,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest is the residual."),
        label=N_("Share of the variance"),
    )

    @override
    def build_model(self) -> PcaSubspace:
        return PcaSubspace(self.variance)

    @override
    def reconstruct(self, images: Pixels) -> Floats32:
        values = self.map_blocks(images, lambda block: self.model_.project(block.vectors) * block.width + block.centre)
        drawings = restore_images(values * MAX_VALUE, self.image_shape_, self.side)
        return np.clip(drawings, 0, MAX_VALUE)

    @override
    def heat_map(self, images: Pixels) -> Floats32:
        """Return the squared residual of the scaled pixels, summed over the channels, (images, height, width)."""
        residual = self.map_blocks(images, lambda block: block.vectors - self.model_.project(block.vectors))
        return np.square(restore_images(residual, self.image_shape_, self.side)).sum(axis=3)
