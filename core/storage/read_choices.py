"""Choices about reading files, remembered for the next file with the same columns."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from core.data.read_options import DETECT_ALL, ReadOptions
from core.spec.codec import decode, encode
from core.storage.durable_files import read_checked, write_checked


class ReadChoices:
    """Read options in `folder`, one JSON file per user and list of column names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, columns: Iterable[str], options: ReadOptions, user: str = "") -> None:
        """Remember the options for files with these columns; empty options are forgotten."""
        path = self._get_path(columns, user)
        if options.is_empty:
            path.unlink(missing_ok=True)
            return
        write_checked(path, json.dumps(encode(options), ensure_ascii=False))

    def find(self, columns: Iterable[str], user: str = "") -> ReadOptions:
        """Return the options that a user chose for files with these columns; empty options without a choice."""
        try:
            return decode(ReadOptions, json.loads(read_checked(self._get_path(columns, user))))
        except (OSError, ValueError, TypeError):
            return DETECT_ALL

    def _get_path(self, columns: Iterable[str], user: str) -> Path:
        shape = hashlib.sha256(json.dumps([user, *columns]).encode()).hexdigest()
        return self.folder / f"{shape}.json"
