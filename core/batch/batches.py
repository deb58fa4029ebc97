"""Files → batches of some ten thousand rows, always the same ones for the same list of files."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

from core.batch.listing import DAY, Folder, Found
from core.batch.parquet import MANY_BYTES, entity_parts
from core.data.ingest.file_types import CITY_FILE

Per = Literal["", "folder", "name"]
HEAD = 65_536
USUAL_LINE = 1000.0  # bytes per row, of files that tell nothing
LEARNT_ROWS = 50_000  # of a group, at most, from files spread evenly over it


@dataclass(frozen=True)
class Unit:
    """Files whose rows make series together, mostly one; or some entities of them.

    files   paths below the folder
    rows    about how many there are, from the bytes
    wanted  the tiles, or entities, that are meant; empty for all
    groups  the first and last row group of a Parquet file that they are in
    """

    files: tuple[str, ...]
    rows: int
    size: int
    wanted: tuple[str, ...] = ()
    groups: tuple[int, int] = (0, -1)

    @property
    def name(self) -> str:
        """What the files are called together: the one, or the folder they lie in."""
        return self.files[0] if len(self.files) == 1 else self.files[0].rpartition("/")[0] or self.files[0]


@dataclass(frozen=True)
class Learning:
    """The files that a group's model learns from."""

    group: str
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class Batch:
    """What one task scores, with the model of its group ("": there is one model)."""

    number: int
    group: str
    units: tuple[Unit, ...]

    @property
    def size(self) -> int:
        return sum(unit.size for unit in self.units)

    @property
    def digest(self) -> str:
        """Of what is read."""
        told = "\n".join(f"{self.group}\0{unit.files}\0{unit.wanted}" for unit in self.units)
        return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]


def batches(folder: Folder, rows: int, per: Per = "") -> Iterator[Learning | Batch]:
    """Yield batches of about `rows` rows.

    With `per`, what a group's model learns from comes before the batches of the group.
    """
    waiting, sizes = _Waiting(), _Sizes(folder.place)
    for room in folder.rooms():
        for group, own in _grouped(_units(folder.place, room, rows, sizes), per):
            if group != waiting.group:
                yield from waiting.batch()
                waiting.group = group
            if per:
                yield Learning(group, _spread(list(own)))
            for unit in own:
                if waiting.count + unit.rows > rows:
                    yield from waiting.batch()
                waiting.add(unit)
    yield from waiting.batch()


@dataclass
class _Waiting:
    """The units of the next batch, and their rows."""

    number: int = 0
    group: str = ""
    units: list[Unit] = field(default_factory=list)
    count: int = 0

    def add(self, unit: Unit) -> None:
        self.units.append(unit)
        self.count += unit.rows

    def batch(self) -> Iterator[Batch]:
        """The batch, where there is any unit; the next one begins."""
        if self.units:
            yield Batch(self.number, self.group, tuple(self.units))
            self.number, self.units, self.count = self.number + 1, [], 0


def _grouped(units: Iterator[Unit], per: Per) -> Iterator[tuple[str, Iterable[Unit]]]:
    """The units of one group after the other; they come as they are found where there is but one."""
    if not per:
        yield "", units
        return
    for group, own in groupby(units, lambda unit: _group(unit, per)):
        yield group, list(own)


def _group(unit: Unit, per: Per) -> str:
    """Name the group a model is fitted for.

    It is the folder, or within it the files whose names begin alike, up to the first "_", " " or ".".
    """
    if per == "":
        return ""
    room, _, name = unit.files[0].rpartition("/")
    room = room.rpartition("/")[0] if DAY.fullmatch(room.rpartition("/")[2]) else room
    first = name.replace(" ", "_").replace(".", "_").partition("_")[0]
    return f"{room}/{first}".removeprefix("/") if per == "name" else room or "."


def _spread(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """As many as hold LEARNT_ROWS rows, evenly spread."""
    rows = sum(unit.rows for unit in units)
    count = max(1, min(len(units), int(len(units) * LEARNT_ROWS / rows)))
    return tuple(units[place * len(units) // count] for place in range(count))


def _units(place: Path, room: Sequence[Found], rows: int, sizes: "_Sizes") -> Iterator[Unit]:
    """Put the days of a city's service together, windows together, and each other file alone.

    What holds many entities is divided.
    """
    together: dict[tuple[str, ...], list[Found]] = {}
    for each in room:
        name = each.path.rpartition("/")[2]
        day = CITY_FILE.fullmatch(name)
        if day:
            together.setdefault(day.group("city", "service", "direction"), []).append(each)
        elif name.endswith(".seq"):
            together.setdefault((each.room, ".seq"), []).append(each)
        else:
            yield from _alone(place, each, rows, sizes)
    for key, files in together.items():
        whole = Unit(tuple(each.path for each in files), sizes.rows(files), sum(each.size for each in files))
        yield from (whole,) if ".seq" in key else _tiles(place, whole, rows)


def _alone(place: Path, found: Found, rows: int, sizes: "_Sizes") -> Iterator[Unit]:
    parts = (
        entity_parts(place / found.path, rows) if found.size > MANY_BYTES and found.path.endswith(".parquet") else []
    )
    if not parts:
        yield Unit((found.path,), sizes.rows([found]), found.size)
    for part in parts:
        yield Unit((found.path,), part.rows, found.size // len(parts), part.entities, part.groups)


def _tiles(place: Path, whole: Unit, rows: int) -> Iterator[Unit]:
    """A city's service in parts of about `rows` rows: every part reads all days, and takes its tiles out of them."""
    if whole.rows <= rows:
        yield whole
        return
    tiles: dict[str, None] = {}
    for path in whole.files:
        try:
            with (place / path).open("rb") as file:
                tiles |= dict.fromkeys(line[:20].partition(b" ")[0].decode("ascii", "replace") for line in file)
        except OSError:  # told by whoever reads it
            continue
    parts = max(1, min(-(-whole.rows // rows), len(tiles)))
    names = list(tiles)
    for number in range(parts):
        wanted = tuple(names[number * len(names) // parts : (number + 1) * len(names) // parts])
        yield Unit(whole.files, whole.rows // parts, whole.size // parts, wanted)


class _Sizes:
    """How many rows files have, by their bytes and the bytes per row in the first file with such an ending."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._known: dict[str, float] = {}

    def rows(self, files: Sequence[Found]) -> int:
        ending = Path(files[0].path).suffix.lower()
        if ending not in self._known:
            self._known[ending] = _row_bytes(self._place / files[0].path, files[0].size)
        return max(1, round(sum(each.size for each in files) / self._known[ending]))


def _row_bytes(path: Path, size: int) -> float:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".parquet":
            return max(size / max(pyarrow.parquet.read_metadata(path).num_rows, 1), 1.0)
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, pa.ArrowException):
        return USUAL_LINE
    lines = head.count(b"\n")
    return len(head) / lines if lines else USUAL_LINE
