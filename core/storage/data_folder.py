"""The data folder: private to its owner, and of a format that this version of the code can read."""

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from core import __version__
from core.errors import VigieError
from core.messages import N_
from core.storage.durable_files import write_durably
from core.storage.uploads import merge_former_stores

FORMAT_FILE = "format.json"
PRIVATE_UMASK, PRIVATE_MODE = 0o077, 0o700
LOCK_TIMEOUT_S = 20.0


def restrict_new_files() -> None:
    """Let this process and its child processes create files and folders that only their owner can read."""
    os.umask(PRIVATE_UMASK)


def _close_to_others(folder: Path) -> None:
    """Close the folder to other users of the machine; files of earlier versions below it were open to them."""
    with suppress(PermissionError):  # a mounted folder of another owner, whose access is not ours to change
        folder.chmod(PRIVATE_MODE)


MIGRATIONS: tuple[Callable[[Path], None], ...] = (_close_to_others, merge_former_stores)
"""Steps from format 1, which has no file of its format, to the current one. A step may be repeated after a crash."""
CURRENT_FORMAT = 1 + len(MIGRATIONS)


def open_data_folder(folder: Path) -> None:
    """Create the data folder if it is missing, and bring one of an earlier version up to date.

    Raises VigieError for a folder of a later version, which this one could damage, and for one that cannot be written
    to. A folder that was up to date before it became read-only, or its disk full, can be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if read_format(folder) != CURRENT_FORMAT:
            with FileLock(folder / "format.lock", timeout=LOCK_TIMEOUT_S):
                _migrate(folder)
    except OSError as error:
        raise VigieError(
            N_("The data folder {folder} cannot be used ({reason}). Set VIGIE_DATA_DIR to a folder that is writable."),
            folder=str(folder),
            reason=error.strerror or str(error),
        ) from error


def _migrate(folder: Path) -> None:
    start = read_format(folder)
    for number in range(start, CURRENT_FORMAT):
        MIGRATIONS[number - 1](folder)
    entry = {"format": CURRENT_FORMAT, "version": __version__, "written": datetime.now(UTC).isoformat()}
    write_durably(folder / FORMAT_FILE, json.dumps(entry).encode())


def read_format(folder: Path) -> int:
    """Return the format of a data folder; 1 without a readable file. Raises VigieError for that of a later version."""
    try:
        entry = json.loads((folder / FORMAT_FILE).read_text(encoding="utf-8"))
        number, version = int(entry["format"]), str(entry["version"])
    except (OSError, ValueError, LookupError, TypeError):
        return 1
    if number > CURRENT_FORMAT:
        raise VigieError(
            N_(
                "The data folder {folder} was written by version {version} of Vigie, which is newer than this one. "
                "Install that version, or set VIGIE_DATA_DIR to another folder. Nothing was changed."
            ),
            folder=str(folder),
            version=version[:40],
        )
    return max(number, 1)


def explain_full_disk(error: BaseException, folder: Path) -> VigieError | None:
    """Return the error that tells users of a full disk below the data folder; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return VigieError(
        N_(
            "The disk of the data folder {folder} is full, so this result was not saved. "
            "Free some space and try again. Results saved before are not affected."
        ),
        folder=str(folder),
    )
