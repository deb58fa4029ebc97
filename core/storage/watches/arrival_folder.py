"""Folder of the files that a tick reads; those of killed workers are deleted by the next tick of the watch."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "arrivals"


@contextmanager
def open_arrival_folder(folder: Path, watch: str, tick: str) -> Iterator[Path]:
    """Yield an empty folder for the tick of a watch, which is deleted at the end of the block.

    `folder` is the data folder. Folders of earlier ticks of the watch are deleted: their workers have lost the watch.
    """
    parent = folder / FOLDER / watch
    shutil.rmtree(parent, ignore_errors=True)
    path = parent / tick
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
