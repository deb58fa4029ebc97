"""Base of the supervised hybrids: a VAE is trained on normal images, then a classifier of its codes on both classes."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.images.image_set import Pixels
from core.detectors.images.base import Monitor
from core.detectors.images.hybrid_detector import CodeDetector
from core.detectors.images.network_training import ImageLoss
from core.detectors.vectors.classifiers import VectorClassifier
from core.errors import DataError
from core.messages import N_
from core.progress import Progress


@dataclass
class SupervisedHybrid(CodeDetector):
    """Hybrid of a VAE and a classifier; the score is the log-odds of being abnormal.

    The classifier knows only the kinds of anomaly that it was shown. The VAE is trained on normal images alone.

    classifier_  classifier of codes, fitted on the normal and the labelled abnormal images
    """

    needs_abnormal = True

    @abstractmethod
    def build_classifier(self) -> VectorClassifier:
        """Return the classifier of codes, not fitted."""

    @override
    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Train the VAE and the classifier. Raises DataError without abnormal images, and the errors of the VAE."""
        if abnormal is None or not len(abnormal):
            raise DataError(
                N_("{algorithm} needs labelled abnormal images. There are none. Accepted: at least 1."),
                algorithm=self.name,
            )
        self.abnormal_ = abnormal  # for `calibrate`
        try:
            return super().fit(images, progress, monitor=monitor)
        finally:
            del self.abnormal_

    @override
    def calibrate(self, loss: ImageLoss) -> None:
        normal, abnormal = (self.embed(part).astype(np.float64) for part in (loss.pixels.cpu().numpy(), self.abnormal_))
        self.classifier_ = self.build_classifier().fit(normal, abnormal)

    @override
    def score_codes(self, codes: Floats) -> Floats:
        return self.classifier_.score(codes)
