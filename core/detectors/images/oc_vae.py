"""Variational auto-encoder that also draws the latents of normal images to a centre."""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import WeightedDetector
from core.detectors.images.centred_detector import CentredDetector, accept_last_weights
from core.detectors.images.convnet import ConvNet, Shapes
from core.detectors.images.network_detector import Parts
from core.detectors.images.network_training import ImageLoss
from core.detectors.images.vae import VAE, compute_divergence
from core.detectors.training import TrainingState
from core.errors import OptionError
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

BALANCING_EPOCHS = 5  # the weight is measured again after each of them, then kept
SCALE_WEIGHTS = np.linspace(0.0, 1.0, 11)  # at which the sizes of both scores are measured
END_SHARE = 0.25  # of the drawn weights at each end, 0 and 1
SMALLEST_TERM = 1e-12


@dataclass
class OCVAE(VAE, CentredDetector, WeightedDetector):
    """Weighted sum of the loss of a VAE and of the squared distance of the latent mean to a centre.

    weight = 0 is the VAE, weight = 1 the distance alone. The score is the same mix of error and distance, each divided
    by its mean over held-out normal images. The encoder has no bias, as that of OC-NN.

    With `train_all_weights` the network is given the weight, drawn anew for each image of a batch, and `with_weight`
    moves it after the training (You Only Train Once, Dosovitskiy & Djolonga 2020).

    scales_  mean error and mean distance of held-out images at the weights of the training, (weights, 2)
    """

    name = "oc-vae"
    label = N_("OC-VAE (reconstruction and distance)")

    weight: float = hyperparameter(
        0.5,
        low=0.0,
        high=1.0,
        help=N_("Weight of the distance to the centre. 0: reconstruction only. 1: distance only."),
        label=N_("Weight of the distance"),
    )
    balance: Literal["fixed", "losses", "gradients"] = hyperparameter(
        "fixed",
        choices=("fixed", "losses", "gradients"),
        help=N_(
            "What the weight is applied to. fixed: the losses as they are. losses: both scaled to the same size. "
            "gradients: both scaled to the same gradient at the last shared layer."
        ),
        label=N_("Target of the weight"),
    )
    train_all_weights: bool = hyperparameter(
        False,
        help=N_("Trains one network for all weights; the weight can then be changed after the training."),
        label=N_("One network for all weights"),
    )

    def build_network(self) -> ConvNet:
        """Return the network with two latents per image and an encoder without bias."""
        return self.create_network(latents=2, encoder_bias=False, is_conditioned=self.train_all_weights)

    def list_extra_shapes(self) -> Shapes:
        """Return the shapes of the centre and of the factor of the distance."""
        return {**super().list_extra_shapes(), "balance": (1,)}

    # ---- training ---------------------------------------------------------------------------------------------------

    def prepare(self, images: Pixels) -> None:
        """Set the attributes that the training images decide.

        Raises the errors of `fit`, and OptionError for balanced losses with all weights. Of losses of the same size,
        the distance has by far the larger gradient: 77 times that of the error on the digit 8 of MNIST. The one network
        for all weights then learns little but the distance, and draws badly at every weight.
        """
        if self.train_all_weights and self.balance == "losses":
            raise OptionError(
                N_(
                    "balance = losses does not work with train_all_weights: with losses of the same size, "
                    "the distance has by far the larger gradient, and the network for all weights learns "
                    "little else. Choose gradients or fixed."
                )
            )
        super().prepare(images)

    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        """Return initial weights with their centre and their factor of the distance."""
        vector = super().init_vector(loss, progress, fingerprint)
        with torch.no_grad():
            self.split_extras(vector)["balance"].fill_(1.0)
            self._set_balance(vector, loss)
        return vector

    def update_extras(self, state: TrainingState, loss: ImageLoss, epoch: int) -> None:
        """Update the centre, and in the first epochs the factor of the distance."""
        super().update_extras(state, loss, epoch)
        if self.balance != "fixed" and epoch <= BALANCING_EPOCHS:
            self._set_balance(state.vector, loss)
            accept_last_weights(state)

    def _set_balance(self, vector: "Tensor", loss: ImageLoss) -> None:
        """Set the factor that gives the distance the size of the loss of the VAE, or of its gradient."""
        if self.balance == "fixed":
            return
        if self.balance == "losses":
            sizes = {name: float(term) for name, term in loss.compute_validation_terms(vector).items()}
        else:
            with torch.enable_grad():
                sizes = loss.measure_gradients(vector, self.find_latent_weights())
        factor = sizes["reconstruction"] / max(sizes["distance"], SMALLEST_TERM)
        self.split_extras(vector)["balance"].fill_(factor)

    def compute_terms(
        self, parts: Parts, images: "Tensor", targets: "Tensor", rng: "torch.Generator"
    ) -> "dict[str, Tensor]":
        """Return squared error, divergence and distance; with all weights trained, each is weighted per image."""
        condition = self._draw_weights(len(images), rng).to(images.device) if self.train_all_weights else None
        mean, log_variance = self.encode_batch(parts, images, condition)
        noise = torch.randn(mean.shape, generator=rng).to(mean.device)
        drawing = self.build_network().decode(parts.weights, mean + noise * torch.exp(log_variance / 2), condition)
        error = (drawing - targets).square().flatten(1).mean(1)
        divergence = compute_divergence(mean, log_variance) / targets[0].numel()
        distance = self.measure_distance(parts, mean)
        if condition is not None:
            error, divergence, distance = (1 - condition) * error, (1 - condition) * divergence, condition * distance
        return {"reconstruction": error.mean(), "divergence": divergence.mean(), "distance": distance.mean()}

    def combine_terms(self, terms: "dict[str, Tensor]", extras: "dict[str, Tensor]") -> "Tensor":
        """Return the weighted sum of the loss of the VAE and of the distance."""
        drawing_loss = terms["reconstruction"] + self.kl_weight * terms["divergence"]
        distance = extras["balance"][0] * terms["distance"]
        if self.train_all_weights:
            return drawing_loss + distance
        return (1 - self.weight) * drawing_loss + self.weight * distance

    def _draw_weights(self, count: int, rng: "torch.Generator") -> "Tensor":
        """Return random weights (B,), uniform, with a share of exact zeros and ones."""
        stretched = torch.rand(count, generator=rng) / (1 - 2 * END_SHARE)
        return (stretched - END_SHARE / (1 - 2 * END_SHARE)).clamp(0.0, 1.0)

    def calibrate(self, loss: ImageLoss) -> None:
        """Measure mean error and mean distance of the held-out images at each weight."""
        held_out = loss.pixels[loss.validation_positions.to(loss.device)].cpu().numpy()
        weights = SCALE_WEIGHTS if self.train_all_weights else [self.weight]
        scales = []
        for weight in weights:
            detector = copy.copy(self)
            detector.weight = float(weight)
            scales.append(detector.map_images(held_out, detector._measure_both).mean(0))
        self.scales_ = np.maximum(np.stack(scales), SMALLEST_TERM)

    # ---- use --------------------------------------------------------------------------------------------------------

    def with_weight(self, weight: float) -> Self:
        """Return the same fitted detector with another weight, 0–1.

        Raises OptionError for another value or a detector that was trained for one weight.
        """
        if not self.train_all_weights:
            raise OptionError(
                N_(
                    "This model was trained for one weight. Train it with train_all_weights to change the "
                    "weight afterwards."
                )
            )
        if not 0 <= weight <= 1:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="weight",
                value=weight,
                low=0,
                high=1,
            )
        detector = copy.copy(self)
        detector.weight = weight
        return detector

    def encode_batch(
        self, parts: Parts, images: "Tensor", condition: "Tensor | None" = None
    ) -> "tuple[Tensor, Tensor]":
        """Return mean and log-variance of the latent, each (B, *latent_shape)."""
        return self.split_latents(
            self.build_network().encode(parts.weights, images, self._condition(images, condition))
        )

    def draw_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the reconstruction of the mean of the latent, values 0–1."""
        mean = self.encode_mean(parts, images)
        return self.build_network().decode(parts.weights, mean, self._condition(images, None))

    def encode_mean(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the mean of the latent, (B, *latent_shape)."""
        return self.encode_batch(parts, images)[0]

    def score_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the mix of error and distance, each divided by its mean over held-out normal images."""
        weights = SCALE_WEIGHTS if self.train_all_weights else [self.weight]
        both = self._measure_both(parts, images)
        shares = (1 - self.weight, self.weight)
        scales = [float(np.interp(self.weight, weights, self.scales_[:, column])) for column in range(2)]
        return shares[0] * both[:, 0] / scales[0] + shares[1] * both[:, 1] / scales[1]

    def heat_map(self, images: Pixels) -> Floats32:
        """Return the squared error of every pixel; for weight = 1, which draws nothing, its part in the distance."""
        return super().heat_map(images) if self.weight < 1 else self.map_images(images, self.map_distance)

    def _measure_both(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return error and distance of each image, (B, 2)."""
        error = super().score_batch(parts, images)
        return torch.stack([error, self.measure_distance(parts, self.encode_mean(parts, images))], dim=1)

    def _condition(self, images: "Tensor", condition: "Tensor | None") -> "Tensor | None":
        """Return the weight of each image, (B,): `condition`, else the one of the detector; None without."""
        if not self.train_all_weights or condition is not None:
            return condition
        return torch.full((len(images),), float(self.weight), device=images.device)
