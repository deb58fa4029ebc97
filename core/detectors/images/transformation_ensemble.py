"""Three views of an image in one score: names of transformations, neighbours in the network, neighbours of edges."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.gradient_knn import GradientNeighbours
from core.detectors.images.network_training import ImageLoss
from core.detectors.images.transformations import TransformationPrediction
from core.detectors.vectors.nearest_neighbours import NearestNeighbours
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    from torch import Tensor

EDGE_DIRECTIONS = 8
EDGE_WINDOWS = 8  # along a side
SMALLEST_SPREAD = 1e-6
MIN_HELD_OUT_IMAGES = 5  # below this number the spread comes from all images


@dataclass
class TransformationEnsemble(TransformationPrediction):
    """Mean of three scores, each standardised by its mean and spread on held-out training images.

    They are the surprise of a network that names transformations, the cosine distance of its vectors to the nearest
    training images, and the distance of edges to the nearest training images. The three were chosen without labels: on
    small colour images, together they told held-out images from the same ones with planted defects (turned, halves
    swapped, pasted, shuffled) better than each alone.

    vectors_   neighbours of the vectors of the network, of length 1
    edges_     neighbours of edges
    centres_   (3,) float32, means of the scores of held-out images
    spreads_   (3,) float32, their standard deviations
    """

    name = "transformation-ensemble"
    label = N_("Ensemble (transformations, edges)")

    neighbours: int = hyperparameter(
        2, low=1, high=1000, help=N_("Number of nearest neighbours."), label=N_("Neighbours")
    )

    @override
    def set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        """Keep the weights, the training images as neighbours, and the usual scores of held-out images."""
        super().set_vector(vector, loss)
        pixels, training = loss.pixels.cpu().numpy(), loss.train_positions.numpy()
        cell = max(round(self.input_side / EDGE_WINDOWS), 1)
        self.edges_ = GradientNeighbours(self.neighbours, EDGE_DIRECTIONS, cell, self.side)
        self.edges_.fit(pixels[training], Progress())
        vectors = _scale_to_length_1(self.embed(pixels[training]))
        self.vectors_ = NearestNeighbours(self.neighbours).fit(vectors.astype(np.float64))
        held_out = loss.validation_positions.numpy()
        scores = self._score_views(pixels[held_out] if len(held_out) >= MIN_HELD_OUT_IMAGES else pixels)
        self.centres_, self.spreads_ = scores.mean(axis=0), np.maximum(scores.std(axis=0), SMALLEST_SPREAD)

    @override
    def score(self, images: Pixels) -> Floats32:
        standardised = (self._score_views(images) - self.centres_) / self.spreads_
        return np.asarray(standardised.mean(axis=1), np.float32)

    def _score_views(self, images: Pixels) -> Floats32:
        """Return the three scores of each image, (images, 3)."""
        distances = self.vectors_.score(_scale_to_length_1(self.embed(images)).astype(np.float64))
        half_squares = np.square(distances) / 2  # of vectors of length 1: about one minus the cosine
        return np.stack([super().score(images), half_squares, self.edges_.score(images)], axis=1).astype(np.float32)


def _scale_to_length_1(vectors: Floats32) -> Floats32:
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
