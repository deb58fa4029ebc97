"""A folder of uploaded files: their content under numbers, and beside it the names that people gave them."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

NAMES_FILE = "names.json"


def write_names(folder: Path, names: Sequence[str]) -> None:
    """Write the names of the files "0", "1" … of `folder`, in this order."""
    (folder / NAMES_FILE).write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")


def read_named_files(folder: Path) -> list[tuple[Path, str]]:
    """Return the files of `folder` as path and name; none if some or their names are missing."""
    try:
        names = json.loads((folder / NAMES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    files = [(folder / str(number), name) for number, name in enumerate(names)]
    return files if all(path.is_file() for path, _name in files) else []


def link_or_copy(source: Path, target: Path) -> None:
    """Give the file a second name without copying its bytes; on another disk, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
