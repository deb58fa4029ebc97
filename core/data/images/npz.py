"""Reader of NumPy files of images: x_train, y_train, x_test, y_test; x and y; train_images and its like."""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.images.array_pixels import convert_arrays
from core.data.images.image_block import MAX_BYTES, PART_WORDS, ImageBlock, Names, check_image_count, shorten_names
from core.data.ingest.archives import Budget, build_size_error, translate_archive_errors
from core.data.ingest.npy_arrays import read_npy_array, read_npy_header
from core.errors import UnreadableFileError
from core.messages import N_, Message

IMAGE_WORDS = {"x", "image", "images", "img", "imgs", "data"}
LABEL_WORDS = {"y", "label", "labels", "target", "targets"}
ACCEPTED_KEYS = "x_train, y_train, x_test, y_test; x, y; images, labels; train_images, train_labels"

AnyArray = NDArray[np.generic]


@dataclass(frozen=True)
class _Key:
    """Name of an array: whether it holds images, and of which part ("" without one)."""

    name: str
    is_images: bool
    part: str


def read_npz_images(path: Path, name: str) -> ImageBlock:
    """Read the images of a NumPy archive, with their classes and parts.

    Arrays that are neither images nor their labels are named in a note. Raises UnreadableFileError for a file without
    images, beyond the limits, or with labels that do not fit.
    """
    with translate_archive_errors(name), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        declared_bytes = sum(info.file_size for info in members.values())
        budget = Budget.from_file(path, MAX_BYTES)
        if declared_bytes > budget.remaining_bytes:  # no more than the declared bytes is ever unpacked
            raise build_size_error(name, budget.remaining_bytes)
        shapes = {}
        for key, info in members.items():
            with archive.open(info) as stream:
                shapes[key] = read_npy_header(stream, name, key)[0]
        keys = _choose_keys(shapes, name)
        arrays = {
            key.name: read_npy_array(partial(archive.open, info), info.file_size, name, key.name)
            for key in keys
            for info in [members[key.name]]
        }
    unused = [key for key in shapes if key not in arrays]
    return _build_block(arrays, keys, unused, name)


def read_npy_images(path: Path, name: str) -> ImageBlock:
    """Read the images of a single NumPy array, without classes. Raises UnreadableFileError as `read_npz_images`."""
    stored_bytes = path.stat().st_size
    if stored_bytes > MAX_BYTES:
        raise build_size_error(name, MAX_BYTES)
    key = Path(name).stem
    with translate_archive_errors(name):
        array = read_npy_array(lambda: path.open("rb"), stored_bytes, name, key)
    return _build_block({key: array}, [_Key(key, True, "")], [], name)


def find_part(words: str) -> str:
    """Return the part that a name states, or "".

    Example:
        >>> find_part("x_train"), find_part("t10k-images-idx3-ubyte"), find_part("images")
        ('training', 'test', '')
    """
    return next((PART_WORDS[word] for word in re.split(r"[\W_]+", words.lower()) if word in PART_WORDS), "")


def _choose_keys(shapes: Mapping[str, tuple[int, ...]], file: str) -> list[_Key]:
    """Return the names of the arrays of images and labels; a single array of images may have any name."""
    keys = [parsed for key, shape in shapes.items() if (parsed := _parse_key(key, shape))]
    stacks = [key for key, shape in shapes.items() if len(shape) >= 3]
    if not any(key.is_images for key in keys) and len(stacks) == 1:
        keys = [_Key(stacks[0], True, ""), *keys]
    places = [(key.is_images, key.part) for key in keys]
    image_keys = [key for key in keys if key.is_images]
    if not image_keys or len({*places}) < len(places):
        raise UnreadableFileError(
            N_("{file}: no arrays could be identified as the images and their labels. Found: {value}. {accepted}."),
            file=file,
            value=", ".join(f"{key} {shape}" for key, shape in list(shapes.items())[:15]) or "–",
            accepted=f"Accepted: {ACCEPTED_KEYS}",
        )
    image_parts = {key.part for key in image_keys}
    return [key for key in keys if key.part in image_parts]


def _parse_key(key: str, shape: tuple[int, ...]) -> _Key | None:
    """Return what the name of an array says; None for a name with other words, or a table named like images."""
    words = key.lower().split("_")
    rest = [word for word in words if word not in PART_WORDS]
    if len(rest) != 1 or len(words) > 2:
        return None
    if rest[0] in LABEL_WORDS:
        return _Key(key, False, find_part(key))
    return _Key(key, True, find_part(key)) if rest[0] in IMAGE_WORDS and len(shape) >= 3 else None


def _build_block(arrays: Mapping[str, AnyArray], keys: list[_Key], unused: list[str], file: str) -> ImageBlock:
    image_keys = [key for key in keys if key.is_images]
    label_key_by_part = {key.part: key.name for key in keys if not key.is_images}
    pixels_by_key, notes = convert_arrays({key.name: arrays[key.name] for key in image_keys}, file)
    stacks = [pixels_by_key[key.name] for key in image_keys]
    _check_same_shape(image_keys, stacks, file)
    check_image_count(sum(map(len, stacks)), file)
    class_names, parts, image_names = [], [], []
    for key, stack in zip(image_keys, stacks, strict=True):
        label_key = label_key_by_part.get(key.part)
        labels = (
            np.full(len(stack), "")
            if label_key is None
            else read_labels(arrays[label_key], len(stack), file, label_key)
        )
        class_names.append(labels)
        parts.append(np.full(len(stack), key.part))
        image_names += [f"{key.name}[{number}]" for number in range(len(stack))]
    if unused:
        notes.append(
            Message(N_("{file}: these arrays were not used: {value}."), {"file": file, "value": shorten_names(unused)})
        )
    pixels = stacks[0] if len(stacks) == 1 else np.concatenate(stacks)
    return ImageBlock(file, pixels, image_names, np.concatenate(class_names), np.concatenate(parts), tuple(notes))


def _check_same_shape(keys: list[_Key], stacks: list[NDArray[np.uint8]], file: str) -> None:
    for key, stack in zip(keys, stacks, strict=True):
        if stack.shape[1:] != stacks[0].shape[1:]:
            raise UnreadableFileError(
                N_("{file}, {key!r}: the images have the shape {value}, but those of {other!r} have {accepted}."),
                file=file,
                key=key.name,
                value=str(stack.shape[1:]),
                other=keys[0].name,
                accepted=str(stacks[0].shape[1:]),
            )


def read_labels(labels: AnyArray, count: int, file: str, key: str) -> Names:
    """Return the class of each image as text; missing numbers and empty text mean no class.

    Raises UnreadableFileError unless there is one whole number or text for each of `count` images.
    """
    values = labels.reshape(len(labels)) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    is_fraction = values.dtype.kind == "f" and not np.all(np.isnan(values) | (values == np.rint(values)))
    if values.shape != (count,) or values.dtype.kind not in "biufUS" or is_fraction:
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: the array has the shape {value} and the type {type}. Accepted: one whole number or "
                "text for each of the {count} images."
            ),
            file=file,
            key=key,
            value=str(labels.shape),
            type=str(labels.dtype),
            count=count,
        )
    if values.dtype.kind == "f":
        is_missing = ~np.isfinite(values.astype(np.float64))
        return np.where(is_missing, "", np.where(is_missing, 0, values).astype(np.int64).astype(np.str_))
    if values.dtype.kind == "S":
        return np.char.strip(np.char.decode(values.astype(np.bytes_), "utf-8", "replace"))
    return np.char.strip(values.astype(np.str_))
