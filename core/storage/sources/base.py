"""The contract of a source of rows, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from core.messages import Message

MAX_BYTES = 64 * 2**20  # of the files of one call; more waits for the next call
NO_STATE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Arrivals:
    """New files of a source.

    files     path of each new file on this machine and the name to show, in the order in which they are read
    cursor    JSON that the next call continues from; only a source reads it
    has_more  True if more is waiting already
    notes     what a person should know: a file that waits for its end, for instance
    """

    files: tuple[tuple[Path, str], ...]
    cursor: str
    has_more: bool = False
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Portion:
    """Part of the rows of a source: as `Arrivals`, with the state of its reader in place of the cursor."""

    files: tuple[tuple[Path, str], ...]
    state: Mapping[str, Any]
    has_more: bool = False
    notes: tuple[Message, ...] = ()


class RowSource(Protocol):
    """Reader of one source.

    It may return a row twice, because the ledger of the watch drops rows that were judged. It must not leave one out.
    Methods raise AccessDeniedError for what the settings do not allow or the source refuses, ServiceUnavailableError
    for a source that does not answer, and InputError for what a person has to correct.
    """

    def read(self, state: Mapping[str, Any], folder: Path, max_bytes: int, now: datetime) -> Portion:
        """Write what is new since `state`, which is empty at first, to files in the empty folder `folder`.

        Stop near `max_bytes`. A state of another form counts as an empty one.
        """
        ...

    def check(self) -> None:
        """Make sure that the source can be read, with as few requests as possible."""
        ...

    def start_late(self, since: datetime | None) -> Mapping[str, Any]:
        """Return the state from which rows since `since` are read; the empty state for a source of whole files."""
        ...
