"""Reading of file groups into datasets; an unreadable file is listed and does not stop the others."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from core.batch.batches import FileGroup
from core.batch.parquet_slices import read_slice
from core.data.dataset import Dataset
from core.data.ingest.concatenation import drop_duplicate_rows
from core.data.ingest.file_types import CITY_FILE_NAME, TILE_FILE_NAME
from core.data.ingest.files import SkippedFile, Source
from core.data.ingest.layouts.netmob import NetMob
from core.data.ingest.loading import load
from core.data.ingest.readers import ignore_progress
from core.data.ingest.readers.netmob import read_netmob
from core.data.nameless import name_by_file
from core.errors import InputError
from core.messages import N_, Message

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceDataset:
    """Dataset with the source file of each entity; `name` is the file of entities that `files` does not list."""

    dataset: Dataset
    name: str
    files: Mapping[str, str]

    def get_file(self, entity: str) -> str:
        """Return the source file of an entity."""
        return self.files.get(entity, self.name)

    @property
    def file_names(self) -> list[str]:
        """All source files of the dataset."""
        return [self.name] if self.name else sorted({self.get_file(entity) for entity in self.dataset.entities})


def read_files(root: Path, files: Sequence[FileGroup], skipped: list[SkippedFile]) -> Iterator[SourceDataset]:
    """Yield the datasets of `files` in `root`; unreadable files are added to `skipped` with the reason."""
    for (is_tile, _), group in groupby(files, _find_tile_folder):
        if is_tile:
            yield from _read_tiles(root, [file_group.files[0] for file_group in group], skipped)
        else:
            for file_group in group:
                yield from _read_group(root, file_group, skipped)


def _find_tile_folder(file_group: FileGroup) -> tuple[bool, str]:
    """Return whether the group is one tile, and the folder of the tile: tiles of one folder are read at once."""
    folder, _, name = file_group.files[0].rpartition("/")
    is_tile = len(file_group.files) == 1 and TILE_FILE_NAME.fullmatch(name) is not None
    return is_tile, folder if is_tile else ""


def _read_tiles(root: Path, paths: list[str], skipped: list[SkippedFile]) -> Iterator[SourceDataset]:
    """Yield all tiles as one dataset. A file without rows is added to `skipped`."""
    path_by_entity = {_parse_tile_entity(path): path for path in paths}
    skipped_before = len(skipped)
    dataset = _load_netmob(root, paths, (), skipped)
    entities = set(dataset.entities) if dataset is not None else set()
    reported_paths = {skip.file for skip in skipped[skipped_before:]} | {path_by_entity[entity] for entity in entities}
    skipped += [
        SkippedFile(path, Message(N_("{file}: the file is empty."), {"file": path}))
        for path in paths
        if path not in reported_paths
    ]
    if dataset is not None:
        yield SourceDataset(dataset, "", path_by_entity)


def _parse_tile_entity(path: str) -> str:
    match = TILE_FILE_NAME.fullmatch(path.rpartition("/")[2])
    assert match is not None
    return " · ".join(match.group("service", "direction", "tile"))


def _read_group(root: Path, file_group: FileGroup, skipped: list[SkippedFile]) -> Iterator[SourceDataset]:
    """Yield the dataset of a group. An error of any type skips the group, so that the next groups are read."""
    try:
        dataset = _load_group(root, file_group, skipped)
    except InputError as error:
        skipped.append(SkippedFile(file_group.name, error.message))
    except Exception as error:
        logger.warning("%s could not be read", file_group.name, exc_info=True)
        skipped.append(_build_unreadable_file(file_group.name, error))
    else:
        if dataset is not None:
            yield SourceDataset(name_by_file(dataset), file_group.name, {})


def _load_group(root: Path, file_group: FileGroup, skipped: list[SkippedFile]) -> Dataset | None:
    files, entities = file_group.files, file_group.entities
    if CITY_FILE_NAME.fullmatch(files[0].rpartition("/")[2]):
        return _load_netmob(root, list(files), entities, skipped)
    if entities:
        return read_slice(root / files[0], entities, file_group.row_groups)
    if len(files) == 1:
        return load([root / files[0]])
    return load([root / path for path in files], skipped=skipped)


def _load_netmob(root: Path, paths: list[str], tiles: Sequence[str], skipped: list[SkippedFile]) -> Dataset | None:
    """Read files of tiles without type detection, because the reader accepts numbers only.

    Return None if no row is left.
    """
    path_by_name = {path.rpartition("/")[2]: path for path in paths}
    sources = [Source(root / path, name, "netmob") for name, path in path_by_name.items()]
    skipped_files: list[SkippedFile] = []
    try:
        table = read_netmob(sources, ignore_progress, skipped_files, tiles)
    except OSError as error:
        missing_path = next((path for path in paths if str(root / path) == error.filename), "")
        skipped.append(_build_unreadable_file(missing_path or paths[0], error))
        remaining_paths = [path for path in paths if path != missing_path]
        return _load_netmob(root, remaining_paths, tiles, skipped) if missing_path and remaining_paths else None
    except InputError as error:
        skipped += _restore_paths(skipped_files, path_by_name) or [SkippedFile(path, error.message) for path in paths]
        return None
    skipped += _restore_paths(skipped_files, path_by_name)
    layout = NetMob()
    return drop_duplicate_rows(layout.build(table, layout.detect_roles(table.frame) or {}, ""))


def _restore_paths(skipped_files: list[SkippedFile], path_by_name: Mapping[str, str]) -> list[SkippedFile]:
    """Return the skipped files with paths relative to the root as names."""
    return [SkippedFile(path_by_name.get(skip.file, skip.file), skip.reason) for skip in skipped_files]


def _build_unreadable_file(path: str, error: Exception) -> SkippedFile:
    reason = (
        error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"[:200]
    )
    return SkippedFile(path, Message(N_("{file}: cannot be read ({reason})."), {"file": path, "reason": reason}))
