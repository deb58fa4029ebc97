"""Storage of sets of images: one folder per digest, with the arrays of an ImageSet and a JSON file of the rest."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from typing_extensions import override

from core.data.images.image_set import ImageSet
from core.errors import NotFoundError
from core.messages import N_, Message
from core.storage.digest_folders import DigestFolders

ARRAYS = ("pixels", "labels", "is_test")
METADATA_FILE = "image_set.json"
NAMES_FILE = "image_names.json"  # apart, because lists of sets need no names of images


@dataclass(frozen=True)
class ImageSetInfo:
    """Summary of a stored set of images, for lists."""

    digest: str
    files: tuple[str, ...]
    images: int
    height: int
    width: int
    is_colour: bool
    classes: tuple[str, ...]
    stored: str


class ImageSetStore(DigestFolders[ImageSetInfo]):
    """Sets of images in `folder`, in one subfolder per digest."""

    def save(self, images: ImageSet, user: str = "") -> str:
        """Store the images, record them as a set of `user`, and return its digest."""
        self.write_once(images.digest, lambda draft: _write_images(images, draft))
        if user:
            self.record_user(images.digest, user)
        return images.digest

    def load(self, digest: str) -> ImageSet:
        """Return the images of a digest. Pixels stay on disk until they are used.

        Raises NotFoundError for a digest that is not stored here, and for a damaged one.
        """
        return self.read_folder(digest, _read_images)

    @override
    def make_missing_error(self, digest: str) -> NotFoundError:
        return NotFoundError(N_("The images {digest} are not stored here. Load their files again."), digest=digest[:12])

    @override
    def make_damaged_error(self, digest: str, file: str) -> NotFoundError:
        return NotFoundError(
            N_("The stored images {digest} are damaged ({file}). Load their files again, which repairs them."),
            digest=digest[:12],
            file=file or "?",
        )

    @override
    def read_info(self, image_folder: Path) -> ImageSetInfo:
        metadata = json.loads((image_folder / METADATA_FILE).read_text(encoding="utf-8"))
        count, height, width, channels = metadata["shape"]
        used_at = datetime.fromtimestamp(image_folder.stat().st_mtime, UTC)
        return ImageSetInfo(
            image_folder.name,
            tuple(metadata["files"]),
            count,
            height,
            width,
            channels == 3,
            tuple(metadata["classes"]),
            used_at.isoformat(timespec="seconds"),
        )


def _read_images(image_folder: Path) -> ImageSet:
    metadata = json.loads((image_folder / METADATA_FILE).read_text(encoding="utf-8"))
    # mode "c": what a model writes stays in memory, and torch takes the pages without a copy or a warning
    arrays = {name: np.asarray(np.load(image_folder / f"{name}.npy", mmap_mode="c")) for name in ARRAYS}
    return ImageSet(
        image_names=tuple(json.loads((image_folder / NAMES_FILE).read_text(encoding="utf-8"))),
        classes=tuple(metadata["classes"]),
        files=tuple(metadata["files"]),
        source=metadata["source"],
        notes=tuple(Message(note["template"], note["values"]) for note in metadata["notes"]),
        **arrays,
    )


def _write_images(images: ImageSet, folder: Path) -> None:
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", np.ascontiguousarray(getattr(images, name)))
    metadata = {
        "classes": images.classes,
        "files": images.files,
        "source": images.source,
        "notes": [{"template": note.template, "values": dict(note.values)} for note in images.notes],
        "shape": images.pixels.shape,
    }
    (folder / NAMES_FILE).write_text(json.dumps(images.image_names, ensure_ascii=False), encoding="utf-8")
    (folder / METADATA_FILE).write_text(json.dumps(metadata, ensure_ascii=False), encoding="utf-8")
