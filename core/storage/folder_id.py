"""The id of a data folder, by which a database that several data folders share tells them apart."""

from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from core.storage.durable_files import write_durably

LOCK_TIMEOUT_S = 1


def load_folder_id(folder: Path) -> str:
    """Return the id in `folder`/workspace.id; the first call creates it. Raises OSError."""
    file = folder / "workspace.id"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "workspace.lock", timeout=LOCK_TIMEOUT_S):
        if not file.exists():
            write_durably(file, uuid4().hex.encode())
    return file.read_text()
