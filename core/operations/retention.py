"""Sizes of the parts of a data folder, and the removal of what is old and needed by nothing on record.

What a run, a registered model, an unfinished job, a note or a saved view names is kept. Of the files of a run only the
copy on this machine is removed, where MLflow has all of them: the run is fetched from there when it is opened.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from core.data.durations import FIXED_UNITS, parse_duration
from core.errors import OptionError, ServiceUnavailableError
from core.messages import N_
from core.storage.backup import lock_deletions
from core.storage.durable_files import get_modified_s
from core.storage.raw_uploads import RAW_FOLDER
from core.workspace import Workspace
from mlflow_utils import local_copies
from mlflow_utils.tracking import MlflowUnavailableError

T = TypeVar("T")

DAY_S = 24 * 3600.0
MIN_AGE_S = DAY_S  # what a page has just loaded is not named by any run yet
MONTH_S = 31 * DAY_S
PARTS = {
    "runs": N_("Runs on this machine"),
    "mlartifacts": N_("Artifacts of MLflow"),
    "datasets": N_("Datasets"),
    "covariates": N_("Covariates"),
    "image-sets": N_("Image sets"),
    "uploads": N_("Uploaded files"),
    "renderings": N_("Figures and tables"),
    "answers": N_("Answers"),
    "jobs": N_("Jobs and checkpoints"),
    "events": N_("Event log"),
    "backups": N_("Backups"),
}
"""Folder of the data folder → its label."""
OTHERS = N_("Other files")
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
NAMING_FOLDERS = ("notes", "saved-views", "answers", "feedback")
"""Folders whose names and JSON files name datasets."""
EVENT_FILE = re.compile(r"events-([0-9]{4})-([0-9]{2})\.jsonl")


@dataclass(frozen=True)
class PartSize:
    """Size of a part of the data folder; `label` is translated where it is shown."""

    label: str
    files: int
    total_bytes: int


@dataclass(frozen=True)
class Removal:
    """A file or folder that may be removed, with the name of its part."""

    part: str
    path: Path
    total_bytes: int


# ---- sizes ----------------------------------------------------------------------------------------------------------


def measure_parts(workspace: Workspace) -> list[PartSize]:
    """Measure the parts of the data folder, the largest first; empty ones are left out."""
    sizes = {name: _measure(workspace.folder / name) for name in PARTS}
    others = [_measure(path) for path in _list_paths(workspace.folder) if path.name not in PARTS]
    parts = [PartSize(PARTS[name], *size) for name, size in sizes.items()]
    parts.append(PartSize(OTHERS, sum(files for files, _ in others), sum(size for _, size in others)))
    return sorted((part for part in parts if part.files), key=lambda part: -part.total_bytes)


def _measure(path: Path) -> tuple[int, int]:
    """Return the number of files at or below a path, and their bytes."""
    files = total_bytes = 0
    for file in _iter_files(path):
        with suppress(OSError):  # another process has deleted it
            total_bytes += file.stat().st_size
            files += 1
    return files, total_bytes


def _iter_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for parent, _, names in os.walk(path):
        yield from (Path(parent) / name for name in names)


def _list_paths(folder: Path) -> list[Path]:
    """Return what lies in a folder, in the order of the names; nothing where it is missing."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


# ---- removal --------------------------------------------------------------------------------------------------------


def parse_age(text: str) -> float:
    """Return an age such as 90d or 12w in seconds. Raises OptionError for another form, and for less than a day.

    Example:
        >>> parse_age("90d"), parse_age("2w") / DAY_S
        (7776000.0, 14.0)
    """
    number, unit = parse_duration(text, "--older-than")
    age_s = number * FIXED_UNITS[unit].total_seconds() if unit in FIXED_UNITS else 0.0
    if age_s < MIN_AGE_S:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="--older-than",
            value=text,
            accepted="90d, 12w; at least 1d",
        )
    return age_s


def prune(workspace: Workspace, age_s: float, *, is_rehearsal: bool = False) -> list[Removal]:
    """Remove what has not changed for `age_s` seconds and is not needed; return it. A rehearsal removes nothing.

    Raises ServiceUnavailableError where MLflow or the queue of jobs does not answer, because only they know what is
    needed, and while a backup is made.
    """
    until_s = time.time() - age_s
    with lock_deletions(workspace.folder):
        removals = [
            *_find_copies_of_runs(workspace, until_s),
            *_find_contents(workspace, until_s),
            *_find_checkpoints(workspace, until_s),
            *_find_old("renderings", _list_paths(workspace.renderings.folder), until_s),
            *_find_old("answers", _list_paths(workspace.answers.folder), until_s),
            *_find_event_files(workspace, until_s),
        ]
        if not is_rehearsal:
            for removal in removals:
                _remove(removal.path)
    return removals


