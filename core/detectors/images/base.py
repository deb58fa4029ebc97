"""Contract of the detectors of images, and what some of them can do in addition."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.progress import Progress

Monitor = Callable[[int, Callable[[Pixels], Floats32]], None]
"""Called between epochs of a training with (epoch, function that scores images). It must not change the training."""


class ImageDetector(ABC):
    """Contract of a detector that scores images, each by itself.

    A detector is a dataclass whose fields are its hyper-parameters. Fitted attributes end in an underscore and are
    NumPy arrays, plain values, or models of scikit-learn, so that they can be saved. One test checks the contract for
    every detector:

    - `score` returns one finite number per image; higher is more anomalous.
    - The same seed gives the same scores.
    - The score of an image does not depend on the other scored images.
    - The images stay unchanged; grey, colour and odd sizes from 8 × 8 on are accepted.

    needs_abnormal  True for a supervised detector, which needs labelled abnormal images
    """

    name: ClassVar[str]
    label: ClassVar[str]
    needs_abnormal: ClassVar[bool] = False

    @abstractmethod
    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Fit on images of the normal class, at least 2.

        `abnormal` holds labelled abnormal images; only a supervised detector uses them. Long training reports to
        `progress`, adds its curves to it, and saves checkpoints in `progress.folder`. Raises DataError for a supervised
        detector without abnormal images, and Cancelled.
        """

    @abstractmethod
    def score(self, images: Pixels) -> Floats32:
        """Return one score per image, (images,); higher is more anomalous."""

    @abstractmethod
    def embed(self, images: Pixels) -> Floats32:
        """Return the vector of each image that the score is computed from, (images, dimensions)."""


class Reconstructor(ABC):
    """Detector that draws each image as it should look."""

    @abstractmethod
    def reconstruct(self, images: Pixels) -> Floats32:
        """Return the reconstructed images, (images, height, width, channels), in the range 0–255."""


class HeatMapper(ABC):
    """Detector that knows where in an image the anomaly is."""

    @abstractmethod
    def heat_map(self, images: Pixels) -> Floats32:
        """Return the abnormality of every pixel, (images, height, width), not negative."""


class WeightedDetector(ABC):
    """Detector trained once for all weights between its two losses: the weight can be changed after the training.

    weight = 0 is the first loss alone, weight = 1 the second one alone.
    """

    @abstractmethod
    def with_weight(self, weight: float) -> Self:
        """Return the same fitted detector with another weight, 0–1."""
