"""Files that survive a killed process and a power cut: whole or absent, and checked when they are read.

A folder that is written once holds `checksums.json`, with the size and SHA-256 of its files. A single file of JSON ends
with a second line that holds its SHA-256. Data of versions without checksums are read as they are.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from mlflow_utils.sqlite_file import name_aside

logger = logging.getLogger(__name__)

CHECKSUMS_FILE = "checksums.json"
MAX_LISTED_BYTES = 1 << 16  # of a file whose checksum is compared for a list too; of larger ones, their size
_verified: dict[tuple[str, str], tuple[int, int]] = {}  # path and SHA-256 → time of the last change (ns), size


class DamagedFileError(ValueError):
    """A file whose content is not that which was written."""


def write_durably(path: Path, body: bytes) -> None:
    """Write the file atomically and flush it to disk; a draft that a killed process leaves ends in `.draft`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid4().hex}.draft")
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
    _sync(folder)


def move_durably(path: Path, target: Path) -> None:
    """Move a file or folder on the same disk. Raises OSError, FileNotFoundError if `path` is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    sync_folder(target.parent)


def get_modified_s(path: Path) -> float:
    """Return the time of the last change of a file or folder, in seconds; 0 where another process has just moved it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def move_aside(path: Path) -> Path:
    """Rename a damaged file or folder, so that a new one can take its place; return its new path."""
    target = name_aside(path)
    move_durably(path, target)
    logger.warning("%s is damaged and was moved to %s", path, target)
    return target


# ---- single files of JSON -------------------------------------------------------------------------------------------


def write_checked(path: Path, text: str) -> None:
    """Write one line of JSON and its checksum as `write_durably` does."""
    body = text.encode()
    write_durably(path, body + b"\n" + json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n")


def read_checked(path: Path) -> bytes:
    """Return the JSON that `write_checked` wrote, or that of a file without a checksum.

    Raises DamagedFileError if it has another checksum, and OSError.
    """
    body, newline, checksum = path.read_bytes().partition(b"\n")
    if newline and checksum.strip():
        try:
            is_intact = json.loads(checksum)["sha256"] == hashlib.sha256(body).hexdigest()
        except (ValueError, LookupError, TypeError):
            is_intact = False
        if not is_intact:
            raise DamagedFileError(path.name)
    return body


# ---- folders that are written once ----------------------------------------------------------------------------------


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Write a folder atomically: `write` gets an empty folder, which appears under its name when it is complete.

    A folder of this name is replaced. A draft that a killed process leaves begins with a dot. Raises OSError if it
    cannot be written; nothing changes then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft, former = (folder.parent / f".{folder.name}-{uuid4().hex}" for _ in range(2))
    draft.mkdir()
    try:
        write(draft)
        seal_folder(draft)
        with suppress(FileNotFoundError):
            folder.rename(former)
        draft.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def seal_folder(folder: Path) -> None:
    """Flush all files of a folder to disk, and write down their sizes and checksums. Raises OSError."""
    checksums = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != CHECKSUMS_FILE:
            _sync(path)
            checksums[name] = {"bytes": path.stat().st_size, "sha256": _compute_sha256(path)}
    for path in folder.rglob("*"):
        if path.is_dir():
            _sync(path)
    write_durably(folder / CHECKSUMS_FILE, json.dumps(checksums, ensure_ascii=False, indent=1).encode())


def is_sealed(folder: Path) -> bool:
    """Tell whether the folder has checksums; those of earlier versions have none."""
    return (folder / CHECKSUMS_FILE).is_file()


def find_damage(folder: Path, part: str = "", *, for_list: bool = False) -> str:
    """Return the name of the first file that is missing or is not as it was written; "" for none.

    A file is read once per process, and again when its time or size has changed.

    part      only this file or folder below `folder`; "" for all
    for_list  True compares only the size of a large file
    """
    try:
        checksums = json.loads((folder / CHECKSUMS_FILE).read_text(encoding="utf-8"))
        expected = [(str(name), int(entry["bytes"]), str(entry["sha256"])) for name, entry in checksums.items()]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return CHECKSUMS_FILE
    for name, size, sha256 in expected:
        is_wanted = not part or name == part or name.startswith(f"{part}/")
        if is_wanted and not _is_intact(folder / name, size, sha256, for_list):
            return name
    return ""


def _is_intact(path: Path, size: int, sha256: str, for_list: bool) -> bool:
    try:
        status = path.stat()
        if status.st_size != size:
            return False
        state = status.st_mtime_ns, status.st_size
        if (for_list and size > MAX_LISTED_BYTES) or _verified.get((str(path), sha256)) == state:
            return True
        if _compute_sha256(path) != sha256:
            return False
    except OSError:
        return False
    _verified[str(path), sha256] = state
    return True


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
