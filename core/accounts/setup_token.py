"""One-time token for the creation of the first administrator, printed in the terminal that starts Vigie."""

import hmac
import math
import secrets
import threading
import time
from collections import deque

from core.errors import AccessDeniedError
from core.messages import N_

MAX_ATTEMPTS, LOCKOUT_S = 10, 600.0  # wrong tokens before the lockout, and the seconds for which they count


class SetupToken:
    """A token that is valid once, until this process ends."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self._failure_times: deque[float] = deque(maxlen=MAX_ATTEMPTS)
        self._lock = threading.Lock()

    def check(self, token: str) -> None:
        """Raise AccessDeniedError if the token is wrong or used, or after 10 wrong tokens within 10 minutes."""
        with self._lock:
            now = time.monotonic()
            if len(self._failure_times) == MAX_ATTEMPTS and now - self._failure_times[0] < LOCKOUT_S:
                minutes = math.ceil((LOCKOUT_S - now + self._failure_times[0]) / 60)
                raise AccessDeniedError(
                    N_(
                        "Too many wrong tokens. Try again in {minutes} minute.",
                        "Too many wrong tokens. Try again in {minutes} minutes.",
                    ),
                    minutes=minutes,
                )
            if not self.token or not hmac.compare_digest(token.strip().encode(), self.token.encode()):
                self._failure_times.append(now)
                raise AccessDeniedError(
                    N_("The token is wrong. Vigie prints the valid token when it starts. A restart prints a new one.")
                )

    def invalidate(self) -> None:
        """Invalidate the token."""
        self.token = ""
