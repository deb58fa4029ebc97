"""Uploaded raw records that a job counts: personal data, which are deleted as soon as the job has ended."""

import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

RAW_FOLDER = "raw-uploads"  # in the folder of the jobs

MAX_AGE_S = 24 * 3600  # after which files of a job that never ended are deleted
UNSAFE_LETTERS = re.compile(r"[^\w.() -]")


class RawUploads:
    """Files in `folder`, one subfolder per upload, readable by their owner alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, files: Iterable[tuple[str, Callable[[Path], object]]]) -> tuple[str, ...]:
        """Write files, each given by its shown name and a function that writes to a path; return their paths.

        Files of old uploads are deleted first.
        """
        self.delete_old()
        upload = self.folder / uuid4().hex
        paths = []
        try:
            for number, (name, write) in enumerate(files):
                path = upload / str(number) / (UNSAFE_LETTERS.sub("_", Path(name).name).lstrip(".") or "records")
                path.parent.mkdir(parents=True, mode=0o700)
                write(path)
                paths.append(str(path))
        except BaseException:
            shutil.rmtree(upload, ignore_errors=True)
            raise
        return tuple(paths)

    def discard(self, arguments: Mapping[str, Any]) -> None:
        """Delete the uploads that the arguments of a job name; other files are left alone."""
        folder = self.folder.resolve()
        for text in _iter_texts(arguments):
            if text.startswith((str(self.folder), str(folder))):
                parents = Path(text).resolve().parents
                if folder in parents[1:]:
                    shutil.rmtree(parents[parents.index(folder) - 1], ignore_errors=True)

    def delete_old(self) -> None:
        """Delete the uploads of jobs that were lost."""
        for upload in self.folder.glob("*"):
            try:
                is_old = time.time() - upload.stat().st_mtime > MAX_AGE_S
            except OSError:  # another process deleted it
                continue
            if is_old:
                shutil.rmtree(upload, ignore_errors=True)


def _iter_texts(value: Any) -> Iterator[str]:
    """Yield all texts in plain JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _iter_texts(part)