def _find_old(part: str, paths: Iterable[Path], until_s: float) -> list[Removal]:
    return [Removal(part, path, _measure(path)[1]) for path in paths if 0 < _get_change_s(path) < until_s]


def _get_change_s(path: Path) -> float:
    """Return the time of the last change of a file, or of a folder and its files."""
    return max([get_modified_s(path), *map(get_modified_s, _iter_files(path))])


def _find_copies_of_runs(workspace: Workspace, until_s: float) -> list[Removal]:
    """Find the files of runs that MLflow has as well."""
    tracking = workspace.tracking
    folders = [path for path in _list_paths(tracking.spool.folder) if path.is_dir() and path.name.isalnum()]
    removals = _find_old("runs", folders, until_s)
    kept_keys = tracking.spool.list_undelivered_keys()
    return [
        removal
        for removal in removals
        if removal.path.name not in kept_keys
        and _ask_mlflow(workspace, partial(local_copies.has_all_files, tracking, removal.path))
    ]


def _find_contents(workspace: Workspace, until_s: float) -> list[Removal]:
    """Find datasets, covariates and sets of images that nothing names."""
    stores = (workspace.datasets, workspace.covariates, workspace.image_sets)
    removals = [
        removal
        for store in stores
        for removal in _find_old(store.folder.name, sorted(store.folder.glob("[0-9a-f]*")), until_s)
    ]
    needed = _find_needed_digests(workspace) if removals else set()
    return [removal for removal in removals if removal.path.name not in needed]


def _find_needed_digests(workspace: Workspace) -> set[str]:
    """Find all digests that something on record names, and those that a needed dataset names, such as its source."""
    needed: set[str] = set()
    texts = [
        *workspace.tracking.spool.list_texts(),
        *_ask_mlflow(workspace, lambda: list(local_copies.iter_texts(workspace.tracking))),
        *(json.dumps(job.arguments) for job in (*workspace.jobs.list_running(), *workspace.jobs.list_waiting())),
        *(text for name in NAMING_FOLDERS for text in _iter_texts(workspace.folder / name)),
        *_iter_texts(workspace.tracking.spool.folder),
    ]
    digests = {digest for text in texts for digest in DIGEST.findall(text)}
    while new := digests - needed:
        needed |= new
        files = (path for digest in new for path in (workspace.datasets.folder / digest).glob("*.json"))
        digests = {digest for path in files for digest in DIGEST.findall(_read(path))}
    return needed


def _ask_mlflow(workspace: Workspace, ask: Callable[[], T]) -> T:
    """Return an answer of MLflow, however long it takes. Raises ServiceUnavailableError without one."""
    try:
        if not workspace.tracking.is_reachable():
            raise MlflowUnavailableError(workspace.tracking.uri)
        return ask()
    except Exception as error:
        raise ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service="MLflow", reason=workspace.redact(str(error))
        ) from error


def _iter_texts(folder: Path) -> Iterator[str]:
    """Yield the paths and texts of the JSON files below a folder."""
    for path in _iter_files(folder):
        if path.suffix in (".json", ".jsonl"):
            yield f"{path} {_read(path)}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # another process has deleted it
        return ""


def _find_checkpoints(workspace: Workspace, until_s: float) -> list[Removal]:
    """Find checkpoints that belong to no unfinished job."""
    folders = [path for path in _list_paths(workspace.jobs.folder) if path.is_dir() and path.name != RAW_FOLDER]
    removals = _find_old("jobs", folders, until_s)
    if not removals:
        return []
    unfinished = {job.key for job in (*workspace.jobs.list_running(), *workspace.jobs.list_waiting())}
    return [removal for removal in removals if removal.path.name not in unfinished]


def _find_event_files(workspace: Workspace, until_s: float) -> list[Removal]:
    """Find the months of the log that are over, once Elasticsearch has all events."""
    if workspace.event_stream is not None and workspace.event_stream.count_pending():
        return []
    paths = [path for path in _list_paths(workspace.events.folder) if EVENT_FILE.fullmatch(path.name)]
    return [removal for removal in _find_old("events", paths, until_s) if _get_month_end_s(removal.path) < until_s]


def _get_month_end_s(path: Path) -> float:
    """Return a time after the last event of a monthly file, by its name."""
    match = EVENT_FILE.fullmatch(path.name)
    assert match is not None
    return time.mktime((int(match[1]), int(match[2]), 1, 0, 0, 0, 0, 0, 0)) + MONTH_S + DAY_S


def _remove(path: Path) -> None:
    """Remove a file, or a folder, which disappears at once, so that nobody reads a part of it."""
    with suppress(FileNotFoundError):
        if path.is_dir():
            trash = path.with_name(f".{path.name}-{uuid4().hex}")
            path.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)
        else:
            path.unlink()
