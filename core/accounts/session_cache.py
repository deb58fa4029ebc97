"""Cache of valid sessions, so that signed-in users can continue while the database does not answer."""

import threading
import time

from core.accounts.models import Session

GOES_ON = 15 * 60.0  # seconds


class Remembered:
    """Sessions by the hash of their token; each expires after 15 minutes."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Session, float]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, session: Session) -> None:
        """Store a session with the current time, and delete expired ones."""
        with self._lock:
            self._seen = {known: seen for known, seen in self._seen.items() if _recent(seen[1])}
            self._seen[key] = (session, time.monotonic())

    def get(self, key: str) -> Session | None:
        """Return the session, or None if it is missing or expired."""
        with self._lock:
            session, when = self._seen.get(key, (None, 0.0))
        return session if _recent(when) else None

    def forget(self, key: str) -> None:
        """Delete one session."""
        with self._lock:
            self._seen.pop(key, None)

    def forget_user(self, name: str) -> None:
        """Delete all sessions of a user."""
        with self._lock:
            self._seen = {key: seen for key, seen in self._seen.items() if seen[0].user.name != name}


def _recent(when: float) -> bool:
    return time.monotonic() - when < GOES_ON
