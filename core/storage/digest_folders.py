"""Folders named by the digest of their content: written once, complete or not at all, and listed per user."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from core.errors import NotFoundError
from core.storage.durable_files import find_damage, get_modified_s, is_sealed, write_folder

T = TypeVar("T")
Info = TypeVar("Info")
logger = logging.getLogger(__name__)

DRAFT_MAX_AGE_S = 24 * 3600  # after which the draft of a process that was killed is deleted
READ_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""Errors of reading a damaged folder that has no checksums."""


class DigestFolders(Generic[Info]):
    """Base of the stores that keep each content in one subfolder of `folder`, named by its digest.

    `folder/.users` records the contents of each user under a hash of the user name. A damaged content is skipped in
    lists, refused with an error that names it, and written anew when it is stored again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read_info(self, content_folder: Path) -> Info:
        """Return the summary of a content, for lists. Raises one of READ_ERRORS if it is damaged."""
        raise NotImplementedError

    def make_missing_error(self, digest: str) -> NotFoundError:
        """Return the error for a digest that is not stored here."""
        raise NotImplementedError

    def make_damaged_error(self, digest: str, file: str) -> NotFoundError:
        """Return the error for a digest with a damaged file; "" where it is not known which."""
        raise NotImplementedError

    def find_folder(self, digest: str) -> Path | None:
        """Return the folder of a digest, or None if it is not stored here."""
        content_folder = self.folder / digest
        return content_folder if digest.isalnum() and content_folder.is_dir() else None

    def read_folder(self, digest: str, read: Callable[[Path], T]) -> T:
        """Return what `read` returns for the folder of a digest, after a check of its files.

        Raises the error of `make_missing_error` or `make_damaged_error`.
        """
        content_folder = self.find_folder(digest)
        if content_folder is None:
            raise self.make_missing_error(digest)
        if damaged_file := find_damage(content_folder):
            raise self.make_damaged_error(digest, damaged_file)
        try:
            return read(content_folder)
        except READ_ERRORS as error:
            if is_sealed(content_folder):  # its files are those that were written
                raise
            raise self.make_damaged_error(digest, "") from error

    def write_once(self, digest: str, write: Callable[[Path], object]) -> None:
        """Store what `write` writes into an empty folder, unless the digest is stored already and intact.

        The folder appears only when it is complete, so that nobody reads a partial one after a crash.
        """
        content_folder = self.folder / digest
        if is_sealed(content_folder) and not find_damage(content_folder):
            os.utime(content_folder)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._delete_old_drafts()
        try:
            write_folder(content_folder, write)
        except OSError:
            if not is_sealed(content_folder):  # otherwise another session has just stored the same content
                raise

    def record_user(self, digest: str, user: str) -> None:
        """Record a stored content as one of `user`."""
        user_folder = self._get_user_folder(user)
        user_folder.mkdir(parents=True, exist_ok=True)
        (user_folder / digest).touch()

    def list_recent(self, limit: int = 20, user: str = "") -> list[Info]:
        """Return the most recently used contents, newest first: those of `user`, or of all users if it is empty.

        Damaged ones are skipped; `list_damaged` names them.
        """
        infos = (self._find_readable_info(content_folder) for content_folder in self._iter_recent_folders(user))
        return list(islice((info for info in infos if info is not None), limit))

    def list_damaged(self) -> list[str]:
        """Return the paths of damaged contents below `folder`."""
        folders = self._iter_recent_folders("")
        return [str(folder) for folder in folders if self._find_readable_info(folder) is None and folder.is_dir()]

    def find_info(self, digest: str) -> Info | None:
        """Return the summary of a content; None for a digest that is not stored here, or damaged."""
        content_folder = self.find_folder(digest)
        return None if content_folder is None else self._find_readable_info(content_folder)

    def _find_readable_info(self, content_folder: Path) -> Info | None:
        damaged_file = find_damage(content_folder, for_list=True)
        if not damaged_file:
            try:
                return self.read_info(content_folder)
            except READ_ERRORS as error:
                damaged_file = str(error)
        logger.warning("%s is damaged: %s", content_folder, damaged_file)
        return None

    def _iter_recent_folders(self, user: str) -> Iterator[Path]:
        """Yield the folders of the contents, most recently used first: those of `user`, or all."""
        listed_folder = self._get_user_folder(user) if user else self.folder
        entries = sorted(listed_folder.glob("[0-9a-f]*"), key=get_modified_s, reverse=True)
        content_folders = (self.folder / path.name for path in entries)
        return (path for path in content_folders if path.is_dir())

    def _get_user_folder(self, user: str) -> Path:
        return self.folder / ".users" / hashlib.sha256(user.encode()).hexdigest()

    def _delete_old_drafts(self) -> None:
        for draft in self.folder.glob(".[0-9a-f]*-*"):
            if 0 < get_modified_s(draft) < time.time() - DRAFT_MAX_AGE_S:
                shutil.rmtree(draft, ignore_errors=True)
