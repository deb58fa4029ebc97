"""Pages of a long query that are kept on disk, so that a killed job continues after its last page."""

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from core.storage.durable_files import write_durably

logger = logging.getLogger(__name__)

STATE_FILE = "pages.json"


class PageStore:
    """Pages of one query, in files `page-<number>.parquet` of a folder.

    folder   folder of the files; None keeps nothing
    digest   digest of the query; the pages of another query are ignored
    pages    pages so far
    after    position of the last page in the result of the query; None before the first page

    A page counts once `pages.json` names it with its checksum. That file is replaced atomically after every page.
    """

    def __init__(self, folder: Path | None, digest: str) -> None:
        self.folder, self.digest = folder, digest
        self.pages: list[pd.DataFrame] = []
        self.after: dict[str, Any] | None = None
        self._checksums: list[str] = []
        if folder is not None and (folder / STATE_FILE).is_file():
            self._load(folder)

    def append(self, page: pd.DataFrame, after: dict[str, Any]) -> None:
        """Keep a page and its position."""
        self.pages.append(page)
        self.after = after
        if self.folder is None:
            return
        buffer = io.BytesIO()
        page.to_parquet(buffer, index=False)
        self._checksums.append(_compute_checksum(buffer.getvalue()))
        write_durably(self._get_path(self.folder, len(self.pages) - 1), buffer.getvalue())
        state = {"digest": self.digest, "after": after, "checksums": self._checksums}
        write_durably(self.folder / STATE_FILE, json.dumps(state).encode())

    def clear(self) -> None:
        """Remove the files; the pages remain in memory."""
        if self.folder is not None:
            (self.folder / STATE_FILE).unlink(missing_ok=True)
            for path in self.folder.glob("page-*.parquet"):
                path.unlink(missing_ok=True)

    def _load(self, folder: Path) -> None:
        """Load the pages of the same query. Damaged files are ignored: the query then starts anew."""
        try:
            state = json.loads((folder / STATE_FILE).read_bytes())
            if state["digest"] != self.digest:
                return
            checksums = [str(checksum) for checksum in state["checksums"]]
            pages = [_read_page(self._get_path(folder, number), checksum) for number, checksum in enumerate(checksums)]
            after = dict(state["after"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            logger.warning("the pages in %s are not used: %s", folder, error)
            return
        self.pages, self.after, self._checksums = pages, after, checksums

    @staticmethod
    def _get_path(folder: Path, number: int) -> Path:
        return folder / f"page-{number:06}.parquet"


def _read_page(path: Path, checksum: str) -> pd.DataFrame:
    """Return the page in a file. Raises ValueError if the file has another checksum."""
    content = path.read_bytes()
    if _compute_checksum(content) != checksum:
        raise ValueError(f"{path.name} is damaged")
    return pd.read_parquet(io.BytesIO(content))


def _compute_checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
