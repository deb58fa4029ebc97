"""Uploaded files of recent datasets, so that a person can have their columns read differently."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.storage.durable_files import find_damage, get_modified_s, write_folder
from core.storage.named_files import read_named_files, write_names

logger = logging.getLogger(__name__)

MAX_UPLOADS = 20
MAX_TOTAL_BYTES = 4 * 2**30


class UploadStore:
    """Uploaded files in `folder`, in one subfolder per dataset that was read from them.

    The oldest are deleted beyond `MAX_UPLOADS` datasets or `MAX_TOTAL_BYTES`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, digest: str, files: Sequence[tuple[Path, str]]) -> None:
        """Keep the files, given as path and shown name, as those of the dataset `digest`.

        A full disk is logged and raises nothing: the dataset is stored, only its columns cannot be read differently.
        """
        target = self.folder / digest
        if target.is_dir() and not find_damage(target):
            os.utime(target)
            return
        try:
            write_folder(target, lambda draft: _write_files(files, draft))
        except OSError as error:  # also if another session has just stored the same files
            if not target.is_dir():
                logger.warning("the uploaded files were not kept: %s", error)
        self._delete_oldest()

    def find(self, digest: str) -> list[tuple[Path, str]]:
        """Return the files of a dataset as path and shown name; none if they are not stored here, or damaged."""
        if find_damage(self.folder / digest):
            return []
        return read_named_files(self.folder / digest)

    def _delete_oldest(self) -> None:
        folders = sorted(self.folder.glob("[0-9a-f]*"), key=get_modified_s, reverse=True)
        total_bytes = 0
        for number, folder in enumerate(folders):
            total_bytes += sum(path.stat().st_size for path in folder.glob("*"))
            if number >= MAX_UPLOADS or (number and total_bytes > MAX_TOTAL_BYTES):
                shutil.rmtree(folder, ignore_errors=True)


def _write_files(files: Sequence[tuple[Path, str]], folder: Path) -> None:
    for number, (path, _name) in enumerate(files):
        _link_or_copy(path, folder / str(number))
    write_names(folder, [name for _path, name in files])


def _link_or_copy(source: Path, target: Path) -> None:
    """Give the file a second name without copying its bytes; on another disk, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
