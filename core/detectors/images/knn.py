"""Nearest neighbours of pixels: the line that a model of images has to beat."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper
from core.detectors.images.pixel_detector import PixelDetector
from core.detectors.images.pixel_features import restore_images
from core.detectors.vectors.nearest_neighbours import NearestNeighbours
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class NearestNeighboursPixels(PixelDetector[NearestNeighbours], HeatMapper):
    """Score images by their mean distance to the nearest training images; nothing is learnt."""

    name = "knn-pixels"
    label = N_("Nearest neighbours (pixels)")

    neighbours: int = hyperparameter(
        2, low=1, high=1000, help=N_("Number of nearest neighbours."), label=N_("Neighbours")
    )

    @override
    def build_model(self) -> NearestNeighbours:
        return NearestNeighbours(self.neighbours)

    @override
    def heat_map(self, images: Pixels) -> Floats32:
        """Return the squared difference to the nearest training image, of scaled pixels, (images, height, width)."""
        differences = self.map_blocks(images, lambda block: block.vectors - self.model_.find_nearest_row(block.vectors))
        return np.square(restore_images(differences, self.image_shape_, self.side)).sum(axis=3)
