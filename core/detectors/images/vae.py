"""Variational auto-encoder of images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper, Reconstructor
from core.detectors.images.convnet import ConvNet
from core.detectors.images.network_detector import NetworkDetector, Parts, smooth_maps
from core.lazy_import import LazyModule
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

LOG_VARIANCE_RANGE = (-10.0, 10.0)


@dataclass
class VAE(NetworkDetector, Reconstructor, HeatMapper):
    """Variational auto-encoder (Kingma & Welling 2014); the score is the error of the reconstruction.

    The loss is the squared error plus the Kullback–Leibler divergence of the latent from a standard normal one, both
    per value of the image. Scores come from the mean of the latent, without noise.
    """

    name = "vae"
    label = N_("VAE (reconstruction)")

    kl_weight: float = hyperparameter(
        0.05,
        low=0.0,
        high=100.0,
        help=N_(
            "Weight of the Kullback–Leibler divergence, compared with the squared error of the image "
            "(values from 0 to 1)."
        ),
        label=N_("Weight of the divergence"),
    )
    score_with_kl: bool = hyperparameter(
        False,
        help=N_("Adds the weighted Kullback–Leibler divergence to the score, as in the loss."),
        label=N_("Divergence in the score"),
    )
    corruption: float = hyperparameter(
        0.0,
        low=0.0,
        high=1.0,
        format="percent",
        help=N_(
            "Share of training images that are given with noise and an erased block; the network has to "
            "restore the clean image. It then does not reproduce small defects."
        ),
        label=N_("Share of noisy images"),
    )

    def build_network(self) -> ConvNet:
        """Return the network with two latents per image: mean and log-variance."""
        return self.create_network(latents=2)

    def compute_terms(
        self, parts: Parts, images: "Tensor", targets: "Tensor", rng: "torch.Generator"
    ) -> "dict[str, Tensor]":
        """Return the squared error and the divergence, both per value of the image."""
        mean, log_variance = self.encode_batch(parts, images)
        noise = torch.randn(mean.shape, generator=rng).to(mean.device)
        drawing = self.build_network().decode(parts.weights, mean + noise * torch.exp(log_variance / 2))
        divergence = compute_divergence(mean, log_variance) / targets[0].numel()
        return {"reconstruction": (drawing - targets).square().mean(), "divergence": divergence.mean()}

    def combine_terms(self, terms: "dict[str, Tensor]", extras: "dict[str, Tensor]") -> "Tensor":
        """Return the squared error plus the weighted divergence."""
        return terms["reconstruction"] + self.kl_weight * terms["divergence"]

    def encode_batch(self, parts: Parts, images: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return mean and log-variance of the latent, each (B, *latent_shape)."""
        return self.split_latents(self.build_network().encode(parts.weights, images))

    def split_latents(self, latents: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return mean and log-variance, each (B, *latent_shape), of the latents (B, 2, *latent_shape)."""
        mean, log_variance = latents.unbind(1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def draw_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the reconstruction of the mean of the latent, values 0–1."""
        return self.build_network().decode(parts.weights, self.encode_batch(parts, images)[0])

    def embed_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the mean of the latent, (B, dimensions)."""
        return self.encode_batch(parts, images)[0].flatten(1)

    def score_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the mean squared error of each image, with the divergence if chosen."""
        error = (self.draw_batch(parts, images) - images).square().flatten(1).mean(1)
        if not self.score_with_kl:
            return error
        divergence = compute_divergence(*self.encode_batch(parts, images)) / images[0].numel()
        return error + self.kl_weight * divergence

    def reconstruct(self, images: Pixels) -> Floats32:
        """Return the reconstructed images, (images, height, width, channels), 0–255."""
        return self.map_images(images, lambda parts, batch: 255 * self.draw_batch(parts, batch).permute(0, 2, 3, 1))

    def heat_map(self, images: Pixels) -> Floats32:
        """Return the squared error of every pixel, a little smoothed, (images, height, width)."""
        return self.map_images(
            images, lambda parts, batch: smooth_maps((self.draw_batch(parts, batch) - batch).square().mean(1))
        )


def compute_divergence(mean: "Tensor", log_variance: "Tensor") -> "Tensor":
    """Return the Kullback–Leibler divergence of each latent from a standard normal one, (B,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)
