"""Small sets of images, and detectors of images that are fast, slow, broken, collapsed or supervised.

`python -m tests.support.toy_images LEASE_S` runs a worker that knows these detectors. Tests kill it.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from core.cli.shutdown import install_shutdown_event
from core.data.images.image_set import ImageSet, Pixels
from core.detectors import images as detectors
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper, ImageDetector, Monitor, Reconstructor, WeightedDetector
from core.errors import DataError
from core.jobs.worker import Worker
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter
from core.spec.plugins import register_class
from core.spec.task import run_job
from core.workspace import get_workspace


def make_images(
    per_class: int = 40, classes: tuple[str, ...] = ("0", "1", "2"), size: int = 8, seed: int = 0, channels: int = 1
) -> ImageSet:
    """Return images whose classes differ by the column that is bright, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(classes)), per_class)
    pixels = rng.normal(60, 25, (len(labels), size, size, channels))
    pixels[np.arange(len(labels)), :, 2 * labels % size] += 45
    order = rng.permutation(len(labels))
    names = tuple(f"image {number}" for number in range(len(labels)))
    return ImageSet(np.clip(pixels, 0, 255).astype(np.uint8)[order], names, classes, labels[order], files=("toy.npz",))


@dataclass
class ToyImages(ImageDetector, Reconstructor, HeatMapper, WeightedDetector):
    """Distance to the mean image; the weight mixes it with the distance of the brightness."""

    name = "toy-images"
    label = "Toy detector of images"

    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Seed."))
    seconds: float = hyperparameter(5.0, low=0.1, high=10_000, help=N_("Time limit in seconds."))
    weight: float = hyperparameter(0.0, low=0, high=1, help=N_("Weight of the brightness."))
    share: float = hyperparameter(0.8, low=0.1, high=1, help=N_("Share of the images that the mean is taken of."))

    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Learn the mean of a random share of the images."""
        chosen = np.random.default_rng(self.seed).random(len(images)) < self.share
        chosen[0] = True
        self.mean_ = images[chosen].mean(axis=0, dtype=np.float32)
        self.count_ = len(images)
        for epoch in range(1, 4):
            progress.report(epoch / 4)
            progress.add_point("loss", epoch, 1 / epoch)
            if monitor is not None:
                monitor(epoch, self.score)
        return self

    def score(self, images: Pixels) -> Floats32:
        """Return a mix of the two distances."""
        distance = np.abs(images - self.mean_).mean(axis=(1, 2, 3))
        brightness = np.abs(images.mean(axis=(1, 2, 3)) - self.mean_.mean())
        return np.asarray((1 - self.weight) * distance + self.weight * brightness, np.float32)

    def embed(self, images: Pixels) -> Floats32:
        """Return the difference from the mean image."""
        return (images - self.mean_).reshape(len(images), -1)

    def reconstruct(self, images: Pixels) -> Floats32:
        """Return the mean image for every image."""
        return np.broadcast_to(self.mean_, images.shape)

    def heat_map(self, images: Pixels) -> Floats32:
        """Return the difference from the mean image per pixel."""
        return np.abs(images - self.mean_).mean(axis=3)

    def with_weight(self, weight: float) -> Self:
        """Return the same detector with another weight."""
        other = replace(self, weight=weight)
        other.mean_, other.count_ = self.mean_, self.count_
        return other


@dataclass
class SlowImages(ToyImages):
    """Toy detector that waits during its fit and appends its process id and number of images to the file `LOG`."""

    name = "toy-slow"
    label = "Slow toy detector of images"

    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Fit slowly."""
        for step in range(10):
            progress.report(step / 10)
            time.sleep(0.03)
        super().fit(images, progress, abnormal=abnormal, monitor=monitor)
        if log := os.environ.get("TOY_IMAGES_LOG"):
            with Path(log).open("a") as file:
                file.write(f"{os.getpid()} {self.seed}\n")
        return self


@dataclass
class FailingImages(ToyImages):
    """Toy detector that cannot be fitted on class images with a bright first column."""

    name = "toy-failing"

    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Raise DataError for the class 0, ZeroDivisionError for the class 1."""
        bright = int(images.mean(axis=(0, 1, 3)).argmax())
        if bright == 0:
            raise DataError("The class {name} is refused.", name="0")
        if bright == 2:
            raise ZeroDivisionError("a secret of the machine")
        return super().fit(images, progress, abnormal=abnormal, monitor=monitor)


@dataclass
class CollapsedImages(ToyImages):
    """Toy detector whose embeddings are one point, and whose scores are rounding errors."""

    name = "toy-collapsed"

    def score(self, images: Pixels) -> Floats32:
        """Return the squared distance to the point."""
        return np.asarray((self.embed(images) - 1.0).std(axis=1), np.float32)

    def embed(self, images: Pixels) -> Floats32:
        """Return almost the same point for every image."""
        return np.asarray(1 + 1e-6 * images.reshape(len(images), -1)[:, :5] / 255, np.float32)


@dataclass
class SupervisedImages(ToyImages):
    """Toy detector that needs labelled abnormal images."""

    name = "toy-supervised"
    needs_abnormal = True

    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Raise DataError without abnormal images."""
        if abnormal is None:
            raise DataError("Abnormal images are missing.")
        self.abnormal_mean_ = abnormal.mean(axis=0, dtype=np.float32)
        return super().fit(images, progress, monitor=monitor)


TOYS: tuple[type[Any], ...] = (ToyImages, SlowImages, FailingImages, CollapsedImages, SupervisedImages)


@contextmanager
def registered_images() -> Iterator[None]:
    """Add the toys to the detectors of images, as long as the block lasts."""
    with ExitStack() as stack:
        for toy in TOYS:
            stack.enter_context(register_class(detectors, toy))
        yield


def run_toy_worker(lease_s: float) -> None:
    """Run jobs that may name the toys, until the process is killed."""
    from tests.support.toy_images import registered_images as registered  # not `__main__`: classes have one module

    workspace = get_workspace()
    workspace.jobs.lease_s = lease_s
    with registered():
        Worker(workspace, run_job, install_shutdown_event(), give_up=lambda: os._exit(1)).run()


if __name__ == "__main__":
    run_toy_worker(float(sys.argv[1]))
