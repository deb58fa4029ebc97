"""Classes and parts of pictures, inferred from the folders that they lie in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.data.images.image_block import PART_WORDS, TEST, TRAINING, VALIDATION, Names

NORMAL_NAMES = {"normal", "good", "ok"}
UNLABELLED_NAMES = {"unlabelled", "unlabeled", "inspect", "to_inspect", "to inspect"}
CONTENT_NAMES = {"images", "image", "imgs", "pictures"}  # folders that say nothing about the class
MASK_FOLDER = "ground_truth"


@dataclass(frozen=True)
class FolderLabels:
    """Classes and parts of pictures, "" without one, each (pictures,)."""

    class_names: Names
    parts: Names


def is_mask(path: str) -> bool:
    """Tell whether a picture is the mask of a defect: it lies in a folder `ground_truth`.

    Example:
        >>> is_mask("bottle/ground_truth/crack/000_mask.png"), is_mask("bottle/test/crack/000.png")
        (True, False)
    """
    return any(folder.lower() == MASK_FOLDER for folder in split_folders(path))


def split_folders(path: str) -> list[str]:
    r"""Return the folders of a path in an archive; parts that point elsewhere are left out.

    Example:
        >>> split_folders("../data\\cats/./1.png")
        ['data', 'cats']
    """
    return [folder for folder in path.replace("\\", "/").split("/")[:-1] if folder not in ("", ".", "..")]


def infer_folder_labels(paths: Sequence[str]) -> FolderLabels:
    """Return the class and part of each picture, given the paths of all pictures in their archive or folder.

    A folder around everything is no class, unless its name says that its pictures are normal. Folders such as `train`
    and `test` are parts if every folder beside them is one, or if both are there. Pictures without a folder of their
    own have no class.

    Example:
        >>> labels = infer_folder_labels(["a/train/good/0.png", "a/test/good/0.png", "a/test/crack/0.png"])
        >>> list(zip(labels.parts.tolist(), labels.class_names.tolist()))
        [('training', 'good'), ('test', 'good'), ('test', 'crack')]
    """
    folders = _strip_outer_folders([split_folders(path) for path in paths])
    level = next((level for level in (0, 1) if _is_part_level(folders, level)), None)
    parts, class_names = [], []
    for names in folders:
        part = "" if level is None or len(names) <= level else PART_WORDS.get(names[level].lower(), "")
        rest = names if not part else [*names[:level], *names[(level or 0) + 1 :]]
        parts.append(part)
        class_names.append("/".join(name for name in rest if name.lower() not in CONTENT_NAMES | UNLABELLED_NAMES))
    return FolderLabels(np.array(class_names, np.str_), np.array(parts, np.str_))


def _strip_outer_folders(folders: list[list[str]]) -> list[list[str]]:
    """Return the folders of each picture without those around all pictures."""
    telling = NORMAL_NAMES | PART_WORDS.keys() | UNLABELLED_NAMES
    depth = 0
    for level in map(set, zip(*folders, strict=False)):  # the names of the folders at each depth that all pictures have
        if len(level) > 1 or level.pop().lower() in telling:
            break
        depth += 1
    return [names[depth:] for names in folders]


def _is_part_level(folders: list[list[str]], level: int) -> bool:
    """Tell whether the folders at `level` are parts; a class may be called `train` too, beside `bus` and `car`."""
    words = {names[level].lower() for names in folders if len(names) > level}
    parts = {PART_WORDS[word] for word in words if word in PART_WORDS}
    has_both = TRAINING in parts and bool(parts & {TEST, VALIDATION})
    return bool(parts) and (words <= PART_WORDS.keys() or (level == 0 and has_both))
