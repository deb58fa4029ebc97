"""Backups of a data folder: a ZIP archive, consistent while the product runs, and checked before it is restored.

SQLite files are copied first, each at one instant, the runs before MLflow: every file that a record names has been
written before the record. The archive ends with a list of all files with their sizes and SHA-256.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any
from uuid import uuid4

from filelock import FileLock, Timeout

from core import __version__
from core.errors import ServiceUnavailableError, UnreadableFileError, VigieError
from core.messages import N_
from core.storage.data_folder import CURRENT_FORMAT, open_data_folder, read_format
from core.storage.durable_files import move_durably
from mlflow_utils.sqlite_file import ASIDE_MARK, COMPANIONS
from mlflow_utils.store_upgrade import copy_database

BACKUP_FOLDER = "backups"  # where upgrades put theirs
LEFT_OUT = (BACKUP_FOLDER, "renderings", "staged-uploads", "jobs/raw-uploads", "arrivals")
"""What can be made again, belongs to open tabs, or is personal data that are deleted when their job ends."""
TEMPORARY = re.compile(r"\.(.+-)?[0-9a-f]{32}|\.(backup|fetch|upgrade)-.*|.*\.(draft|lock|patched)")
FIRST_DATABASE = "runs/spool.db"  # a run that is missing here is taken for lost; one that is missing in MLflow is sent
CONTENTS = "backup.json"
KIND, ARCHIVE_FORMAT = "backup of a Vigie data folder", 1
MAX_CONTENTS_BYTES = 1 << 30
SQLITE_HEADER = b"SQLite format 3\0"
BLOCK_BYTES = 1 << 20
COMPRESSED_SUFFIXES = (".parquet", ".npz", ".zip", ".gz", ".skops", ".png", ".xlsx")
READ_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, ArithmeticError),
    *(LookupError, TypeError, AttributeError, RuntimeError),
)
"""Errors of a damaged or hostile archive."""
LOCK_FILE = "retention.lock"  # nothing is deleted by `prune` while a backup is made


@dataclass(frozen=True)
class Backup:
    """The number of files in an archive, their size, and the version that wrote it."""

    files: int
    total_bytes: int
    version: str


@dataclass
class _Contents:
    """Files of an archive with size, SHA-256 and time of change (ns), and its folders with their times."""

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)


# ---- writing --------------------------------------------------------------------------------------------------------


def write_backup(folder: Path, archive: Path) -> Backup:
    """Write the data folder to the file `archive`, which appears when it is complete.

    Raises VigieError if the folder holds no data, the file exists, or a SQLite file is damaged; OSError, for instance
    for a full disk.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise VigieError(N_("The data folder {folder} is empty. There is nothing to back up."), folder=str(folder))
    if archive.exists():
        raise VigieError(N_("{file} exists already. Choose another name for the backup."), file=str(archive))
    draft = archive.with_name(f"{archive.name}.{uuid4().hex}.draft")
    try:
        with lock_deletions(folder), TemporaryDirectory(prefix=".backup-", dir=archive.parent) as temp_folder:
            contents = _write_archive(folder, draft, Path(temp_folder))
        move_durably(draft, archive)
    finally:
        draft.unlink(missing_ok=True)
    return Backup(len(contents.files), sum(facts["bytes"] for facts in contents.files.values()), __version__)


@contextmanager
def lock_deletions(folder: Path) -> Iterator[None]:
    """Keep backups and `prune` apart. Raises ServiceUnavailableError while another one runs."""
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            yield
    except Timeout as error:
        raise ServiceUnavailableError(
            N_("Another backup or prune works on the data folder {folder}. Try again when it has ended."),
            folder=str(folder),
        ) from error


