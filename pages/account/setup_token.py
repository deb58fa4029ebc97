"""The one-time token with which the first administrator is made; printed where only whoever starts Vigie looks."""

import hmac
import math
import secrets
import threading
import time
from collections import deque

import streamlit as st

from core.errors import AccessDeniedError, ServiceUnavailableError
from core.messages import N_
from pages.components.auth import LOOPBACK_HOSTS, sign_in_required

ATTEMPTS, WAIT = 10, 600.0  # wrong tokens, and seconds
LOOK_AGAIN = 5.0  # seconds between two looks whether the accounts answer


class Invitation:
    """A token that is good once, and no longer than this process."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self._wrong: deque[float] = deque(maxlen=ATTEMPTS)
        self._lock = threading.Lock()

    def check(self, token: str) -> None:
        """Raise AccessDeniedError for a wrong or used token, and for any after ten wrong ones in ten minutes."""
        with self._lock:
            now = time.monotonic()
            if len(self._wrong) == ATTEMPTS and now - self._wrong[0] < WAIT:
                minutes = math.ceil((WAIT - now + self._wrong[0]) / 60)
                raise AccessDeniedError(N_("Too many wrong tokens. Try again in {minutes} minutes."), minutes=minutes)
            if not self.token or not hmac.compare_digest(token.strip().encode(), self.token.encode()):
                self._wrong.append(now)
                raise AccessDeniedError(
                    N_("This is not the token that Vigie printed when it was started. A restart prints a new one.")
                )

    def used(self) -> None:
        """Make the token useless."""
        self.token = ""


invitation = Invitation()


def announce(ending: threading.Event) -> None:
    """Print the token as soon as the accounts say that there are none yet; nothing where nobody has to sign in."""
    from core.accounts import accounts

    while sign_in_required() and not ending.is_set():
        try:
            if accounts().empty():
                print(_sentence(), flush=True)
            return
        except ServiceUnavailableError:
            ending.wait(LOOK_AGAIN)


def _sentence() -> str:
    address, port = st.get_option("server.address"), st.get_option("server.port")
    host = address if address in LOOPBACK_HOSTS else "localhost"
    return (
        f"\n  Vigie has no users yet. Open http://{host}:{port}/ and use this token to "
        f"make the first administrator:\n\n"
        f"    {invitation.token}\n\n  It is good once, until Vigie is started again.\n"
    )
