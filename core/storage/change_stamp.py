"""A mark that something stored was changed, so that the caches of all processes read it again."""

from pathlib import Path

from core.storage.durable_files import write_durably


class ChangeStamp:
    """The time of the last change, as that of the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> None:
        """Record a change now. Raises OSError."""
        write_durably(self.path, b"")

    def read(self) -> int:
        """Return a number that is another one after each change; 0 before the first."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0
