"""Cache of valid sessions, so that signed-in users can continue while the database does not answer."""

import threading
import time

from core.accounts.models import Session

SESSION_CACHE_TTL_S = 15 * 60.0  # seconds


class SessionCache:
    """Sessions by the hash of their token; each expires after 15 minutes."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Session, float]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, session: Session) -> None:
        """Store a session with the current time, and delete expired ones."""
        with self._lock:
            self._entries = {entry_key: entry for entry_key, entry in self._entries.items() if _is_recent(entry[1])}
            self._entries[key] = (session, time.monotonic())

    def get(self, key: str) -> Session | None:
        """Return the session, or None if it is missing or expired."""
        with self._lock:
            session, seen_at = self._entries.get(key, (None, 0.0))
        return session if _is_recent(seen_at) else None

    def delete(self, key: str) -> None:
        """Delete one session."""
        with self._lock:
            self._entries.pop(key, None)

    def delete_user(self, name: str) -> None:
        """Delete all sessions of a user."""
        with self._lock:
            self._entries = {
                entry_key: entry for entry_key, entry in self._entries.items() if entry[0].user.name != name
            }


def _is_recent(seen_at: float) -> bool:
    return time.monotonic() - seen_at < SESSION_CACHE_TTL_S
