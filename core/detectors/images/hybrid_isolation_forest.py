"""Hybrid of a VAE and an isolation forest."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.base import Detector
from core.detectors.images.hybrid_detector import HybridDetector
from core.detectors.tables.isolation_forest import IsolationForest
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class HybridIsolationForest(HybridDetector):
    """Score images by how few random cuts isolate their code, the output of the encoder of a VAE."""

    name = "hybrid-isolation-forest"
    label = N_("VAE encoder → Isolation Forest")

    trees: int = hyperparameter(
        100,
        low=10,
        high=2000,
        help=N_("Number of trees. More trees give more stable scores and take longer."),
        label=N_("Number of trees"),
    )

    @override
    def build_model(self) -> Detector:
        return IsolationForest(n_estimators=self.trees, random_state=self.seed)
