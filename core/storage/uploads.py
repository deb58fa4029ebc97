"""Uploaded files: those that wait to be read, and those of recent datasets, whose columns can be read differently."""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from core.storage.durable_files import find_damage, get_modified_s, is_sealed, move_durably, write_durably, write_folder
from core.storage.named_files import link_or_copy, read_named_files, write_names

logger = logging.getLogger(__name__)

MAX_AGE_S = 24 * 3600  # since the last use, of files that no recent dataset needs
MAX_DATASETS = 20
MAX_TOTAL_BYTES = 16 * 2**30
SOURCES_FOLDER = ".datasets"
FORMER_FOLDER = "incoming"


class UploadStore:
    """Uploads in `folder`, one subfolder per digest of names and content: the same files are stored once.

    A dataset refers to the files that it was read from. Those of the latest `MAX_DATASETS` datasets stay. Others are
    deleted `MAX_AGE_S` after their last use. Beyond `MAX_TOTAL_BYTES` the oldest are deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, files: Sequence[tuple[Path, str]]) -> str:
        """Store files, given as path and shown name, and return their common digest.

        A file on the same disk is linked and not copied, so nobody may write to it afterwards. The files appear only
        when all of them are complete. Raises OSError, for instance for a full disk.
        """
        self._delete_old()
        digest = _compute_digest(files)
        target = self.folder / digest
        if target.is_dir() and not find_damage(target):
            os.utime(target)
            return digest
        try:
            write_folder(target, lambda draft: _write_files(files, draft))
        except OSError:
            if not is_sealed(target):  # otherwise another session has just stored the same files
                raise
        return digest

    def record_dataset(self, dataset: str, digest: str) -> None:
        """Remember that a dataset was read from the files of `digest`, which may be that of another dataset.

        A full disk is logged and raises nothing: the dataset is stored, only its columns cannot be read differently.
        """
        try:
            write_durably(self._get_source_path(dataset), self._find_source(digest).encode())
        except OSError as error:
            logger.warning("the files of a dataset are deleted in a day: %s", error)

    def find(self, digest: str) -> list[tuple[Path, str]]:
        """Return the files of a digest, or those that a dataset was read from, as path and shown name.

        Returns none if they are not, or no longer, stored here, or damaged.
        """
        if not digest.isalnum():  # the digest comes from the address of a page
            return []
        folder = self.folder / self._find_source(digest)
        return [] if find_damage(folder) else read_named_files(folder)

    def _find_source(self, digest: str) -> str:
        """Return the digest of the files of a dataset; any other digest is returned as it is."""
        return digest if (self.folder / digest).is_dir() else _read_source(self._get_source_path(digest)) or digest

    def _get_source_path(self, dataset: str) -> Path:
        return self.folder / SOURCES_FOLDER / dataset

    def _delete_old(self) -> None:
        sources = _sort_newest_first([*(self.folder / SOURCES_FOLDER).glob("[0-9a-f]*")])
        for source in sources[MAX_DATASETS:]:
            source.unlink(missing_ok=True)
        needed_digests = set(map(_read_source, sources[:MAX_DATASETS]))
        uploads = [*self.folder.glob("[0-9a-f]*"), *self.folder.glob(".[0-9a-f]*-*")]  # also drafts of killed processes
        total_bytes = 0
        for number, upload in enumerate(_sort_newest_first(uploads)):
            total_bytes += sum(_get_bytes(path) for path in upload.glob("*"))
            is_old = upload.name not in needed_digests and time.time() - get_modified_s(upload) > MAX_AGE_S
            if is_old or (number and total_bytes > MAX_TOTAL_BYTES):
                shutil.rmtree(upload, ignore_errors=True)


def merge_former_stores(data_folder: Path) -> None:
    """Bring the uploads of format 2 here: those in `uploads` belonged to datasets, those in `incoming` waited."""
    store, former_folder = UploadStore(data_folder / "uploads"), data_folder / FORMER_FOLDER
    for upload in reversed(_sort_newest_first([*store.folder.glob("[0-9a-f]*")])):
        store.record_dataset(upload.name, upload.name)
    for upload in former_folder.glob("[0-9a-f]*"):
        if not (store.folder / upload.name).exists():
            move_durably(upload, store.folder / upload.name)
    shutil.rmtree(former_folder, ignore_errors=True)


def _compute_digest(files: Sequence[tuple[Path, str]]) -> str:
    digest = hashlib.sha256(json.dumps([name for _path, name in files]).encode())
    for path, _name in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _write_files(files: Sequence[tuple[Path, str]], folder: Path) -> None:
    for number, (path, _name) in enumerate(files):
        link_or_copy(path, folder / str(number))
    write_names(folder, [name for _path, name in files])


def _read_source(path: Path) -> str:
    """Return the digest in a file; "" without one."""
    try:
        digest = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return digest if digest.isalnum() else ""


def _sort_newest_first(paths: list[Path]) -> list[Path]:
    return sorted(paths, key=get_modified_s, reverse=True)


def _get_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another process deleted it
        return 0
