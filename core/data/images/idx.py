"""Reader of IDX files (the format of MNIST), plain or compressed with gzip; source: http://yann.lecun.com/exdb/mnist."""

import gzip
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.images.array_pixels import convert_arrays
from core.data.images.image_block import MAX_BYTES, ImageBlock
from core.data.images.npz import find_part, read_labels
from core.data.ingest.archives import Budget, build_size_error, translate_archive_errors
from core.errors import UnreadableFileError
from core.messages import N_

GZIP_MAGIC = b"\x1f\x8b"
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
KIND_WORDS = re.compile(r"(images?|labels?|idx\d?|ubyte|gz)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class IdxFile:
    """Array of an IDX file: labels have one axis, images three or four."""

    name: str
    values: NDArray[np.generic]

    @property
    def subject(self) -> str:
        """Name without what tells images from labels, the same for both files of a pair."""
        return "-".join(re.findall(r"[^\W_]+", KIND_WORDS.sub("", self.name.lower())))


def is_idx(head: bytes) -> bool:
    """Tell whether a file begins like an IDX file with 1 to 4 axes."""
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in TYPES and 1 <= head[3] <= 4


def read_idx(path: Path, name: str) -> IdxFile:
    """Read an IDX file. Raises UnreadableFileError for another content, and beyond the limits."""
    with path.open("rb") as file:
        is_compressed = file.read(2) == GZIP_MAGIC
    with translate_archive_errors(name), gzip.open(path) if is_compressed else path.open("rb") as source:
        head = source.read(4)
        if not is_idx(head):
            raise UnreadableFileError(
                N_("{file}: this is not an IDX file (first bytes: {value}). Of .gz files, only IDX is read."),
                file=name,
                value=head.hex(" "),
            )
        axis_count, dtype = head[3], np.dtype(TYPES[head[2]])
        shape = struct.unpack(f">{axis_count}I", source.read(4 * axis_count))
        declared_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        limit = Budget.from_file(path, MAX_BYTES).remaining_bytes
        if declared_bytes > limit:
            raise build_size_error(name, limit)
        content = source.read(declared_bytes + 1)
    if len(content) != declared_bytes:
        raise UnreadableFileError(
            N_("{file}: the file declares the shape {value}, {accepted} bytes, but it holds {count}."),
            file=name,
            value=str(shape),
            accepted=declared_bytes,
            count=len(content) if len(content) < declared_bytes else "more",
        )
    return IdxFile(name, np.frombuffer(bytearray(content), dtype).reshape(shape))


def pair_idx_files(files: Sequence[IdxFile]) -> list[ImageBlock]:
    """Return the images of each file, with the labels of the file that has the same name otherwise.

    `train-…` and `t10k-…` are the parts. A single pair may have any names. Raises UnreadableFileError for labels
    without their images.
    """
    images = [file for file in files if file.values.ndim > 1]
    labels = [file for file in files if file.values.ndim == 1]
    matches = [[label for label in labels if label.subject == image.subject] for image in images]
    if len(images) == len(labels) == 1:
        matches = [labels]
    for label in labels:
        if sum(label in candidates for candidates in matches) != 1:
            raise UnreadableFileError(
                N_("{file}: no images or several ones fit these labels. Give pairs of files such as {accepted}."),
                file=label.name,
                accepted="train-images-idx3-ubyte, train-labels-idx1-ubyte",
            )
    return [_build_block(image, candidates) for image, candidates in zip(images, matches, strict=True)]


def _build_block(image_file: IdxFile, label_files: Sequence[IdxFile]) -> ImageBlock:
    if len(label_files) > 1:
        raise UnreadableFileError(
            N_("{file}: several files of labels fit: {value}."),
            file=image_file.name,
            value=", ".join(file.name for file in label_files),
        )
    key = image_file.subject or "images"
    converted, notes = convert_arrays({key: image_file.values}, image_file.name)
    pixels, count = converted[key], len(image_file.values)
    class_names = np.full(count, "")
    for label_file in label_files:
        class_names = read_labels(label_file.values, count, label_file.name, label_file.subject)
    names = [f"{key}[{number}]" for number in range(count)]
    return ImageBlock(
        image_file.name, pixels, names, class_names, np.full(count, find_part(image_file.name)), tuple(notes)
    )
