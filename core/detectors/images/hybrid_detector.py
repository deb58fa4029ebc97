"""Base of the hybrids: a VAE is trained, then a one-class model of vectors judges the output of its encoder."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.images.image_set import Pixels
from core.detectors.base import Detector, Floats32
from core.detectors.images.network_training import ImageLoss
from core.detectors.images.vae import VAE
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class CodeDetector(VAE):
    """VAE of which only the encoder scores: by a model of its codes, the means of the latent.

    `reconstruct` and `heat_map` are those of the VAE: they show where it errs, not what the model of codes saw.
    """

    code_scale: Literal["unit", "none"] = hyperparameter(
        "unit",
        choices=("unit", "none"),
        help=N_("Scaling of the output of the encoder. unit: only its direction counts. none: its length as well."),
        label=N_("Scaling of the code"),
    )
    score_with_kl: bool = field(default=False, init=False, repr=False)  # no setting: the VAE does not score

    @abstractmethod
    def score_codes(self, codes: Floats) -> Floats:
        """Return one score per code, (images,); higher is more anomalous."""

    @override
    def score(self, images: Pixels) -> Floats32:
        return self.score_codes(self.embed(images).astype(np.float64)).astype(np.float32)

    @override
    def embed(self, images: Pixels) -> Floats32:
        """Return the codes, (images, dimensions)."""
        codes = super().embed(images)
        if self.code_scale == "none":
            return codes
        lengths: Floats32 = np.sqrt(np.square(codes).sum(axis=1, keepdims=True))
        lengths[lengths == 0] = 1
        return codes / lengths


@dataclass
class HybridDetector(CodeDetector):
    """Hybrid of a VAE and a one-class model of vectors.

    model_  fitted model of the codes of all training images
    """

    @abstractmethod
    def build_model(self) -> Detector:
        """Return the model of codes, not fitted."""

    @override
    def calibrate(self, loss: ImageLoss) -> None:
        codes = self.embed(loss.pixels.cpu().numpy()).astype(np.float64)
        self.model_ = self.build_model().fit(codes)

    @override
    def score_codes(self, codes: Floats) -> Floats:
        return self.model_.score(codes)
