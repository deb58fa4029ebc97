"""Records of the files that a watch has read, small enough to be stored at every tick."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

START_BYTES = 1024
MAX_RECORDS = 500
"""Files with a record. Of older ones only a seal is stored: they are read again as a whole if they change."""


class FileChangedError(Exception):
    """A file that changed or went away between the list and its reading; it is left for the next tick."""


@dataclass(frozen=True)
class ListedFile:
    """A file, or an object of a bucket, as the source lists it.

    name       its path below the folder or prefix
    size       its bytes
    stamp      text that differs after any change; "" if the file may change without a trace, just after a change
    changed_s  time of the last change, in seconds since 1970
    age_s      time since then; infinite for what appears as a whole, as objects do
    read       function that yields the bytes between two positions; raises FileChangedError
    """

    name: str
    size: int
    stamp: str
    changed_s: float
    age_s: float
    read: Callable[[int, int], Iterator[bytes]] = field(repr=False, compare=False)

    def read_bytes(self, start: int, stop: int) -> bytes:
        """Return the bytes between two positions."""
        return b"".join(self.read(start, stop))

    @property
    def seal(self) -> str:
        """Short digest of name, size and stamp."""
        text = f"{self.name}\0{self.size}\0{self.stamp}"
        return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True)
class FileRecord:
    """Part of a file that was read.

    size, stamp  those of the list when it was last looked at
    form         a `FileForm`; "" for a file without a byte
    position     bytes that were read for good: complete rows, or all
    end          bytes that were passed on; beyond `position` is a last row without a line end
    header_start, header_end  position of the lines that name the columns
    start        digest of the first bytes of those that were read, which finds a renamed file quickly
    digest       digest of the bytes that were read
    """

    size: int = 0
    stamp: str = ""
    form: str = ""
    position: int = 0
    end: int = 0
    header_start: int = 0
    header_end: int = 0
    start: str = ""
    digest: str = ""

    def is_current(self, file: ListedFile) -> bool:
        """Tell whether `file` has not changed since, and nothing of it waits."""
        return bool(self.stamp) and (self.size, self.stamp, self.end) == (file.size, file.stamp, file.size)


@dataclass(frozen=True)
class FileState:
    """Records by the names of the files, and the seals of older files."""

    records: Mapping[str, FileRecord] = field(default_factory=dict)
    seals: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "FileState":
        """Return what `dump` wrote; an empty state for anything else."""
        try:
            records = {str(name): FileRecord(*values) for name, values in state.get("files", {}).items()}
            return cls(records, frozenset(map(str, state.get("seals", ()))))
        except (TypeError, AttributeError):
            return cls()

    def dump(self, files: Sequence[ListedFile]) -> dict[str, Any]:
        """Return the state for JSON. `files` are all files of the source; of the oldest ones only seals remain."""
        newest_first = sorted(files, key=lambda file: -file.changed_s)
        present = [file for file in newest_first if file.name in self.records]
        older = [file for file in present[MAX_RECORDS:] if self.records[file.name].is_current(file)]
        seals = {file.seal for file in files} & self.seals | {file.seal for file in older}
        sealed_names = {file.name for file in older}
        names = [file.name for file in present if file.name not in sealed_names]
        listed_names = {file.name for file in files}
        absent = [name for name in self.records if name not in listed_names]
        if len(names) < MAX_RECORDS:  # a file that is gone may come back under another name
            names += absent[-(MAX_RECORDS - len(names)) :]
        return {"files": {name: list(astuple(self.records[name])) for name in names}, "seals": sorted(seals)}
