"""Isolation forest on pixels."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.images.pixel_detector import PixelDetector
from core.detectors.tables.isolation_forest import IsolationForest
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class IsolationForestPixels(PixelDetector[IsolationForest]):
    """Score images by how few random cuts of single pixels isolate them."""

    name = "isolation-forest-pixels"
    label = N_("Isolation Forest (pixels)")

    trees: int = hyperparameter(
        100,
        low=10,
        high=2000,
        help=N_("Number of trees. More trees give more stable scores and take longer."),
        label=N_("Number of trees"),
    )
    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Random seed."), label=N_("Seed"))

    @override
    def build_model(self) -> IsolationForest:
        return IsolationForest(n_estimators=self.trees, random_state=self.seed)
