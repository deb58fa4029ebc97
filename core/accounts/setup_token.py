"""One-time token for the creation of the first administrator, printed in the terminal that starts Vigie."""

import hmac
import json
import math
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from core.errors import AccessDeniedError
from core.messages import N_
from core.storage.durable_files import write_durably

MAX_ATTEMPTS, LOCKOUT_S = 10, 600.0  # wrong tokens before the lockout, and the seconds for which they count
LOCK_TIMEOUT_S = 5.0


@dataclass
class _State:
    token: str
    failure_times: list[float]


class SetupToken:
    """A token that is valid once, in a file that all processes of a data folder share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def token(self) -> str:
        """The valid token, made at the first call; "" once it was used. Raises OSError where it cannot be stored."""
        with self._lock():
            return self._read().token

    def check(self, token: str) -> None:
        """Raise AccessDeniedError if the token is wrong or used, or after 10 wrong tokens within 10 minutes."""
        with self._lock():
            state, now = self._read(), time.time()
            recent = [moment for moment in state.failure_times if 0 <= now - moment < LOCKOUT_S]
            if len(recent) >= MAX_ATTEMPTS:
                raise AccessDeniedError(
                    N_(
                        "Too many wrong tokens. Try again in {minutes} minute.",
                        "Too many wrong tokens. Try again in {minutes} minutes.",
                    ),
                    minutes=math.ceil((LOCKOUT_S - now + recent[0]) / 60),
                )
            if not state.token or not hmac.compare_digest(token.strip().encode(), state.token.encode()):
                self._write(_State(state.token, [*recent, now]))
                raise AccessDeniedError(
                    N_("The token is wrong. Vigie prints the valid token when it starts, until there is a user.")
                )

    def invalidate(self) -> None:
        """Invalidate the token."""
        with self._lock():
            self._write(_State("", []))

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".lock"), timeout=LOCK_TIMEOUT_S)

    def _read(self) -> _State:
        """Return the stored state; a new one where there is none, or a damaged one."""
        try:
            return _State(**json.loads(self.path.read_bytes()))
        except (OSError, ValueError, TypeError):
            state = _State(secrets.token_urlsafe(24), [])
            self._write(state)
            return state

    def _write(self, state: _State) -> None:
        write_durably(self.path, json.dumps(asdict(state)).encode())
