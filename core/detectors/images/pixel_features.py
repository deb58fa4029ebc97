"""Pixels as vectors: large images shrunk, each image scaled by itself, and the way back."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.data.images.image_set import Pixels
from core.detectors.base import Floats32

PixelScale = Literal["unit", "standard", "none"]
MAX_VALUE = np.float32(255)


@dataclass(frozen=True)
class PixelVectors:
    """Images as vectors; (vector · width + centre) · 255 are the values of the shrunk images.

    vectors  (images, columns), scaled
    centre   (images, 1), subtracted from each image
    width    (images, 1), by which each image was divided
    """

    vectors: Floats32
    centre: Floats32
    width: Floats32


def flatten_images(images: Pixels, scale: PixelScale, side: int) -> PixelVectors:
    """Return one vector per image, of images shrunk to at most `side` pixels a side.

    Values are 0–1 before scaling. "unit" divides an image by its length, so that brightness does not count; a black
    image stays 0. "standard" gives an image the mean 0 and the variance 1; an even image becomes 0.

    Example:
        >>> flatten_images(np.array([[[[30], [40]]]], np.uint8), "unit", side=32).vectors.round(2).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    vectors: Floats32 = shrink_images(images, side).reshape(len(images), -1) / MAX_VALUE
    centre = np.zeros((len(images), 1), np.float32)
    width: Floats32 = np.ones((len(images), 1), np.float32)
    if scale == "standard":
        centre = vectors.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        is_even = vectors.max(axis=1, keepdims=True) == vectors.min(axis=1, keepdims=True)
        vectors = np.where(is_even, np.float32(0), vectors - centre)
        width = np.sqrt(np.square(vectors).mean(axis=1, keepdims=True))
    elif scale == "unit":
        width = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    width[width == 0] = 1
    return PixelVectors(vectors / width, centre, width)


def shrink_images(images: Pixels, side: int) -> Floats32:
    """Return images of at most `side` pixels a side, (images, height, width, channels), values 0–255.

    Each pixel is the mean of a square of f × f pixels, with the smallest whole f that suffices. A square that reaches
    over the edge repeats the last pixel.
    """
    factor = _choose_factor(images.shape[1], images.shape[2], side)
    if factor == 1:
        return images.astype(np.float32)
    count, height, width, channels = images.shape
    padding = ((0, 0), (0, -height % factor), (0, -width % factor), (0, 0))
    padded = np.pad(images, padding, mode="edge")
    squares = padded.reshape(count, padded.shape[1] // factor, factor, padded.shape[2] // factor, factor, channels)
    return squares.mean(axis=(2, 4), dtype=np.float32)


def restore_images(vectors: Floats32, shape: tuple[int, ...], side: int) -> Floats32:
    """Return vectors, (images, columns), as images of `shape` (height, width, channels); pixels repeat where shrunk."""
    height, width, channels = shape
    factor = _choose_factor(height, width, side)
    images = vectors.reshape(len(vectors), -(-height // factor), -(-width // factor), channels)
    return images.repeat(factor, axis=1).repeat(factor, axis=2)[:, :height, :width]


def _choose_factor(height: int, width: int, side: int) -> int:
    """Return the number of pixels that become one, in each direction."""
    return -(-max(height, width) // side)
