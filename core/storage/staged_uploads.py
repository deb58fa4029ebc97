"""Files that browsers upload: on disk while they arrive, and until their tab closes.

A page stores them for longer, in the `UploadStore` or as raw records of a job.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filelock import FileLock, Timeout

from core.storage.durable_files import move_durably

LOCK_TIMEOUT_S = 20.0
DRAFT_SUFFIX = ".draft"
LOCK_SUFFIX = ".lock"
FOLDER_LOCK = "folder-lock"


class NoRoomError(Exception):
    """An upload that exceeds the limit of its user, or that of all users."""


@dataclass(frozen=True)
class UploadLimits:
    """The largest sums of the uploads of one user and of all users, in bytes."""

    user_bytes: int
    total_bytes: int


class StagedUpload:
    """An upload that arrives. Its file has the announced size from the start, and its name once it is complete."""

    def __init__(self, target: Path, size: int) -> None:
        self.target = target
        self._draft = target.with_name(f"{target.name}.{uuid4().hex}{DRAFT_SUFFIX}")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = self._draft.open("wb")
        self._file.truncate(size)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes. Raises OSError, for instance for a full disk."""
        self._file.write(chunk)

    def finish(self) -> None:
        """Give the complete file its name, in the place of an older one. Raises OSError."""
        self._file.truncate()
        self._file.close()
        move_durably(self._draft, self.target)

    def discard(self) -> None:
        """Delete what has arrived, unless the upload is complete."""
        with suppress(OSError):  # the buffer that a full disk refused
            self._file.close()
        self._draft.unlink(missing_ok=True)


class StagedUploads:
    """Uploads in `folder`, in one subfolder per app process, then per user and session of a tab.

    All limits are measured in the folder, so they hold for all processes that share it. A process deletes its subfolder
    when it ends; that of a killed one is deleted by the next that starts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process_folder = folder / uuid4().hex
        # held as long as the process lives
        self._process_lock = FileLock(self._process_folder.with_suffix(LOCK_SUFFIX), thread_local=False)

    def open(self) -> None:
        """Accept uploads in this process, and delete those of killed ones. Raises OSError."""
        with self._lock_folder():
            self._claim_folder()
            for lock_file in self.folder.glob(f"*{LOCK_SUFFIX}"):
                if lock_file != Path(self._process_lock.lock_file):
                    _delete_abandoned(lock_file)

    def close(self) -> None:
        """Delete the uploads of this process."""
        shutil.rmtree(self._process_folder, ignore_errors=True)
        Path(self._process_lock.lock_file).unlink(missing_ok=True)
        self._process_lock.release()

    def reserve(self, session: str, file_id: str, user: str, size: int, limits: UploadLimits) -> StagedUpload:
        """Begin an upload of `size` bytes. `user` is "" where nobody signs in; no limit per user holds then.

        Raises NoRoomError above the limits, and OSError for a full disk.
        """
        with self._lock_folder():
            self._claim_folder()
            owner = _hash_user(user)
            if user and size + _measure(self.folder.glob(f"*/{owner}/*/*")) > limits.user_bytes:
                raise NoRoomError
            if size + _measure(self.folder.glob("*/*/*/*")) > limits.total_bytes:
                raise NoRoomError
            if size > shutil.disk_usage(self.folder).free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return StagedUpload(self._process_folder / owner / session / file_id, size)

    def find(self, session: str, file_id: str) -> Path | None:
        """Return a complete upload of this process, or None."""
        paths = (folder / file_id for folder in self._list_folders(session))
        return next((path for path in paths if path.is_file()), None)

    def remove(self, session: str, file_id: str = "") -> None:
        """Delete an upload, or all those of a session."""
        for folder in self._list_folders(session):
            if file_id:
                (folder / file_id).unlink(missing_ok=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)

    def list_sessions(self) -> set[str]:
        """Return the sessions that have uploads in this process."""
        return {folder.name for folder in self._process_folder.glob("*/*")}

    def _list_folders(self, session: str) -> list[Path]:
        """Return the folders of a session; more than one if another user signed in meanwhile."""
        folders = (owner / session for owner in self._process_folder.glob("*"))
        return [folder for folder in folders if folder.is_dir()]

    def _claim_folder(self) -> None:
        if not self._process_lock.is_locked:
            self._process_lock.acquire(timeout=LOCK_TIMEOUT_S)
        self._process_folder.mkdir(parents=True, exist_ok=True)

    def _lock_folder(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / FOLDER_LOCK, timeout=LOCK_TIMEOUT_S)


def _delete_abandoned(lock_file: Path) -> None:
    """Delete the folder of a process that does not hold its lock any more."""
    lock = FileLock(lock_file)
    with suppress(Timeout), lock.acquire(timeout=0):
        shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
        lock_file.unlink(missing_ok=True)


def _hash_user(user: str) -> str:
    """Return a name for the folder of a user; a digest keeps any user name out of the file system."""
    return hashlib.sha256(user.encode()).hexdigest()[:32]


def _measure(paths: Iterator[Path]) -> int:
    """Return the sum of the sizes of files, in bytes."""
    total_bytes = 0
    for path in paths:
        with suppress(OSError):  # another process deleted it
            total_bytes += path.stat().st_size
    return total_bytes
