"""Division of files into batches of about equal size, the same for the same list of files."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

from core.batch.file_inventory import DAY_NAME, FileEntry, Folder
from core.batch.parquet_slices import MIN_SLICED_BYTES, slice_by_entity
from core.data.ingest.file_types import CITY_FILE_NAME

Grouping = Literal["", "folder", "name"]
HEAD_BYTES = 65_536
DEFAULT_ROW_BYTES = 1000.0  # for files whose row size cannot be measured
MAX_FIT_ROWS = 50_000  # per group, from evenly spread files


@dataclass(frozen=True)
class FileGroup:
    """Files whose rows form series together, mostly one file; or some entities of the files.

    files       paths relative to the folder
    rows        number of rows, estimated from the bytes
    size        bytes
    entities    tiles or entities to read; empty for all
    row_groups  first and last row group of a Parquet file that contain them; (0, −1) for other files
    """

    files: tuple[str, ...]
    rows: int
    size: int
    entities: tuple[str, ...] = ()
    row_groups: tuple[int, int] = (0, -1)

    @property
    def name(self) -> str:
        """Path of the file, or of the common folder of several files."""
        return self.files[0] if len(self.files) == 1 else self.files[0].rpartition("/")[0] or self.files[0]


@dataclass(frozen=True)
class FitTask:
    """Fit of the model of a group: the files of the training rows."""

    group: str
    files: tuple[FileGroup, ...]


@dataclass(frozen=True)
class Batch:
    """Files that one task scores with the model of its group; "" for a single model."""

    number: int
    group: str
    files: tuple[FileGroup, ...]

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(file_group.size for file_group in self.files)

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the group, files and entities."""
        description = "\n".join(f"{self.group}\0{file_group.files}\0{file_group.entities}" for file_group in self.files)
        return hashlib.sha256(description.encode(errors="surrogateescape")).hexdigest()[:16]


def iter_batches(folder: Folder, rows: int, grouping: Grouping = "") -> Iterator[FitTask | Batch]:
    """Yield batches of about `rows` rows; with `grouping`, the fit of a group precedes its batches."""
    pending, estimates = _PendingBatch(), _RowEstimator(folder.root)
    for entries in folder.iter_folders():
        for group, files in _iter_groups(_group_files(folder.root, entries, rows, estimates), grouping):
            if group != pending.group:
                yield from pending.flush()
                pending.group = group
            if grouping:
                yield FitTask(group, _sample_evenly(list(files)))
            for file_group in files:
                if pending.rows + file_group.rows > rows:
                    yield from pending.flush()
                pending.add(file_group)
    yield from pending.flush()


@dataclass
class _PendingBatch:
    """Files of the next batch, and their estimated number of rows."""

    number: int = 0
    group: str = ""
    files: list[FileGroup] = field(default_factory=list)
    rows: int = 0

    def add(self, file_group: FileGroup) -> None:
        self.files.append(file_group)
        self.rows += file_group.rows

    def flush(self) -> Iterator[Batch]:
        """Yield the batch if it has files, and start the next one."""
        if self.files:
            yield Batch(self.number, self.group, tuple(self.files))
            self.number, self.files, self.rows = self.number + 1, [], 0


def _iter_groups(files: Iterator[FileGroup], grouping: Grouping) -> Iterator[tuple[str, Iterable[FileGroup]]]:
    """Yield the files group by group; without `grouping`, one group that is not held in memory."""
    if not grouping:
        yield "", files
        return
    for group, members in groupby(files, lambda file_group: _name_group(file_group, grouping)):
        yield group, list(members)


def _name_group(file_group: FileGroup, grouping: Grouping) -> str:
    """Return the group that a model is fitted for: the folder, or the folder and the prefix of the file name.

    The prefix ends before the first "_", " " or ".". Folders named by a day belong to the folder that contains them.
    """
    folder, _, name = file_group.files[0].rpartition("/")
    folder = folder.rpartition("/")[0] if DAY_NAME.fullmatch(folder.rpartition("/")[2]) else folder
    prefix = name.replace(" ", "_").replace(".", "_").partition("_")[0]
    return f"{folder}/{prefix}".removeprefix("/") if grouping == "name" else folder or "."


