"""Hybrid of a VAE and a one-class support vector machine."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.base import Detector
from core.detectors.images.hybrid_detector import HybridDetector
from core.detectors.vectors.one_class_svm import OneClassSVM, declare_nu
from core.messages import N_


@dataclass
class HybridOneClassSVM(HybridDetector):
    """Score images by how far their code, the output of the encoder of a VAE, is outside a smooth boundary.

    Of more than 3,000 training images 3,000 are drawn with the seed for the boundary.
    """

    name = "hybrid-one-class-svm"
    label = N_("VAE encoder → one-class SVM")

    nu: float = declare_nu()

    @override
    def build_model(self) -> Detector:
        return OneClassSVM(nu=self.nu, seed=self.seed)
