"""What all tasks of one command share, and the notes beside the results that say what they are the results of."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from core.detectors.base import SequenceDetector
from core.detectors.scaling import Method
from core.errors import DataError, OptionError
from core.messages import N_

MANIFEST = "manifest.json"
MODEL = "model.skops"


@dataclass(frozen=True)
class Fit:
    """How the model of a group is fitted: detector, preparation, and the share of rows that may be false alarms."""

    detector: SequenceDetector
    scaling: Method = "minmax"
    counts: bool = False
    rate: float = 0.002


@dataclass(frozen=True)
class Work:
    """Plain values that travel to every worker; folder and out have to be the same places there.

    manifest   digest of what the results depend on (see `begin`)
    trusted    full names of the classes that may be in a model
    threshold  a row with a higher score is an anomaly; None: the model's own
    streaming  score with a memory carried from row to row, where the detector can
    fit        None: all is scored with the model in out / MODEL
    """

    folder: Path
    out: Path
    manifest: str
    trusted: tuple[str, ...]
    threshold: float | None = None
    streaming: bool = True
    fit: Fit | None = None

    def model(self, group: str) -> Path:
        """The file of the model that scores a group."""
        if self.fit is None:
            return self.out / MODEL
        readable = "".join(letter if letter.isalnum() else "-" for letter in group)[:60]
        return (
            self.out
            / "models"
            / f"{readable}-{hashlib.sha256(group.encode(errors='surrogateescape')).hexdigest()[:8]}.skops"
        )

    def part(self, number: int) -> Path:
        """The folder of a batch."""
        return self.out / f"part={number:06d}"


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A file to write to that becomes `path` when all of it is there."""
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def digest(manifest: Mapping[str, Any]) -> str:
    """Return a digest of 16 hexadecimal digits of a manifest."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def begun(out: Path, manifest: Mapping[str, Any]) -> Iterator[None]:
    """Holds the folder `out`, new or with results of the same `manifest`, for this process alone.

    Raises DataError where it holds results of another model, other settings or other files; OptionError where it holds
    something else, or another process writes to it.
    """
    if out.exists() and not out.is_dir():
        raise OptionError(N_("{file}: a file; the results need a folder."), file=str(out))
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OptionError(N_("{file}: another process writes its results there."), file=str(out)) from error
    try:
        _check(out, manifest)
        yield
    finally:
        lock.release()


def _check(out: Path, manifest: Mapping[str, Any]) -> None:
    """The manifest there agrees, or there is none yet and `manifest` is written."""
    place = out / MANIFEST
    if not place.exists():
        if any(not each.name.startswith(".") for each in out.iterdir()):
            raise OptionError(
                N_("{file}: not empty, and without {value}; choose a folder that is empty or holds earlier results."),
                file=str(out),
                value=MANIFEST,
            )
        with written(place) as draft:
            draft.write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")
        return
    try:
        there = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            N_("{file}: damaged ({reason}); choose another folder."), file=str(place), reason=error
        ) from error
    asked = json.loads(json.dumps(manifest))
    differing = [name for name in {**there, **asked} if there.get(name) != asked.get(name)]
    if differing:
        raise DataError(
            N_("{file} holds results of something else: {differs}. Choose another folder, or delete it to begin anew."),
            file=str(out),
            differs="; ".join(f"{name}: {_short(there.get(name))} ≠ {_short(asked.get(name))}" for name in differing),
        )


def _short(value: object) -> str:
    return str(value)[:60]