def _write_archive(folder: Path, draft: Path, temp_folder: Path) -> _Contents:
    contents = _Contents()
    paths = list(_walk(folder))
    databases = [path for path in paths if path.is_file() and _is_database(path)]
    databases.sort(key=lambda path: path.relative_to(folder).as_posix() != FIRST_DATABASE)
    copies = {path: temp_folder / str(number) for number, path in enumerate(databases)}
    for path, copy in copies.items():
        _copy_database(path, copy)
        shutil.copystat(path, copy)
    with draft.open("xb") as file:
        with zipfile.ZipFile(file, "w", compresslevel=1) as target:
            # the files again, because a record of a database may name one that is newer than the first list
            for path in [*copies, *(path for path in _walk(folder) if path not in copies)]:
                name = path.relative_to(folder).as_posix()
                if path.is_dir():
                    contents.folders[name] = path.stat().st_mtime_ns
                elif path in copies or not _is_database(path):  # a database of this instant is newer than the others
                    _add_file(target, name, copies.get(path, path), contents)
            entry = {"kind": KIND, "archive": ARCHIVE_FORMAT, "format": read_format(folder), "version": __version__}
            entry |= {"written": datetime.now(UTC).isoformat(timespec="seconds"), "left_out": LEFT_OUT}
            target.writestr(CONTENTS, json.dumps(entry | vars(contents)), zipfile.ZIP_DEFLATED)
        file.flush()
        os.fsync(file.fileno())
    return contents


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the folders and files to keep. A link to a folder elsewhere is followed, once."""
    status = folder.stat()
    yield from _walk_folder(folder, folder, {(status.st_dev, status.st_ino)})


def _walk_folder(folder: Path, parent: Path, visited: set[tuple[int, int]]) -> Iterator[Path]:
    for path in sorted(parent.iterdir()):
        name = path.relative_to(folder).as_posix()
        is_companion = name.endswith(COMPANIONS) and _is_database(path.with_name(path.name.rpartition("-")[0]))
        if name in LEFT_OUT or TEMPORARY.fullmatch(path.name) or is_companion:
            continue
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) not in visited:
                    visited.add((status.st_dev, status.st_ino))
                    yield path
                    yield from _walk_folder(folder, path, visited)
            elif stat.S_ISREG(status.st_mode):
                yield path
        except FileNotFoundError:  # deleted meanwhile, or a link that leads nowhere
            continue


def _is_database(path: Path) -> bool:
    """Tell whether a file is one of SQLite; one that was moved aside is kept byte by byte, as it may be damaged."""
    if ASIDE_MARK in path.name:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER
    except FileNotFoundError:
        return False


def _copy_database(path: Path, copy: Path) -> None:
    try:
        copy_database(path, copy)
    except sqlite3.Error as error:
        raise VigieError(
            N_("{file} cannot be backed up ({reason}). The page Health tells about damaged files."),
            file=str(path),
            reason=error,
        ) from error


def _add_file(target: zipfile.ZipFile, name: str, path: Path, contents: _Contents) -> None:
    """Add a file as it is now; what is appended meanwhile is left out, and so is a file that is gone."""
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return
    with source:
        status = os.fstat(source.fileno())
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_STORED if name.endswith(COMPRESSED_SUFFIXES) else zipfile.ZIP_DEFLATED
        entry.file_size = status.st_size
        with target.open(entry, "w") as body:
            size, digest = _copy_bytes(source, body, status.st_size)
    contents.files[name] = {"bytes": size, "sha256": digest, "changed": status.st_mtime_ns}


def _copy_bytes(source: IO[bytes], target: IO[bytes], limit: int) -> tuple[int, str]:
    """Copy at most `limit` bytes; return their number and SHA-256."""
    digest, left = hashlib.sha256(), limit
    while left and (block := source.read(min(left, BLOCK_BYTES))):
        digest.update(block)
        target.write(block)
        left -= len(block)
    return limit - left, digest.hexdigest()


# ---- restoring ------------------------------------------------------------------------------------------------------


def restore_backup(archive: Path, folder: Path) -> Backup:
    """Unpack a backup into an empty or missing data folder, and bring it to the format of this version.

    Nothing appears in the folder before every file has been checked. Raises UnreadableFileError for an archive that is
    incomplete, damaged, of a later version or no backup, VigieError for a folder that is not empty, and OSError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VigieError(
            N_("{folder} is not empty. A backup is restored into an empty folder. Set VIGIE_DATA_DIR to another one."),
            folder=str(folder),
        )
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".restore-{uuid4().hex}"
    draft.mkdir()
    try:
        with _open_archive(archive) as (source, entry):
            contents = _check_contents(source, entry, archive)
            _check_space(contents, folder)
            _unpack(source, contents, draft)
        for path in sorted(draft.iterdir()):
            move_durably(path, folder / path.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    open_data_folder(folder)
    total_bytes = sum(facts["bytes"] for facts in contents.files.values())
    return Backup(len(contents.files), total_bytes, str(entry["version"]))


@contextmanager
def _open_archive(archive: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """Yield an archive and its list of contents. Raises UnreadableFileError, also for what is found inside later."""
    try:
        with zipfile.ZipFile(archive) as source:
            if source.getinfo(CONTENTS).file_size > MAX_CONTENTS_BYTES:
                raise ValueError(f"{CONTENTS} is too large")
            entry = json.loads(source.read(CONTENTS))
            if not isinstance(entry, dict) or entry.get("kind") != KIND:
                raise ValueError(f"{CONTENTS} is of another program")
            yield source, entry
    except FileNotFoundError as error:
        raise UnreadableFileError(N_("The file {file} does not exist."), file=str(archive)) from error
    except READ_ERRORS as error:
        raise UnreadableFileError(
            N_("{file} is not a complete backup of Vigie ({reason}). Nothing was restored."),
            file=archive.name,
            reason=" ".join(str(error).split()) or type(error).__name__,
        ) from error


def _check_contents(source: zipfile.ZipFile, entry: dict[str, Any], archive: Path) -> _Contents:
    """Return the contents. Raises UnreadableFileError for a later version, ValueError for a faulty list."""
    if int(entry["archive"]) > ARCHIVE_FORMAT or int(entry["format"]) > CURRENT_FORMAT:
        raise UnreadableFileError(
            N_("{file} was written by version {version} of Vigie, which is newer than this one. Nothing was restored."),
            file=archive.name,
            version=str(entry["version"])[:40],
        )
    contents = _Contents(dict(entry["files"]), {name: int(changed) for name, changed in entry["folders"].items()})
    names = [info.filename for info in source.infolist()]
    if sorted(names) != sorted([*contents.files, CONTENTS]):
        raise ValueError("its list of files does not match")
    _check_names(contents)
    for info in source.infolist():
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise ValueError(f"{info.filename} is a link or a device")
        if info.filename != CONTENTS and info.file_size != contents.files[info.filename]["bytes"]:
            raise ValueError(f"{info.filename} has another size")
    return contents


def _check_names(contents: _Contents) -> None:
    """Raise ValueError for a name that leads out of the folder, or that is a file and a folder."""
    parents: set[str] = set(contents.folders)
    for name in (*contents.files, *contents.folders):
        path = PurePosixPath(name)
        is_plain = name == path.as_posix() and "\\" not in name and "\0" not in name
        if not is_plain or path.is_absolute() or not path.parts or ".." in path.parts:
            raise ValueError(f"{name!r} is no path inside the data folder")
        parents |= {str(parent) for parent in path.parents}
    if both := parents & set(contents.files):
        raise ValueError(f"{min(both)!r} is a file and a folder")


def _check_space(contents: _Contents, folder: Path) -> None:
    needed, free = sum(int(facts["bytes"]) for facts in contents.files.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise VigieError(
            N_("The backup needs {needed} MB, and {free} MB are free for {folder}."),
            needed=needed >> 20,
            free=free >> 20,
            folder=str(folder),
        )


def _unpack(source: zipfile.ZipFile, contents: _Contents, draft: Path) -> None:
    """Write all files below `draft`. Raises ValueError for a file with another checksum."""
    for name in contents.folders:
        (draft / name).mkdir(parents=True, exist_ok=True)
    for name, facts in contents.files.items():
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with source.open(name) as body, path.open("xb") as target:
            size, digest = _copy_bytes(body, target, int(facts["bytes"]))
            if (size, digest) != (facts["bytes"], facts["sha256"]) or body.read(1):
                raise ValueError(f"{name} is damaged")
            target.flush()
            os.fsync(target.fileno())
        os.utime(path, ns=(int(facts["changed"]),) * 2)
    for name, changed in contents.folders.items():  # now, because a folder is changed by what is put into it
        os.utime(draft / name, ns=(changed, changed))
