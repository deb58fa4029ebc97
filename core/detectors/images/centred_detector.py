"""Base of the detectors that draw the latents of normal images to a centre."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.detectors.images.convnet import Shapes
from core.detectors.images.network_detector import NetworkDetector, Parts, smooth_maps
from core.detectors.images.network_training import ImageLoss
from core.detectors.training import TrainingState
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

MIN_CENTRE_DISTANCE = 0.1  # of every coordinate of the centre from zero, as in Ruff's code


@dataclass
class CentredDetector(NetworkDetector):
    """Detector with a centre of the latents; a spatial latent has one centre per super-pixel.

    The centre stands in the vector beside the weights. Its coordinates stay away from zero: an encoder without bias can
    reach zero by zero weights, and would then map every image to it.
    """

    centre_update: Literal["fixed", "epoch"] = hyperparameter(
        "fixed",
        choices=("fixed", "epoch"),
        help=N_(
            "fixed: the centre is the mean of the first pass. epoch: it is computed again after each epoch; "
            "the training then has no early stopping."
        ),
        label=N_("Update of the centre"),
    )

    @abstractmethod
    def encode_mean(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the latents whose distance to the centre counts, (B, *latent_shape)."""

    def list_extra_shapes(self) -> Shapes:
        """Return the shape of the centre."""
        return {"centre": self.build_network().latent_shape}

    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        """Return initial weights, with the centre of the latents that they give."""
        vector = super().init_vector(loss, progress, fingerprint)
        with torch.no_grad():
            self.set_centre(self.split_vector(vector), loss)
        return vector

    def update_extras(self, state: TrainingState, loss: ImageLoss, epoch: int) -> None:
        """Compute the centre again, if it moves. The loss is then another one, and the last weights are the best."""
        if self.centre_update == "epoch":
            self.set_centre(self.split_vector(state.vector), loss)
            accept_last_weights(state)

    def set_centre(self, parts: Parts, loss: ImageLoss) -> None:
        """Set the centre in `parts` to the mean latent of the training images."""
        total, count = torch.zeros_like(parts.extras["centre"]), 0
        for latents in self.iterate_latents(parts, loss):
            total, count = total + latents.sum(0), count + len(latents)
        parts.extras["centre"].copy_(push_from_zero(total / count))

    def iterate_latents(self, parts: Parts, loss: ImageLoss) -> Iterator["Tensor"]:
        """Yield the latents of the training images in batches."""
        for images in loss.iterate_training():
            yield self.encode_mean(parts, images)

    def embed_batch(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return the latents, (B, dimensions)."""
        return self.encode_mean(parts, images).flatten(1)

    def measure_distance(self, parts: Parts, latents: "Tensor") -> "Tensor":
        """Return the squared distance of `latents` to the centre, the mean over its coordinates, (B,)."""
        return (latents - parts.extras["centre"]).square().flatten(1).mean(1)

    def map_distance(self, parts: Parts, images: "Tensor") -> "Tensor":
        """Return how much each pixel contributes to the distance, (B, height, width).

        A spatial latent has a distance per super-pixel, which is interpolated. For a flat one it is the change of the
        distance by a change of the pixel: the gradient, smoothed (Simonyan et al. 2014).
        """
        if self.latent_kind == "spatial":
            distances = (self.encode_mean(parts, images) - parts.extras["centre"]).square().mean(1, keepdim=True)
            return functional.interpolate(distances, size=images.shape[2:], mode="bilinear")[:, 0]
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            distance = self.measure_distance(parts, self.encode_mean(parts, images)).sum()
            gradient = torch.autograd.grad(distance, images)[0].abs().mean(1)
        return smooth_maps(gradient)


def accept_last_weights(state: TrainingState) -> None:
    """Take the current weights for the best ones, because the earlier losses were of another function."""
    state.best.copy_(state.vector)
    state.best_step, state.best_loss = state.step, float("inf")


def push_from_zero(centre: "Tensor") -> "Tensor":
    """Return `centre` with coordinates at least 0.1 away from zero, each on its own side.

    Example:
        >>> push_from_zero(torch.tensor([0.03, -0.02, 0.5])).tolist()
        [0.10000000149011612, -0.10000000149011612, 0.5]
    """
    sides = torch.where(centre < 0, -1.0, 1.0)
    return torch.where(centre.abs() < MIN_CENTRE_DISTANCE, MIN_CENTRE_DISTANCE * sides, centre)
