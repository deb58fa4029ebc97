"""Reading of many pictures into images of one size, decoded in threads; what is damaged is left out and named."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.images.array_pixels import choose_bits
from core.data.images.decoding import DecodedPicture, bound_size, decode_picture, fit_pixels
from core.data.images.image_block import MAX_SHOWN_NAMES, check_image_bytes, check_image_count
from core.data.images.image_set import Pixels
from core.data.ingest.files import SkippedFile, skip_or_raise
from core.data.ingest.readers.base import ProgressCallback
from core.errors import InputError, UnreadableFileError
from core.messages import N_, Message

CHUNK_PICTURES = 256  # between two reports of the progress
THREADS = min(4, os.cpu_count() or 1)
CONVERSION_NOTES = {
    "rotated": N_(
        "{file}: {count} image was turned upright, as its EXIF data say.",
        "{file}: {count} images were turned upright, as their EXIF data say.",
    ),
    "transparent": N_(
        "{file}: the transparent parts of {count} image became white.",
        "{file}: the transparent parts of {count} images became white.",
    ),
    "frames": N_(
        "{file}: of {count} image with several frames, the first frame was read.",
        "{file}: of {count} images with several frames, the first frame was read.",
    ),
    "ink": N_(
        "{file}: {count} image was converted from CMYK to RGB.",
        "{file}: {count} images were converted from CMYK to RGB.",
    ),
}
MAX_SHOWN_SIZES = 5


@dataclass(frozen=True)
class PictureFile:
    """Picture that is not read yet: its name, and the function that returns its bytes.

    The function is called in a thread. It raises UnreadableFileError for bytes that cannot be read.
    """

    name: str
    read: Callable[[], bytes]


def read_pictures(
    files: Sequence[PictureFile], name: str, progress: ProgressCallback
) -> tuple[Pixels, NDArray[np.intp], tuple[Message, ...]]:
    """Return the images, the positions of their files in `files`, and notes about what was changed or left out.

    All images get the most frequent size, and three channels if any of them has colour. `name` is the name of the
    archive or folder. Raises UnreadableFileError beyond the limits, and if no picture can be read.
    """
    check_image_count(len(files), name)
    pictures: list[DecodedPicture] = []
    positions: list[int] = []
    skipped: list[SkippedFile] = []
    byte_count = 0
    with ThreadPoolExecutor(THREADS) as executor:
        for start in range(0, len(files), CHUNK_PICTURES):
            chunk = list(range(start, min(start + CHUNK_PICTURES, len(files))))
            for position, picture in zip(
                chunk, executor.map(_decode, [files[number] for number in chunk]), strict=True
            ):
                if isinstance(picture, InputError):
                    skip_or_raise(skipped, files[position].name, picture)
                else:
                    pictures.append(picture)
                    positions.append(position)
                    byte_count += picture.pixels.nbytes
            check_image_bytes(byte_count, name)
            progress((chunk[-1] + 1) / len(files))
    if not pictures:
        raise _build_empty_error(name, skipped)
    pixels, notes = _unify(pictures, name)
    return pixels, np.array(positions, np.intp), (*_describe_skipped(skipped, len(files), name), *notes)


def _decode(file: PictureFile) -> DecodedPicture | InputError:
    """Return the picture, or the error that says why it cannot be read."""
    try:
        return decode_picture(file.read(), file.name)
    except InputError as error:
        return error


def _unify(pictures: list[DecodedPicture], file: str) -> tuple[Pixels, list[Message]]:
    """Return the pictures as images of one size and number of channels."""
    notes = [
        Message(CONVERSION_NOTES[kind], {"file": file, "count": count})
        for kind, count in sorted(Counter(kind for picture in pictures for kind in picture.conversions).items())
    ]
    size = _choose_size(pictures)
    channels = max(picture.pixels.shape[2] for picture in pictures)
    check_image_bytes(len(pictures) * size[0] * size[1] * channels, file)
    highest = max((int(picture.pixels.max()) for picture in pictures if picture.pixels.dtype == np.uint16), default=0)
    top = 2 ** choose_bits(highest) - 1
    pixels = np.empty((len(pictures), size[1], size[0], channels), np.uint8)
    for number, picture in enumerate(pictures):
        fitted = fit_pixels(picture.pixels, size)
        pixels[number] = fitted if fitted.dtype == np.uint8 else np.rint(fitted * (255 / top))
    notes += [*_describe_sizes(pictures, size, file), *_describe_depths(pictures, channels, top, file)]
    return pixels, notes


def _choose_size(pictures: list[DecodedPicture]) -> tuple[int, int]:
    """Return the most frequent width and height within the limits; of several, the largest."""
    counts = Counter(bound_size(picture.size) for picture in pictures)
    return max(counts, key=lambda size: (counts[size], size[0] * size[1], size))


def _describe_sizes(pictures: list[DecodedPicture], size: tuple[int, int], file: str) -> list[Message]:
    counts = Counter(picture.size for picture in pictures if picture.size != size)
    if not counts:
        return []
    shown = [f"{width} × {height} ({count})" for (width, height), count in counts.most_common(MAX_SHOWN_SIZES)]
    template = N_(
        "{file}: {count} of {total} images was resized to {width} × {height} pixels, in proportion and "
        "with its borders continued. It had {value}.",
        "{file}: {count} of {total} images were resized to {width} × {height} pixels, in proportion and "
        "with their borders continued. They had {value}.",
    )
    values = {
        "file": file,
        "count": sum(counts.values()),
        "total": len(pictures),
        "width": size[0],
        "height": size[1],
        "value": ", ".join([*shown, *["…"][: len(counts) - len(shown)]]),
    }
    return [Message(template, values)]


def _describe_depths(pictures: list[DecodedPicture], channels: int, top: int, file: str) -> list[Message]:
    """Return notes about grey pictures beside colour ones, and about 16 bits."""
    notes = []
    grey_count = sum(picture.pixels.shape[2] == 1 for picture in pictures)
    if channels == 3 and grey_count:
        template = N_(
            "{file}: {count} grey image stands beside colour ones and was given three channels.",
            "{file}: {count} grey images stand beside colour ones and were given three channels.",
        )
        notes.append(Message(template, {"file": file, "count": grey_count}))
    deep_count = sum(picture.pixels.dtype == np.uint16 for picture in pictures)
    if deep_count:
        template = N_(
            "{file}: {count} image of 16 bits was scaled from 0–{high} to 0–255.",
            "{file}: {count} images of 16 bits were scaled from 0–{high} to 0–255.",
        )
        notes.append(Message(template, {"file": file, "count": deep_count, "high": top}))
    return notes


def _describe_skipped(skipped: list[SkippedFile], total: int, file: str) -> list[Message]:
    """Return the first reasons, then how many pictures were left out."""
    if not skipped:
        return []
    template = N_(
        "{file}: {count} of {total} images could not be read and was left out.",
        "{file}: {count} of {total} images could not be read and were left out.",
    )
    summary = Message(template, {"file": file, "count": len(skipped), "total": total})
    return [summary, *(picture.reason for picture in skipped[:MAX_SHOWN_NAMES])]


def _build_empty_error(file: str, skipped: list[SkippedFile]) -> UnreadableFileError:
    if not skipped:
        return UnreadableFileError(N_("{file}: it contains no image."), file=file)
    if len(skipped) == 1:
        return UnreadableFileError(skipped[0].reason.template, **skipped[0].reason.values)
    return UnreadableFileError(
        N_("{file}: none of its {count} images could be read. The first: {reason}"),
        file=file,
        count=len(skipped),
        reason=skipped[0].reason,
    )
