"""Maps of the directions of edges: how strongly brightness changes along each direction, around each place."""

import numpy as np

from core.array_types import AnyFloats
from core.data.images.image_set import Pixels
from core.detectors.base import Floats32
from core.detectors.images.pixel_features import shrink_images

SMOOTHING_SIGMA_PIXELS = 0.5  # of the image, before its differences are taken
WINDOW_SIGMA_SHARE = 0.55  # of the distance between windows
SMALLEST_STEP_GREYS = 0.01  # of 255; smaller differences are rounding errors


def compute_direction_maps(images: Pixels, directions: int, cell: int, side: int) -> Floats32:
    """Return the strength of edges by direction and window, (images, directions, rows, columns), of length 1.

    Images are shrunk to at most `side` pixels a side. The gradient of a pixel is that of its steepest channel. Its
    length is shared among `directions` over 180°, so that light on dark equals dark on light. Gaussian windows stand
    every `cell` pixels. Square roots keep strong edges from deciding alone. An even image is 0 everywhere. Dalal,
    Triggs: Histograms of oriented gradients for human detection, CVPR 2005.

    Example:
        >>> stripes = np.zeros((1, 8, 8, 1), np.uint8)
        >>> stripes[:, :, 4:] = 200
        >>> maps = compute_direction_maps(stripes, directions=4, cell=4, side=8)
        >>> maps.shape, maps.sum(axis=(0, 2, 3)).round(1).tolist()
        ((1, 4, 2, 2), [2.0, 0.0, 0.0, 0.0])
    """
    across, down = _find_steepest_channel(shrink_images(images, side))
    length = np.sqrt(np.square(across) + np.square(down))
    length = np.where(length > SMALLEST_STEP_GREYS, length, np.float32(0))
    square = np.where(length > 0, np.square(length), np.float32(1))
    cosine, sine = (np.square(across) - np.square(down)) / square, 2 * across * down / square  # of twice the angle
    rows, columns = (_build_windows(size, cell) for size in length.shape[1:])
    maps = np.empty((len(images), directions, len(rows), len(columns)), np.float32)
    for number in range(directions):
        angle = 2 * np.pi * number / directions
        match = np.maximum(np.float32(np.cos(angle)) * cosine + np.float32(np.sin(angle)) * sine, 0)
        maps[:, number] = np.sqrt(rows @ (length * np.square(match)) @ columns.T)
    lengths = np.sqrt(np.square(maps).sum(axis=(1, 2, 3), keepdims=True))
    maps /= np.where(lengths > 0, lengths, np.float32(1))
    return maps


def _find_steepest_channel(values: Floats32) -> tuple[Floats32, Floats32]:
    """Return differences to the right and down, each (images, height, width), of the steepest channel of each pixel."""
    rows, columns = (
        _build_gaussians(np.arange(size, dtype=np.float64), size, SMOOTHING_SIGMA_PIXELS) for size in values.shape[1:3]
    )
    smooth = np.asarray(rows @ np.moveaxis(values, 3, 1) @ columns.T, np.float32)
    across, down = np.zeros_like(smooth), np.zeros_like(smooth)
    across[..., 1:-1] = smooth[..., 2:] - smooth[..., :-2]
    down[..., 1:-1, :] = smooth[..., 2:, :] - smooth[..., :-2, :]
    steepest = (np.square(across) + np.square(down)).argmax(axis=1)[:, None]
    return np.take_along_axis(across, steepest, axis=1)[:, 0], np.take_along_axis(down, steepest, axis=1)[:, 0]


def _build_windows(size: int, cell: int) -> Floats32:
    """Return Gaussian windows of `size` pixels with centres every `cell` pixels, (windows, pixels)."""
    count = -(-size // cell)
    centres = (np.arange(count) + 0.5) * size / count - 0.5
    return _build_gaussians(centres, size, WINDOW_SIGMA_SHARE * cell)


def _build_gaussians(centres: AnyFloats, size: int, sigma: float) -> Floats32:
    """Return weights of `size` pixels around each of the `centres`, (centres, pixels), each row of sum 1."""
    weights = np.exp(-np.square(np.arange(size) - centres[:, None]) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
