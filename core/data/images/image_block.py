"""Images of one file before they become part of a set, and the limits that hold for every kind of file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.images.image_set import Pixels
from core.errors import UnreadableFileError
from core.messages import N_, Message

MAX_IMAGES = 200_000
MAX_BYTES = 2 * 2**30  # of all images of a file, unpacked
MAX_CLASSES = 1000
MIN_SIDE_PIXELS = 8
MAX_SIDE_PIXELS = 256
ACCEPTED_IMAGE_FILES = "NPZ, NPY, IDX (.gz), ZIP, folders, PNG, JPEG, BMP, TIFF, GIF, WebP"
MAX_SHOWN_NAMES = 5

TRAINING, TEST, VALIDATION = "training", "test", "validation"
PART_WORDS = {
    **dict.fromkeys(("train", "training"), TRAINING),
    **dict.fromkeys(("test", "testing", "t10k"), TEST),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
}
"""Word in the name of a folder, array or file → part of the set."""

Names = NDArray[np.str_]


@dataclass(frozen=True)
class ImageBlock:
    """Images of one file.

    file         name of the file
    pixels       (images, height, width, channels)
    image_names  (images,) name of each image
    class_names  (images,) class of each image; "" without one
    parts        (images,) part that the file names: "training", "test", "validation" or ""
    notes        what was converted or left out
    """

    file: str
    pixels: Pixels
    image_names: Sequence[str]
    class_names: Names
    parts: Names
    notes: tuple[Message, ...] = ()


def check_image_count(count: int, file: str) -> None:
    """Raise UnreadableFileError for more images than a set may have."""
    if count > MAX_IMAGES:
        raise UnreadableFileError(
            N_("{file}: the file holds {count} images. At most {accepted} are accepted."),
            file=file,
            count=count,
            accepted=MAX_IMAGES,
        )


def check_image_bytes(byte_count: int, file: str) -> None:
    """Raise UnreadableFileError for images that take more memory than a set may have."""
    if byte_count > MAX_BYTES:
        raise UnreadableFileError(
            N_("{file}: the images take {count} MB. At most {limit} MB are accepted."),
            file=file,
            count=byte_count // 10**6,
            limit=MAX_BYTES // 10**6,
        )


def shorten_names(names: Sequence[str]) -> str:
    """Return the first names as text for a message.

    Example:
        >>> shorten_names(["a", "b", "c", "d", "e", "f"])
        'a, b, c, d, e, …'
    """
    return ", ".join([*names[:MAX_SHOWN_NAMES], *("…" for _ in names[MAX_SHOWN_NAMES : MAX_SHOWN_NAMES + 1])])
