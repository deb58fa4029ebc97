"""How far long work has come, told by who works to who watches, and the wish to stop told back."""

import threading


class Cancelled(BaseException):
    """Somebody asked the work to stop. Not an Exception: no handler of errors may swallow it."""


class Progress:
    """Shared by the thread that works and those that watch."""

    def __init__(self) -> None:
        self.share = 0.0
        self.doing = ""
        self._stop = threading.Event()

    def tell(self, share: float, doing: str = "") -> None:
        """Note how much is done, 0 to 1. Raises Cancelled where somebody asked for it."""
        if self._stop.is_set():
            raise Cancelled
        self.share, self.doing = share, doing or self.doing

    def part(self, number: int, parts: int) -> "Progress":
        """What part `number` (from 0) of `parts` equal parts tells is told here as a share of the whole."""
        return _Part(self, number, parts)

    def cancel(self) -> None:
        """Ask the work to stop at its next word."""
        self._stop.set()


class _Part(Progress):
    def __init__(self, whole: Progress, number: int, parts: int) -> None:
        self.whole, self.number, self.parts = whole, number, parts

    def tell(self, share: float, doing: str = "") -> None:
        self.whole.tell((self.number + share) / self.parts, doing)

    def cancel(self) -> None:
        self.whole.cancel()
