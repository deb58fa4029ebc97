"""Finished figures and tables of runs: made once, shared by all sessions and processes, bounded in bytes."""

import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from core.settings import ROOT
from core.storage.durable_files import write_durably

MAX_MEMORY_BYTES = 64 * 2**20
MAX_DISK_BYTES = 2**30
TRIM_SHARE = 1 / 16  # of the limit on disk, after which the folder is measured again
COMPRESSION_LEVEL = 1
LOCK_COUNT = 16
CODE_PATTERNS = ("core/**/*.py", "pages/**/*.py", "locales/**/*.po")
RENDERING_LIBRARIES = ("plotly", "pandas", "babel", "holidays")


class RenderingStore:
    """Renderings in files of `folder`, the last used ones also in memory; both as compressed bytes.

    The name of a file is a digest of what its rendering depends on, the version of the code included. A rendering is
    a copy of what its run can make again: the longest unused ones are deleted, and a file that cannot be read or
    written costs time only.
    """

    def __init__(
        self,
        folder: Path,
        code_version: str,
        *,
        max_memory_bytes: int = MAX_MEMORY_BYTES,
        max_disk_bytes: int = MAX_DISK_BYTES,
    ) -> None:
        self.folder, self.code_version = folder, code_version
        self.max_memory_bytes, self.max_disk_bytes = max_memory_bytes, max_disk_bytes
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._memory_bytes, self._unmeasured_bytes = 0, max_disk_bytes
        self._lock = threading.Lock()
        self._making_locks = tuple(threading.RLock() for _ in range(LOCK_COUNT))

    def get_or_make(self, run_id: str, key: str, make: Callable[[], bytes]) -> bytes:
        """Return the rendering `key` of a run; `make` makes it where it is not stored, for one session at a time."""
        name = hashlib.sha256("\0".join([self.code_version, run_id, key]).encode()).hexdigest()
        with self._making_locks[int(name[:8], 16) % LOCK_COUNT]:
            stored = self._read(name)
            if stored is not None:
                return stored
            body = make()
            packed = zlib.compress(body, COMPRESSION_LEVEL)
            self._remember(name, packed)
            self._write(name, packed)
            return body

    @property
    def memory_bytes(self) -> int:
        """Bytes of the renderings in memory."""
        return self._memory_bytes

    def _read(self, name: str) -> bytes | None:
        """Return a stored rendering, from memory or else from its file; None without one, or from a damaged file."""
        with self._lock:
            packed = self._entries.get(name)
            if packed is not None:
                self._entries.move_to_end(name)
        if packed is not None:
            return zlib.decompress(packed)
        path = self.folder / name
        try:
            packed = path.read_bytes()
            body = zlib.decompress(packed)
        except (OSError, zlib.error):
            return None
        with suppress(OSError):
            path.touch()  # the time of the last use, by which files are deleted
        self._remember(name, packed)
        return body

    def _remember(self, name: str, packed: bytes) -> None:
        with self._lock:
            self._memory_bytes += len(packed) - len(self._entries.pop(name, b""))
            self._entries[name] = packed
            while self._memory_bytes > self.max_memory_bytes:
                self._memory_bytes -= len(self._entries.popitem(last=False)[1])

    def _write(self, name: str, packed: bytes) -> None:
        """Write a file whole or not at all; a rendering that cannot be kept is made again."""
        try:
            write_durably(self.folder / name, packed)
        except OSError:
            return
        with self._lock:
            self._unmeasured_bytes += len(packed)
            is_trim_due = self._unmeasured_bytes > TRIM_SHARE * self.max_disk_bytes
            if is_trim_due:
                self._unmeasured_bytes = 0
        if is_trim_due:
            self._trim_folder()

    def _trim_folder(self) -> None:
        """Delete the longest unused files beyond the limit; another process may delete the same ones."""
        files = []
        for path in self.folder.iterdir():
            with suppress(OSError):
                facts = path.stat()
                files.append((facts.st_mtime_ns, facts.st_size, path))
        excess = sum(size for _, size, _ in files) - self.max_disk_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            with suppress(OSError):
                path.unlink(missing_ok=True)
            excess -= size


@cache
def compute_code_version() -> str:
    """Return a digest of the code and the texts of this process, and of the libraries that renderings depend on.

    Files count by path, size and time of change, so that a change during development counts as a version does.
    """
    hasher = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in RENDERING_LIBRARIES).encode())
    for path in sorted(path for pattern in CODE_PATTERNS for path in ROOT.glob(pattern)):
        facts = path.stat()
        hasher.update(f"{path.relative_to(ROOT)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return hasher.hexdigest()
