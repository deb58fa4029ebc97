"""Answers to questions of pages, kept once for all sessions, with the question that each of them answers."""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from core.storage.durable_files import get_modified_s, move_durably, write_durably

MAX_AGE_S = 30 * 24 * 3600  # since the last use
MAX_TOTAL_BYTES = 2 * 2**30
QUESTION_FILE, ANSWER_FOLDER = "question.json", "answer"


class AnswerStore:
    """Questions and answers in `folder`, in one subfolder per key.

    Answers that nobody opened for `MAX_AGE_S` are deleted, and the oldest beyond `MAX_TOTAL_BYTES`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_question(self, key: str, question: dict[str, Any]) -> None:
        """Keep a question as plain JSON, so that an address that holds only its key leads back to it."""
        path = self.folder / key / QUESTION_FILE
        if not path.is_file():
            write_durably(path, json.dumps(question, ensure_ascii=False).encode())

    def load_question(self, key: str) -> dict[str, Any] | None:
        """Return the question of a key; None for a key that is not stored here."""
        if not key.isalnum():  # the key comes from the address of a page
            return None
        try:
            question = json.loads((self.folder / key / QUESTION_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return question if isinstance(question, dict) else None

    def save_answer(self, key: str, write: Callable[[Path], object]) -> None:
        """Keep what `write` writes into an empty folder, in place of an earlier answer.

        The answer appears only when it is complete.
        """
        self._delete_old()
        folder = self.folder / key
        draft = folder / f".{uuid4().hex}"
        draft.mkdir(parents=True)
        try:
            write(draft)
            shutil.rmtree(folder / ANSWER_FOLDER, ignore_errors=True)
            move_durably(draft, folder / ANSWER_FOLDER)
        except OSError:
            if not (folder / ANSWER_FOLDER).is_dir():  # otherwise another process has just answered it
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def find_answer(self, key: str) -> Path | None:
        """Return the folder of an answer; None where there is none yet."""
        answer_folder = self.folder / key / ANSWER_FOLDER
        if not answer_folder.is_dir():
            return None
        with suppress(OSError):  # a folder that is only read keeps its date
            os.utime(answer_folder.parent)
        return answer_folder

    def _delete_old(self) -> None:
        """Delete answers that nobody uses; the newest one stays whatever its size."""
        folders = sorted(self.folder.glob("[0-9a-f]*"), key=get_modified_s, reverse=True)
        total_bytes = 0
        for number, folder in enumerate(folders):
            total_bytes += _measure_bytes(folder)
            is_old = time.time() - get_modified_s(folder) > MAX_AGE_S
            if is_old or (number and total_bytes > MAX_TOTAL_BYTES):
                shutil.rmtree(folder, ignore_errors=True)


def _measure_bytes(folder: Path) -> int:
    total_bytes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total_bytes += (Path(parent) / name).stat().st_size
            except OSError:  # another process deleted it
                continue
    return total_bytes
