"""Base of the detectors that train the convolutional network: common settings, training, scores in batches."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.devices import run_on_device
from core.detectors.images.convnet import ConvNet, Shapes
from core.detectors.images.image_checks import require_shape
from core.detectors.images.network_training import ImageLoss, map_batches
from core.detectors.images.trained_detector import TrainedDetector
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

GRADIENT_CURVES = {
    N_("reconstruction"): N_("gradient of reconstruction"),
    N_("divergence"): N_("gradient of divergence"),
    N_("distance"): N_("gradient of distance"),
    N_("weight decay"): N_("gradient of weight decay"),
}
"""Term of a loss → curve of the norm of its gradient."""
SMOOTHING_PIXELS = 3  # side of the window of a heat map


class Parts(NamedTuple):
    """Weights of the network, and the values beside them that a detector keeps in the same vector."""

    weights: "dict[str, Tensor]"
    extras: "dict[str, Tensor]"


@dataclass
class NetworkDetector(TrainedDetector):
    """Detector that trains a convolutional network on images of the normal class.

    weights_  (weights,) float32: those of the network, then the values of `list_extra_shapes`
    """

    latent: int = hyperparameter(
        32,
        low=1,
        high=1024,
        help=N_("Size of the latent vector, or channels per super-pixel of a spatial latent."),
        label=N_("Latent size"),
    )
    latent_kind: Literal["flat", "spatial"] = hyperparameter(
        "flat",
        choices=("flat", "spatial"),
        help=N_("flat: one latent vector for the whole image. spatial: one for each super-pixel, not mixed."),
        label=N_("Kind of latent vector"),
    )
    width: int = hyperparameter(
        16,
        low=1,
        high=256,
        help=N_("Channels after the first contraction; the deepest maps have four times as many."),
        label=N_("Channels"),
    )
    activation: Literal["leaky-relu", "elu", "relu", "tanh"] = hyperparameter(
        "leaky-relu",
        choices=("leaky-relu", "elu", "relu", "tanh"),
        help=N_("Activation function of the network."),
        label=N_("Activation"),
    )
    attention: bool = hyperparameter(
        False,
        help=N_("Adds self-attention between super-pixels; its output is concatenated with its input."),
        label=N_("Self-attention"),
    )
    extra_contraction: int = hyperparameter(
        0,
        low=-1,
        high=1,
        help=N_("Adds (1) or removes (−1) halvings of the image, compared with the number that suits its size."),
        label=N_("Extra contractions"),
    )

    # ---- what a detector defines ------------------------------------------------------------------------------------

    @abstractmethod
    def build_network(self) -> ConvNet:
        """Return the network for images of shape `image_shape_`."""

    @abstractmethod
    def compute_terms(
        self, parts: Parts, images: "Tensor", targets: "Tensor", rng: "torch.Generator"
    ) -> "dict[str, Tensor]":
        """Return name → term of the loss, the mean over the batch. All images are (B, channels, height, width), 0–1.

        `images` are given to the network, corrupted if the detector does that; `targets` are the clean ones.
        """

    @abstractmethod
    def combine_terms(self, terms: "dict[str, Tensor]", extras: "dict[str, Tensor]") -> "Tensor":
        """Return the loss to be minimised of its terms and the values beside the weights."""

    @abstractmethod
    def embed_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the vectors of the values 0–1 of images, (B, dimensions)."""

    @abstractmethod
    def score_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the scores of the values 0–1 of images, (B,)."""

    def list_extra_shapes(self) -> Shapes:
        """Return name → shape of values that stand in the vector after the weights and that no gradient reaches.

        A centre is one. They are saved with the weights, also in checkpoints.
        """
        return {}

    @override
    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        extras = torch.zeros(self._count_extras())
        return torch.cat([self.build_network().init_weights(self.seed), extras]).to(self.device_)

    def calibrate(self, loss: ImageLoss) -> None:
        """Set the attributes that a fitted detector computes from its weights and the training images."""

    # ---- contract ---------------------------------------------------------------------------------------------------

    @override
    def score(self, images: Pixels) -> Floats32:
        return self.map_images(images, self.score_batch)

    def embed(self, images: Pixels) -> Floats32:
        """Return the vector of each image, (images, dimensions)."""
        return self.map_images(images, self.embed_batch)

    # ---- training ---------------------------------------------------------------------------------------------------

    @override
    def build_loss(self, images: Pixels) -> ImageLoss:
        return ImageLoss(
            torch.from_numpy(np.array(images)),
            lambda vector, inputs, targets, rng: self.compute_terms(self.split_vector(vector), inputs, targets, rng),
            lambda terms, vector: self.combine_terms(terms, self.split_extras(vector)),
            self.batch_size,
            self.seed,
            self.device_,
            getattr(self, "corruption", 0.0),
        )

    def create_network(self, **options: Any) -> ConvNet:
        """Return the network for images of shape `image_shape_` with the settings of the detector and `options`."""
        height, width, channels = self.image_shape_
        settings: dict[str, Any] = {
            "latent_size": self.latent,
            "latent_kind": self.latent_kind,
            "width": self.width,
            "activation": self.activation,
            "attention": self.attention,
            "extra_contraction": self.extra_contraction,
        }
        return ConvNet(height, width, channels, **settings | options)

    def split_vector(self, vector: "Tensor") -> Parts:
        """Return the weights and the values beside them: all are views of `vector`, the values without gradient."""
        weights = vector[: len(vector) - self._count_extras()]
        return Parts(self.build_network().split_weights(weights), self.split_extras(vector))

    def split_extras(self, vector: "Tensor") -> "dict[str, Tensor]":
        """Return the values beside the weights as views of `vector` without gradient."""
        shapes = self.list_extra_shapes()
        parts = vector.detach()[len(vector) - self._count_extras() :].split(
            [math.prod(size) for size in shapes.values()]
        )
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def _count_extras(self) -> int:
        return sum(math.prod(shape) for shape in self.list_extra_shapes().values())

    @override
    def measure_curves(self, vector: "Tensor", loss: ImageLoss) -> dict[str, float]:
        """Return the terms of the loss of the held-out images, and their gradients at the last layer that all share."""
        with torch.no_grad():
            terms = {name: float(term) for name, term in loss.compute_validation_terms(vector).items()}
        gradients = loss.measure_gradients(vector, self.find_latent_weights())
        return {**terms, **{GRADIENT_CURVES[name]: norm for name, norm in gradients.items()}}

    def find_latent_weights(self) -> slice:
        """Return where the weights of the latent layer stand in the vector."""
        first = 0
        for name, shape in self.build_network().list_weight_shapes().items():
            if name == "latent":
                return slice(first, first + math.prod(shape))
            first += math.prod(shape)
        raise LookupError("latent")

    @override
    def set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        self.weights_ = vector.detach().cpu().numpy().copy()
        self.calibrate(loss)

    # ---- use --------------------------------------------------------------------------------------------------------

    def map_images(self, images: Pixels, function: Callable[[Parts, "Tensor"], "Tensor"]) -> Floats32:
        """Return `function` of the fitted network and the values 0–1 of all images, (images, …).

        Raises DataError for images of another size than those of the training.
        """
        require_shape(images, self.image_shape_)

        def map_on_device(device: str) -> Floats32:
            with torch.no_grad():
                parts = self.split_vector(torch.from_numpy(self.weights_).to(device))
            return map_batches(images, device, lambda batch: function(parts, batch))

        return run_on_device(self.device, map_on_device)[0]


def smooth_maps(values: "Tensor") -> "Tensor":
    """Return maps (B, height, width) as means over 3 × 3 pixels, fewer at the edges."""
    padding = SMOOTHING_PIXELS // 2
    return functional.avg_pool2d(values[:, None], SMOOTHING_PIXELS, 1, padding, count_include_pad=False)[:, 0]