def _sample_evenly(files: Sequence[FileGroup]) -> tuple[FileGroup, ...]:
    """Return evenly spread files with about MAX_FIT_ROWS rows in all."""
    rows = sum(file_group.rows for file_group in files)
    count = max(1, min(len(files), int(len(files) * MAX_FIT_ROWS / rows)))
    return tuple(files[number * len(files) // count] for number in range(count))


def _group_files(
    root: Path, entries: Sequence[FileEntry], rows: int, estimates: "_RowEstimator"
) -> Iterator[FileGroup]:
    """Yield the days of a city's service as one group, the .seq windows of a folder as one, and each other file alone.

    A group or file with many entities is divided.
    """
    merged_entries: dict[tuple[str, ...], list[FileEntry]] = {}
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        day = CITY_FILE_NAME.fullmatch(name)
        if day:
            merged_entries.setdefault(day.group("city", "service", "direction"), []).append(entry)
        elif name.endswith(".seq"):
            merged_entries.setdefault((entry.folder, ".seq"), []).append(entry)
        else:
            yield from _split_file(root, entry, rows, estimates)
    for key, members in merged_entries.items():
        paths, size = tuple(entry.path for entry in members), sum(entry.size for entry in members)
        merged_group = FileGroup(paths, estimates.estimate_rows(members), size)
        yield from (merged_group,) if ".seq" in key else _split_tiles(root, merged_group, rows)


def _split_file(root: Path, entry: FileEntry, rows: int, estimates: "_RowEstimator") -> Iterator[FileGroup]:
    """Yield a file, or a Parquet file with many entities in parts of about `rows` rows."""
    sliceable = entry.size > MIN_SLICED_BYTES and entry.path.endswith(".parquet")
    slices = slice_by_entity(root / entry.path, rows) if sliceable else []
    if not slices:
        yield FileGroup((entry.path,), estimates.estimate_rows([entry]), entry.size)
    for part in slices:
        yield FileGroup((entry.path,), part.rows, entry.size // len(slices), part.entities, part.row_groups)


def _split_tiles(root: Path, file_group: FileGroup, rows: int) -> Iterator[FileGroup]:
    """Yield a city's service in parts of about `rows` rows; every part reads some tiles of all days."""
    if file_group.rows <= rows:
        yield file_group
        return
    tiles: dict[str, None] = {}
    for path in file_group.files:
        try:
            with (root / path).open("rb") as file:
                tiles |= dict.fromkeys(line[:20].partition(b" ")[0].decode("ascii", "replace") for line in file)
        except OSError:  # the task that reads the file reports it
            continue
    parts = max(1, min(-(-file_group.rows // rows), len(tiles)))
    names = list(tiles)
    for number in range(parts):
        entities = tuple(names[number * len(names) // parts : (number + 1) * len(names) // parts])
        yield FileGroup(file_group.files, file_group.rows // parts, file_group.size // parts, entities)


class _RowEstimator:
    """Estimated number of rows in files, from their size and the row size in the first file of the same type."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._row_bytes: dict[str, float] = {}

    def estimate_rows(self, files: Sequence[FileEntry]) -> int:
        ending = Path(files[0].path).suffix.lower()
        if ending not in self._row_bytes:
            self._row_bytes[ending] = _measure_row_bytes(self._root / files[0].path, files[0].size)
        return max(1, round(sum(file.size for file in files) / self._row_bytes[ending]))


def _measure_row_bytes(path: Path, size: int) -> float:
    """Return the estimated size of a row in bytes."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".parquet":
            return max(size / max(pyarrow.parquet.read_metadata(path).num_rows, 1), 1.0)
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, pa.ArrowException):
        return DEFAULT_ROW_BYTES
    lines = head.count(b"\n")
    return len(head) / lines if lines else DEFAULT_ROW_BYTES
