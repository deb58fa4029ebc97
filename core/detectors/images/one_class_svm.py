"""One-class support vector machine on pixels."""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from core.detectors.images.pixel_detector import PixelDetector
from core.detectors.vectors.one_class_svm import OneClassSVM, declare_gamma, declare_nu, declare_sample_seed
from core.messages import N_


@dataclass
class OneClassSVMPixels(PixelDetector[OneClassSVM]):
    """Score images by how far outside a smooth boundary around the training images they are.

    Of more than 3,000 training images 3,000 are drawn with the seed.
    """

    name = "one-class-svm-pixels"
    label = N_("One-class SVM (pixels)")

    nu: float = declare_nu()
    gamma: Literal["nearest", "scale"] = declare_gamma()
    seed: int = declare_sample_seed()

    @override
    def build_model(self) -> OneClassSVM:
        return OneClassSVM(self.nu, self.gamma, self.seed)
