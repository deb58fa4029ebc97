"""Hybrid of a VAE and a PCA residual."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.base import Detector
from core.detectors.images.hybrid_detector import HybridDetector
from core.detectors.vectors.pca_subspace import PcaSubspace
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class HybridPca(HybridDetector):
    """Score images by what the first principal components leave of their code, the output of the encoder of a VAE."""

    name = "hybrid-pca"
    label = N_("VAE encoder → PCA residual")

    variance: float = hyperparameter(
        0.9,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest is the residual."),
        label=N_("Share of the variance"),
    )

    @override
    def build_model(self) -> Detector:
        return PcaSubspace(self.variance)
