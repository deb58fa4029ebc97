"""Reader of NetMob23: mobile traffic per application and map tile every 15 minutes, in two file formats.

{City}_{Service}_{YYYYMMDD}_{DL|UL}.txt    one line per tile: the tile and its quarter-hours of one day
{Service}_{DL|UL}_Tile_{tile}.txt          one line per day, in any order: YYYYMMDD and its quarter-hours
Times are local times of France. The day on which clocks go forward has 92 quarter-hours: 03:00 follows 01:45.
"""

import re
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import nan

import numpy as np
import pandas as pd

from core.data.dataset import clock_labels
from core.data.ingest.file_types import CITY_FILE, TILE_FILE
from core.data.ingest.files import Skipped, Source, skip
from core.data.ingest.readers.base import MAX_CELLS, Progress, Table
from core.errors import InputError, UnreadableFileError
from core.messages import N_

QUARTERS = 96
LOST = slice(8, 8)  # insert 02:00 to 02:45 as missing values when clocks go forward
STAMP = re.compile(r"20\d{6}(\.0*)?")
NAMES = "{City}_{Service}_{YYYYMMDD}_{DL|UL}.txt, {Service}_{DL|UL}_Tile_{tile}.txt"


@dataclass
class _Rows:
    """Buffer of rows: quarter-hours of all rows in sequence, day and entity code of each row."""

    values: "array[float]" = field(default_factory=lambda: array("d"))
    days: list[date] = field(default_factory=list)
    codes: "array[int]" = field(default_factory=lambda: array("l"))
    entities: dict[str, int] = field(default_factory=dict)

    def add(self, entity: str, day: date, quarters: list[float]) -> None:
        self.values.extend(quarters)
        self.days.append(day)
        self.codes.append(self.entities.setdefault(entity, len(self.entities)))

    def cut(self, rows: int) -> None:
        """Keep the first `rows` rows."""
        del self.values[rows * QUARTERS :], self.days[rows:], self.codes[rows:]


def read_netmob(
    sources: Sequence[Source], progress: Progress, skipped: list[Skipped] | None = None, tiles: Collection[str] = ()
) -> Table:
    """Read one row per tile and day, in the order of the files.

    Its columns are tile ("Lyon · Netflix · DL · 1234"), day and 96 quarter-hours. `tiles` selects tiles; the default is
    all tiles. A file is unreadable if a line has a wrong number of quarter-hours or a date among its values. It is
    added to `skipped`; without this list, it raises UnreadableFileError.
    """
    rows = _Rows()
    for number, source in enumerate(sources, start=1):
        before = len(rows.days)
        try:
            for entity, day, quarters in _lines(source, set(tiles)):
                rows.add(entity, day, quarters)
            if len(rows.values) > MAX_CELLS:
                raise UnreadableFileError(
                    N_("{file}: {count} cells; at most {accepted} are read."),
                    file=source.name,
                    count=len(rows.values),
                    accepted=MAX_CELLS,
                )
        except InputError as error:
            rows.cut(before)
            skip(skipped, source.name, error)
        progress(number / len(sources))
    if not rows.days:
        raise UnreadableFileError(N_("{file}: no row could be read."), file=called(sources))
    return Table(called(sources), _frame(rows))


def called(sources: Sequence[Source]) -> str:
    """Return one name for several files: their common folder, else the first and the last file name."""
    if len(sources) == 1:
        return sources[0].name
    folders = {source.folder for source in sources}
    return folders.pop() if len(folders) == 1 and "" not in folders else f"{sources[0].name} … {sources[-1].name}"


def _frame(rows: _Rows) -> pd.DataFrame:
    values = np.frombuffer(rows.values).reshape(-1, QUARTERS)
    frame = pd.DataFrame(values, columns=pd.Index(clock_labels(QUARTERS)), copy=False)
    frame.insert(0, "tile", pd.Categorical.from_codes(np.asarray(rows.codes), categories=list(rows.entities)))
    frame.insert(1, "day", pd.to_datetime(pd.Series(rows.days, dtype=object)))
    return frame


def _lines(source: Source, tiles: set[str]) -> Iterator[tuple[str, date, list[float]]]:
    """Yield entity, day and quarter-hours of every line of a file."""
    entity, day, tile = _named(source)
    if tiles and tile and tile not in tiles:
        return
    with source.path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            first, _, rest = line.strip().partition(" ")
            if not first or (day and tiles and first not in tiles):
                continue
            if day and not first.isdigit():
                raise _refused(N_("{file}, line {line}: {value!r} is no number of a tile."), source, number, first)
            yield f"{entity} · {first}" if day else entity, *_day(source, number, day or first, rest.split())


def _named(source: Source) -> tuple[str, str, str]:
    """Return entity, day and tile from the name of a file; day or tile is "" if each line has its own."""
    if found := TILE_FILE.fullmatch(source.name):
        return " · ".join(found.group("service", "direction", "tile")), "", found["tile"]
    if found := CITY_FILE.fullmatch(source.name):
        return " · ".join(found.group("city", "service", "direction")), found["day"], ""
    with source.path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.read(9)
    if STAMP.fullmatch(first.strip()):
        name = source.name.removesuffix(".txt")
        return name, "", name
    raise UnreadableFileError(
        N_("{file}: quarter-hours of tiles, but the name does not say of which day. Accepted: {accepted}."),
        file=source.name,
        accepted=NAMES,
    )


def _day(source: Source, number: int, stamp: str, cells: list[str]) -> tuple[date, list[float]]:
    """Return the day and its 96 quarter-hours. Raises UnreadableFileError for another number of them."""
    day = _date(stamp)
    if day is None:
        raise _refused(N_("{file}, line {line}: {value!r} is no day (YYYYMMDD)."), source, number, stamp)
    forward = day.month == 3 and day.day > 24 and day.weekday() == 6
    if len(cells) != QUARTERS and not (forward and len(cells) == QUARTERS - 4):
        raise UnreadableFileError(
            N_(
                "{file}, line {line}: {count} quarter-hours on {day}; a day has {accepted} (92 when clocks go forward)."
            ),
            file=source.name,
            line=number,
            count=len(cells),
            day=str(day),
            accepted=QUARTERS,
        )
    quarters = _numbers(source, number, cells)
    if len(quarters) < QUARTERS:
        quarters[LOST] = [nan] * 4
    return day, quarters


def _numbers(source: Source, number: int, cells: list[str]) -> list[float]:
    try:
        values = list(map(float, cells))
    except ValueError:
        wrong = next(cell for cell in cells if not _is_number(cell))
        raise _refused(N_("{file}, line {line}: {value!r} is no number."), source, number, wrong) from None
    if any(value >= 2e7 for value in values):  # far above any observed traffic
        for cell in cells:
            if STAMP.fullmatch(cell) and _date(cell[:8]):
                raise _refused(
                    N_("{file}, line {line}: {value!r} among the values is a date; the lines are mixed up."),
                    source,
                    number,
                    cell,
                )
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _date(stamp: str) -> date | None:
    try:
        return date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8])) if len(stamp) == 8 and stamp.isdigit() else None
    except ValueError:
        return None


def _refused(template: str, source: Source, line: int, value: str) -> UnreadableFileError:
    return UnreadableFileError(template, file=source.name, line=line, value=value[:40])
