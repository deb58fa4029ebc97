"""Progress of a long task, reported to its observers, and requests to cancel it."""

import threading
from pathlib import Path


class Cancelled(BaseException):
    """Cancellation of a task. It is a BaseException, so that no error handler swallows it."""


class Progress:
    """Progress of a task, shared by the task and its observers.

    share   finished share of the work, 0–1
    doing   current stage, as text
    curves  name → [(step, value), …], drawn while the task runs; the training loss, for example
    folder  folder of the checkpoints of a task that may be killed; None without checkpoints
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.share = 0.0
        self.doing = ""
        self.folder = folder
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self._stop = threading.Event()

    def tell(self, share: float, doing: str = "") -> None:
        """Report the finished share of the work, 0–1. Raises Cancelled after a request to cancel."""
        if self._stop.is_set():
            raise Cancelled
        self.share, self.doing = share, doing or self.doing

    def draw(self, curve: str, step: float, value: float) -> None:
        """Add a point to a curve."""
        self.curves.setdefault(curve, []).append((step, value))

    def part(self, number: int, parts: int) -> "Progress":
        """Return the progress of part `number` (from 0) of `parts` equal parts, reported as a share of this one."""
        return _Part(self, number, parts)

    def cancel(self) -> None:
        """Request that the task stops at its next report."""
        self._stop.set()


class _Part(Progress):
    def __init__(self, whole: Progress, number: int, parts: int) -> None:
        self.whole, self.number, self.parts = whole, number, parts
        self.folder = whole.folder

    def tell(self, share: float, doing: str = "") -> None:
        self.whole.tell((self.number + share) / self.parts, doing)

    def draw(self, curve: str, step: float, value: float) -> None:
        self.whole.draw(curve, step, value)

    def cancel(self) -> None:
        self.whole.cancel()
