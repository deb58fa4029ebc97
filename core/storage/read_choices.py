"""Choices about reading files, remembered for the next file with the same columns."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from core.data.read_options import DETECT_ALL, ReadOptions
from core.spec.codec import decode, encode


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
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{uuid4().hex}")
        draft.write_text(json.dumps(encode(options), ensure_ascii=False), encoding="utf-8")
        draft.replace(path)

    def find(self, columns: Iterable[str], user: str = "") -> ReadOptions:
        """Return the options that a user chose for files with these columns; empty options without a choice."""
        try:
            return decode(ReadOptions, json.loads(self._get_path(columns, user).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return DETECT_ALL

    def _get_path(self, columns: Iterable[str], user: str) -> Path:
        shape = hashlib.sha256(json.dumps([user, *columns]).encode()).hexdigest()
        return self.folder / f"{shape}.json"
