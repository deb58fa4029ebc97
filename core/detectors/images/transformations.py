"""Detector that learns to name the transformation of an image, and cannot do so for unknown kinds of images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.devices import run_on_device
from core.detectors.images.image_checks import require_shape
from core.detectors.images.image_transformations import (
    TransformationSet,
    draw_answers,
    fit_square,
    list_questions,
    list_scoring_answers,
    transform_images,
)
from core.detectors.images.network_training import ImageLoss, map_batches, to_values, use_fast_numbers
from core.detectors.images.residual_net import Norms, ResidualNet
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

MAX_NORM_IMAGES = 1024  # over which the statistics of the normalisations are taken
NORM_BATCH_IMAGES = 64
SCORING_INPUTS = 256  # transformed images in a batch


@dataclass
class TransformationPrediction(TrainedDetector):
    """Network that names turns, shifts and mirroring; the score is how unlikely it finds the right names.

    One network answers all questions (which turn, which shift). The score is −log p of the right answers, summed over
    the questions, averaged over several transformations of the image. Golan, El-Yaniv: Deep anomaly detection using
    geometric transformations, NeurIPS 2018; one question each for turn and shifts: Hendrycks et al., NeurIPS 2019.

    weights_  (weights,) float32
    norms_    (channels,) float32, means and variances of the normalisations
    """

    name = "transformation-prediction"
    label = N_("Prediction of transformations")

    transformations: TransformationSet = hyperparameter(
        "rotations-shifts",
        choices=("rotations", "rotations-shifts", "rotations-shifts-mirrors"),
        help=N_(
            "What the network has to recognise. rotations: quarter turns. rotations-shifts: also shifts of "
            "a quarter of the side, which helps on photographs. rotations-shifts-mirrors: also mirroring, "
            "for images that have a left and a right, such as letters."
        ),
        label=N_("Transformations"),
    )
    mirror: bool = hyperparameter(
        True,
        help=N_(
            "Half of the training images are mirrored. This is always so where the network has to recognise mirroring."
        ),
        label=N_("Mirrored images"),
    )
    side: int = hyperparameter(
        32,
        low=8,
        high=256,
        help=N_(
            "Larger images are shrunk to at most this many pixels a side, by averaging squares of pixels. "
            "Details are lost."
        ),
        label=N_("Largest side, pixels"),
    )
    width: int = hyperparameter(
        32,
        low=4,
        high=256,
        help=N_("Channels of the first maps; the last ones have four times as many."),
        label=N_("Channels"),
    )
    epochs: int = hyperparameter(
        40,
        low=1,
        high=100_000,
        help=N_("Maximum number of passes over the training images. Early stopping may end the training before."),
        label=N_("Maximum of epochs"),
    )
    batch_size: int = hyperparameter(
        64,
        low=1,
        high=2048,
        help=N_("Number of images in a batch; each appears in all four rotations."),
        label=N_("Batch size"),
    )
    learning_rate: float = hyperparameter(
        0.003, low=0.000001, high=0.1, help=N_("Learning rate of the Adam optimiser."), label=N_("Learning rate")
    )

    @property
    def net(self) -> ResidualNet:
        """Network for images of shape `image_shape_`."""
        return ResidualNet(self.image_shape_[2], self.width, sum(list_questions(self.transformations).values()))

    # ---- training ---------------------------------------------------------------------------------------------------

    @override
    def build_loss(self, images: Pixels) -> ImageLoss:
        return ImageLoss(
            torch.from_numpy(np.array(images)),
            lambda vector, inputs, _, rng: self._compute_terms(vector, inputs, rng),
            lambda terms, *_: torch.stack(list(terms.values())).sum(),
            self.batch_size,
            self.seed,
            self.device_,
        )

    @override
    def init_vector(self, loss: ImageLoss, progress: Progress, fingerprint: str) -> "Tensor":
        return self.net.init_weights(self.seed).to(self.device_)

    @override
    def measure_curves(self, vector: "Tensor", loss: ImageLoss) -> dict[str, float]:
        """Return the loss of each question on the held-out images."""
        with torch.no_grad():
            return {question: float(term) for question, term in loss.compute_validation_terms(vector).items()}

    def _compute_terms(self, vector: "Tensor", images: "Tensor", rng: "torch.Generator") -> "dict[str, Tensor]":
        """Return question → cross-entropy of its answers, the mean over all four turns of `images`."""
        mirror = self.mirror or self.transformations == "rotations-shifts-mirrors"
        answers = draw_answers(self.transformations, len(images), mirror=mirror, rng=rng)
        weights = self.net.split_weights(vector)
        inputs = _prepare(fit_square(images, self.side)).repeat(4, 1, 1, 1)
        vectors = self.net.embed(weights, transform_images(inputs, answers), Norms())
        outputs = self._split_outputs(self.net.classify(weights, vectors))
        answers = answers.to(vector.device)
        return {
            question: functional.cross_entropy(values, answers[:, number])
            for number, (question, values) in enumerate(outputs.items())
        }

    def _split_outputs(self, outputs: "Tensor") -> "dict[str, Tensor]":
        """Return question → outputs for its answers, (B, answers), float32."""
        questions = list_questions(self.transformations)
        return dict(zip(questions, outputs.float().split(list(questions.values()), dim=1), strict=True))

    @override
    def set_vector(self, vector: "Tensor", loss: ImageLoss) -> None:
        """Keep the weights, and the statistics of the normalisations on training images in random transformations."""
        rng = torch.Generator().manual_seed(self.seed)
        norms = Norms.record(self.net, self.device_)
        mirror = self.mirror or self.transformations == "rotations-shifts-mirrors"
        with torch.no_grad(), use_fast_numbers(self.device_, self.input_side**2):
            weights = self.net.split_weights(vector.detach())
            for positions in loss.train_positions[:MAX_NORM_IMAGES].split(NORM_BATCH_IMAGES):
                inputs = _prepare(fit_square(to_values(loss.pixels[positions.to(self.device_)]), self.side))
                answers = draw_answers(self.transformations, len(inputs), mirror=mirror, rng=rng)
                self.net.embed(weights, transform_images(inputs.repeat(4, 1, 1, 1), answers), norms)
                norms.count_batch()
        self.weights_ = vector.detach().cpu().numpy().copy()
        self.norms_ = norms.join().cpu().numpy().copy()

    # ---- use --------------------------------------------------------------------------------------------------------

    @property
    def input_side(self) -> int:
        """Side of the squares that the network sees, in pixels."""
        return min(max(self.image_shape_[:2]), self.side)

    @override
    def score(self, images: Pixels) -> Floats32:
        answers = list_scoring_answers(self.transformations)

        def score_batch(weights: "dict[str, Tensor]", norms: Norms, inputs: "Tensor") -> "Tensor":
            repeated = answers.repeat(len(inputs), 1)
            transformed = transform_images(inputs.repeat_interleave(len(answers), dim=0), repeated)
            outputs = self._split_outputs(self.net.classify(weights, self.net.embed(weights, transformed, norms)))
            surprise = sum(
                functional.cross_entropy(values, repeated[:, number].to(values.device), reduction="none")
                for number, values in enumerate(outputs.values())
            )
            return torch.as_tensor(surprise).view(len(inputs), len(answers)).mean(1)

        return self.map_images(images, score_batch, len(answers))

    @override
    def embed(self, images: Pixels) -> Floats32:
        """Return the vector from which the network answers for the image as it is, (images, 4 · width)."""
        return self.map_images(images, lambda weights, norms, inputs: self.net.embed(weights, inputs, norms))

    def map_images(
        self, images: Pixels, function: "Callable[[dict[str, Tensor], Norms, Tensor], Tensor]", copies: int = 1
    ) -> Floats32:
        """Return `function` of (weights, norms, squares that the network sees) for all images, (images, …).

        `copies` is the number of network inputs that the function makes of an image. Raises DataError for images of
        another size than those of the training.
        """
        require_shape(images, self.image_shape_)

        def map_on_device(device: str) -> Floats32:
            with torch.no_grad():
                weights = self.net.split_weights(torch.from_numpy(self.weights_).to(device))
                norms = Norms.split(self.net, torch.from_numpy(self.norms_).to(device))

            def map_squares(batch: "Tensor") -> "Tensor":
                parts = _prepare(fit_square(batch, self.side)).split(max(SCORING_INPUTS // copies, 1))
                with use_fast_numbers(device, self.input_side**2):
                    return torch.cat([function(weights, norms, part).float() for part in parts])

            return map_batches(images, device, map_squares)

        return run_on_device(self.device, map_on_device)[0]


def _prepare(values: "Tensor") -> "Tensor":
    """Return values 0–1 as inputs of the network, of about variance 1."""
    return (values - 0.5) * 4
