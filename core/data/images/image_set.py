"""Sets of images: pixels, names, classes, and the part of each image."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.quality.findings import Repair
from core.data.read_options import DETECT_ALL, ReadOptions
from core.messages import Message

Pixels = NDArray[np.uint8]
"""Images, (images, height, width, channels), with 1 channel (grey) or 3 (red, green, blue)."""

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size (implements `core.runs.tracked_run.TrackedData`).

    pixels       (images, height, width, channels); 1 channel or 3
    image_names  (images,) name of each image for display, such as the path in an archive
    classes      names of the classes, in natural order
    labels       (images,) position of the class in `classes`; −1 for an image without a class
    is_test      (images,) True for images of a test part that the files name; all False where they name none
    files        names of the files
    source       where the images come from: "sample", "upload", "file"
    notes        what was converted, left out or refused while reading

    Example:
        >>> images = ImageSet(np.zeros((3, 8, 8, 1), np.uint8), ("a", "b", "c"), ("cat",), np.array([0, 0, -1]))
        >>> len(images), images.height, images.is_colour, images.count_classes()
        (3, 8, False, {'cat': 2})
    """

    pixels: Pixels
    image_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    labels: NDArray[np.integer[Any]] = field(default_factory=lambda: np.zeros(0, np.int16))
    is_test: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    files: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.pixels)
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8 or self.pixels.shape[3] not in (1, 3):
            raise ValueError(f"pixels are {self.pixels.dtype} of shape {self.pixels.shape}")
        labels = self.labels if len(self.labels) else np.full(count, UNLABELLED)
        is_test = self.is_test if len(self.is_test) else np.zeros(count, bool)
        object.__setattr__(self, "labels", np.asarray(labels, np.int16))
        object.__setattr__(self, "is_test", np.asarray(is_test, bool))
        if not len(self.image_names) == len(self.labels) == len(self.is_test) == count:
            raise ValueError("names, labels and parts must have one value per image")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def height(self) -> int:
        """Height of every image in pixels."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Width of every image in pixels."""
        return int(self.pixels.shape[2])

    @property
    def is_colour(self) -> bool:
        """True for images of three channels."""
        return bool(self.pixels.shape[3] == 3)

    @property
    def has_test_part(self) -> bool:
        """True where the files say which images are for testing."""
        return bool(self.is_test.any() and not self.is_test.all())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels, names, classes and parts."""
        hasher = hashlib.sha256(repr((self.pixels.shape, self.image_names, self.classes)).encode())
        for values in (self.pixels, self.labels, self.is_test):
            hasher.update(np.ascontiguousarray(values).tobytes())
        return hasher.hexdigest()

    @property
    def columns(self) -> Sequence[str]:
        """Names of measured columns: none."""
        return ()

    @property
    def recipe(self) -> tuple[Repair, ...]:
        """Repairs: none."""
        return ()

    @property
    def read_options(self) -> ReadOptions:
        """Choices about reading: none."""
        return DETECT_ALL

    def count_classes(self) -> dict[str, int]:
        """Return class → number of its images."""
        return {name: int((self.labels == number).sum()) for number, name in enumerate(self.classes)}

    def count_parts(self, limit: int) -> dict[str, tuple[int, int]]:
        """Return class → number of its images outside and in the test part, for the first `limit` classes.

        Example:
            >>> pixels, labels = np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 0, 1])
            >>> images = ImageSet(pixels, ("1", "2", "3"), ("a", "b"), labels, np.array([False, True, False]))
            >>> images.count_parts(limit=2)
            {'a': (1, 1), 'b': (1, 0)}
        """
        in_test = self.is_test & self.has_test_part
        members = {name: self.labels == number for number, name in enumerate(self.classes[:limit])}
        return {name: (int((mask & ~in_test).sum()), int((mask & in_test).sum())) for name, mask in members.items()}

    def select(self, positions: NDArray[Any]) -> "ImageSet":
        """Return the images at `positions`, a mask or numbers, with the same classes."""
        numbers = np.arange(len(self))[positions]
        return replace(
            self,
            pixels=self.pixels[numbers],
            image_names=tuple(self.image_names[number] for number in numbers),
            labels=self.labels[numbers],
            is_test=self.is_test[numbers],
        )
