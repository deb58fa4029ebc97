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

from core.data.dataset import make_clock_labels
from core.data.ingest.file_types import CITY_FILE_NAME, TILE_FILE_NAME
from core.data.ingest.files import SkippedFile, Source, skip_or_raise
from core.data.ingest.readers.base import MAX_CELLS, ProgressCallback, RawTable
from core.errors import InputError, UnreadableFileError
from core.messages import N_

QUARTERS_PER_DAY = 96
SKIPPED_QUARTERS = slice(8, 8)  # insert 02:00 to 02:45 as missing values when clocks go forward
DAY_STAMP = re.compile(r"20\d{6}(\.0*)?")
ACCEPTED_NAMES = "{City}_{Service}_{YYYYMMDD}_{DL|UL}.txt, {Service}_{DL|UL}_Tile_{tile}.txt"


@dataclass
class _RowBuffer:
    """Buffer of rows: quarter-hours of all rows in sequence, day and entity code of each row."""

    values: "array[float]" = field(default_factory=lambda: array("d"))
    days: list[date] = field(default_factory=list)
    codes: "array[int]" = field(default_factory=lambda: array("l"))
    entities: dict[str, int] = field(default_factory=dict)

    def add(self, entity: str, day: date, quarters: list[float]) -> None:
        self.values.extend(quarters)
        self.days.append(day)
        self.codes.append(self.entities.setdefault(entity, len(self.entities)))

    def truncate(self, rows: int) -> None:
        """Keep the first `rows` rows."""
        del self.values[rows * QUARTERS_PER_DAY :], self.days[rows:], self.codes[rows:]


def read_netmob(
    sources: Sequence[Source],
    progress: ProgressCallback,
    skipped: list[SkippedFile] | None = None,
    tiles: Collection[str] = (),
) -> RawTable:
    """Read one row per tile and day, in the order of the files.

    Its columns are tile ("Lyon · Netflix · DL · 1234"), day and 96 quarter-hours. `tiles` selects tiles; the default is
    all tiles. A file is unreadable if a line has a wrong number of quarter-hours or a date among its values. It is
    added to `skipped`; without this list, it raises UnreadableFileError.
    """
    rows = _RowBuffer()
    for number, source in enumerate(sources, start=1):
        previous_count = len(rows.days)
        try:
            for entity, day, quarters in _iter_rows(source, set(tiles)):
                rows.add(entity, day, quarters)
            if len(rows.values) > MAX_CELLS:
                raise UnreadableFileError(
                    N_("{file}: the table has {count} cells. At most {accepted} are accepted."),
                    file=source.name,
                    count=len(rows.values),
                    accepted=MAX_CELLS,
                )
        except InputError as error:
            rows.truncate(previous_count)
            skip_or_raise(skipped, source.name, error)
        progress(number / len(sources))
    if not rows.days:
        raise UnreadableFileError(N_("{file}: no row could be read."), file=name_sources(sources))
    return RawTable(name_sources(sources), _build_frame(rows))


def name_sources(sources: Sequence[Source]) -> str:
    """Return one name for several files: their common folder, else the first and the last file name."""
    if len(sources) == 1:
        return sources[0].name
    folders = {source.folder for source in sources}
    return folders.pop() if len(folders) == 1 and "" not in folders else f"{sources[0].name} … {sources[-1].name}"


def _build_frame(rows: _RowBuffer) -> pd.DataFrame:
    values = np.frombuffer(rows.values).reshape(-1, QUARTERS_PER_DAY)
    frame = pd.DataFrame(values, columns=pd.Index(make_clock_labels(QUARTERS_PER_DAY)), copy=False)
    frame.insert(0, "tile", pd.Categorical.from_codes(np.asarray(rows.codes), categories=list(rows.entities)))
    frame.insert(1, "day", pd.to_datetime(pd.Series(rows.days, dtype=object)))
    return frame


def _iter_rows(source: Source, tiles: set[str]) -> Iterator[tuple[str, date, list[float]]]:
    """Yield entity, day and quarter-hours of every line of a file."""
    entity, day, tile = _parse_file_name(source)
    if tiles and tile and tile not in tiles:
        return
    with source.path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            first_cell, _, rest = line.strip().partition(" ")
            if not first_cell or (day and tiles and first_cell not in tiles):
                continue
            if day and not first_cell.isdigit():
                raise _build_error(
                    N_("{file}, line {line}: {value!r} is not a tile number."), source, number, first_cell
                )
            yield (
                f"{entity} · {first_cell}" if day else entity,
                *_parse_day(source, number, day or first_cell, rest.split()),
            )


def _parse_file_name(source: Source) -> tuple[str, str, str]:
    """Return entity, day and tile from the name of a file; day or tile is "" if each line has its own."""
    if match := TILE_FILE_NAME.fullmatch(source.name):
        return " · ".join(match.group("service", "direction", "tile")), "", match["tile"]
    if match := CITY_FILE_NAME.fullmatch(source.name):
        return " · ".join(match.group("city", "service", "direction")), match["day"], ""
    with source.path.open(encoding="utf-8-sig", errors="replace") as file:
        first_cell = file.read(9)
    if DAY_STAMP.fullmatch(first_cell.strip()):
        name = source.name.removesuffix(".txt")
        return name, "", name
    raise UnreadableFileError(
        N_(
            "{file}: the file contains quarter-hours of tiles, but its name does not give the day. "
            "Accepted names: {accepted}."
        ),
        file=source.name,
        accepted=ACCEPTED_NAMES,
    )


def _parse_day(source: Source, number: int, stamp: str, cells: list[str]) -> tuple[date, list[float]]:
    """Return the day and its 96 quarter-hours. Raises UnreadableFileError for another number of them."""
    day = _parse_date(stamp)
    if day is None:
        raise _build_error(N_("{file}, line {line}: {value!r} is not a day (YYYYMMDD)."), source, number, stamp)
    is_clock_change = day.month == 3 and day.day > 24 and day.weekday() == 6
    if len(cells) != QUARTERS_PER_DAY and not (is_clock_change and len(cells) == QUARTERS_PER_DAY - 4):
        raise UnreadableFileError(
            N_(
                "{file}, line {line}: {day} has {count} quarter-hours. A day has {accepted} "
                "(92 when clocks go forward)."
            ),
            file=source.name,
            line=number,
            count=len(cells),
            day=str(day),
            accepted=QUARTERS_PER_DAY,
        )
    quarters = _parse_quarters(source, number, cells)
    if len(quarters) < QUARTERS_PER_DAY:
        quarters[SKIPPED_QUARTERS] = [nan] * 4
    return day, quarters


def _parse_quarters(source: Source, number: int, cells: list[str]) -> list[float]:
    try:
        values = list(map(float, cells))
    except ValueError:
        bad_cell = next(cell for cell in cells if not _is_number(cell))
        raise _build_error(N_("{file}, line {line}: {value!r} is not a number."), source, number, bad_cell) from None
    if any(value >= 2e7 for value in values):  # far above any observed traffic
        for cell in cells:
            if DAY_STAMP.fullmatch(cell) and _parse_date(cell[:8]):
                raise _build_error(
                    N_(
                        "{file}, line {line}: {value!r} is a date among the values. The lines of the file are mixed up."
                    ),
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


def _parse_date(stamp: str) -> date | None:
    try:
        return date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8])) if len(stamp) == 8 and stamp.isdigit() else None
    except ValueError:
        return None


def _build_error(template: str, source: Source, line: int, value: str) -> UnreadableFileError:
    return UnreadableFileError(template, file=source.name, line=line, value=value[:40])
