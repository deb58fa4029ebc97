"""Sessions seen valid a moment ago: they go on while the database is away, so that nobody's work stops with it."""

import threading
import time

from core.accounts.models import Session

GOES_ON = 15 * 60.0  # seconds


class Remembered:
    """Sessions by the hash of their token, each for a quarter of an hour."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Session, float]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, session: Session) -> None:
        """Remember a session as of now, and drop those not seen lately."""
        with self._lock:
            self._seen = {known: seen for known, seen in self._seen.items() if _recent(seen[1])}
            self._seen[key] = (session, time.monotonic())

    def get(self, key: str) -> Session | None:
        """The session; None where it was not seen lately."""
        with self._lock:
            session, when = self._seen.get(key, (None, 0.0))
        return session if _recent(when) else None

    def forget(self, key: str) -> None:
        """Forget one session."""
        with self._lock:
            self._seen.pop(key, None)

    def forget_user(self, name: str) -> None:
        """Forget every session of a user."""
        with self._lock:
            self._seen = {key: seen for key, seen in self._seen.items() if seen[0].user.name != name}


def _recent(when: float) -> bool:
    return time.monotonic() - when < GOES_ON
