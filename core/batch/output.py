"""Output folder: locked by one process, with a manifest of what its results depend on."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from core.errors import DataError, OptionError
from core.messages import N_

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.skops"
MAX_VALUE_LETTERS = 60  # of a value in an error message


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` when the block succeeds."""
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def lock_output(out: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Lock the folder `out`, new or with results of the same `manifest`, for this process.

    Yields the digest of the stored manifest, so that 50 and 50.0 give the same digest. Raises DataError for a folder
    with results of another model, other settings or other files. Raises OptionError for a folder with other content, or
    if another process writes to it.
    """
    if out.exists() and not out.is_dir():
        raise OptionError(N_("{file}: this is a file. Choose a folder for the results."), file=str(out))
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OptionError(N_("{file}: another process is writing results to this folder."), file=str(out)) from error
    try:
        path = out / MANIFEST_FILE
        if not path.exists():
            _write_manifest(path, manifest)
        yield _compute_digest(_read_manifest(path, manifest))
    finally:
        lock.release()


def _write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest. Raises OptionError for a folder with other content."""
    if any(not entry.name.startswith(".") for entry in path.parent.iterdir()):
        raise OptionError(
            N_(
                "{file}: the folder is not empty and contains no {value}. Choose an empty folder "
                "or a folder with earlier results."
            ),
            file=str(path.parent),
            value=path.name,
        )
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")


def _read_manifest(path: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the manifest stored in `path`. Raises DataError if it differs from `manifest`."""
    try:
        stored: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            N_("{file}: the file is damaged ({reason}). Choose another folder."), file=str(path), reason=error
        ) from error
    current = json.loads(json.dumps(manifest))
    differing = [name for name in {**stored, **current} if stored.get(name) != current.get(name)]
    if differing:
        raise DataError(
            N_(
                "{file} contains results of a different command: {differs}. Choose another folder, "
                "or delete this one to start again."
            ),
            file=str(path.parent),
            differs="; ".join(
                f"{name}: {_shorten_value(stored.get(name))} ≠ {_shorten_value(current.get(name))}"
                for name in differing
            ),
        )
    return stored


def _compute_digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def _shorten_value(value: object) -> str:
    return str(value)[:MAX_VALUE_LETTERS]
