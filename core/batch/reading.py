"""Units → datasets; what cannot be read is listed and does not stop the others."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from core.batch.batches import Unit
from core.batch.parquet import read_part
from core.data.dataset import Dataset
from core.data.ingest.file_types import CITY_FILE, TILE_FILE
from core.data.ingest.files import Skipped, Source
from core.data.ingest.layouts.netmob import NetMob
from core.data.ingest.loading import load, without_repeats
from core.data.ingest.readers import no_progress
from core.data.ingest.readers.netmob import read_netmob
from core.errors import InputError
from core.messages import N_, Text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """A dataset, and the file that each of its entities comes from; `name` for those that are not listed."""

    dataset: Dataset
    name: str
    files: Mapping[str, str]

    def file(self, entity: str) -> str:
        return self.files.get(entity, self.name)


def read(place: Path, units: Sequence[Unit], skipped: list[Skipped]) -> Iterator[Material]:
    """The datasets of `units` below the folder `place`; files that cannot be read join `skipped` with the reason."""
    for (tiles, _), group in groupby(units, _together):
        if tiles:
            yield from _tiles(place, [unit.files[0] for unit in group], skipped)
        else:
            for unit in group:
                yield from _one(place, unit, skipped)


def _together(unit: Unit) -> tuple[bool, str]:
    """Tiles that lie in one folder are read at once."""
    room, _, name = unit.files[0].rpartition("/")
    tile = len(unit.files) == 1 and TILE_FILE.fullmatch(name) is not None
    return tile, room if tile else ""


def _tiles(place: Path, files: list[str], skipped: list[Skipped]) -> Iterator[Material]:
    """One file per tile; a file without any row is told, too."""
    named = {_entity(path): path for path in files}
    before = len(skipped)
    dataset = _netmob(place, files, (), skipped)
    there = set(dataset.entities) if dataset is not None else set()
    known = {each.file for each in skipped[before:]} | {named[entity] for entity in there}
    skipped += [
        Skipped(path, Text(N_("{file}: the file is empty."), {"file": path})) for path in files if path not in known
    ]
    if dataset is not None:
        yield Material(dataset, "", named)


def _entity(path: str) -> str:
    found = TILE_FILE.fullmatch(path.rpartition("/")[2])
    assert found is not None
    return " · ".join(found.group("service", "direction", "tile"))


def _one(place: Path, unit: Unit, skipped: list[Skipped]) -> Iterator[Material]:
    """A unit by itself. Whatever a file does to its reader, the files after it are read."""
    try:
        dataset = _dataset(place, unit, skipped)
    except InputError as error:
        skipped.append(Skipped(unit.name, error.text))
    except Exception as error:
        logger.warning("%s could not be read", unit.name, exc_info=True)
        skipped.append(_unreadable(unit.name, error))
    else:
        if dataset is not None:
            yield Material(dataset, unit.name, {})


def _dataset(place: Path, unit: Unit, skipped: list[Skipped]) -> Dataset | None:
    if CITY_FILE.fullmatch(unit.files[0].rpartition("/")[2]):
        return _netmob(place, list(unit.files), unit.wanted, skipped)
    if unit.wanted:
        return read_part(place / unit.files[0], unit.wanted, unit.groups)
    if len(unit.files) == 1:
        return load([place / unit.files[0]])
    return load([place / path for path in unit.files], skipped=skipped)


def _netmob(place: Path, files: list[str], tiles: Sequence[str], skipped: list[Skipped]) -> Dataset | None:
    """Files of tiles, without looking at their bytes first: the reader takes numbers and nothing else.

    None where no row is left.
    """
    path_of = {path.rpartition("/")[2]: path for path in files}
    sources = [Source(place / path, name, "netmob") for name, path in path_of.items()]
    refused: list[Skipped] = []
    try:
        table = read_netmob(sources, no_progress, refused, tiles)
    except OSError as error:
        gone = next((path for path in files if str(place / path) == error.filename), "")
        skipped.append(_unreadable(gone or files[0], error))
        rest = [path for path in files if path != gone]
        return _netmob(place, rest, tiles, skipped) if gone and rest else None
    except InputError as error:
        skipped += _called(refused, path_of) or [Skipped(path, error.text) for path in files]
        return None
    skipped += _called(refused, path_of)
    layout = NetMob()
    return without_repeats(layout.build(table, layout.roles(table.frame) or {}, ""))


def _called(refused: list[Skipped], path_of: Mapping[str, str]) -> list[Skipped]:
    """With the paths below the folder as names."""
    return [Skipped(path_of.get(each.file, each.file), each.reason) for each in refused]


def _unreadable(path: str, error: Exception) -> Skipped:
    reason = (
        error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"[:200]
    )
    return Skipped(path, Text(N_("{file}: cannot be read ({reason})."), {"file": path, "reason": reason}))
