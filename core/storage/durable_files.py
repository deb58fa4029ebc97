"""Small files that survive a killed process and a power cut: whole or absent."""

import os
from pathlib import Path
from uuid import uuid4


def write_durably(path: Path, body: bytes) -> None:
    """Write the file atomically and flush it to disk; a draft that a killed process leaves ends in `.draft`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{uuid4().hex}.draft")
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the directory entries of `folder`, so that they survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
