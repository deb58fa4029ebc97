"""Uploaded files that wait to be read: on disk at once, so that a refresh or a restart of the app loses none."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from uuid import uuid4

from core.storage.durable_files import get_modified_s, move_durably
from core.storage.named_files import read_named_files, write_names

MAX_AGE_S = 24 * 3600  # since the upload
MAX_TOTAL_BYTES = 16 * 2**30
CHUNK_BYTES = 2**20


class IncomingFiles:
    """Uploads in `folder`, one subfolder per digest of names and content: the same files are stored once.

    Uploads are deleted after `MAX_AGE_S`, and the oldest beyond `MAX_TOTAL_BYTES`. What was read shares its bytes with
    the `UploadStore`, so that it takes no more room.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, files: Sequence[tuple[str, IO[bytes]]]) -> str:
        """Copy open files, each with its shown name, chunk by chunk, and return their common digest.

        The files appear only when all of them are complete.
        """
        self._delete_old()
        draft = self.folder / f".{uuid4().hex}"
        draft.mkdir(parents=True, mode=0o700)
        try:
            digest = hashlib.sha256(json.dumps([name for name, _file in files]).encode())
            for number, (_name, file) in enumerate(files):
                digest.update(_copy_file(file, draft / str(number)))
            write_names(draft, [name for name, _file in files])
            target = self.folder / digest.hexdigest()
            if target.is_dir():
                os.utime(target)
            else:
                move_durably(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return target.name

    def find(self, digest: str) -> list[tuple[Path, str]]:
        """Return the files of a digest as path and shown name; none if they are not, or no longer, stored here."""
        if not digest.isalnum():  # the digest comes from the address of a page
            return []
        return read_named_files(self.folder / digest)

    def _delete_old(self) -> None:
        uploads = sorted(self.folder.glob("*"), key=get_modified_s, reverse=True)
        total_bytes = 0
        for upload in uploads:
            total_bytes += sum(_get_bytes(path) for path in upload.glob("*"))
            is_old = time.time() - get_modified_s(upload) > MAX_AGE_S
            if is_old or total_bytes > MAX_TOTAL_BYTES:
                shutil.rmtree(upload, ignore_errors=True)


def _copy_file(source: IO[bytes], target: Path) -> bytes:
    """Copy an open file from its start, flush it to disk, and return the digest of its content."""
    digest = hashlib.sha256()
    source.seek(0)
    with target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.digest()


def _get_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another process deleted it
        return 0
