"""Reading of untrusted files into one set of images; the bytes decide what a file is, not its name."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.data.images.archive import list_folder, make_picture_file, read_head, read_picture_folder, read_picture_zip
from core.data.images.decoding import PICTURE_SUFFIXES, is_picture
from core.data.images.idx import GZIP_MAGIC, IdxFile, is_idx, pair_idx_files, read_idx
from core.data.images.image_block import (
    ACCEPTED_IMAGE_FILES,
    MAX_CLASSES,
    TEST,
    VALIDATION,
    ImageBlock,
    Names,
    check_image_bytes,
    check_image_count,
)
from core.data.images.image_set import UNLABELLED, ImageSet, Pixels
from core.data.images.npz import read_npy_images, read_npz_images
from core.data.images.pictures import PictureFile, read_pictures
from core.data.ingest.archives import translate_archive_errors
from core.data.ingest.files import natural_sort_key
from core.data.ingest.loading import FileInput
from core.data.ingest.readers.base import ProgressCallback, ignore_progress
from core.errors import InputError, UnreadableFileError
from core.messages import N_, Message

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"


def read_image_set(
    paths: Sequence[FileInput], *, source: str = "file", progress: ProgressCallback = ignore_progress
) -> ImageSet:
    """Read files of images into one set, in the order in which they are given.

    Accepted are NumPy archives, IDX files in pairs, zip archives and folders of pictures, and pictures by themselves.
    A path may come with the name that is shown. `progress` receives the completed share 0–1. What was converted or left
    out stands in the notes of the set.

    Raises InputError without files, and UnreadableFileError with the file, what was seen and what is accepted.
    """
    if not paths:
        raise InputError(N_("No file was given."))
    files = [file for path in paths for file in _expand_folder(*_name_file(path))]
    heads = [read_head(path) if path.is_file() else b"" for path, _ in files]
    pictures = [make_picture_file(*file) for file, head in zip(files, heads, strict=True) if is_picture(head)]
    others = [(file, head) for file, head in zip(files, heads, strict=True) if not is_picture(head)]
    step_count = len(others) + bool(pictures)
    blocks: list[ImageBlock] = []
    idx_files: list[IdxFile] = []
    for number, ((path, name), head) in enumerate(others):
        if head.startswith(GZIP_MAGIC) or is_idx(head):
            idx_files.append(read_idx(path, name))
        else:
            blocks.append(_read_block(path, name, head, _scale_progress(progress, number, step_count)))
        progress((number + 1) / step_count)
    blocks += pair_idx_files(idx_files)
    if pictures:
        blocks.append(_read_single_pictures(pictures, _scale_progress(progress, len(others), step_count)))
    progress(1.0)
    return _join_blocks(blocks, tuple(dict.fromkeys(_name_file(path)[1] for path in paths)), source)


def _name_file(path: FileInput) -> tuple[Path, str]:
    """Return the path and the name that is shown."""
    if isinstance(path, tuple):
        return path
    return Path(path), Path(path).name or Path(path).resolve().name


def _expand_folder(path: Path, name: str) -> list[tuple[Path, str]]:
    """Return the file or folder itself, or the files of arrays in a folder that holds no pictures."""
    if not path.is_dir():
        return [(path, name)]
    paths, _ = list_folder(path, name)
    if any(file_path.suffix.lower() in PICTURE_SUFFIXES for file_path in paths.values()):
        return [(path, name)]
    heads = {member: read_head(file_path) for member, file_path in paths.items()}
    arrays = [member for member in sorted(heads, key=natural_sort_key) if _is_array_file(heads[member])]
    if not arrays or any(map(is_picture, heads.values())):
        return [(path, name)]
    return [(paths[member], member) for member in arrays]


def _is_array_file(head: bytes) -> bool:
    return head.startswith((NPY_MAGIC, GZIP_MAGIC, ZIP_MAGIC)) or is_idx(head)


def _read_block(path: Path, name: str, head: bytes, progress: ProgressCallback) -> ImageBlock:
    """Read a file that holds images by itself. Raises UnreadableFileError for a file of another kind."""
    if path.is_dir():
        return read_picture_folder(path, name, progress)
    if head.startswith(NPY_MAGIC):
        return read_npy_images(path, name)
    if head.startswith(ZIP_MAGIC):
        return read_npz_images(path, name) if _is_npz(path, name) else read_picture_zip(path, name, progress)
    if not path.is_file():
        raise UnreadableFileError(N_("{file}: no such file."), file=name)
    if not head and path.stat().st_size:
        raise UnreadableFileError(N_("{file}: the file could not be opened. Check its permissions."), file=name)
    if not head:
        raise UnreadableFileError(N_("{file}: the file is empty."), file=name)
    raise UnreadableFileError(
        N_("{file}: this is not a file of images (first bytes: {value}). Accepted: {accepted}."),
        file=name,
        value=head[:4].hex(" "),
        accepted=ACCEPTED_IMAGE_FILES,
    )


def _is_npz(path: Path, name: str) -> bool:
    with translate_archive_errors(name), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(member.endswith(".npy") for member in names)


def _read_single_pictures(pictures: Sequence[PictureFile], progress: ProgressCallback) -> ImageBlock:
    """Read pictures that were given one by one: they have no class."""
    name = pictures[0].name if len(pictures) == 1 else f"{pictures[0].name}, …"
    pixels, positions, notes = read_pictures(pictures, name, progress)
    empty = np.full(len(pixels), "")
    return ImageBlock(name, pixels, [pictures[position].name for position in positions], empty, empty, notes)


def _scale_progress(progress: ProgressCallback, number: int, count: int) -> ProgressCallback:
    return lambda share: progress((number + share) / count)


# ---- one set --------------------------------------------------------------------------------------------------------


def _join_blocks(blocks: Sequence[ImageBlock], files: tuple[str, ...], source: str) -> ImageSet:
    """Return one set of all images. Raises UnreadableFileError for images of different sizes, and beyond the limits."""
    notes = [note for block in blocks for note in block.notes]
    name = ", ".join(files)[:80]
    pixels = _join_pixels(blocks, notes)
    check_image_count(len(pixels), name)
    class_names = np.concatenate([block.class_names for block in blocks])
    classes, labels = _number_classes(class_names, name)
    is_test = _mark_test_part(np.concatenate([block.parts for block in blocks]), name, notes)
    if not classes:
        notes.append(Message(N_("{file}: no image has a class."), {"file": name}))
    elif (labels == UNLABELLED).any():
        values = {"file": name, "count": int((labels == UNLABELLED).sum()), "total": len(labels)}
        notes.append(
            Message(
                N_(
                    "{file}: {count} of {total} images has no class.",
                    "{file}: {count} of {total} images have no class.",
                ),
                values,
            )
        )
    if len(pixels) == 1:
        notes.append(Message(N_("{file} holds a single image. No comparison is possible."), {"file": name}))
    image_names = [
        image_name if len(blocks) == 1 else f"{block.file}: {image_name}"
        for block in blocks
        for image_name in block.image_names
    ]
    return ImageSet(pixels, tuple(image_names), classes, labels, is_test, files, source, tuple(notes))


def _join_pixels(blocks: Sequence[ImageBlock], notes: list[Message]) -> Pixels:
    first = blocks[0]
    if len(blocks) == 1:
        return first.pixels
    for block in blocks:
        if block.pixels.shape[1:3] != first.pixels.shape[1:3]:
            raise UnreadableFileError(
                N_("{file}: the images have {value} pixels, but those of {other} have {accepted}. Give one size."),
                file=block.file,
                value=f"{block.pixels.shape[2]} × {block.pixels.shape[1]}",
                other=first.file,
                accepted=f"{first.pixels.shape[2]} × {first.pixels.shape[1]}",
            )
    channels = max(block.pixels.shape[3] for block in blocks)
    check_image_bytes(sum(block.pixels[..., 0].size for block in blocks) * channels, first.file)
    for block in blocks:
        if block.pixels.shape[3] < channels:
            template = N_(
                "{file}: {count} grey image stands beside colour ones and was given three channels.",
                "{file}: {count} grey images stand beside colour ones and were given three channels.",
            )
            notes.append(Message(template, {"file": block.file, "count": len(block.pixels)}))
    return np.concatenate([np.broadcast_to(block.pixels, (*block.pixels.shape[:3], channels)) for block in blocks])


def _number_classes(
    class_names: Names, file: str
) -> tuple[tuple[str, ...], np.ndarray[tuple[int], np.dtype[np.int16]]]:
    """Return the classes in natural order, and the position of each image's class; −1 without one."""
    names, inverse = np.unique(class_names, return_inverse=True)
    classes = tuple(sorted((str(name) for name in names if name), key=natural_sort_key))
    if len(classes) > MAX_CLASSES:
        raise UnreadableFileError(
            N_("{file}: the images have {count} classes. At most {accepted} are accepted."),
            file=file,
            count=len(classes),
            accepted=MAX_CLASSES,
        )
    positions = {name: number for number, name in enumerate(classes)}
    return classes, np.array([positions.get(str(name), UNLABELLED) for name in names], np.int16)[inverse]


def _mark_test_part(parts: Names, file: str, notes: list[Message]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return True for the images of the test part; a validation part takes its place where there is none."""
    validation_count = int((parts == VALIDATION).sum())
    has_test = bool((parts == TEST).any())
    if validation_count:
        template = (
            N_(
                "{file}: the image of the validation part was added to the training part.",
                "{file}: the {count} images of the validation part were added to the training part.",
            )
            if has_test
            else N_("{file}: there is no test part. The {count} images of the validation part take its place.")
        )
        notes.append(Message(template, {"file": file, "count": validation_count}))
    return parts == (TEST if has_test else VALIDATION)
