"""Kernel density of pixels."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.images.pixel_detector import PixelDetector
from core.detectors.vectors.kernel_density import KernelDensity
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class KernelDensityPixels(PixelDetector[KernelDensity]):
    """Score images by −log of the density of the training images, with the bandwidth of the largest likelihood."""

    name = "kde-pixels"
    label = N_("Kernel density (pixels)")

    variance: float = hyperparameter(
        0.95,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest counts as one length."),
        label=N_("Share of the variance"),
    )

    @override
    def build_model(self) -> KernelDensity:
        return KernelDensity(self.variance)
