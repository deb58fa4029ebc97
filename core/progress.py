"""How far long work has come, told by who works to who watches, and the wish to stop told back."""

import threading
from pathlib import Path


class Cancelled(BaseException):
    """Somebody asked the work to stop. Not an Exception: no handler of errors may swallow it."""


class Progress:
    """Shared by who works and those that watch.

    curves  name → [(step, value), …]: what can be drawn while the work goes on, a loss for instance
    folder  where work that may be killed keeps its checkpoints; None where nobody would look for them
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.share = 0.0
        self.doing = ""
        self.folder = folder
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self._stop = threading.Event()

    def tell(self, share: float, doing: str = "") -> None:
        """Note how much is done, 0 to 1. Raises Cancelled where somebody asked for it."""
        if self._stop.is_set():
            raise Cancelled
        self.share, self.doing = share, doing or self.doing

    def draw(self, curve: str, step: float, value: float) -> None:
        """Add a point to a curve."""
        self.curves.setdefault(curve, []).append((step, value))

    def part(self, number: int, parts: int) -> "Progress":
        """What part `number` (from 0) of `parts` equal parts tells is told here as a share of the whole."""
        return _Part(self, number, parts)

    def cancel(self) -> None:
        """Ask the work to stop at its next word."""
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
