"""Progress of long work on standard error, where somebody watches."""

import sys

from core.progress import Progress


class Telling(Progress):
    """A line that rewrites itself: what is being done, and how much of it."""

    def tell(self, share: float, doing: str = "") -> None:
        super().tell(share, doing)
        if sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            sys.stderr.write(f"\r{self.doing:40.40} {share:4.0%}{end}")
            sys.stderr.flush()
