"""Conversion of arrays of numbers into pixels: range of the values, order of the axes, size."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.images.decoding import MAX_DEEP_VALUE, bound_size, fit_pixels
from core.data.images.image_block import MIN_SIDE_PIXELS, check_image_bytes, check_image_count
from core.data.images.image_set import Pixels
from core.errors import UnreadableFileError
from core.messages import N_, Message

BITS = (8, 10, 12, 14, 16)  # of cameras
CHUNK_IMAGES = 1024
FLOAT_TOLERANCE = 1e-3  # of sums of floats that should be 1 or 255

MIN_FRACTION_RANGE = 32  # fractions below it would be rounded to a few grey levels

AnyArray = NDArray[np.generic]


def convert_arrays(arrays: Mapping[str, AnyArray], file: str) -> tuple[dict[str, Pixels], list[Message]]:
    """Return the pixels of each array of images, and notes about what was changed.

    Accepted shapes are (images, height, width), with channels last or first. All arrays are scaled by one factor.
    Raises UnreadableFileError with the array and what was seen for another shape, type or range.
    """
    notes: list[Message] = []
    ordered = {key: _order_axes(array, key, file, notes) for key, array in arrays.items()}
    scale = _choose_scale(ordered, file, notes)
    return {key: _reduce(_scale(array, scale), file, notes) for key, array in ordered.items()}, notes


def choose_bits(highest: float) -> int:
    """Return the number of bits of a camera whose highest value is `highest`.

    Example:
        >>> choose_bits(255), choose_bits(4000), choose_bits(65535)
        (8, 12, 16)
    """
    return next(bits for bits in BITS if highest < 2**bits)


def _order_axes(array: AnyArray, key: str, file: str, notes: list[Message]) -> NDArray[Any]:
    """Return the array as (images, height, width, channels)."""
    ordered: NDArray[Any] = array[..., None] if array.ndim == 3 else array
    is_channels_first = array.ndim == 4 and array.shape[3] not in (1, 3) and array.shape[1] in (1, 3)
    if is_channels_first:
        ordered = np.moveaxis(array, 1, 3)
        notes.append(
            Message(
                N_("{file}, {key!r}: the array of shape {shape} was read with its channels first."),
                {"file": file, "key": key, "shape": str(array.shape)},
            )
        )
    if ordered.ndim != 4 or ordered.shape[3] not in (1, 3) or not len(ordered) or min(ordered.shape[1:3]) < 1:
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: the array has the shape {value}. Accepted: (images, height, width), with 1 or 3 "
                "channels as the last or the second axis."
            ),
            file=file,
            key=key,
            value=str(array.shape),
        )
    if min(ordered.shape[1:3]) < MIN_SIDE_PIXELS:
        raise UnreadableFileError(
            N_("{file}, {key!r}: the images have {width} × {height} pixels. Accepted: at least {low} a side."),
            file=file,
            key=key,
            width=ordered.shape[2],
            height=ordered.shape[1],
            low=MIN_SIDE_PIXELS,
        )
    if array.dtype.kind not in "biuf":
        raise UnreadableFileError(
            N_("{file}, {key!r}: the values have the type {value}. Pixels must be numbers."),
            file=file,
            key=key,
            value=str(array.dtype),
        )
    check_image_count(len(ordered), file)
    return ordered


def _choose_scale(arrays: Mapping[str, NDArray[Any]], file: str, notes: list[Message]) -> float:
    """Return the factor that brings the values of all arrays to 0–255. Raises UnreadableFileError for other ranges."""
    lows = {key: float(array.min()) for key, array in arrays.items()}
    highs = {key: float(array.max()) for key, array in arrays.items()}
    low, high = min(lows.values()), max(highs.values())
    has_floats = any(array.dtype.kind == "f" for array in arrays.values())
    is_unit = {key: array.max() <= 1 + FLOAT_TOLERANCE for key, array in arrays.items()}
    if has_floats and len({*is_unit.values()}) > 1:
        raise UnreadableFileError(
            N_("{file}: the arrays of images have different ranges ({value}). Save all of them as 0–1 or as 0–255."),
            file=file,
            value="; ".join(f"{key} {lows[key]:g}–{highs[key]:g}" for key in arrays),
        )
    limit = 255.5 if has_floats else MAX_DEEP_VALUE
    is_lossy = 1 + FLOAT_TOLERANCE < high < MIN_FRACTION_RANGE and any(map(_has_fractions, arrays.values()))
    if is_lossy or not (np.isfinite(low) and np.isfinite(high) and low >= -FLOAT_TOLERANCE and high <= limit):
        raise UnreadableFileError(
            N_("{file}: the values of the images run from {low} to {high}. Accepted: {accepted}."),
            file=file,
            low=low,
            high=high,
            accepted="0–1, 0–255" if has_floats else "0–255, 0–65535",
        )
    if high > 255.5:
        scale = 255 / (2 ** choose_bits(high) - 1)
    else:
        scale = 255.0 if all(is_unit.values()) else 1.0
    if scale != 1 and high > 0:
        top = 1 if scale > 1 else 2 ** choose_bits(high) - 1
        notes.append(Message(N_("{file}: the values 0–{high} were scaled to 0–255."), {"file": file, "high": top}))
    return scale


def _has_fractions(array: NDArray[Any]) -> bool:
    return any((part != np.rint(part)).any() for part in array) if array.dtype.kind == "f" else False


def _scale(array: NDArray[Any], scale: float) -> Pixels:
    if array.dtype == np.uint8 and scale == 1:
        return array
    pixels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), CHUNK_IMAGES):  # all values as float64 would take eight times the memory
        part = array[start : start + CHUNK_IMAGES] * np.float64(scale)
        pixels[start : start + CHUNK_IMAGES] = np.rint(np.clip(part, 0, 255))
    return pixels


def _reduce(pixels: Pixels, file: str, notes: list[Message]) -> Pixels:
    """Return contiguous images of at most 256 × 256 pixels."""
    size = pixels.shape[2], pixels.shape[1]
    target = bound_size(size)
    if target == size:
        return np.ascontiguousarray(pixels)
    notes.append(
        Message(
            N_("{file}: the images of {width} × {height} pixels were reduced to {new_width} × {new_height}."),
            {"file": file, "width": size[0], "height": size[1], "new_width": target[0], "new_height": target[1]},
        )
    )
    check_image_bytes(len(pixels) * target[0] * target[1] * pixels.shape[3], file)
    return np.stack([fit_pixels(image, target) for image in pixels]).astype(np.uint8, copy=False)
