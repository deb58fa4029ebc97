"""Base of the detectors that score the pixels of images by a one-class model of vectors."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import numpy as np
from typing_extensions import override

from core.array_types import AnyFloats
from core.data.images.image_set import Pixels
from core.detectors.base import Detector, Floats32
from core.detectors.images.base import ImageDetector, Monitor
from core.detectors.images.image_checks import require_shape, require_training_images
from core.detectors.images.pixel_features import PixelScale, PixelVectors, flatten_images
from core.detectors.vectors.distances import split_blocks
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

M = TypeVar("M", bound=Detector)


@dataclass
class PixelDetector(ImageDetector, Generic[M]):
    """Detector that learns nothing about images: it scores their scaled pixels by a model of vectors.

    model_        fitted model of vectors
    image_shape_  height, width and channels of the images
    """

    scale: PixelScale = hyperparameter(
        "unit",
        choices=("unit", "standard", "none"),
        help=N_(
            "Scaling of each image by itself. unit: to length 1, so that brightness does not count. "
            "standard: to mean 0 and variance 1. none: values 0–1."
        ),
        label=N_("Scaling of an image"),
    )
    side: int = hyperparameter(
        32,
        low=8,
        high=256,
        help=N_(
            "Larger images are shrunk to at most this many pixels a side, by averaging squares of pixels. "
            "Details are lost."
        ),
        label=N_("Largest side, pixels"),
    )

    @abstractmethod
    def build_model(self) -> M:
        """Return the model of vectors, not fitted."""

    @override
    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Fit the model. Raises DataError for less than 2 images."""
        require_training_images(images)
        progress.report(0.0)
        self.image_shape_ = tuple(int(size) for size in images.shape[1:])
        self.model_ = self.build_model().fit(self.embed(images).astype(np.float64))
        if monitor is not None:
            monitor(1, self.score)
        progress.report(1.0)
        return self

    @override
    def score(self, images: Pixels) -> Floats32:
        return self.map_blocks(images, lambda block: self.model_.score(block.vectors.astype(np.float64)))

    @override
    def embed(self, images: Pixels) -> Floats32:
        """Return the scaled pixels, (images, columns)."""
        return self.map_blocks(images, lambda block: block.vectors)

    def map_blocks(self, images: Pixels, function: Callable[[PixelVectors], AnyFloats]) -> Floats32:
        """Return `function` of the vectors of all images, (images, …), computed block by block.

        Raises DataError for images of another size than those of the training.
        """
        require_shape(images, self.image_shape_)
        blocks = list(split_blocks(len(images), images[0].size)) if len(images) else [slice(0)]
        parts = [function(flatten_images(images[block], self.scale, self.side)) for block in blocks]
        return np.concatenate(parts).astype(np.float32)
