"""Base of the detectors that are trained by gradient descent: common settings, and the training epoch by epoch."""

import copy
import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.devices import DEVICE_HELP, choose_device, run_on_device
from core.detectors.images.base import ImageDetector, Monitor
from core.detectors.images.image_checks import require_training_images
from core.detectors.images.network_training import ImageLoss
from core.detectors.images.training_threads import use_idle_cores
from core.detectors.training import Trainer, TrainingConfig, TrainingState
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import get_params, hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

MAX_GRADIENT_NORM = 5.0


@dataclass
class TrainedDetector(ImageDetector):
    """Detector whose weights are one vector that a training on images of the normal class changes.

    image_shape_  height, width and channels of the images
    device_       device of the training: "cpu" where the machine lacks the chosen one, or it failed
    device_failure_  error of the chosen device; "" if it did not fail
    history_      name of a curve → [[epoch, value], …], such as the loss of held-out images
    epochs_       trained epochs
    """

    epochs: int = hyperparameter(
        60,
        low=1,
        high=100_000,
        help=N_("Maximum number of passes over the training images. Early stopping may end the training before."),
        label=N_("Maximum of epochs"),
    )
    batch_size: int = hyperparameter(
        128, low=1, high=8192, help=N_("Number of images in a batch."), label=N_("Batch size")
    )
    learning_rate: float = hyperparameter(
        0.001, low=0.000001, high=0.1, help=N_("Learning rate of the Adam optimiser."), label=N_("Learning rate")
    )
    seconds: float = hyperparameter(
        60.0,
        low=0.1,
        high=86_400.0,
        help=N_("Time limit of the training, in seconds. A run that reaches it cannot be reproduced exactly."),
        label=N_("Time limit (s)"),
    )
    patience: int = hyperparameter(
        10,
        low=0,
        high=100_000,
        help=N_("Epochs without improvement on held-out normal images before the training ends. 0: no early stopping."),
        label=N_("Patience, epochs"),
    )
    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Random seed."), label=N_("Seed"))
    device: str = hyperparameter("cpu", help=DEVICE_HELP, label=N_("Device"))

    # ---- what a detector defines ------------------------------------------------------------------------------------

    @abstractmethod
    def build_loss(self, images: Pixels) -> ImageLoss:
        """Return the loss over `images`."""

    @abstractmethod
    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        """Return the vector before the first batch; checkpoints on the way to it carry `fingerprint`."""

    @abstractmethod
    def measure_curves(self, vector: "Tensor", loss: ImageLoss) -> dict[str, float]:
        """Return name of a curve → its value after an epoch."""

    @abstractmethod
    def set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        """Set the fitted attributes from trained weights and the training images."""

    def update_extras(self, state: TrainingState, loss: ImageLoss, epoch: int) -> None:
        """Change the values of `state` that no gradient reaches, after an epoch."""

    def split_progress(self, progress: Progress) -> tuple[Progress, Progress]:
        """Return the progress of the work before the first batch, and of the training."""
        return progress, progress

    @property
    def training_seconds(self) -> float:
        """Time limit of the training itself."""
        return self.seconds

    # ---- training ---------------------------------------------------------------------------------------------------

    @override
    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Train on `images`.

        Raises DataError for less than 2 images or a checkpoint of other settings, OptionError for an unknown device,
        and Cancelled.
        """
        _, used = run_on_device(self.device, lambda device: self._train(device, images, progress, monitor))
        self.device_failure_ = used.failure
        progress.report(1.0)
        return self

    def _train(self, device: str, images: Pixels, progress: Progress, monitor: Monitor | None) -> None:
        self.prepare(images)
        self.device_ = device
        before, during = self.split_progress(progress)
        loss, fingerprint = self.build_loss(images), self._compute_fingerprint(images)
        with use_idle_cores():
            state = TrainingState.start(self.init_vector(loss, before, fingerprint), self.seed, fused=True)
            vector = self._build_trainer(loss, during, monitor).train(state, during, fingerprint)
            self.epochs_ = state.step // loss.steps_per_epoch
            self.set_vector(vector, loss)

    def prepare(self, images: Pixels) -> None:
        """Set the attributes that the training images decide. Raises the errors of `fit` about images and device."""
        require_training_images(images)
        self.image_shape_ = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        self.device_, self.device_failure_ = choose_device(self.device), ""
        self.history_: dict[str, list[list[float]]] = {}
        self.epochs_ = 0

    def build_config(self, loss: ImageLoss, epochs: int) -> TrainingConfig:
        """Return the settings of a training of at most `epochs`, which validates after each of them."""
        return TrainingConfig(
            epochs * loss.steps_per_epoch,
            self.training_seconds,
            self.learning_rate,
            MAX_GRADIENT_NORM,
            self.patience or None,
            lr_decay=True,
            validation_interval_steps=loss.steps_per_epoch,
        )

    def _build_trainer(self, loss: ImageLoss, progress: Progress, monitor: Monitor | None) -> Trainer:
        def finish_epoch(state: TrainingState) -> None:
            epoch = state.step // loss.steps_per_epoch
            for curve, value in self.measure_curves(state.vector, loss).items():
                progress.add_point(curve, epoch, value)
                self.history_.setdefault(curve, []).append([float(epoch), value])
            with torch.no_grad():
                self.update_extras(state, loss, epoch)
            if monitor is not None:
                snapshot = copy.copy(self)
                snapshot.set_vector(state.vector.detach(), loss)
                monitor(epoch, snapshot.score)

        return Trainer(loss, self.build_config(loss, self.epochs), finish_epoch, N_("held-out images"))

    def _compute_fingerprint(self, images: Pixels) -> str:
        """Return settings, digest of the images and version of torch, which a checkpoint must match."""
        digest = hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()[:16]
        version = str(torch.__version__).partition("+")[0]
        return json.dumps({**get_params(self), "name": self.name, "data": digest, "torch": version}, sort_keys=True)
