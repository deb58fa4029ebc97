"""Progress of a long task, reported to its observers, and requests to cancel it."""

import threading
from pathlib import Path


class CancelledError(BaseException):
    """Cancellation of a task. It is a BaseException, so that no error handler swallows it."""


class Progress:
    """Progress of a task, shared by the task and its observers.

    share   finished share of the work, 0–1
    stage   current stage, a text to be translated or a message as `Message.dump` writes it
    curves  name → [(step, value), …], drawn while the task runs; the training loss, for example
    folder  folder of the checkpoints of a task that may be killed; None without checkpoints
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.share = 0.0
        self.stage = ""
        self.folder = folder
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self._cancel_requested = threading.Event()

    def report(self, share: float, stage: str = "") -> None:
        """Report the finished share of the work, 0–1. Raises Cancelled after a request to cancel."""
        if self._cancel_requested.is_set():
            raise CancelledError
        self.share, self.stage = share, stage or self.stage

    def add_point(self, curve: str, step: float, value: float) -> None:
        """Add a point to a curve."""
        self.curves.setdefault(curve, []).append((step, value))

    def create_part(self, number: int, part_count: int) -> "Progress":
        """Return the progress of part `number` (from 0) of `part_count` equal parts of this one."""
        return _PartProgress(self, number, part_count)

    def cancel(self) -> None:
        """Request that the task stops at its next report."""
        self._cancel_requested.set()


class _PartProgress(Progress):
    def __init__(self, parent: Progress, number: int, part_count: int) -> None:
        self.parent, self.number, self.part_count = parent, number, part_count
        self.folder = parent.folder

    def report(self, share: float, stage: str = "") -> None:
        self.parent.report((self.number + share) / self.part_count, stage)

    def add_point(self, curve: str, step: float, value: float) -> None:
        self.parent.add_point(curve, step, value)

    def cancel(self) -> None:
        self.parent.cancel()
