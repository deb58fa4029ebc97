"""Hybrid of a VAE and nearest neighbours."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.base import Detector
from core.detectors.images.hybrid_detector import HybridDetector
from core.detectors.vectors.nearest_neighbours import NearestNeighbours
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class HybridNearestNeighbours(HybridDetector):
    """Score images by the mean distance of their code, the output of the encoder of a VAE, to the nearest ones."""

    name = "hybrid-knn"
    label = N_("VAE encoder → nearest neighbours")

    neighbours: int = hyperparameter(
        2, low=1, high=1000, help=N_("Number of nearest neighbours."), label=N_("Neighbours")
    )

    @override
    def build_model(self) -> Detector:
        return NearestNeighbours(self.neighbours)
