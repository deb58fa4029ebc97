"""Folders named by the digest of their content: written once, complete or not at all, and listed per user."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from uuid import uuid4

DRAFT_MAX_AGE_S = 24 * 3600  # after which the draft of a process that was killed is deleted


class DigestFolders:
    """Base of the stores that keep each content in one subfolder of `folder`, named by its digest.

    `folder/.users` records the contents of each user under a hash of the user name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_folder(self, digest: str) -> Path | None:
        """Return the folder of a digest, or None if it is not stored here."""
        content_folder = self.folder / digest
        return content_folder if digest.isalnum() and content_folder.is_dir() else None

    def write_once(self, digest: str, write: Callable[[Path], object]) -> None:
        """Store what `write` writes into an empty folder, unless the digest is stored already.

        The folder appears only when it is complete, so that nobody reads a partial one after a crash.
        """
        content_folder = self.folder / digest
        if content_folder.is_dir():
            os.utime(content_folder)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._delete_old_drafts()
        draft = self.folder / f".{digest}-{uuid4().hex}"
        draft.mkdir()
        try:
            write(draft)
            draft.rename(content_folder)
        except OSError:
            if not content_folder.is_dir():  # otherwise another session has just stored the same content
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def record_user(self, digest: str, user: str) -> None:
        """Record a stored content as one of `user`."""
        user_folder = self._get_user_folder(user)
        user_folder.mkdir(parents=True, exist_ok=True)
        (user_folder / digest).touch()

    def list_recent_folders(self, limit: int, user: str = "") -> list[Path]:
        """Return the most recently used folders, newest first: those of `user`, or of all users if it is empty."""
        listed_folder = self._get_user_folder(user) if user else self.folder
        entries = sorted(listed_folder.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime, reverse=True)
        content_folders = (self.folder / path.name for path in entries)
        return list(islice((path for path in content_folders if path.is_dir()), limit))

    def _get_user_folder(self, user: str) -> Path:
        return self.folder / ".users" / hashlib.sha256(user.encode()).hexdigest()

    def _delete_old_drafts(self) -> None:
        for draft in self.folder.glob(".[0-9a-f]*-*"):
            try:
                is_old = time.time() - draft.stat().st_mtime > DRAFT_MAX_AGE_S
            except OSError:  # its process has just finished it
                continue
            if is_old:
                shutil.rmtree(draft, ignore_errors=True)
