"""Base of the detectors that train the convolutional network: common settings, training, scores in batches."""

import copy
import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import ImageDetector, Monitor
from core.detectors.images.convnet import ConvNet, Shapes
from core.detectors.images.network_training import ImageLoss, choose_device, map_batches
from core.detectors.training import Trainer, TrainingConfig, TrainingState
from core.errors import DataError
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import get_params, hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

MAX_GRADIENT_NORM = 5.0
MIN_TRAINING_IMAGES = 2
SMOOTHING_PIXELS = 3  # side of the window of a heat map


class Parts(NamedTuple):
    """Weights of the network, and the values beside them that a detector keeps in the same vector."""

    weights: "dict[str, Tensor]"
    extras: "dict[str, Tensor]"


@dataclass
class NetworkDetector(ImageDetector):
    """Detector that trains a convolutional network on images of the normal class.

    weights_      (weights,) float32: those of the network, then the values of `list_extra_shapes`
    image_shape_  height, width and channels of the images
    device_       device of the training: "cpu" where the machine lacks the chosen one
    history_      name of a curve → [[epoch, value], …]: terms of the loss of held-out images, norms of their gradients
    epochs_       trained epochs
    """

    epochs: int = hyperparameter(
        60,
        low=1,
        high=100_000,
        help=N_("Maximum number of passes over the training images. Early stopping may end the training before."),
    )
    batch_size: int = hyperparameter(128, low=1, high=8192, help=N_("Number of images in a batch."))
    learning_rate: float = hyperparameter(
        0.001, low=0.000001, high=0.1, help=N_("Learning rate of the Adam optimiser.")
    )
    seconds: float = hyperparameter(
        60.0,
        low=0.1,
        high=86_400.0,
        help=N_("Time limit of the training, in seconds. A run that reaches it cannot be reproduced exactly."),
    )
    patience: int = hyperparameter(
        10,
        low=0,
        high=100_000,
        help=N_("Epochs without improvement on held-out normal images before the training ends. 0: no early stopping."),
    )
    latent: int = hyperparameter(
        32, low=1, high=1024, help=N_("Size of the latent vector, or channels per super-pixel of a spatial latent.")
    )
    latent_kind: Literal["flat", "spatial"] = hyperparameter(
        "flat",
        choices=("flat", "spatial"),
        help=N_("flat: one latent vector for the whole image. spatial: one for each super-pixel, not mixed."),
    )
    width: int = hyperparameter(
        16, low=1, high=256, help=N_("Channels after the first contraction; the deepest maps have four times as many.")
    )
    activation: Literal["leaky-relu", "elu", "relu", "tanh"] = hyperparameter(
        "leaky-relu", choices=("leaky-relu", "elu", "relu", "tanh"), help=N_("Activation function of the network.")
    )
    attention: bool = hyperparameter(
        False, help=N_("Adds self-attention between super-pixels; its output is concatenated with its input.")
    )
    extra_contraction: int = hyperparameter(
        0, low=-1, high=1, help=N_("Contractions of the image more (1) or less (−1) than its size suggests.")
    )
    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Random seed."))
    device: str = hyperparameter(
        "cpu", help=N_("Device of the training: cpu, cuda, cuda:1 or mps. The CPU takes the place of a missing one.")
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

    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        """Return the vector before the first batch; checkpoints on the way to it carry `fingerprint`."""
        extras = torch.zeros(self._count_extras())
        return torch.cat([self.build_network().init_weights(self.seed), extras]).to(self.device_)

    def split_progress(self, progress: Progress) -> tuple[Progress, Progress]:
        """Return the progress of the work before the first batch, and of the training."""
        return progress, progress

    @property
    def training_seconds(self) -> float:
        """Time limit of the training itself."""
        return self.seconds

    def update_extras(self, state: TrainingState, loss: ImageLoss, epoch: int) -> None:
        """Change the values beside the weights in `state` after an epoch."""

    def calibrate(self, loss: ImageLoss) -> None:
        """Set the attributes that a fitted detector computes from its weights and the training images."""

    # ---- contract ---------------------------------------------------------------------------------------------------

    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Train the network on `images`.

        Raises DataError for less than 2 images or a checkpoint of other settings, OptionError for an unknown device,
        and Cancelled.
        """
        if len(images) < MIN_TRAINING_IMAGES:
            raise DataError(
                N_("There are {count} training images. At least {needed} are needed."),
                count=len(images),
                needed=MIN_TRAINING_IMAGES,
            )
        self.image_shape_ = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        self.device_ = choose_device(self.device)
        self.history_: dict[str, list[list[float]]] = {}
        before, during = self.split_progress(progress)
        loss, fingerprint = self.build_loss(images), self._compute_fingerprint(images)
        state = TrainingState.start(self.init_vector(loss, before, fingerprint), self.seed, fused=True)
        vector = self.build_trainer(loss, during, monitor).train(state, during, fingerprint)
        self.epochs_ = state.step // loss.steps_per_epoch
        self._set_vector(vector, loss)
        progress.report(1.0)
        return self

    def score(self, images: Pixels) -> Floats32:
        """Return one score per image, (images,)."""
        return self.map_images(images, self.score_batch)

    def embed(self, images: Pixels) -> Floats32:
        """Return the vector of each image, (images, dimensions)."""
        return self.map_images(images, self.embed_batch)

    # ---- training ---------------------------------------------------------------------------------------------------

    def build_loss(self, images: Pixels) -> ImageLoss:
        """Return the loss over `images`."""
        return ImageLoss(
            torch.from_numpy(np.array(images)),
            lambda vector, inputs, targets, rng: self.compute_terms(self.split_vector(vector), inputs, targets, rng),
            lambda terms, vector: self.combine_terms(terms, self.split_extras(vector)),
            self.batch_size,
            self.seed,
            self.device_,
            getattr(self, "corruption", 0.0),
        )

    def build_trainer(self, loss: ImageLoss, progress: Progress, monitor: Monitor | None) -> Trainer:
        """Return the trainer, which validates after each epoch."""
        config = TrainingConfig(
            self.epochs * loss.steps_per_epoch,
            self.training_seconds,
            self.learning_rate,
            MAX_GRADIENT_NORM,
            self.patience or None,
            lr_decay=True,
            validation_interval_steps=loss.steps_per_epoch,
        )

        def finish_epoch(state: TrainingState) -> None:
            epoch = state.step // loss.steps_per_epoch
            self._add_history(epoch, state.vector, loss, progress)
            with torch.no_grad():
                self.update_extras(state, loss, epoch)
            if monitor is not None:
                snapshot = copy.copy(self)
                snapshot._set_vector(state.vector.detach(), loss)
                monitor(epoch, snapshot.score)

        return Trainer(loss, config, finish_epoch, N_("held-out images"))

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

    def _add_history(self, epoch: int, vector: "Tensor", loss: ImageLoss, progress: Progress) -> None:
        """Add the terms of the loss of the held-out images, and their gradients at the last layer that all share."""
        with torch.no_grad():
            terms = {name: float(term) for name, term in loss.compute_validation_terms(vector).items()}
        gradients = loss.measure_gradients(vector, self.find_latent_weights())
        for curve, value in {**terms, **{f"gradient of {name}": norm for name, norm in gradients.items()}}.items():
            progress.add_point(curve, epoch, value)
            self.history_.setdefault(curve, []).append([float(epoch), value])

    def find_latent_weights(self) -> slice:
        """Return where the weights of the latent layer stand in the vector."""
        first = 0
        for name, shape in self.build_network().list_weight_shapes().items():
            if name == "latent":
                return slice(first, first + math.prod(shape))
            first += math.prod(shape)
        raise LookupError("latent")

    def _set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        self.weights_ = vector.detach().cpu().numpy().copy()
        self.calibrate(loss)

    def _compute_fingerprint(self, images: Pixels) -> str:
        """Return settings, digest of the images and version of torch, which a checkpoint must match."""
        digest = hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()[:16]
        version = str(torch.__version__).partition("+")[0]
        return json.dumps({**get_params(self), "name": self.name, "data": digest, "torch": version}, sort_keys=True)

    # ---- use --------------------------------------------------------------------------------------------------------

    def map_images(self, images: Pixels, function: Callable[[Parts, "Tensor"], "Tensor"]) -> Floats32:
        """Return `function` of the fitted network and the values 0–1 of all images, (images, …).

        Raises DataError for images of another size than those of the training.
        """
        if images.shape[1:] != self.image_shape_:
            raise DataError(
                N_("The images are {value}. The model was fitted on images of {accepted} (height × width × channels)."),
                value=" × ".join(map(str, images.shape[1:])),
                accepted=" × ".join(map(str, self.image_shape_)),
            )
        device = choose_device(self.device)
        with torch.no_grad():
            parts = self.split_vector(torch.from_numpy(self.weights_).to(device))
        return map_batches(images, device, lambda batch: function(parts, batch))


def smooth_maps(values: "Tensor") -> "Tensor":
    """Return maps (B, height, width) as means over 3 × 3 pixels, fewer at the edges."""
    padding = SMOOTHING_PIXELS // 2
    return functional.avg_pool2d(values[:, None], SMOOTHING_PIXELS, 1, padding, count_include_pad=False)[:, 0]
