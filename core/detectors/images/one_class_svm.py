"""One-class support vector machine on pixels."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.images.pixel_detector import PixelDetector
from core.detectors.vectors.one_class_svm import Gamma, OneClassSVM
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class OneClassSVMPixels(PixelDetector[OneClassSVM]):
    """Score images by how far outside a smooth boundary around the training images they are.

    Of more than 3,000 training images 3,000 are drawn with the seed.
    """

    name = "one-class-svm-pixels"
    label = N_("One-class SVM (pixels)")

    nu: float = hyperparameter(
        0.1, low=0.001, high=0.9, help=N_("Largest share of the training data outside the boundary (0–1).")
    )
    gamma: Gamma = hyperparameter(
        "nearest",
        choices=("nearest", "scale"),
        help=N_(
            "Width of the kernel. nearest: γ = 1 / the median squared distance to the nearest neighbour. "
            "scale: γ = 1 / (columns × variance), the rule of scikit-learn."
        ),
    )
    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Random seed of the sample of more than 3,000 rows."))

    @override
    def build_model(self) -> OneClassSVM:
        return OneClassSVM(self.nu, self.gamma, self.seed)
